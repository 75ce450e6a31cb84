//! Whose chart a request is about, as far as the app's rule can tell (design.md §9).
//!
//! What can't be read without doubt is `unknown`, never a guess.

mod json;
mod lookup;

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

pub(crate) use json::in_json;
pub(crate) use lookup::{Looked, Lookups};

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

/// The parameter `name` of a query or a form body. Several different ones are `unknown`, and so is one
/// that stands beside what some server takes for the same, or in a text that some server divides otherwise.
pub(crate) fn in_form(text: &[u8], name: &str) -> Found {
    let mut value: Option<String> = None;
    if text.contains(&b';') {
        return Found::Unknown;
    }
    for pair in text.split(|&b| b == b'&') {
        let mut halves = pair.splitn(2, |&b| b == b'=');
        let Some(key) = halves.next().and_then(unescape) else { return Found::Unknown };
        if key != name {
            if is_taken_for(&key, name) {
                return Found::Unknown;
            }
            continue;
        }
        match (unescape(halves.next().unwrap_or_default()), &value) {
            (Some(found), None) => value = Some(found),
            (Some(found), Some(first)) if found == *first => {}
            _ => return Found::Unknown,
        }
    }
    Found::of(value.as_deref())
}

/// The same of a form body, whose field must not be in the query too: servers differ in which one wins.
pub(crate) fn in_form_beside_query(body: &[u8], query: &str, name: &str) -> Found {
    let named = |pair: &str| {
        let key = pair.split('=').next().unwrap_or_default();
        unescape(key.as_bytes()).is_none_or(|key| key == name || is_taken_for(&key, name))
    };
    if query.split(['&', ';']).any(named) { Found::Unknown } else { in_form(body, name) }
}

/// Would some server read the field `key` as `name`: without regard to case, with `.`, `[`, `]` and space as
/// `_`, as a list or a part of it, or cut at a control?
fn is_taken_for(key: &str, name: &str) -> bool {
    let folded = |text: &str| text.to_ascii_lowercase().replace(['.', '[', ']', ' '], "_");
    let name = folded(name);
    let key = key.trim_start();
    let key = key.split(char::is_control).next().unwrap_or_default();
    folded(key) == name || key.split_once('[').is_some_and(|(list, _)| folded(list) == name)
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

/// The one value of a response header.
pub(crate) fn in_header(headers: &HeaderMap, name: &str) -> Found {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Found::of(value.to_str().ok()),
        _ => Found::Unknown,
    }
}

/// `application/x-www-form-urlencoded`, as its bytes are: UTF-8 without a content coding.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|t| t == "application/x-www-form-urlencoded")
}

/// `application/json` or anything ending in `+json`, as its bytes are: UTF-8 without a content coding.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|t| t == "application/json" || t.ends_with("+json"))
}

/// The one media type of a body that is UTF-8 without a content coding.
fn media_type(headers: &HeaderMap) -> Option<String> {
    if !headers.get_all(CONTENT_ENCODING).iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return None;
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return None };
    let text = only.to_str().ok()?.to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next()?.to_owned();
    let utf8 = parts
        .filter_map(|parameter| parameter.split_once('='))
        .all(|(name, value)| name.trim() != "charset" || matches!(value.trim().trim_matches('"'), "utf-8" | "utf8"));
    (utf8 && !text.contains(',')).then_some(essence)
}

#[cfg(test)]
mod fuzz;

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
    fn atk_a52_a_field_beside_its_double_is_unknown() {
        for doubtful in [
            "pid=1&PID=2",
            "pid=1&pid[]=2",
            "pid[0]=2&pid=1",
            "pid=1&+pid=2",
            "pid=1&%20pid=2",
            "pid=1&pid%00x=2",
            "pid=1;pid=2",
            "a=1;pid=2&pid=1",
            "pid=1&%u0070id=2",
        ] {
            assert_eq!(in_form(doubtful.as_bytes(), "pid"), Found::Unknown, "{doubtful}");
        }
        for doubtful in ["patient_id=1&patient.id=2", "patient%20id=2&patient_id=1", "patient_id=1&patient[id=2"] {
            assert_eq!(in_form(doubtful.as_bytes(), "patient_id"), Found::Unknown, "{doubtful}");
        }
        assert_eq!(in_form(b"patient_id=1&patient-id=2&patient_ids=3", "patient_id"), known("1"));
        assert_eq!(in_form(b"pid=1%3B2&q=x", "pid"), known("1;2"));
    }

    #[test]
    fn atk_a52_a_form_whose_field_the_query_names_too_is_unknown() {
        assert_eq!(in_form_beside_query(b"pid=1", "", "pid"), known("1"));
        assert_eq!(in_form_beside_query(b"pid=1", "x=1&p=2", "pid"), known("1"));
        for query in ["pid=2", "pid=1", "x=1&p%69d=2", "x=1;pid=2", "PID=2", "pid[]=2", "%zz=1"] {
            assert_eq!(in_form_beside_query(b"pid=1", query, "pid"), Found::Unknown, "{query}");
        }
    }

    #[test]
    fn atk_a52_only_one_plain_media_type_in_utf_8_is_looked_into() {
        let types = |values: &[&str]| -> HeaderMap {
            values.iter().map(|value| (CONTENT_TYPE, value.parse().unwrap())).collect()
        };
        for plain in ["application/json", "Application/JSON; charset=UTF-8", "application/fhir+json;charset=\"utf-8\""]
        {
            assert!(is_json(&types(&[plain])), "{plain}");
        }
        for odd in [
            &["application/json; charset=shift_jis"][..],
            &["application/json;charset=utf-8;charset=utf-7"],
            &["application/json; CharSet = \"UTF-16\""],
            &["application/json", "application/json"],
            &["application/json", "text/plain"],
            &["application/json;x=1, text/plain"],
            &["text/plain"],
            &[],
        ] {
            assert!(!is_json(&types(odd)), "{odd:?}");
        }
        assert!(is_form(&types(&["application/x-www-form-urlencoded; charset=utf-8"])));
        assert!(!is_form(&types(&["application/x-www-form-urlencoded; charset=shift_jis"])));
        let mut coded = types(&["application/json"]);
        coded.append(CONTENT_ENCODING, "identity".parse().unwrap());
        assert!(is_json(&coded));
        coded.append(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(!is_json(&coded));
    }
}
