//! Cookies, both ways: ours never go upstream, the upstream's never outlive the session (A48, H-31).
//!
//! What an upstream sets reaches the browser as `sk.<line>.NAME`, sealed under a key of that session's
//! line, so that nobody else's session can present it and nothing need be kept here. `__Host-` and
//! `__Secure-` stay in front, where browsers look for them. Only cookies that the app lists pass as they are.

mod jar;
mod set_cookie;

use std::borrow::Borrow;

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use model::Token;

pub(crate) use jar::{Jar, Jars};
pub(crate) use set_cookie::{CookieRules, expire, rewrite};

/// The session cookie of every host.
const SESSION: &str = "__Host-sk";
/// How many sealed cookies of one request are opened, and how many foreign ones one answer clears.
const OPENED: usize = 64;
const CLEARED: usize = 16;

/// What a request shows as its session.
#[derive(Debug)]
pub(crate) enum Presented {
    /// No session cookie.
    Nothing,
    /// Exactly one, of the right form.
    Token(Token),
    /// Something that is no token, or several: worth nothing (A11).
    Malformed,
}

/// Reads `__Host-sk`, as the portal does: of two pairs of this name neither counts, whatever their values.
pub(crate) fn presented(headers: &HeaderMap) -> Presented {
    let mut found = parts(headers).filter(|(name, _)| *name == SESSION.as_bytes()).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (None, _) => Presented::Nothing,
        (Some(value), None) => std::str::from_utf8(value)
            .ok()
            .and_then(|text| Token::parse(text).ok())
            .map_or(Presented::Malformed, Presented::Token),
        (Some(_), Some(_)) => Presented::Malformed,
    }
}

/// The name and value pairs of all `Cookie` fields (RFC 6265 4.2.1). Blanks belong around a pair, none
/// around its `=`: what some reader would take for another name is no name here.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    parts(headers).filter(|(name, value)| name.trim_ascii_end() == *name && value.trim_ascii_start() == *value)
}

/// What stands before and behind the first `=` of each pair.
fn parts(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|&b| b == b';')).filter_map(|pair| {
        let pair = pair.trim_ascii();
        let equals = pair.iter().position(|&b| b == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        Some((name, value.get(1..)?))
    })
}

/// The name of a sealed cookie, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SealedName<'c> {
    /// `__Host-`, `__Secure-` or nothing.
    prefix: &'c str,
    line: &'c str,
    /// The upstream's own name without the prefix.
    name: &'c str,
}

impl<'c> SealedName<'c> {
    fn parse(wire: &'c [u8]) -> Option<Self> {
        let wire = std::str::from_utf8(wire).ok()?;
        let (prefix, bare) = split_prefix(wire);
        let (line, name) = bare.strip_prefix("sk.")?.split_once('.')?;
        (!name.is_empty()).then_some(Self { prefix, line, name })
    }
}

/// Splits `__Host-` or `__Secure-` off a cookie's name; browsers compare them without regard to case.
fn split_prefix(name: &str) -> (&str, &str) {
    ["__Host-", "__Secure-"]
        .iter()
        .find_map(|prefix| {
            let (start, rest) = name.split_at_checked(prefix.len())?;
            start.eq_ignore_ascii_case(prefix).then_some((start, rest))
        })
        .unwrap_or(("", name))
}

/// What becomes of a request's cookies.
#[derive(Debug, Default)]
pub(crate) struct Forwarded {
    /// The one `Cookie` field that goes upstream.
    pub(crate) header: Option<HeaderValue>,
    /// Cookies of other sessions' lines, to be cleared by the answer.
    pub(crate) foreign: Vec<String>,
}

/// Chooses what goes upstream: listed cookies as they are, this session's own opened, nothing else.
/// `jar` is asked for only when there is something to open.
pub(crate) fn forwarded<J>(headers: &HeaderMap, rules: &CookieRules, jar: impl FnOnce() -> Option<J>) -> Forwarded
where
    J: Borrow<Jar>,
{
    let mut result = Forwarded::default();
    let (mut jar, mut opener) = (None, Some(jar));
    let mut out: Vec<u8> = Vec::new();
    let mut opened = 0;
    for (name, value) in pairs(headers) {
        if rules.passes(name) {
            if closes_its_quotation(value) {
                push(&mut out, &[name], value);
            }
            continue;
        }
        let Some(sealed) = SealedName::parse(name) else { continue };
        if let Some(open) = opener.take() {
            jar = open();
        }
        let Some(jar) = jar.as_ref().map(Borrow::borrow) else { continue };
        if !jar.is_line(sealed.line) {
            if result.foreign.len() < CLEARED {
                result.foreign.push(String::from_utf8_lossy(name).into_owned());
            }
            continue;
        }
        opened += 1;
        if opened > OPENED {
            continue;
        }
        if let Some(plain) = jar.open(&rules.host, sealed.prefix, sealed.name, value) {
            push(&mut out, &[sealed.prefix.as_bytes(), sealed.name.as_bytes()], &plain);
        }
    }
    result.header = (!out.is_empty()).then(|| HeaderValue::from_maybe_shared(bytes::Bytes::from(out)).ok()).flatten();
    result
}

/// What opens a quotation closes it (RFC 6265 4.1.1): some servers would take the pairs behind for a part of it, and
/// a page that shows this cookie to its scripts would show them those.
fn closes_its_quotation(value: &[u8]) -> bool {
    let Some(quoted) = value.strip_prefix(b"\"") else { return true };
    quoted.strip_suffix(b"\"").is_some_and(|inside| !inside.contains(&b'"'))
}

fn push(out: &mut Vec<u8>, name: &[&[u8]], value: &[u8]) {
    if !out.is_empty() {
        out.extend_from_slice(b"; ");
    }
    for part in name {
        out.extend_from_slice(part);
    }
    out.push(b'=');
    out.extend_from_slice(value);
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
