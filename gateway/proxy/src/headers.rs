//! Which header fields pass, in both directions, and which are ours (H-01, H-02, H-10, H-13 … H-16, H-36).
//!
//! Fields are removed and set in place. What the client names in `Connection` goes before ours come, so
//! that nobody can name ours away.

use http::header::{
    self, AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, EXPECT, EXPIRES, HeaderMap, HeaderName, HeaderValue, PRAGMA,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
    WWW_AUTHENTICATE,
};

/// The signed statement of who asks.
pub(crate) const ASSERTION: HeaderName = HeaderName::from_static("sekimori-assertion");
pub(crate) const REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");
pub(crate) const REMOTE_NAME: HeaderName = HeaderName::from_static("remote-name");
pub(crate) const REMOTE_GROUPS: HeaderName = HeaderName::from_static("remote-groups");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const NEL: HeaderName = HeaderName::from_static("nel");
const REPORT_TO: HeaderName = HeaderName::from_static("report-to");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Removes from a request everything that speaks for one hop, for us, or for a gateway that the client
/// pretends to have passed; returns how many other fields were dropped for their names: of letters, digits
/// and `-` alone, because servers map all else to one and the same (`_`, `.`).
pub(crate) fn strip_request(headers: &mut HeaderMap, allow_authorization: bool) -> usize {
    strip_hop_by_hop(headers);
    if !allow_authorization {
        headers.remove(AUTHORIZATION);
    }
    let (mut forged, mut odd) = (Vec::new(), 0);
    for name in headers.keys() {
        let text = name.as_str();
        if !text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            odd += 1;
            forged.push(name.clone());
        } else if speaks_for_us(text) {
            forged.push(name.clone());
        }
    }
    for name in &forged {
        headers.remove(name);
    }
    odd
}

/// Names that only a gateway in front of the app may set. They arrive lower-case.
fn speaks_for_us(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'c') => name.starts_with("client-cert") || matches!(name, "cf-connecting-ip" | "client-ip"),
        Some(b'e') => matches!(name, "early-data" | "expect"),
        Some(b'f') => matches!(name, "forwarded" | "forwarded-for" | "fastly-client-ip" | "front-end-https"),
        Some(b'h') => name == "http2-settings",
        Some(b'p') => name.starts_with("proxy-") || name == "proxy",
        Some(b'r') => name.starts_with("remote-"),
        Some(b's') => name.starts_with("sekimori-") || name.starts_with("ssl-"),
        Some(b't') => matches!(name, "true-client-ip" | "trailer"),
        Some(b'x') => speaks_for_us_by_x(name),
        _ => false,
    }
}

fn speaks_for_us_by_x(name: &str) -> bool {
    const PREFIXES: [&str; 15] = [
        "x-forwarded",
        "x-original-",
        "x-rewrite-",
        "x-remote-",
        "x-ssl-",
        "x-client-cert",
        "x-sekimori-",
        "x-auth-request-",
        "x-authenticated-",
        "x-authentik-",
        "x-webauth-",
        "x-envoy-",
        "x-amzn-",
        "x-gateway-",
        "x-forward-",
    ];
    const NAMES: [&str; 15] = [
        "x-real-ip",
        "x-request-id",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-http-method",
        "x-method-override",
        "x-http-method-override",
        "x-url-scheme",
        "x-scheme",
        "x-host",
        "x-user",
        "x-proxy-user",
        "x-port",
        "x-originating-ip",
        "x-accel-internal",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name)
}

/// What an app's answers may say although others may not (H-36).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    /// Challenges: the client's own credentials go through.
    pub(crate) authorization: bool,
    pub(crate) service_workers: bool,
    pub(crate) clear_site_data: bool,
    pub(crate) nel: bool,
}

