//! The answer as the client gets it.
//!
//! A lock lets finite answers come to their end and closes streams. What has a length is finite. What has
//! none is told apart by its type: pages, scripts, JSON, PDF, images and fonts are chunked because nobody
//! counted them, and count as finite for the first ten seconds; if one still goes on then, it is a stream.
//! Everything else without a length is a stream from its head on, and so is every event stream.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use audit::{Closing, Outcome};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use http::{Method, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use policy::PatientRule;
use tokio::sync::OwnedSemaphorePermit;

use super::{Line, Subject};
use crate::body::{Download, Guard, Outgoing, Tee, Watch};
use crate::lease::Lease;
use crate::patient::{self, Found};
use crate::plane::App;
use crate::record::{Closer, Ledger};
use crate::{Services, cookies, headers, location};

/// What is needed beside the answer to release it.
pub(super) struct Release {
    pub(super) ledger: Ledger,
    pub(super) place: OwnedSemaphorePermit,
    /// The connection that the answer is on.
    pub(super) line: Line,
    /// Bytes of the request's body so far.
    pub(super) bytes_in: Option<Arc<AtomicU64>>,
    /// Cookies to clear from the browser.
    pub(super) foreign: Vec<String>,
    /// It is carried out, and recorded as that.
    pub(super) exported: bool,
}

/// What keeps an answer from being passed on, in a word of the records' catalogue.
pub(super) fn fault(response: &Response<Incoming>, app: &App) -> Option<&'static str> {
    if !is_framed_plainly(response.headers()) {
        return Some("upstream-framing");
    }
    // Our own credentials were refused: nobody at a browser can do anything about that, least of all by
    // typing a password.
    let refused = response.status() == StatusCode::UNAUTHORIZED && app.authorization.is_some();
    refused.then_some("upstream-auth")
}

/// Whether the message is framed so that nobody downstream can read it otherwise (H-20).
fn is_framed_plainly(headers: &HeaderMap) -> bool {
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
    headers::strip_response(headers, app.allowed);
    location::rewrite(headers, &app.names);
    let (until, now) = (subject.live.absolute_until(), services.clock.now());
    let dropped = cookies::rewrite(headers, &app.cookies, now, until, || subject.jar());
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
        Some(PatientRule::ResponseJson(pointer)) => Some(Tee::new(pointer.clone(), patient::is_json(&head.headers))),
        _ => None,
    };
    let bodyless = is_bodyless(&subject.method, status) || body.is_end_stream();
    let extent = Extent::of(&head.headers, body.size_hint().exact());
    clean(&mut head.headers, subject, services, &release.foreign);
    let exported = release.exported && !bodyless;
    let ends_later = !bodyless && (extent != Extent::Finite || tee.is_some() || exported);
    let mut closer = match release.ledger {
        Ledger::Read(reserved) if ends_later => Some(Closer::new(reserved.begin()?, None)),
        Ledger::Read(reserved) => {
            reserved.redeem(Closing {
                outcome: Outcome::Ok,
                status: Some(status.as_u16()),
                bytes_out: if bodyless { 0 } else { body.size_hint().exact().unwrap_or(0) },
                patient: found.audited(),
                ..Closing::ABORTED
            })?;
            if found == Found::Unknown {
                services.meters.unknown_patient(&subject.app.name);
            }
            None
        }
        Ledger::Open(open) => Some(Closer::new(open, release.bytes_in)),
    };
    if let Some(closer) = &mut closer {
        closer.status = Some(status.as_u16());
        closer.patient = std::mem::take(&mut found);
        if rule.is_some() {
            closer.looks_for_patient(&services.meters, &subject.app.name);
        }
    }
    if bodyless {
        release.line.done();
        if let Some(closer) = &mut closer {
            closer.outcome = Outcome::Ok;
        }
        return Ok(Response::from_parts(head, Outgoing::empty()));
    }
    let lease = || Box::pin(Lease::of(subject, services).breached());
    let guard = || Guard::new(Arc::clone(&subject.live), services.clock.clone(), subject.app.upstream.stall);
    let watch = match extent {
        Extent::Finite => Watch::finite(guard()),
        Extent::Open => Watch::open(guard(), lease()),
        Extent::Stream => Watch::stream(lease()),
    };
    let mut download = Download::new(body, watch, release.line, release.place, closer, tee);
    if exported {
        download.take_digest();
    }
    Ok(Response::from_parts(head, Outgoing::download(download)))
}

/// No body, whatever the header fields say (RFC 9110 6.4.1).
fn is_bodyless(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// How much is known of an answer's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// It has a length.
    Finite,
    /// It has none, but is of a kind that comes to an end.
    Open,
    /// Nobody can say whether it ends.
    Stream,
}

impl Extent {
    fn of(headers: &HeaderMap, length: Option<u64>) -> Self {
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let ends = match kind.split_once('/') {
            Some(("text", "event-stream")) => return Self::Stream,
            Some(("text", part)) => matches!(part, "html" | "css" | "javascript"),
            Some(("application", part)) => matches!(part, "javascript" | "json" | "pdf"),
            Some(("image" | "font", _)) => true,
            _ => false,
        };
        match length {
            Some(_) => Self::Finite,
            None if ends => Self::Open,
            None => Self::Stream,
        }
    }
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
    #[test]
    fn atk_a21_only_what_has_a_length_or_a_kind_that_ends_is_no_stream() {
        let of =
            |kind: &str, length| Extent::of(&HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]), length);
        for page in ["text/html", "Text/HTML; charset=utf-8", "text/css", "application/pdf", "image/png", "font/woff2"]
        {
            assert_eq!(of(page, None), Extent::Open, "{page}");
            assert_eq!(of(page, Some(8)), Extent::Finite, "{page}");
        }
        for stream in [
            "text/plain",
            "application/octet-stream",
            "multipart/x-mixed-replace; boundary=x",
            "application/x-ndjson",
            "",
        ] {
            assert_eq!(of(stream, None), Extent::Stream, "{stream}");
            assert_eq!(of(stream, Some(8)), Extent::Finite, "{stream}");
        }
        assert_eq!(of("text/event-stream;charset=utf-8", Some(8)), Extent::Stream);
        assert_eq!(Extent::of(&HeaderMap::new(), None), Extent::Stream);
    }
}
