//! The answer's body, to the client.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use audit::Outcome;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use model::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use super::{Body, BoxError, Cut, Guard, Tee};
use crate::lease::Breach;
use crate::listen::Turn;
use crate::patient::Found;
use crate::record::Closer;

/// The body of an answer on its way to the client.
pub(crate) struct Outgoing {
    kind: Kind,
    /// Ends the request on its connection when the body is gone.
    turn: Option<Turn>,
}

enum Kind {
    Empty,
    Text(Full<Bytes>),
    Page(Body),
    Upstream(Box<Download>),
}

impl Outgoing {
    pub(crate) const fn empty() -> Self {
        Self { kind: Kind::Empty, turn: None }
    }

    pub(crate) fn text(text: String) -> Self {
        Self { kind: Kind::Text(Full::from(text)), turn: None }
    }

    pub(crate) const fn page(body: Body) -> Self {
        Self { kind: Kind::Page(body), turn: None }
    }

    pub(crate) fn download(download: Download) -> Self {
        Self { kind: Kind::Upstream(Box::new(download)), turn: None }
    }

    pub(crate) fn in_turn(mut self, turn: Turn) -> Self {
        self.turn = Some(turn);
        self
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
    /// A place among the upstream's requests, kept to the end.
    _place: OwnedSemaphorePermit,
    closer: Option<Closer>,
    tee: Option<Tee>,
}

impl Download {
    pub(crate) const fn new(
        body: Incoming,
        watch: Watch,
        place: OwnedSemaphorePermit,
        closer: Option<Closer>,
        tee: Option<Tee>,
    ) -> Self {
        Self { body, watch, _place: place, closer, tee }
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
            if self.body.is_end_stream() {
                self.finish();
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    /// The last byte has been handed on.
    fn finish(&mut self) {
        let Some(mut closer) = self.closer.take() else { return };
        closer.outcome = Outcome::Ok;
        if let Some(tee) = self.tee.take() {
            closer.patient = tee.found();
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let (Some(closer), Some(_)) = (&mut self.closer, &self.tee) {
            closer.patient = Found::Unknown;
        }
    }
}
