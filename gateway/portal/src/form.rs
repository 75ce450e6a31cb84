//! Forms of ours: a bounded parser, the form token, and where a state change may come from (C-45, A45).

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, ORIGIN};
use model::{FetchMetadata, Token};

/// The field that carries the form token.
pub(crate) const TOKEN_FIELD: &str = "t";

const FIELDS: usize = 16;

/// The fields of a form, each name once.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`; a name that comes twice, or more than 16 fields,
    /// is no form of ours.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if fields.len() == FIELDS || fields.iter().any(|(n, _)| *n == name) {
                return None;
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Some(Self(fields))
    }

    /// The field's value; empty if there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

/// Is the body announced as a form?
pub(crate) fn announced(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// What a form is bound to: the secret in a cookie that only this browser has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound<'a> {
    /// The session's token: a form of a logged-in page; dead with the token (unlock, logout).
    Session(&'a Token),
    /// The binder and the interaction: a form of a login, unlock or enrolment.
    Interaction(&'a Token, &'a str),
}

/// The form token: HMAC-SHA-256 under the cookie's secret, so that nothing has to be stored and no
/// other browser, session or interaction has the same.
pub(crate) fn token(bound: Bound<'_>) -> String {
    URL_SAFE_NO_PAD.encode(tag(bound))
}

/// Does the form carry the token of `bound`?
pub(crate) fn matches(bound: Bound<'_>, form: &Form) -> bool {
    URL_SAFE_NO_PAD
        .decode(form.field(TOKEN_FIELD))
        .is_ok_and(|given| constant_time::verify_slices_are_equal(&given, tag(bound).as_ref()).is_ok())
}

fn tag(bound: Bound<'_>) -> hmac::Tag {
    let (secret, kind, context) = match bound {
        Bound::Session(token) => (token, &b"form of a session\0"[..], ""),
        Bound::Interaction(binder, interaction) => (binder, &b"form of an interaction\0"[..], interaction),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.text().as_bytes());
    let mut context_of = hmac::Context::with_key(&key);
    context_of.update(kind);
    context_of.update(context.as_bytes());
    context_of.sign()
}

/// May this request change something by the authority of a cookie? Only a page of the same origin
/// may: `Sec-Fetch-Site` says so, and where a browser has no fetch metadata, `Origin` does. An
/// `Origin` that names somebody else is refused either way; pages without referrer send `null`.
pub(crate) fn same_origin(fetch: FetchMetadata, headers: &HeaderMap, own: &str) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = origins.next().map(|value| value.as_bytes());
    if origins.next().is_some() {
        return false;
    }
    if fetch.present {
        fetch.same_origin && origin.is_none_or(|o| o == b"null" || o == own.as_bytes())
    } else {
        origin == Some(own.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn form_with(token: &str) -> Form {
        Form::parse(format!("t={token}").as_bytes()).unwrap()
    }

    #[test]
    fn req_c45_a_form_token_fits_its_own_session_only() {
        let [mine, other] = [Token::generate().unwrap(), Token::generate().unwrap()];
        let form = form_with(&token(Bound::Session(&mine)));
        assert!(matches(Bound::Session(&mine), &form));
        assert!(!matches(Bound::Session(&other), &form));
        assert!(!matches(Bound::Session(&mine), &Form::default()));
        assert!(!matches(Bound::Interaction(&mine, ""), &form));
    }

    #[test]
    fn a_form_token_fits_its_own_interaction_only() {
        let binder = Token::generate().unwrap();
        let form = form_with(&token(Bound::Interaction(&binder, "one")));
        assert!(matches(Bound::Interaction(&binder, "one"), &form));
        assert!(!matches(Bound::Interaction(&binder, "two"), &form));
    }

    #[test]
    fn atk_a45_only_the_same_origin_changes_something() {
        let own = "https://auth.example.jp";
        let with = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
            }
            headers
        };
        let same = FetchMetadata { present: true, same_origin: true, ..FetchMetadata::default() };
        let other = FetchMetadata { present: true, ..FetchMetadata::default() };
        let none = FetchMetadata::default();
        assert!(same_origin(same, &with(None), own));
        assert!(same_origin(same, &with(Some("null")), own));
        assert!(same_origin(same, &with(Some(own)), own));
        assert!(same_origin(none, &with(Some(own)), own));
        for (fetch, origin) in [
            (same, Some("https://chart.example.jp")),
            (other, None),
            (other, Some(own)),
            (none, None),
            (none, Some("null")),
            (none, Some("https://auth.example.jp:8443")),
            (none, Some("https://auth.example.jp.evil.test")),
            (none, Some("http://auth.example.jp")),
        ] {
            assert!(!same_origin(fetch, &with(origin), own), "{fetch:?} {origin:?}");
        }
        let mut twice = with(Some(own));
        twice.append(ORIGIN, HeaderValue::from_static("https://evil.test"));
        assert!(!same_origin(none, &twice, own));
    }

    #[test]
    fn a_field_that_comes_twice_or_fields_without_end_are_no_form() {
        assert!(Form::parse(b"a=1&a=2").is_none());
        let many: String = (0..17).map(|n| format!("f{n}=x&")).collect();
        assert!(Form::parse(many.as_bytes()).is_none());
        assert_eq!(Form::parse(b"name=%E8%8A%B1+x").unwrap().field("name"), "花 x");
    }
}
