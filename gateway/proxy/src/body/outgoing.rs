//! The answer's body, to the client.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use audit::Outcome;
use aws_lc_rs::digest;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use model::{Timestamp, hex};
use tokio::sync::OwnedSemaphorePermit;

use super::{Body, BoxError, Cut, Guard, Tee};
use crate::forward::Line;
use crate::lease::Breach;
use crate::patient::Found;
use crate::record::Closer;

/// The body of an answer on its way to the client.
pub(crate) struct Outgoing {
    kind: Kind,
}

enum Kind {
    Empty,
    Text(Full<Bytes>),
    Page(Body),
    Upstream(Box<Download>),
}

impl Outgoing {
    pub(crate) const fn empty() -> Self {
        Self { kind: Kind::Empty }
    }

    pub(crate) fn text(text: String) -> Self {
        Self { kind: Kind::Text(Full::from(text)) }
    }

    pub(crate) const fn page(body: Body) -> Self {
        Self { kind: Kind::Page(body) }
    }

    pub(crate) fn download(download: Download) -> Self {
        Self { kind: Kind::Upstream(Box::new(download)) }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Text(text) => Pin::new(text).poll_frame(cx).map_err(|never: Infallible| match never {}),
            Kind::Page(body) => Pin::new(body).poll_frame(cx),
            Kind::Upstream(download) => download.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Text(text) => text.is_end_stream(),
            Kind::Page(body) => body.is_end_stream(),
            Kind::Upstream(download) => download.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Text(text) => text.size_hint(),
            Kind::Page(body) => body.size_hint(),
            Kind::Upstream(download) => download.body.size_hint(),
        }
    }
}

/// Completes when a lease is not renewed.
type Renewals = Pin<Box<dyn Future<Output = Breach> + Send>>;

/// How long an answer without a length may go on and still count as finite.
const BELIEVED: Duration = Duration::from_secs(10);

/// Who may cut an answer: the end of the session while it counts as finite, its lease when it is a stream.
pub(crate) struct Watch {
    finite: Option<Guard>,
    stream: Option<Renewals>,
    opened: Timestamp,
}

impl Watch {
    /// An answer that has a length.
    pub(crate) fn finite(guard: Guard) -> Self {
        Self { opened: guard.now(), finite: Some(guard), stream: None }
    }

    /// One without, of a kind that ends: if it goes on for too long it becomes a stream, by the lease it was
    /// given at its head, so that a lock since then counts.
    pub(crate) fn open(guard: Guard, lease: Renewals) -> Self {
        Self { stream: Some(lease), ..Self::finite(guard) }
    }

    /// A stream.
    pub(crate) fn stream(lease: Renewals) -> Self {
        Self { finite: None, stream: Some(lease), opened: Timestamp::from_seconds(0) }
    }

    fn lapsed(&mut self, cx: &mut Context<'_>) -> Poll<Breach> {
        let Some(lease) = &mut self.stream else { return Poll::Pending };
        if self.finite.as_ref().is_some_and(|guard| guard.now().since(self.opened) < BELIEVED) {
            return Poll::Pending;
        }
        self.finite = None;
        lease.as_mut().poll(cx)
    }
}

/// An upstream's answer, streamed.
pub(crate) struct Download {
    body: Incoming,
    watch: Watch,
    /// The connection it is on; given back with the last byte.
    line: Option<Line>,
    /// A place among the upstream's requests, kept to the end.
    _place: OwnedSemaphorePermit,
    closer: Option<Closer>,
    tee: Option<Tee>,
    /// Over what went out, where it is carried out (S-22).
    digest: Option<digest::Context>,
}

impl Download {
    pub(crate) fn new(
        body: Incoming,
        watch: Watch,
        line: Line,
        place: OwnedSemaphorePermit,
        closer: Option<Closer>,
        tee: Option<Tee>,
    ) -> Self {
        Self { body, watch, line: Some(line), _place: place, closer, tee, digest: None }
    }

    /// Its record says what went out, by SHA-256.
    pub(crate) fn take_digest(&mut self) {
        self.digest = Some(digest::Context::new(&digest::SHA256));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(breach) = self.watch.lapsed(cx) {
            return Poll::Ready(Some(Err(Cut::Lapsed(breach).into())));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                if let Some(guard) = &mut self.watch.finite {
                    guard.waiting(cx)?;
                }
                return Poll::Pending;
            };
            let Some(frame) = frame.transpose()? else {
                self.finish();
                return Poll::Ready(None);
            };
            if let Some(guard) = &mut self.watch.finite {
                guard.moved()?;
            }
            let Ok(data) = frame.into_data() else { continue };
            if let Some(closer) = &mut self.closer {
                closer.bytes_out += data.len() as u64;
            }
            if let Some(tee) = &mut self.tee {
                tee.take(&data);
            }
            if let Some(digest) = &mut self.digest {
                digest.update(&data);
            }
            if self.body.is_end_stream() {
                self.finish();
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    /// The last byte has been handed on.
    fn finish(&mut self) {
        if let Some(line) = self.line.take() {
            line.done();
        }
        let exported = self.exported();
        let Some(mut closer) = self.closer.take() else { return };
        closer.outcome = Outcome::Ok;
        closer.exported = exported;
        if let Some(tee) = self.tee.take() {
            closer.patient = tee.found();
        }
    }

    fn exported(&mut self) -> Option<String> {
        self.digest.take().map(|digest| hex::of(digest.finish().as_ref()))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            line.discard();
        }
        let exported = self.exported();
        let Some(closer) = &mut self.closer else { return };
        closer.exported = exported;
        if self.tee.is_some() {
            closer.patient = Found::Unknown;
        }
    }
}
