//! `Set-Cookie` of upstreams (RFC 6265bis), read with suspicion and written anew.

use std::borrow::Borrow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderValue, SET_COOKIE};
use model::Timestamp;

use super::{Jar, split_prefix};

/// Cookies that one answer may set, and the bytes of one of them as the browser gets it.
const COUNT: usize = 32;
const SIZE: usize = 4_096;

/// What one app's cookies are held to.
#[derive(Clone, Debug)]
pub(crate) struct CookieRules {
    /// The app's host: a sealed cookie opens nowhere else.
    pub(crate) host: Arc<str>,
    /// Names that scripts must read; they pass as they are.
    pub(crate) listed: Vec<String>,
}

impl CookieRules {
    pub(super) fn passes(&self, name: &[u8]) -> bool {
        self.listed.iter().any(|listed| listed.as_bytes() == name) && !is_ours(name)
    }
}

/// Ours by name, whatever the case: nobody sets them but us.
fn is_ours(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let (prefix, bare) = split_prefix(name);
    let bare = bare.to_ascii_lowercase();
    bare.starts_with("sk.") || (!prefix.is_empty() && matches!(bare.as_str(), "sk" | "sk-bind"))
}

/// Rewrites every `Set-Cookie`; returns how many were dropped. `until` is when the session ends at the
/// latest: no sealed cookie lives longer.
pub(crate) fn rewrite<J>(
    headers: &mut HeaderMap,
    rules: &CookieRules,
    now: Timestamp,
    until: Timestamp,
    jar: impl FnOnce() -> Option<J>,
) -> usize
where
    J: Borrow<Jar>,
{
    if !headers.contains_key(SET_COOKIE) {
        return 0;
    }
    let values: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    let jar = jar();
    let mut dropped = 0;
    for (i, value) in values.iter().enumerate() {
        let written = Cookie::parse(value.as_bytes())
            .filter(|cookie| i < COUNT && !is_ours(cookie.name.as_bytes()))
            .and_then(|cookie| {
                if rules.passes(cookie.name.as_bytes()) {
                    Some(cookie.plain())
                } else {
                    cookie.sealed(jar.as_ref()?.borrow(), &rules.host, now, until.since(now))
                }
            })
            .filter(|written| written.len() <= SIZE)
            .and_then(|written| HeaderValue::from_bytes(&written).ok());
        match written {
            Some(value) => drop(headers.append(SET_COOKIE, value)),
            None => dropped += 1,
        }
    }
    dropped
}

/// Clears cookies of other sessions' lines from the browser.
pub(crate) fn expire(headers: &mut HeaderMap, foreign: &[String]) {
    for name in foreign {
        let gone = format!("{name}=; Path=/; Max-Age=0; Secure; HttpOnly");
        if let Ok(value) = HeaderValue::from_str(&gone) {
            headers.append(SET_COOKIE, value);
        }
    }
}

/// One `Set-Cookie`, as far as we understand it. `Domain` is not among the parts: no cookie of an app
/// is for another host.
struct Cookie<'h> {
    name: &'h str,
    value: &'h [u8],
    path: Option<&'h str>,
    max_age: Option<i64>,
    expires: Option<&'h str>,
    same_site: Option<&'static str>,
    http_only: bool,
    partitioned: bool,
}

impl<'h> Cookie<'h> {
    fn parse(text: &'h [u8]) -> Option<Self> {
        let mut parts = text.split(|&b| b == b';').map(<[u8]>::trim_ascii);
        let (name, value) = split_pair(parts.next()?)?;
        let name = std::str::from_utf8(name).ok()?;
        // A prefix alone is no name: what came back under it would be nobody's.
        if split_prefix(name).1.is_empty() || !name.bytes().all(is_token) || value.iter().any(u8::is_ascii_control) {
            return None;
        }
        let mut cookie = Self {
            name,
            value,
            path: None,
            max_age: None,
            expires: None,
            same_site: None,
            http_only: false,
            partitioned: false,
        };
        for attribute in parts {
            let (key, value) = split_pair(attribute).unwrap_or((attribute, b""));
            if let Ok(value) = std::str::from_utf8(value) {
                cookie.attribute(&key.to_ascii_lowercase(), value);
            }
        }
        Some(cookie)
    }

    fn attribute(&mut self, key: &[u8], value: &'h str) {
        match key {
            b"path" if value.starts_with('/') && !value.bytes().any(|b| b.is_ascii_control()) => {
                self.path = Some(value)
            }
            b"max-age" => self.max_age = value.parse().ok(),
            b"expires" => self.expires = Some(value),
            b"samesite" => {
                self.same_site = ["Strict", "Lax", "None"].into_iter().find(|s| s.eq_ignore_ascii_case(value));
            }
            b"httponly" => self.http_only = true,
            b"partitioned" => self.partitioned = true,
            _ => {}
        }
    }

    /// Seconds to live from `now`; `None`: as long as the browser runs.
    fn lifetime(&self, now: Timestamp) -> Option<i64> {
        self.max_age.or_else(|| {
            let dated = format!("a=b; Expires={}", self.expires?);
            let at = cookie::Cookie::parse(dated).ok()?.expires_datetime()?;
            Some(at.unix_timestamp().saturating_sub(now.seconds()))
        })
    }

    fn plain(&self) -> Vec<u8> {
        let mut attributes = self.attributes(split_prefix(self.name).0);
        if let Some(seconds) = self.max_age {
            let _ = write!(attributes, "; Max-Age={seconds}");
        } else if let Some(date) = self.expires.filter(|date| date.bytes().all(|b| matches!(b, b' '..=b'~'))) {
            let _ = write!(attributes, "; Expires={date}");
        }
        if self.http_only {
            attributes.push_str("; HttpOnly");
        }
        [self.name.as_bytes(), b"=", self.value, attributes.as_bytes()].concat()
    }

    fn sealed(&self, jar: &Jar, host: &str, now: Timestamp, longest: Duration) -> Option<Vec<u8>> {
        let (prefix, name) = split_prefix(self.name);
        let longest = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
        let seconds = self.lifetime(now).unwrap_or(longest).clamp(0, longest);
        let value = if seconds == 0 { String::new() } else { jar.seal(host, prefix, name, self.value)? };
        let attributes = self.attributes(prefix);
        let line = jar.line();
        Some(format!("{prefix}sk.{line}.{name}={value}{attributes}; Max-Age={seconds}; HttpOnly").into_bytes())
    }

    fn attributes(&self, prefix: &str) -> String {
        let mut text = String::new();
        let path = if prefix.eq_ignore_ascii_case("__Host-") { Some("/") } else { self.path };
        if let Some(path) = path {
            let _ = write!(text, "; Path={path}");
        }
        if let Some(same_site) = self.same_site {
            let _ = write!(text, "; SameSite={same_site}");
        }
        if self.partitioned {
            text.push_str("; Partitioned");
        }
        text.push_str("; Secure");
        text
    }
}

fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = pair.split_at_checked(pair.iter().position(|&b| b == b'=')?)?;
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}