/// Removes from a response what speaks for one hop, what would outlive the session in the browser, and
/// what only we may say. A challenge is passed on only where its answer would be: elsewhere the browser would
/// ask for a password again and again.
pub(crate) fn strip_response(headers: &mut HeaderMap, allowed: Allowed) {
    strip_hop_by_hop(headers);
    for name in [
        header::ALT_SVC,
        STRICT_TRANSPORT_SECURITY,
        PROXY_AUTHENTICATE,
        ASSERTION,
        REMOTE_USER,
        REMOTE_NAME,
        REMOTE_GROUPS,
        REQUEST_ID,
    ] {
        headers.remove(name);
    }
    for (names, allowed) in [
        (&[CLEAR_SITE_DATA][..], allowed.clear_site_data),
        (&[NEL, REPORT_TO], allowed.nel),
        (&[SERVICE_WORKER_ALLOWED], allowed.service_workers),
    ] {
        if !allowed {
            names.iter().for_each(|name| drop(headers.remove(name)));
        }
    }
    if !allowed.authorization {
        headers.remove(WWW_AUTHENTICATE);
    } else if headers.contains_key(WWW_AUTHENTICATE) {
        strip_connection_bound_challenges(headers);
    }
}

/// NTLM and Negotiate authenticate a connection; ours to the upstream are shared (H-21).
fn strip_connection_bound_challenges(headers: &mut HeaderMap) {
    let bound = |value: &HeaderValue| {
        let scheme = value.as_bytes().split(|b| matches!(b, b' ' | b',')).next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
    };
    let kept: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().filter(|v| !bound(v)).cloned().collect();
    headers.remove(WWW_AUTHENTICATE);
    for value in kept {
        headers.append(WWW_AUTHENTICATE, value);
    }
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.eq_ignore_ascii_case(b"keep-alive") && !token.eq_ignore_ascii_case(b"close"))
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect();
    for name in &named {
        headers.remove(name);
    }
    for name in [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        HTTP2_SETTINGS,
        PROXY_AUTHORIZATION,
        EXPECT,
    ] {
        headers.remove(name);
    }
}

/// Has the request come through `pseudonym` before (H-18)?
pub(crate) fn has_passed(headers: &HeaderMap, pseudonym: &str) -> bool {
    headers
        .get_all(VIA)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .filter_map(|hop| hop.trim_ascii().split(|b| b.is_ascii_whitespace()).nth(1))
        .any(|by| by.eq_ignore_ascii_case(pseudonym.as_bytes()))
}

/// Adds our hop to `Via`. `ours` is `1.1 pseudonym`.
pub(crate) fn append_via(headers: &mut HeaderMap, ours: &HeaderValue) {
    headers.append(VIA, ours.clone());
}

/// Is `token` among the comma-separated tokens of `name`?
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Browsers come back by HTTPS alone (D-3.4.1); for the upstream to say so or not is nothing to them.
pub(crate) fn insist_on_https(headers: &mut HeaderMap) {
    headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
}

