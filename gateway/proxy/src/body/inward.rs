//! The request's body, from the client to the upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::{BoxError, Guard};

/// How far an upload has come; shared with whoever waits for the answer.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) bytes: Arc<AtomicU64>,
    pub(crate) done: AtomicBool,
}

impl Progress {
    /// Of a body that is all there.
    pub(crate) fn whole(bytes: u64) -> Self {
        Self { bytes: Arc::new(AtomicU64::new(bytes)), done: AtomicBool::new(true) }
    }
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
                    if self.body.is_end_stream() {
                        self.progress.done.store(true, Ordering::Relaxed);
                    }
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
