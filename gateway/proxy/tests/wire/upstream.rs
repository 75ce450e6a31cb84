//! An upstream that keeps every byte it was sent and answers as a test tells it to.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// What a request is answered with.
pub(crate) enum Reply {
    /// These bytes, and the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, and the connection is closed.
    Last(Vec<u8>),
    /// Whatever this does with the connection.
    Custom(Pin<Box<dyn Future<Output = ()> + Send>>, tokio::sync::oneshot::Sender<TcpStream>),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Up to and including the empty line.
    pub(crate) head: String,
    /// The bytes after it, framing included.
    pub(crate) body: Vec<u8>,
    /// Which connection, counted from 1.
    pub(crate) connection: usize,
}

impl Seen {
    /// The values of a header, in order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }
}

type Answer = Box<dyn FnMut(&Seen) -> Reply + Send>;

#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Mutex<Answer>>,
}

/// `200 OK` with a text.
pub(crate) fn ok(text: &str) -> Reply {
    Reply::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes())
}

/// `200 OK` with more header lines, each with its line end.
pub(crate) fn ok_with(headers: &str, text: &str) -> Reply {
    Reply::Bytes(format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{text}", text.len()).into_bytes())
}

/// Hands the connection to `act` after the request.
pub(crate) fn with_connection<F>(act: impl FnOnce(TcpStream) -> F + Send + 'static) -> Reply
where
    F: Future<Output = ()> + Send,
{
    let (give, take) = tokio::sync::oneshot::channel();
    Reply::Custom(Box::pin(async move { act(take.await.unwrap()).await }), give)
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer: Answer = Box::new(|_| ok("ok"));
        let upstream = Self { address, seen: Arc::default(), answer: Arc::new(Mutex::new(answer)) };
        let this = upstream.clone();
        tokio::spawn(async move {
            for connection in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(this.clone().converse(stream, connection));
            }
        });
        upstream
    }

    /// From now on every request is answered so.
    pub(crate) fn answers(&self, answer: impl FnMut(&Seen) -> Reply + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request so far.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.into_iter().next().unwrap()
    }

    async fn converse(self, mut stream: TcpStream, connection: usize) {
        let mut bytes = Vec::new();
        loop {
            let Some(head_end) = until_empty_line(&mut stream, &mut bytes).await else { return };
            let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
            let mut seen = Seen { head, body: Vec::new(), connection };
            let rest = bytes.split_off(head_end);
            bytes = rest;
            let Some(body_end) = body_end(&seen, &mut stream, &mut bytes).await else { return };
            let after = bytes.split_off(body_end);
            seen.body = std::mem::replace(&mut bytes, after);
            let reply = {
                let mut answer = self.answer.lock().unwrap();
                self.seen.lock().unwrap().push(seen.clone());
                answer(&seen)
            };
            match reply {
                Reply::Bytes(reply) => stream.write_all(&reply).await.unwrap(),
                Reply::Last(reply) => return drop(stream.write_all(&reply).await),
                Reply::Custom(act, give) => {
                    give.send(stream).unwrap();
                    return act.await;
                }
            }
        }
    }
}

async fn until_empty_line(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            return Some(at + 4);
        }
        more(stream, bytes).await?;
    }
}

async fn body_end(seen: &Seen, stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<usize> {
    let length: usize = seen.header("content-length").first().map_or(0, |v| v.parse().unwrap());
    let chunked = !seen.header("transfer-encoding").is_empty();
    loop {
        if chunked {
            if let Some(at) = bytes.windows(5).position(|w| w == b"0\r\n\r\n") {
                return Some(at + 5);
            }
        } else if bytes.len() >= length {
            return Some(length);
        }
        more(stream, bytes).await?;
    }
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let read = timeout(Duration::from_secs(20), stream.read_buf(bytes)).await.ok()?.ok()?;
    (read > 0).then_some(())
}
