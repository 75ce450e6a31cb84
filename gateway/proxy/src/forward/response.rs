//! The answer as the client gets it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use audit::Outcome;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use http::{Method, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use policy::PatientRule;
use tokio::sync::OwnedSemaphorePermit;

use super::Subject;
use crate::body::{Download, Guard, Outgoing, Tee, Watch};
use crate::lease::Lease;
use crate::patient::{self, Found};
use crate::record::{Closer, Ledger, redeem};
use crate::{Services, cookies, headers, location};

/// What is needed beside the answer to release it.
pub(super) struct Release {
    pub(super) ledger: Ledger,
    pub(super) place: OwnedSemaphorePermit,
    /// Bytes of the request's body so far.
    pub(super) bytes_in: Option<Arc<AtomicU64>>,
    /// Cookies to clear from the browser.
    pub(super) foreign: Vec<String>,
}

/// Whether the message is framed so that nobody downstream can read it otherwise (H-20).
pub(super) fn is_framed_plainly(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => {
            coding.as_bytes().eq_ignore_ascii_case(b"chunked") && !headers.contains_key(CONTENT_LENGTH)
        }
        _ => false,
    }
}

/// Cleans the head, in place.
pub(super) fn clean(headers: &mut HeaderMap, subject: &Subject, services: &Services, foreign: &[String]) {
    let app = &subject.app;
    headers::strip_response(headers);
    location::rewrite(headers, &app.names);
    let (live, now) = (&subject.live, services.clock.now());
    let dropped = cookies::rewrite(headers, &app.cookies, now, live.absolute_until(), || services.jars.of(live.id()));
    if dropped > 0 {
        tracing::warn!(app = %app.name, dropped, "cookies of the upstream dropped");
    }
    cookies::expire(headers, foreign);
    if !app.is_static(subject.uri.path()) {
        headers::forbid_storing(headers);
    }
    headers::insist_on_https(headers);
    headers::append_via(headers, &subject.plane.via);
}

/// Releases the answer; its record is written by now, or the journal's error comes back.
pub(super) fn release(
    response: Response<Incoming>,
    subject: &Subject,
    services: &Arc<Services>,
    release: Release,
) -> Result<Response<Outgoing>, audit::JournalError> {
    let (mut head, body) = response.into_parts();
    let status = head.status;
    let rule = subject.response_patient.as_ref();
    let mut found = match rule {
        Some(PatientRule::ResponseHeader(name)) => patient::in_header(&head.headers, name),
        Some(PatientRule::ResponseJson(_)) => Found::Unknown,
        _ => Found::NotAsked,
    };
    let tee = match rule {
        Some(PatientRule::ResponseJson(pointer)) => {
            let readable = patient::is_json(&head.headers) && patient::is_identity(&head.headers);
            Some(Tee::new(pointer.clone(), readable))
        }
        _ => None,
    };
    let bodyless = is_bodyless(&subject.method, status) || body.is_end_stream();
    let stream = !bodyless && is_stream(&head.headers, &body);
    clean(&mut head.headers, subject, services, &release.foreign);
    let ends_later = !bodyless && (stream || tee.is_some());
    let mut closer = match release.ledger {
        Ledger::Read(reserved) if ends_later => Some(Closer::new(reserved.begin()?, None)),
        Ledger::Read(reserved) => {
            redeem(reserved, Outcome::Ok, status.as_u16(), &found)?;
            None
        }
        Ledger::Open(open) => Some(Closer::new(open, release.bytes_in)),
    };
    if let Some(closer) = &mut closer {
        closer.status = Some(status.as_u16());
        closer.patient = std::mem::take(&mut found);
    }
    if bodyless {
        if let Some(closer) = &mut closer {
            closer.outcome = Outcome::Ok;
        }
        return Ok(Response::from_parts(head, Outgoing::empty()));
    }
    let watch = if stream {
        let lease = Lease::of(subject, services);
        Watch::Stream(Box::pin(lease.breached()))
    } else {
        let patience = subject.app.upstream.stall;
        Watch::Finite(Guard::new(Arc::clone(&subject.live), services.clock.clone(), patience))
    };
    let download = Download::new(body, watch, release.place, closer, tee);
    Ok(Response::from_parts(head, Outgoing::download(download)))
}

/// No body, whatever the header fields say (RFC 9110 6.4.1).
fn is_bodyless(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Whose end isn't known in advance counts as a stream, and so does an event stream.
fn is_stream(headers: &HeaderMap, body: &Incoming) -> bool {
    let events = headers.get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"))
    });
    events || body.size_hint().exact().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn req_h20_doubtful_framing_of_an_upstream_is_known() {
        let map = |fields: &[(http::HeaderName, &str)]| -> HeaderMap {
            fields.iter().map(|(n, v)| (n.clone(), v.parse().unwrap())).collect()
        };
        assert!(is_framed_plainly(&map(&[])));
        assert!(is_framed_plainly(&map(&[(CONTENT_LENGTH, "5")])));
        assert!(is_framed_plainly(&map(&[(TRANSFER_ENCODING, "Chunked")])));
        assert!(!is_framed_plainly(&map(&[(TRANSFER_ENCODING, "chunked"), (CONTENT_LENGTH, "5")])));
        assert!(!is_framed_plainly(&map(&[(TRANSFER_ENCODING, "gzip, chunked")])));
        assert!(!is_framed_plainly(&map(&[(TRANSFER_ENCODING, "chunked"), (TRANSFER_ENCODING, "chunked")])));
    }
}
