//! The request as the upstream gets it: the client's bytes, and our word on who asks, set last.

use http::header::{ACCEPT_ENCODING, COOKIE, HeaderValue, IF_RANGE, RANGE};
use http::request::Parts;
use http::{Uri, Version};
use model::Timestamp;
use policy::PatientRule;

use super::{Errand, Subject};
use crate::Services;
use crate::cookies;
use crate::headers::{FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, REQUEST_ID, append_via};
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
    let cookies = cookies::forwarded(&head.headers, &app.cookies, || subject.jar());
    if app.logout.is_some() {
        services.logouts.visited(&subject.live, &subject.roles, app, cookies.header.as_ref());
    }
    // The origin-form, whatever form the client sent (RFC 9112 3.2.1).
    head.uri = Uri::from(head.uri.path_and_query()?.clone());
    let via = subject.plane.via_of(std::mem::replace(&mut head.version, Version::HTTP_11));
    let headers = &mut head.headers;
    match cookies.header {
        Some(header) => drop(headers.insert(COOKIE, header)),
        None => drop(headers.remove(COOKIE)),
    }
    if matches!(subject.response_patient, Some(PatientRule::ResponseJson(_))) {
        // What the rule looks into must come whole and plain.
        headers.remove(RANGE);
        headers.remove(IF_RANGE);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    append_via(headers, via);
    headers.insert(FORWARDED, peer.forwarded.clone());
    headers.insert(FORWARDED_FOR, peer.forwarded_for.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    headers.insert(FORWARDED_HOST, app.public_authority.clone());
    headers.insert(REQUEST_ID, subject.request_id.clone());
    if matches!(offer, Offer::WebSocket(_)) {
        Handshake::ask(headers);
    }
    let errand = Errand { plane: &subject.plane, app, live: &subject.live, roles: &subject.roles };
    errand.introduce(headers, services, now)?;
    Some(cookies.foreign)
}
