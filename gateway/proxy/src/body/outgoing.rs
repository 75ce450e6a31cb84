//! The answer's body, to the client.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use audit::Outcome;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
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

/// Who may cut an answer.
pub(crate) enum Watch {
    /// A finite one: the end of the session.
    Finite(Guard),
    /// A stream: its lease.
    Stream(Pin<Box<dyn Future<Output = Breach> + Send>>),
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
        if let Watch::Stream(lease) = &mut self.watch
            && let Poll::Ready(breach) = lease.as_mut().poll(cx)
        {
            return Poll::Ready(Some(Err(Cut::Lapsed(breach).into())));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                if let Watch::Finite(guard) = &mut self.watch {
                    guard.waiting(cx)?;
                }
                return Poll::Pending;
            };
            let Some(frame) = frame.transpose()? else {
                self.finish();
                return Poll::Ready(None);
            };
            if let Watch::Finite(guard) = &mut self.watch {
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