/// Nothing of an authenticated answer stays in a cache (H-35).
pub(crate) fn forbid_storing(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for name in [EXPIRES, PRAGMA, AGE] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        fields.iter().map(|(n, v)| (HeaderName::from_bytes(n.as_bytes()).unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn req_h01_connection_and_what_it_names_stay_behind() {
        let mut headers = map(&[
            ("Connection", "X-Foo, keep-alive"),
            ("Connection", "X-Bar"),
            ("X-Foo", "1"),
            ("X-Bar", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("TE", "trailers"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
            ("Trailer", "X-User"),
            ("Accept", "*/*"),
        ]);
        assert_eq!(strip_request(&mut headers, false), 0);
        assert_eq!(headers, map(&[("Accept", "*/*")]));
    }

    #[test]
    fn atk_a10_every_spelling_of_an_identity_header_is_dropped() {
        let mut headers = map(&[
            ("Sekimori-Assertion", "x"),
            ("SEKIMORI_ASSERTION", "x"),
            ("remote-user", "x"),
            ("Remote_User", "x"),
            ("REMOTE-GROUPS", "x"),
            ("X-Remote-User", "x"),
            ("X-Forwarded-User", "x"),
            ("X_Forwarded_User", "x"),
            ("x_gateway_user", "x"),
            ("X-GATEWAY-USER", "x"),
            ("X-Forwarded-For", "a, b"),
            ("Forwarded", "for=1.2.3.4"),
            ("X-Real-IP", "::1%eth0"),
            ("X-Original-URL", "/admin"),
            ("X-Rewrite-URL", "/admin"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("X-Method-Override", "DELETE"),
            ("Client-Cert", ":AA==:"),
            ("Client-Cert-Chain", ":AA==:"),
            ("X-SSL-Client-CN", "x"),
            ("SSL-Client-Cert", "x"),
            ("Early-Data", "1"),
            ("Proxy", "http://evil/"),
            ("Proxy-Authorization", "Basic eDp4"),
            ("Authorization", "Basic eDp4"),
            ("X-Request-Id", "1"),
            ("Remote.User", "x"),
            ("X.Forwarded.User", "x"),
            ("Remote~User", "x"),
            ("X-App", "kept"),
        ]);
        assert_eq!(strip_request(&mut headers, false), 7);
        assert_eq!(headers, map(&[("X-App", "kept")]));
    }

    #[test]
    fn an_app_may_ask_for_the_clients_authorization() {
        let mut headers = map(&[("Authorization", "Basic eDp4")]);
        strip_request(&mut headers, true);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn req_h36_nothing_of_a_response_outlives_the_session() {
        let mut headers = map(&[
            ("Alt-Svc", "h3=\":443\""),
            ("Clear-Site-Data", "\"*\""),
            ("Strict-Transport-Security", "max-age=1"),
            ("NEL", "{}"),
            ("Service-Worker-Allowed", "/"),
            ("Sekimori-Assertion", "x"),
            ("Connection", "X-Hop"),
            ("X-Hop", "1"),
            ("Content-Type", "text/html"),
        ]);
        strip_response(&mut headers, Allowed::default());
        assert_eq!(headers, map(&[("Content-Type", "text/html")]));
    }

    #[test]
    fn req_h36_what_an_app_is_allowed_passes_and_nothing_beside_it() {
        let all = map(&[
            ("Alt-Svc", "h3=\":443\""),
            ("Clear-Site-Data", "\"cache\""),
            ("Strict-Transport-Security", "max-age=1"),
            ("NEL", "{}"),
            ("Report-To", "{}"),
            ("Service-Worker-Allowed", "/"),
        ]);
        let left = |allowed| {
            let mut headers = all.clone();
            strip_response(&mut headers, allowed);
            headers
        };
        let none = Allowed::default();
        let clear = left(Allowed { clear_site_data: true, ..none });
        assert_eq!(clear, map(&[("Clear-Site-Data", "\"cache\"")]));
        assert_eq!(left(Allowed { nel: true, ..none }), map(&[("NEL", "{}"), ("Report-To", "{}")]));
        let workers = left(Allowed { service_workers: true, ..none });
        assert_eq!(workers, map(&[("Service-Worker-Allowed", "/")]));
    }

    #[test]
    fn req_h21_challenges_that_bind_a_connection_are_not_passed_on() {
        let mut headers = map(&[
            ("WWW-Authenticate", "Negotiate"),
            ("WWW-Authenticate", "NTLM abc"),
            ("WWW-Authenticate", "Basic realm=\"x\""),
        ]);
        strip_response(&mut headers, Allowed { authorization: true, ..Allowed::default() });
        assert_eq!(headers, map(&[("WWW-Authenticate", "Basic realm=\"x\"")]));
        strip_response(&mut headers, Allowed::default());
        assert!(headers.is_empty(), "nobody could answer it");
    }

    #[test]
    fn req_h18_a_request_that_was_here_before_is_known() {
        let headers = map(&[("Via", "1.0 fred, 1.1 sekimori-n1 (x)")]);
        assert!(has_passed(&headers, "sekimori-n1"));
        assert!(!has_passed(&headers, "sekimori-n2"));
        assert!(!has_passed(&map(&[("Via", "1.1 not-sekimori-n1")]), "sekimori-n1"));
    }
}
