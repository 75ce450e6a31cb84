//! The gateway's own cookies: the one place that reads and writes them (C-42, C-43, D-3.3).

use cookie::{Cookie, SameSite};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use model::Token;

use crate::messages::Language;

/// The session's token on this host.
pub const SESSION: &str = "__Host-sk";
/// The binder: names a browser on one host and proves nothing else.
pub const BINDER: &str = "__Host-sk-bind";
/// The reader's language; no secret and no authority.
pub const LANGUAGE: &str = "__Host-sk-lang";

/// A cookie of ours as an answer sets it.
#[derive(Debug)]
pub(crate) enum Set<'a> {
    /// The session's token, until the browser closes; the server's clock decides, not the cookie (C-43).
    Session(&'a Token),
    /// The binder, for 400 days, the longest that browsers keep.
    Binder(&'a Token),
    /// The language, as long.
    Language(Language),
    /// No session here any more.
    NoSession,
}

const LASTING: i64 = 400 * 24 * 3600;

impl Set<'_> {
    /// Adds the cookie to an answer's headers.
    pub(crate) fn on(&self, headers: &mut HeaderMap) {
        let (name, value, age) = match self {
            Self::Session(token) => (SESSION, token.text(), None),
            Self::Binder(token) => (BINDER, token.text(), Some(LASTING)),
            Self::Language(language) => (LANGUAGE, language.tag().to_owned(), Some(LASTING)),
            Self::NoSession => (SESSION, String::new(), Some(0)),
        };
        let mut line =
            Cookie::build((name, value)).secure(true).http_only(true).same_site(SameSite::Lax).path("/").build();
        if let Some(seconds) = age {
            line.set_max_age(time::Duration::seconds(seconds));
        }
        if let Ok(line) = HeaderValue::from_str(&line.to_string()) {
            headers.append(SET_COOKIE, line);
        }
    }
}

/// The token in the cookie `name`. A name that comes twice is nobody's: `__Host-` makes that
/// impossible for a browser.
pub(crate) fn token(headers: &HeaderMap, name: &str) -> Option<Token> {
    value(headers, name).and_then(|text| Token::parse(text).ok())
}

/// The language in its cookie.
pub(crate) fn language(headers: &HeaderMap) -> Option<Language> {
    value(headers, LANGUAGE).and_then(Language::from_tag)
}

/// Byte for byte: a name with a blank behind it is another name, and what other cookies of the line hold
/// (Shift_JIS, say) is nobody's business here.
fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&b| b == b';'))
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    let first = found.next();
    if found.next().is_some() { None } else { std::str::from_utf8(first?).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(set: &Set<'_>) -> Vec<String> {
        let mut headers = HeaderMap::new();
        set.on(&mut headers);
        headers.get_all(SET_COOKIE).iter().map(|v| v.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn req_c43_every_cookie_of_ours_is_host_bound_secure_lax_and_hidden_from_scripts() {
        let token = Token::generate().unwrap();
        for set in [Set::Session(&token), Set::Binder(&token), Set::Language(Language::English), Set::NoSession] {
            let lines = lines(&set);
            let [line] = lines.as_slice() else { panic!("{lines:?}") };
            assert!(line.starts_with("__Host-sk"), "{line}");
            let attributes: Vec<_> = line.split("; ").skip(1).collect();
            for wanted in ["Secure", "HttpOnly", "Path=/", "SameSite=Lax"] {
                assert!(attributes.contains(&wanted), "{line} lacks {wanted}");
            }
            assert!(!line.contains("Domain"), "{line}");
        }
    }

    #[test]
    fn a_session_cookie_ends_with_the_browser_and_a_removed_one_at_once() {
        let token = Token::generate().unwrap();
        assert!(!lines(&Set::Session(&token))[0].contains("Max-Age"));
        assert!(lines(&Set::NoSession)[0].contains("Max-Age=0"));
    }

    #[test]
    fn a_cookie_that_comes_twice_is_nobodys() {
        let token = Token::generate().unwrap();
        let mut headers = HeaderMap::new();
        let pair = format!("{SESSION}={}", token.text());
        headers.append(COOKIE, HeaderValue::from_str(&pair).unwrap());
        assert!(super::token(&headers, SESSION).is_some());
        headers.append(COOKIE, HeaderValue::from_str(&format!("a=b; {pair}")).unwrap());
        assert!(super::token(&headers, SESSION).is_none());
    }

    #[test]
    fn only_a_cookie_of_exactly_our_name_is_ours_whatever_stands_beside_it() {
        let token = Token::generate().unwrap();
        let (text, read) = (token.text(), |line: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
            super::token(&headers, SESSION)
        });
        for (before, after) in [("__Host-sk ", ""), ("__Host-sk\t", ""), ("__Host-sk", " "), ("__host-sk", "")] {
            assert!(read(format!("{before}={after}{text}").as_bytes()).is_none(), "{before:?} {after:?}");
        }
        assert!(read(format!("__Host-sk =x; __Host-sk={text} ;__Host-sk-bind=y").as_bytes()).is_some());
        assert!(read(&[b"ward=\x95a\x93\x8f; __Host-sk=", text.as_bytes()].concat()).is_some());
    }

    #[test]
    fn only_a_whole_token_is_read() {
        for bad in ["", "x", "\"quoted\"", "AAAA AAAA"] {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, HeaderValue::from_str(&format!("{SESSION}={bad}")).unwrap());
            assert!(token(&headers, SESSION).is_none(), "{bad:?}");
        }
    }
}
