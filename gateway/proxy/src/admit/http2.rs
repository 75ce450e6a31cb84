//! What HTTP/2 says in other ways than HTTP/1.1 comes to be said in one way, or not at all.
//!
//! hyper has refused by now: bad or late pseudo-header fields, names in upper case, control characters,
//! fields that speak for a connection, a length that isn't the body's (RFC 9113 8.1.1 … 8.3; H-11).

use http::Uri;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue};

/// What hyper lets pass and HTTP/1.1 could not say, or would say otherwise (H-12).
///
/// # Errors
/// The name of the rule.
pub(super) fn check(headers: &HeaderMap, most_fields: usize) -> Result<(), &'static str> {
    // A blank at either end is part of the value here and none of it there (RFC 9113 8.2.1).
    let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    if headers.values().any(|value| blank(value.as_bytes().first()) || blank(value.as_bytes().last())) {
        return Err("field-blank");
    }
    let crumbs = headers.get_all(COOKIE).iter().count();
    if headers.len() - crumbs.saturating_sub(1) > most_fields {
        return Err("field-count");
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let digits = |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    if lengths.next().is_some_and(|length| !digits(length)) || lengths.next().is_some() {
        return Err("content-length");
    }
    Ok(())
}

/// Says in `Host` what `:authority` says, and makes one `Cookie` of its crumbs (RFC 9113 8.2.3). `None`: it
/// can't be said.
pub(super) fn plain(headers: &mut HeaderMap, target: &Uri) -> Option<()> {
    let host = HeaderValue::from_str(target.authority()?.as_str()).ok()?;
    headers.insert(HOST, host);
    join_crumbs(headers)
}

fn join_crumbs(headers: &mut HeaderMap) -> Option<()> {
    let mut crumbs = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return Some(()) };
    let all: Vec<&[u8]> = [first, second].into_iter().chain(crumbs).collect();
    let joined = HeaderValue::from_bytes(&all.join(&b"; "[..])).ok()?;
    headers.insert(COOKIE, joined);
    Some(())
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(n, v)| {
                (HeaderName::from_bytes(n.as_bytes()).unwrap(), HeaderValue::from_bytes(v.as_bytes()).unwrap())
            })
            .collect()
    }

    #[test]
    fn req_h12_what_http_1_could_not_say_goes_no_further() {
        assert_eq!(check(&map(&[("x", "a b"), ("y", ""), ("content-length", "5")]), 3), Ok(()));
        for blank in [" a", "a ", "\ta", "a\t", " "] {
            assert_eq!(check(&map(&[("x", blank)]), 100), Err("field-blank"), "{blank:?}");
        }
        for length in ["", "+5", "5,5", "0x5", "5 5"] {
            assert_eq!(check(&map(&[("content-length", length)]), 100), Err("content-length"), "{length}");
        }
        let twice = map(&[("content-length", "5"), ("content-length", "5")]);
        assert_eq!(check(&twice, 100), Err("content-length"));
    }

    #[test]
    fn req_h23_crumbs_of_a_cookie_count_as_one_field() {
        let many: Vec<(String, &str)> = (0..5).map(|i| (format!("x-{i}"), "v")).collect();
        let mut fields: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        assert_eq!(check(&map(&fields), 5), Ok(()));
        fields.extend([("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]);
        assert_eq!(check(&map(&fields), 6), Ok(()));
        assert_eq!(check(&map(&fields), 5), Err("field-count"));
    }

    #[test]
    fn what_authority_and_crumbs_say_comes_to_stand_where_it_stands_in_http_1() {
        let mut headers = map(&[("cookie", "a=1"), ("cookie", "b=2"), ("host", "CHART.example:8443")]);
        plain(&mut headers, &Uri::from_static("https://chart.example:8443/a//b?c=%zz")).unwrap();
        assert_eq!(headers, map(&[("cookie", "a=1; b=2"), ("host", "chart.example:8443")]));
    }
}
