//! Bodies on their way through: streamed, watched, counted, never gathered but where a rule must look in.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use audit::Outcome;
use bytes::{Bytes, BytesMut};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use identity::Live;
use model::{Clock, Refusal, SessionState};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::lease::{Breach, TICK};
use crate::listen::Turn;
use crate::patient::{self, Found};
use crate::record::Closer;

/// An error of any body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of a page or a problem document.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Bytes of a response that are looked into for a patient.
const TEE: usize = 64 * 1_024;

/// A body that was read before the first byte went upstream.
#[derive(Debug, Default)]
pub(crate) enum Held {
    /// None was.
    #[default]
    Nothing,
    /// All of it.
    Whole(Bytes),
}

/// Reads a body to its end, at most `most` bytes.
pub(crate) async fn hold(
    body: Option<Incoming>,
    most: usize,
    patience: Duration,
    live: &Live,
    clock: &Clock,
) -> Result<Bytes, Refusal> {
    let Some(mut body) = body else { return Ok(Bytes::new()) };
    if body.size_hint().lower() > most as u64 {
        return Err(Refusal::TooLarge);
    }
    let mut held = BytesMut::new();
    while let Some(frame) = timeout(patience, body.frame()).await.map_err(|_| Refusal::Malformed("body-slow"))? {
        let frame = frame.map_err(|_| Refusal::Malformed("body"))?;
        let Ok(data) = frame.into_data() else { continue };
        if held.len() + data.len() > most {
            return Err(Refusal::TooLarge);
        }
        held.extend_from_slice(&data);
        if live.state(clock.now()) == SessionState::Ended {
            return Err(Refusal::LoginRequired { target: "/".to_owned() });
        }
    }
    Ok(held.freeze())
}

/// Why a body was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    /// The session ended.
    #[error("the session has ended")]
    Ended,
    /// Nothing moved for too long.
    #[error("nothing moved for too long")]
    Stalled,
    /// The permit of a stream was not renewed.
    #[error("the permit lapsed: {0}")]
    Lapsed(Breach),
}

/// Watches over one direction of a finite exchange: the end of the session cuts it, a lock doesn't.
pub(crate) struct Guard {
    live: Arc<Live>,
    clock: Clock,
    patience: Duration,
    moved: Instant,
    tick: Option<Pin<Box<Sleep>>>,
}

impl Guard {
    pub(crate) fn new(live: Arc<Live>, clock: Clock, patience: Duration) -> Self {
        Self { live, clock, patience, moved: Instant::now(), tick: None }
    }

    fn check(&self) -> Result<(), Cut> {
        let ended = self.live.state(self.clock.now()) == SessionState::Ended;
        if ended { Err(Cut::Ended) } else { Ok(()) }
    }

    /// Something moved.
    fn moved(&mut self) -> Result<(), Cut> {
        if self.tick.is_some() {
            self.moved = Instant::now();
        }
        self.check()
    }

    /// Nothing moves: wakes the task twice a second to look at the session.
    fn waiting(&mut self, cx: &mut Context<'_>) -> Result<(), Cut> {
        if self.tick.is_none() {
            self.moved = Instant::now();
        }
        let tick = self.tick.get_or_insert_with(|| Box::pin(sleep(TICK)));
        while tick.as_mut().poll(cx).is_ready() {
            let ended = self.live.state(self.clock.now()) == SessionState::Ended;
            if ended {
                return Err(Cut::Ended);
            }
            if self.moved.elapsed() >= self.patience {
                return Err(Cut::Stalled);
            }
            tick.as_mut().reset(Instant::now() + TICK);
        }
        Ok(())
    }
}

/// How far an upload has come; shared with whoever waits for the answer.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) bytes: Arc<AtomicU64>,
    pub(crate) done: AtomicBool,
}

/// The body of a request on its way upstream. Trailers stay behind (H-10).
pub(crate) enum Inward {
    /// None.
    Empty,
    /// Held before, the same bytes.
    Held(Option<Bytes>),
    /// As the client sends it.
    Streamed(Box<Upload>),
}

/// A body as the client sends it.
pub(crate) struct Upload {
    body: Incoming,
    guard: Guard,
    progress: Arc<Progress>,
}

impl Upload {
    pub(crate) fn new(body: Incoming, guard: Guard, progress: Arc<Progress>) -> Self {
        Self { body, guard, progress }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => {
                    self.guard.waiting(cx)?;
                    return Poll::Pending;
                }
                Poll::Ready(None) => {
                    self.progress.done.store(true, Ordering::Relaxed);
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(frame)) => {
                    let frame = frame?;
                    self.guard.moved()?;
                    if let Ok(data) = frame.into_data() {
                        self.progress.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
            }
        }
    }
}

impl HttpBody for Inward {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Held(bytes) => Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(|b| Ok(Frame::data(b)))),
            Self::Streamed(upload) => upload.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Held(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Streamed(upload) => upload.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Held(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Streamed(upload) => upload.body.size_hint(),
        }
    }
}

/// The body of an answer on its way to the client.
pub struct Outgoing {
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

/// A copy of the beginning of a JSON answer, to find the patient in.
pub(crate) struct Tee {
    pointer: String,
    copy: Option<BytesMut>,
}

impl Tee {
    /// `readable`: the answer is JSON without a content coding.
    pub(crate) fn new(pointer: String, readable: bool) -> Self {
        Self { pointer, copy: readable.then(BytesMut::new) }
    }

    fn take(&mut self, data: &[u8]) {
        match &mut self.copy {
            Some(copy) if copy.len() + data.len() <= TEE => copy.extend_from_slice(data),
            copy => *copy = None,
        }
    }

    fn found(self) -> Found {
        self.copy.map_or(Found::Unknown, |copy| patient::in_json(&copy, &self.pointer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tee_copies_so_much_and_no_more() {
        let document = |n: usize| format!("{{\"pad\":\"{}\",\"pid\":\"000123\"}}", "x".repeat(n));
        let found = |text: &str, readable: bool| {
            let mut tee = Tee::new("/pid".into(), readable);
            text.as_bytes().chunks(1_000).for_each(|chunk| tee.take(chunk));
            tee.found()
        };
        assert_eq!(found(&document(10), true), Found::Known("000123".into()));
        assert_eq!(found(&document(TEE - 100), true), Found::Known("000123".into()));
        assert_eq!(found(&document(TEE), true), Found::Unknown);
        assert_eq!(found(&document(10), false), Found::Unknown);
    }
}
