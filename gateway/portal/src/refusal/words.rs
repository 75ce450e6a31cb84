//! What a refusal is called: keys of messages, names of problems, words of the policy.

use std::time::Duration;

use model::{Refusal, Zone};
use policy::Title;

use super::seconds;
use crate::messages::Tongue;
use crate::plain::Plain;
use crate::visit::Visit;

/// The portal as an app of the policy.
pub(crate) const PORTAL: &str = "sekimori";

/// What happened, what to do.
pub(crate) struct Words {
    pub(crate) title: String,
    pub(crate) what: String,
    pub(crate) what_now: Option<String>,
}

impl Words {
    /// The words of a data-plane refusal that has no page of its own.
    pub(crate) fn of(t: &Tongue, refusal: &Refusal) -> Self {
        match refusal {
            Refusal::TooMany { retry_after } => Self::waiting(t, refusal.name(), *retry_after),
            _ => Self::plain(t, refusal.name()),
        }
    }

    /// The words of a name for which waiting helps, and for how long.
    pub(crate) fn waiting(t: &Tongue, name: &str, retry_after: Duration) -> Self {
        let words = Self::plain(t, name);
        Self { what_now: Some(t.one("wait-do", "seconds", &seconds(retry_after).to_string())), ..words }
    }

    /// The words of a name of [`Refusal::name`], or of the portal's own refusals.
    pub(crate) fn plain(t: &Tongue, name: &str) -> Self {
        let (title, what, what_now) = keys(name);
        Self { title: t.say(title), what: t.say(what), what_now: Some(t.say(what_now)) }
    }
}

fn keys(name: &str) -> (&'static str, &'static str, &'static str) {
    match name {
        "malformed" | "uri-too-long" => ("malformed-title", "malformed-what", "malformed-do"),
        "misdirected" => ("misdirected-title", "misdirected-what", "misdirected-do"),
        "not-found" => ("not-found-title", "not-found-what", "not-found-do"),
        "method-not-allowed" => ("method-title", "method-what", "method-do"),
        "slow-body" => ("slow-body-title", "slow-body-what", "slow-body-do"),
        "too-large" => ("too-large-title", "too-large-what", "too-large-do"),
        "expectation" => ("expectation-title", "expectation-what", "expectation-do"),
        "too-many" => ("too-many-title", "too-many-what", "too-many-wait"),
        "busy" => ("busy-title", "busy-what", "too-many-wait"),
        "login-required" => ("login-required-title", "login-required-what", "login-required-do"),
        "locked" => ("locked-title", "locked-what", "locked-do"),
        "upstream" => ("upstream-title", "upstream-what", "upstream-do"),
        "upstream-timeout" => ("upstream-timeout-title", "upstream-timeout-what", "upstream-timeout-do"),
        "loop" => ("loop-title", "loop-what", "loop-do"),
        "unavailable" => ("unavailable-title", "unavailable-what", "unavailable-do"),
        "origin" => ("origin-title", "origin-what", "origin-do"),
        "login-elsewhere" => ("login-elsewhere-title", "login-elsewhere-what", "login-elsewhere-do"),
        "login-expired" => ("login-expired-title", "login-expired-what", "login-expired-do"),
        _ => ("broken-title", "broken-what", "broken-do"),
    }
}

/// The title of a problem document; programs' developers read English.
pub(crate) const fn title(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed(_) => "The request is malformed or ambiguous",
        Refusal::Misdirected => "This host is not served here",
        Refusal::NotFound => "There is nothing here",
        Refusal::MethodNotAllowed(_) => "The method is not allowed here",
        Refusal::SlowBody => "The body came too slowly",
        Refusal::TooLarge => "The body is too large",
        Refusal::UriTooLong => "The address is too long",
        Refusal::Expectation => "The expectation is not supported",
        Refusal::TooMany { .. } => "Too many requests",
        Refusal::LoginRequired { .. } => "A login is required",
        Refusal::Locked { .. } => "The session is locked",
        Refusal::Denied { .. } => "The policy does not allow it",
        Refusal::Upstream => "The application cannot be reached",
        Refusal::UpstreamTimeout => "The application did not answer in time",
        Refusal::Loop => "The request goes in circles",
        Refusal::Unavailable => "Not available right now",
    }
}

/// Why the policy says no and what can be done, by the word of its catalogue.
pub(crate) fn denial(t: &Tongue, reason: &str) -> (String, String) {
    let (why, what_now) = match reason {
        "no-role" => ("denied-why-role", "denied-call"),
        "deny-rule" => ("denied-why-deny", "denied-call"),
        "zone" | "unknown-zone" => ("denied-why-zone", "denied-elsewhere"),
        "hours" => ("denied-why-hours", "denied-later"),
        "assurance" => ("denied-why-assurance", "denied-call"),
        "no-action" => ("denied-why-path", "denied-call"),
        "origin" => ("denied-why-origin", "denied-afresh"),
        "service-worker" => ("denied-why-worker", "denied-call"),
        "download" => ("denied-why-download", "denied-call"),
        _ => ("denied-why-other", "denied-call"),
    };
    (t.say(why), t.say(what_now))
}

/// An app as people call it.
pub(crate) fn app_title(visit: &Visit, name: &str) -> Plain {
    let app = visit.snapshot.apps.iter().find(|app| &*app.name == name);
    Plain::new(app.map_or(name, |app| visit.t.language().of(&app.title.ja, &app.title.en)))
}

/// An action as people call it.
pub(crate) fn action_title(visit: &Visit, app: &str, name: &str) -> Plain {
    let policy = &visit.snapshot.policy;
    let action = policy.app(app).and_then(|app| policy.action(policy.action_named(app, name)?));
    Plain::new(titled(visit, action.and_then(|action| action.title.as_ref()), name))
}

/// A zone as people call it. The store may know sessions of a zone that is none any more.
pub(crate) fn zone_title(visit: &Visit, name: &str) -> Plain {
    if name == Zone::UNKNOWN {
        return Plain::new(&visit.t.say("zone-unknown"));
    }
    let title = visit.snapshot.zone_title(name);
    Plain::new(title.map_or(name, |title| visit.t.language().of(&title.ja, &title.en)))
}

fn titled<'a>(visit: &Visit, title: Option<&'a Title>, name: &'a str) -> &'a str {
    title.map(|title| visit.t.language().of(&title.ja, &title.en)).filter(|title| !title.is_empty()).unwrap_or(name)
}

/// `role:NAME`, `zone:NAME`, `hours:CONDITION`, `aal2` as people call them.
pub(crate) fn missing(visit: &Visit, word: &str) -> Plain {
    let t = &visit.t;
    let policy = &visit.snapshot.policy;
    Plain::new(&match word.split_once(':') {
        Some(("role", name)) => {
            let title = policy.role(name).map(|role| &role.title);
            t.with("missing-role", &[("role", titled(visit, title, name))])
        }
        Some(("zone", name)) => t.with("missing-zone", &[("zone", &zone_title(visit, name).to_string())]),
        Some(("hours", name)) => {
            let condition = policy.rules().conditions.iter().find(|condition| condition.name == name);
            let note = condition.and_then(|condition| condition.note.as_deref());
            t.with("missing-hours", &[("hours", note.unwrap_or(name))])
        }
        _ if word == "aal2" => t.say("missing-aal2"),
        _ => word.to_owned(),
    })
}
