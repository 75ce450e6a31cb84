//! Fuzz target (`tests/fuzz`): a head that is admitted has one host, one form and no word that only we may say,
//! whichever version it came by. What hyper reads before is tried from outside, in `tests/wire/fuzz.rs`.
//!
//! The first line of an input is version, method and target, as `2 GET https://chart.example/a`; a field on each other.

use http::header::{COOKIE, HOST, HeaderValue};

use super::*;

/// What some server behind us would believe, spelled as CGI and its heirs spell it.
const FORGED: [&str; 24] = [
    "SEKIMORI_ASSERTION",
    "REMOTE_USER",
    "REMOTE_NAME",
    "REMOTE_GROUPS",
    "REMOTE_ADDR",
    "X_FORWARDED_FOR",
    "X_FORWARDED_HOST",
    "X_FORWARDED_PROTO",
    "X_FORWARDED_USER",
    "X_REAL_IP",
    "X_REMOTE_USER",
    "X_ORIGINAL_URL",
    "X_REWRITE_URL",
    "X_HTTP_METHOD_OVERRIDE",
    "X_REQUEST_ID",
    "X_SSL_CLIENT_CN",
    "SSL_CLIENT_CERT",
    "CLIENT_CERT",
    "FORWARDED",
    "PROXY",
    "PROXY_AUTHORIZATION",
    "AUTHORIZATION",
    "TRUE_CLIENT_IP",
    "X_CLIENT_IP",
];

fn parse(input: &[u8]) -> Option<Parts> {
    let mut lines = input.split(|b| *b == b'\n');
    let first = lines.next()?;
    let [version, method, target] = *first.splitn(3, |b| *b == b' ').collect::<Vec<_>>() else { return None };
    let version = if version == b"2" { Version::HTTP_2 } else { Version::HTTP_11 };
    let mut head = Request::new(()).into_parts().0;
    head.version = version;
    head.method = Method::from_bytes(method).ok()?;
    head.uri = Uri::try_from(target).ok()?;
    for line in lines.filter(|line| !line.is_empty()) {
        let at = line.iter().position(|b| *b == b':')?;
        let name = &line[..at];
        if version == Version::HTTP_2 && name.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let value = HeaderValue::from_bytes(line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])).ok()?;
        head.headers.append(HeaderName::from_bytes(name).ok()?, value);
    }
    Some(head)
}

/// The stages of [`admit`] that need nothing but a head.
fn admitted(head: &mut Parts) -> Result<String, &'static str> {
    let named = host::named(head.version, &head.uri, &head.headers)?;
    let host = named.port.map_or(named.name.to_owned(), |port| format!("{}:{port}", named.name));
    if head.version == Version::HTTP_2 {
        http2::check(&head.headers, 100)?;
        http2::plain(&mut head.headers, &head.uri).ok_or("host-form")?;
    }
    if head.uri.authority().is_some() {
        let mut target = uri::Parts::default();
        target.path_and_query = head.uri.path_and_query().cloned();
        head.uri = Uri::from_parts(target).map_err(|_| "target-form")?;
    }
    if !head.uri.to_string().starts_with('/') {
        return Err("target-form");
    }
    transfer_coding_is_plain(&head.headers).then_some(()).ok_or("transfer-encoding")?;
    if let Offer::Malformed(rule) = offered(&head.method, head.version, &head.headers) {
        return Err(rule);
    }
    Ok(host)
}

/// Every host that the head names, whoever reads it.
fn hosts(head: &Parts) -> Vec<String> {
    let of = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let fields = head.headers.get_all(HOST).iter().map(of);
    fields.chain(head.uri.authority().map(|authority| authority.as_str().to_ascii_lowercase())).collect()
}

/// Name and port; a port may have zeros in front (RFC 3986 3.2.3).
fn canonical(host: &str) -> (String, u16) {
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    (name.to_ascii_lowercase(), port.parse().unwrap())
}

#[test]
fn atk_a10_what_is_admitted_names_one_host_and_says_nothing_for_us() {
    ::fuzz::run("heads", |input| {
        let Some(mut head) = parse(input) else { return };
        let (hosts, target) = (hosts(&head), head.uri.path_and_query().map(ToString::to_string));
        let named: Vec<String> = headers_named_by_connection(&head.headers);
        let Ok(host) = admitted(&mut head) else { return };
        assert!(!hosts.is_empty() && hosts.iter().all(|named| canonical(named) == canonical(&host)), "{hosts:?}");
        assert_eq!(Some(head.uri.to_string()), target, "the target is as it was sent");
        assert_eq!(head.headers.get_all(HOST).iter().count(), 1);
        headers::strip_request(&mut head.headers, false);
        let once = head.headers.clone();
        assert_eq!(headers::strip_request(&mut head.headers, false), 0);
        assert_eq!(once, head.headers);
        for (name, value) in &head.headers {
            let name = name.as_str();
            assert!(name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')), "{name}");
            assert!(!FORGED.contains(&name.to_ascii_uppercase().replace('-', "_").as_str()), "{name}");
            assert!(!value.as_bytes().iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "{name}");
            assert!(!named.contains(&name.to_owned()), "{name} was for this hop");
        }
        assert!(head.version == Version::HTTP_11 || head.headers.get_all(COOKIE).iter().count() <= 1);
    });
}

fn headers_named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(http::header::CONNECTION).iter();
    let tokens = values.flat_map(|value| value.as_bytes().split(|b| *b == b','));
    tokens.map(|token| String::from_utf8_lossy(token.trim_ascii()).to_ascii_lowercase()).collect()
}
