//! A connection with deadlines of its own: for a head that has begun, for the next request, for a client that
//! doesn't read, and for one that still sends a body nobody wants.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How long a client that still sends is heard out after its refusal, so that it can read it: closing over
/// unread bytes resets the connection and takes the answer with it (RFC 9112 9.6).
const LINGER: Duration = Duration::from_secs(2);
/// How much of it is read meanwhile.
const LINGER_BYTES: usize = 16 << 20;

/// How long a connection may be what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A head, from its first byte to its last; the greeting too.
    pub(crate) head: Duration,
    /// No request at all.
    pub(crate) idle: Duration,
    /// An answer that the client leaves no window for.
    pub(crate) stall: Duration,
}

/// What a connection is doing, as far as its deadlines go.
pub(super) trait Pace: Unpin {
    /// Bytes came in; `true` if they begin a head after a pause.
    fn read(&mut self, bytes: &[u8]) -> bool;

    /// Bytes went out.
    fn wrote(&mut self, bytes: &[u8]);

    /// What the client is to send.
    fn awaited(&self) -> Awaited;

    /// Is the client to be heard out before the connection is dropped?
    fn lingers(&self) -> bool;
}

/// What a client is to send, as far as there is a deadline for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// Nothing, or nothing that has its deadline here.
    Nothing,
    /// The first bytes of all.
    Greeting,
    /// The rest of a head.
    Head,
    /// Another request; none need come.
    Request,
}

impl Awaited {
    /// The greeting and the head that begins with it have one deadline together.
    const fn patience(self, patience: Patience) -> Option<Duration> {
        match self {
            Self::Nothing => None,
            Self::Greeting | Self::Head => Some(patience.head),
            Self::Request => Some(patience.idle),
        }
    }
}

/// The head did not come in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the head did not come in time")]
struct SlowHead;

/// Is this error of a connection a [`SlowHead`]?
pub(super) fn is_slow_head(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::get_ref)
        .is_some_and(|inner| inner.is::<SlowHead>())
}

/// Watches over a stream.
pub(super) struct Timed<S, P> {
    stream: S,
    pace: P,
    patience: Patience,
    reading: Option<Reading>,
    /// Looks at `reading`. It is set anew only when it goes off too early or would go off too late, not for each
    /// request.
    alarm: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    lingering: Option<Lingering>,
}

/// Somebody waits for the client.
struct Reading {
    /// For a request to come, not for the rest of one.
    between: bool,
    until: Instant,
}

struct Lingering {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl<S, P: Pace> Timed<S, P> {
    pub(super) const fn new(stream: S, pace: P, patience: Patience) -> Self {
        Self { stream, pace, patience, reading: None, alarm: None, writing: None, lingering: None }
    }

    /// A write that doesn't go on: so long and no longer.
    fn written<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.writing = None;
            return poll;
        }
        let stall = self.patience.stall;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(stall)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin, P: Pace> Timed<S, P> {
    /// Nothing came: has it been too long?
    fn waited(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let awaited = self.pace.awaited();
        let Some(patience) = awaited.patience(self.patience) else {
            self.reading = None;
            return Poll::Pending;
        };
        let between = awaited == Awaited::Request;
        let reading = self.reading.take().filter(|reading| reading.between == between);
        let reading = reading.unwrap_or_else(|| Reading { between, until: Instant::now() + patience });
        let until = self.reading.insert(reading).until;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if alarm.deadline() > until {
            alarm.as_mut().reset(until);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= until {
                let slow = awaited == Awaited::Head;
                let cause = io::ErrorKind::TimedOut;
                return Poll::Ready(if slow { io::Error::new(cause, SlowHead) } else { cause.into() });
            }
            alarm.as_mut().reset(until);
        }
        Poll::Pending
    }

    /// Reads and forgets until the client is done, or has had its time. Our side is closed already.
    fn hear_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let lingering =
            self.lingering.get_or_insert_with(|| Lingering { until: Box::pin(sleep(LINGER)), left: LINGER_BYTES });
        let mut scratch = [0; 16 << 10];
        while lingering.until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && buf.filled().len() < lingering.left => {
                    lingering.left -= buf.filled().len();
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin, P: Pace> AsyncRead for Timed<S, P> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if poll.is_ready() {
            let fresh = buf.filled().get(before..).unwrap_or_default();
            if !fresh.is_empty() && self.pace.read(fresh) {
                self.reading = None;
            }
            return poll;
        }
        self.waited(cx).map(Err)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, P: Pace> AsyncWrite for Timed<S, P> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = poll {
            self.pace.wrote(buf.get(..written).unwrap_or_default());
        }
        self.written(cx, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
            std::task::ready!(self.written(cx, poll))?;
        }
        if self.pace.lingers() {
            std::task::ready!(self.hear_out(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(mut written)) = poll {
            for buf in bufs {
                let part = buf.get(..written.min(buf.len())).unwrap_or_default();
                self.pace.wrote(part);
                written -= part.len();
            }
        }
        self.written(cx, poll)
    }
}
