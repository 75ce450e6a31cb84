//! Whose chart a request is about, as far as the app's rule can tell (design.md §9).
//!
//! What can't be read without doubt is `unknown`, never a guess.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};

/// The longest text that counts as a patient number.
const LONGEST: usize = 64;

/// The patient of a request, owned until the record is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Found {
    /// No rule looks for one.
    #[default]
    NotAsked,
    /// A rule looked and found none, or more than one.
    Unknown,
    /// This one.
    Known(Box<str>),
}

impl Found {
    pub(crate) fn of(text: Option<&str>) -> Self {
        match text.map(str::trim) {
            Some(text) if (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control) => {
                Self::Known(text.into())
            }
            _ => Self::Unknown,
        }
    }

    pub(crate) fn audited(&self) -> audit::Patient<'_> {
        match self {
            Self::NotAsked => audit::Patient::None,
            Self::Unknown => audit::Patient::Unknown,
            Self::Known(number) => audit::Patient::Known(number),
        }
    }
}

/// The parameter `name` of a query or a form body; several different ones are `unknown`.
pub(crate) fn in_form(text: &[u8], name: &str) -> Found {
    let mut values = text.split(|&b| b == b'&').filter_map(|pair| {
        let equals = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
        let (key, value) = pair.split_at_checked(equals)?;
        (unescape(key)? == name).then(|| unescape(value.get(1..).unwrap_or_default()))
    });
    match values.next() {
        Some(Some(first)) if values.all(|other| other.as_ref() == Some(&first)) => Found::of(Some(&first)),
        _ => Found::Unknown,
    }
}

fn unescape(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// The one value of a path parameter.
pub(crate) fn in_path(parameter: Option<&str>) -> Found {
    parameter.map_or(Found::Unknown, |text| Found::of(Some(&unescape_path(text))))
}

/// A piece of a path as people write it; as it is, if its bytes are no UTF-8.
pub(crate) fn unescape_path(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    // A plus sign is no space in a path.
    unescape(text.replace('+', "%2B").as_bytes()).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The text or number at a JSON pointer (RFC 6901).
pub(crate) fn in_json(body: &[u8], pointer: &str) -> Found {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(body) else {
        return Found::Unknown;
    };
    match document.pointer(pointer) {
        Some(serde_json::Value::String(text)) => Found::of(Some(text)),
        Some(serde_json::Value::Number(number)) => Found::of(Some(&number.to_string())),
        _ => Found::Unknown,
    }
}

/// The one value of a response header.
pub(crate) fn in_header(headers: &HeaderMap, name: &str) -> Found {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Found::of(value.to_str().ok()),
        _ => Found::Unknown,
    }
}

/// A body whose bytes are what they say: no content coding.
pub(crate) fn is_identity(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// `application/x-www-form-urlencoded`
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|t| t.eq_ignore_ascii_case(b"application/x-www-form-urlencoded"))
}

/// `application/json` or anything ending in `+json`
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|t| {
        let t = t.to_ascii_lowercase();
        t == b"application/json" || t.ends_with(b"+json")
    })
}

fn media_type(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes)?.split(|&b| b == b';').next().map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Found {
        Found::Known(text.into())
    }

    #[test]
    fn a_query_or_form_names_its_patient_or_leaves_it_unknown() {
        assert_eq!(in_form(b"a=1&pid=000123", "pid"), known("000123"));
        assert_eq!(in_form(b"p%69d=00%30123", "pid"), known("000123"));
        assert_eq!(in_form(b"pid=1&pid=1", "pid"), known("1"));
        for doubtful in ["", "a=1", "pid=", "pid", "pid=1&pid=2", "pid=%zz", "pid=1&pid=%zz", "pid=%0a", "xpid=1"] {
            assert_eq!(in_form(doubtful.as_bytes(), "pid"), Found::Unknown, "{doubtful}");
        }
        assert_eq!(in_form(format!("pid={}", "1".repeat(65)).as_bytes(), "pid"), Found::Unknown);
    }

    #[test]
    fn a_path_parameter_is_read_as_people_write_it() {
        assert_eq!(in_path(Some("000123")), known("000123"));
        assert_eq!(in_path(Some("%E5%B1%B1+1")), known("山+1"));
        assert_eq!(in_path(None), Found::Unknown);
    }

    #[test]
    fn a_json_pointer_finds_text_or_a_number() {
        let body = br#"{"order":{"patient":"000123","n":42,"list":[1]}}"#;
        assert_eq!(in_json(body, "/order/patient"), known("000123"));
        assert_eq!(in_json(body, "/order/n"), known("42"));
        assert_eq!(in_json(body, "/order/list/0"), known("1"));
        for pointer in ["", "/order", "/order/list", "/nothing", "order/patient"] {
            assert_eq!(in_json(body, pointer), Found::Unknown, "{pointer}");
        }
        assert_eq!(in_json(b"{", "/order"), Found::Unknown);
    }
}
