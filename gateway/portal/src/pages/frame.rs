//! What stands around every page: who and where, help, language, request id.

use std::time::Duration;

use crate::assets::Links;
use crate::messages::{Language, Tongue};
use crate::plain::Plain;

/// The frame of a page.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) t: Tongue,
    pub(crate) links: Links,
    pub(crate) site: Plain,
    /// Where the site's name leads: the launcher, for somebody logged in.
    pub(crate) home: Option<String>,
    pub(crate) badge: Option<Badge>,
    pub(crate) help: Option<Plain>,
    pub(crate) switches: Vec<Switch>,
    pub(crate) request: String,
}

/// Who is logged in, from where, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Badge {
    pub(crate) name: Plain,
    pub(crate) kana: Option<Plain>,
    pub(crate) department: Plain,
    pub(crate) zone: Plain,
    pub(crate) remaining: String,
    pub(crate) minutes: u64,
    /// `remaining` with `{h}` and `{m}` for the script that counts on.
    pub(crate) words: String,
    /// Where the lock button posts to; none on a locked page.
    pub(crate) lock: Option<&'static str>,
    pub(crate) logout: bool,
    pub(crate) form: String,
}

impl Badge {
    /// The remaining time in words: hours and minutes.
    pub(crate) fn remaining(t: &Tongue, left: Duration) -> (u64, String, String) {
        let minutes = left.as_secs() / 60;
        let words = t.with("badge-remaining", &[("hours", "{h}"), ("minutes", "{m}")]);
        let [hours, rest] = [minutes / 60, minutes % 60].map(|n| n.to_string());
        (minutes, t.with("badge-remaining", &[("hours", &hours), ("minutes", &rest)]), words)
    }
}

/// A link to the same page in another language.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    pub(crate) href: String,
    pub(crate) tag: &'static str,
    pub(crate) name: &'static str,
}

impl Switch {
    /// The other languages of the page at `path` with `query`; the language goes last.
    pub(crate) fn of(path: &str, query: &[(&str, &str)], now: Language) -> Vec<Self> {
        Language::ALL
            .into_iter()
            .filter(|language| *language != now)
            .map(|language| {
                let mut pairs = form_urlencoded::Serializer::new(String::new());
                pairs.extend_pairs(query.iter().filter(|(name, _)| *name != "lang"));
                pairs.append_pair("lang", language.tag());
                Self { href: format!("{path}?{}", pairs.finish()), tag: language.tag(), name: language.own_name() }
            })
            .collect()
    }
}
