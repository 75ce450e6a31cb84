//! Connections to one upstream.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use config::{AppSettings, LimitSettings};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, Connection, capture_connection};
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower::Service;

use crate::body::Inward;

/// Requests under way to one upstream; further ones wait, and then are refused.
const AT_ONCE: usize = 1_024;
/// Idle connections kept.
const IDLE: usize = 256;
/// Bytes of an answer's head.
const HEAD: usize = 64 * 1_024;

/// What makes two apps share connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UpstreamKey {
    address: config::Upstream,
    keep_alive: Duration,
    connect: Duration,
    answer: Duration,
    stall: Duration,
}

impl UpstreamKey {
    pub(crate) fn of(app: &AppSettings, limits: &LimitSettings) -> Self {
        Self {
            address: app.upstream.clone(),
            keep_alive: app.keep_alive,
            connect: limits.connect_timeout,
            answer: limits.upstream_timeout,
            stall: limits.idle_timeout,
        }
    }
}

/// One upstream: its connections and how many requests it may have.
pub(crate) struct Upstream {
    client: Client<Dialer, Inward>,
    places: Arc<Semaphore>,
    /// How long it may take to accept a connection, and a request to get a place.
    pub(crate) connect: Duration,
    /// How long it may take to begin an answer.
    pub(crate) answer: Duration,
    /// How long nothing may move in a finite body.
    pub(crate) stall: Duration,
}

impl Upstream {
    pub(crate) fn new(key: &UpstreamKey) -> Self {
        let dialer = Dialer { address: key.address.clone(), patience: key.connect };
        let idle = if key.keep_alive.is_zero() { 0 } else { IDLE };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(key.keep_alive)
            .pool_max_idle_per_host(idle)
            .http1_max_buf_size(HEAD)
            .set_host(false)
            .build(dialer);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { client, places, connect: key.connect, answer: key.answer, stall: key.stall }
    }

    /// A place among the requests under way; `None` if there is none in time.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        timeout(self.connect, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()
    }

    /// Sends a request; its connection can be taken out of use by what comes with the answer to be.
    pub(crate) fn request(&self, mut request: Request<Inward>) -> (ResponseFuture, Origin) {
        let origin = Origin(capture_connection(&mut request));
        (self.client.request(request), origin)
    }
}

/// Connects to the upstream, whatever the request's URI says.
#[derive(Clone)]
struct Dialer {
    address: config::Upstream,
    patience: Duration,
}

impl Service<Uri> for Dialer {
    type Response = Line;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Line>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { address, patience } = self.clone();
        Box::pin(async move {
            let connecting = TcpStream::connect((address.host(), address.port()));
            let stream = timeout(patience, connecting).await.map_err(|_| io::ErrorKind::TimedOut)??;
            stream.set_nodelay(true)?;
            Ok(Line(TokioIo::new(stream)))
        })
    }
}

/// A connection to an upstream.
struct Line(TokioIo<TcpStream>);

impl Connection for Line {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}

/// What went wrong before there was an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It didn't accept the connection in time.
    ConnectTimeout,
    /// The connection broke without an answer; a request that changes nothing may be sent again (H-22).
    Broken,
    /// Anything else, nonsense for an answer included.
    Other,
}

impl Failure {
    pub(crate) fn of(error: &hyper_util::client::legacy::Error) -> Self {
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                return match io.kind() {
                    io::ErrorKind::TimedOut if error.is_connect() => Self::ConnectTimeout,
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe if !error.is_connect() => Self::Broken,
                    _ => Self::Other,
                };
            }
            if let Some(hyper) = cause.downcast_ref::<hyper::Error>()
                && (hyper.is_incomplete_message() || hyper.is_canceled() || hyper.is_closed())
            {
                return Self::Broken;
            }
            source = cause.source();
        }
        Self::Other
    }
}

/// The connection that an answer came on.
pub(crate) struct Origin(CaptureConnection);

impl Origin {
    /// After a doubtful answer no other request may meet what is left on the connection.
    pub(crate) fn discard(&self) {
        if let Some(connected) = self.0.connection_metadata().as_ref() {
            connected.poison();
        }
    }
}

/// An answer, or why there is none.
pub(crate) type Answer = Result<(Response<Incoming>, Origin), Failure>;
