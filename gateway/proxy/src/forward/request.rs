//! The request as the upstream gets it: the client's bytes, and our word on who asks, set last.

use std::fmt::Write as _;

use http::header::{COOKIE, HOST, HeaderValue};
use http::request::Parts;
use http::uri::Scheme;
use http::{Uri, Version};
use identity::Audience;
use model::Timestamp;

use super::Subject;
use crate::Services;
use crate::cookies;
use crate::headers::{
    ASSERTION, FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, REMOTE_GROUPS, REMOTE_NAME, REMOTE_USER,
    REQUEST_ID, append_via,
};
use crate::listen::Peer;
use crate::websocket::{Handshake, Offer};

/// Makes the head that goes upstream out of the client's; returns the cookies of other sessions' lines.
/// `None`: something of ours could not be made, and without it nothing goes upstream.
pub(super) fn prepare(
    head: &mut Parts,
    subject: &Subject,
    offer: &Offer,
    peer: &Peer,
    services: &Services,
    now: Timestamp,
) -> Option<Vec<String>> {
    let app = &subject.app;
    let cookies = cookies::forwarded(&head.headers, &app.cookies, || services.jars.of(subject.live.id()));
    let assertion = services
        .assertions
        .sign(&subject.live, Audience { app: &app.name, roles: &subject.roles.names }, now)
        .inspect_err(|error| tracing::error!(%error, "no assertion"))
        .ok()?;
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(app.authority.clone());
    uri.path_and_query = head.uri.path_and_query().cloned();
    head.uri = Uri::from_parts(uri).ok()?;
    head.version = Version::HTTP_11;
    let headers = &mut head.headers;
    match cookies.header {
        Some(header) => drop(headers.insert(COOKIE, header)),
        None => drop(headers.remove(COOKIE)),
    }
    headers.insert(HOST, app.host_header.clone());
    append_via(headers, &subject.plane.via);
    headers.insert(FORWARDED, peer.forwarded.clone());
    headers.insert(FORWARDED_FOR, peer.forwarded_for.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    headers.insert(FORWARDED_HOST, app.public_authority.clone());
    headers.insert(REQUEST_ID, subject.request_id.clone());
    if matches!(offer, Offer::WebSocket(_)) {
        Handshake::ask(headers);
    }
    headers.insert(ASSERTION, HeaderValue::from_str(&assertion).ok()?);
    if app.identity_headers {
        let person = subject.live.person();
        headers.insert(REMOTE_USER, HeaderValue::from_str(person.staff_no.as_str()).ok()?);
        headers.insert(REMOTE_NAME, HeaderValue::from_str(&percent_encoded(&person.name)).ok()?);
        headers.insert(REMOTE_GROUPS, HeaderValue::from_str(&subject.roles.names.join(",")).ok()?);
    }
    Some(cookies.foreign)
}

/// UTF-8 as header fields can carry it (RFC 3986 2.1): everything but unreserved characters escaped.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_travels_percent_encoded() {
        assert_eq!(percent_encoded("山田 花子"), "%E5%B1%B1%E7%94%B0%20%E8%8A%B1%E5%AD%90");
        assert_eq!(percent_encoded("a\r\nX: y"), "a%0D%0AX%3A%20y");
    }
}
