//! HTTP/2 to clients, with every bound set by name (RFC 9113; H-11, H-23, H-26).
//!
//! Extended CONNECT is not offered: browsers open their WebSockets over HTTP/1.1.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use config::LimitSettings;
use http::header::{CONNECTION, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio::time::{Sleep, sleep};

/// Requests that one connection may have under way. A page of an image archive has about fifty.
const STREAMS: u32 = 128;
/// Bytes of uploads that may be on the way or wait here, of one request and of one connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// Bytes of one answer that wait for the client's window.
const SEND_BUFFER: usize = 64 << 10;
const FRAME: u32 = 16 << 10;
/// Entries of the header compression's memory, in bytes.
const TABLE: u32 = 4 << 10;
/// Requests taken back before anybody looked at them (CVE-2023-44487), and requests that hyper had to
/// refuse, before the connection is closed.
const TAKEN_BACK: usize = 20;
const REFUSED: usize = 100;

tokio::task_local! {
    /// Of the request that the current task serves.
    static SENDING: Arc<Sending>;
}

/// The server side of HTTP/2.
pub(crate) fn http(limits: &LimitSettings) -> http2::Builder<Attendant> {
    let mut http = http2::Builder::new(Attendant { patience: limits.idle_timeout });
    http.timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .header_table_size(TABLE)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .max_local_error_reset_streams(REFUSED)
        .keep_alive_interval(limits.idle_timeout / 2)
        .keep_alive_timeout(limits.header_timeout);
    http
}

/// How far the answer of the current task has come; `None` outside of HTTP/2.
pub(super) fn sending() -> Option<Arc<Sending>> {
    SENDING.try_with(Arc::clone).ok()
}

/// Does an answer wait for its client? Odd, while it does; another number, when it has moved since.
#[derive(Debug, Default)]
pub(super) struct Sending(AtomicU64);

impl Sending {
    /// A part of the answer is there for the client to take.
    pub(super) fn handed(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// hyper asks for more: the client has taken the last part, or its window has.
    pub(super) fn taken(&self) {
        if self.waits().is_some() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waits(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|moves| moves % 2 == 1)
    }
}

/// Runs the requests of connections, and gives up those whose answer the client doesn't take: hyper waits
/// for a window for ever.
#[derive(Clone, Debug)]
pub(crate) struct Attendant {
    patience: Duration,
}

impl<F> Executor<F> for Attendant
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        tokio::spawn(attend(request, self.patience));
    }
}

async fn attend(request: impl Future<Output = ()>, patience: Duration) {
    let sending = Arc::new(Sending::default());
    let mut request = pin!(SENDING.scope(Arc::clone(&sending), request));
    let mut timer: Option<(u64, Pin<Box<Sleep>>)> = None;
    poll_fn(|cx| {
        if request.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let waits = sending.waits();
        timer = timer.take().filter(|(since, _)| Some(*since) == waits);
        let Some(since) = waits else { return Poll::Pending };
        timer.get_or_insert_with(|| (since, Box::pin(sleep(patience)))).1.as_mut().poll(cx)
    })
    .await;
}

/// Takes out what means nothing in HTTP/2 (RFC 9113 8.2.2).
pub(super) fn strip(headers: &mut HeaderMap) {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, KEEP_ALIVE, PROXY_CONNECTION] {
        headers.remove(name);
    }
}
