//! The ward's feed: one voice, heard over WebSocket and as server-sent events.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use model::Clock;
use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time;

use super::socket::{self, Heard, Reader};
use super::ward;

/// Events that a slow listener may be behind before it misses some.
const BEHIND: usize = 64;
const EVERY: Duration = Duration::from_secs(2);
const PING_EVERY: Duration = Duration::from_secs(20);
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// Speaks to every listener.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    voice: broadcast::Sender<Arc<str>>,
    stop: watch::Receiver<bool>,
}

impl Feed {
    pub(super) fn new(stop: watch::Receiver<bool>) -> Self {
        Self { voice: broadcast::Sender::new(BEHIND), stop }
    }

    /// Tells an event of the ward every two seconds until the server stops.
    pub(super) async fn run(self, clock: Clock) {
        let mut stop = self.stop.clone();
        let mut ticks = time::interval(EVERY);
        for turn in 0.. {
            tokio::select! {
                () = stopped(&mut stop) => return,
                _ = ticks.tick() => self.say(&ward::event(turn, clock.now())),
            }
        }
    }

    fn say(&self, event: &serde_json::Value) {
        // Nobody listening is no error.
        let _ = self.voice.send(event.to_string().into());
    }

    /// Serves one WebSocket: the feed out, messages of at most 200 characters in, which everybody hears.
    pub(super) async fn converse(self, upgrade: OnUpgrade, from: String) -> io::Result<()> {
        let upgraded = upgrade.await.map_err(io::Error::other)?;
        let (read, mut write) = tokio::io::split(TokioIo::new(upgraded));
        let (heard, mut hear) = mpsc::channel(4);
        let reader = tokio::spawn(async move {
            let mut reader = Reader::new(read);
            while let Ok(said) = reader.hear().await {
                if heard.send(said).await.is_err() {
                    break;
                }
            }
        });
        let result = self.exchange(&mut write, &mut hear, &from).await;
        reader.abort();
        result
    }

    async fn exchange(
        mut self,
        write: &mut (impl AsyncWrite + Unpin),
        hear: &mut mpsc::Receiver<Heard>,
        from: &str,
    ) -> io::Result<()> {
        let mut events = self.voice.subscribe();
        let mut pings = time::interval(PING_EVERY);
        send(write, &socket::text(&json!({ "kind": "hello", "you": from }).to_string())).await?;
        loop {
            let turn = tokio::select! {
                () = stopped(&mut self.stop) => Turn::Last(1001),
                _ = pings.tick() => Turn::Say(socket::ping()),
                event = events.recv() => match event {
                    Ok(event) => Turn::Say(socket::text(&event)),
                    Err(broadcast::error::RecvError::Lagged(_)) => Turn::Nothing,
                    Err(broadcast::error::RecvError::Closed) => Turn::Last(1001),
                },
                heard = hear.recv() => match heard {
                    Some(heard) => self.respond(heard, from),
                    None => return Ok(()),
                },
            };
            match turn {
                Turn::Say(frame) => send(write, &frame).await?,
                Turn::Last(code) => return send(write, &socket::close(code)).await,
                Turn::Nothing => {}
            }
        }
    }

    fn respond(&self, heard: Heard, from: &str) -> Turn {
        match heard {
            Heard::Text(text) => {
                let text: String = text.chars().take(200).collect();
                self.say(&json!({ "kind": "message", "from": from, "text": text }));
                Turn::Nothing
            }
            Heard::Ping(payload) => Turn::Say(socket::pong(&payload)),
            Heard::Pong => Turn::Nothing,
            Heard::Close(code) => Turn::Last(code.unwrap_or(1000)),
            Heard::Violation(code) => Turn::Last(code),
        }
    }

    /// The feed as server-sent events, until the listener or the server goes.
    pub(super) fn events(&self) -> Events {
        let (to, from) = mpsc::channel(4);
        let (mut events, mut stop) = (self.voice.subscribe(), self.stop.clone());
        tokio::spawn(async move {
            let mut next = Bytes::from_static(b": ward feed\nretry: 2000\n\n");
            while to.send(next).await.is_ok() {
                next = tokio::select! {
                    () = stopped(&mut stop) => return,
                    () = to.closed() => return,
                    event = events.recv() => match event {
                        Ok(event) => format!("data: {event}\n\n").into(),
                        Err(broadcast::error::RecvError::Lagged(_)) => Bytes::from_static(b": missed some\n\n"),
                        Err(broadcast::error::RecvError::Closed) => return,
                    },
                };
            }
        });
        Events(from)
    }
}

/// What one side of a conversation does next.
enum Turn {
    Say(Vec<u8>),
    /// Close with this code.
    Last(u16),
    Nothing,
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A server that is gone has stopped, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn send(write: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let written = async {
        write.write_all(frame).await?;
        write.flush().await
    };
    time::timeout(WRITE_WITHIN, written).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A body that speaks when there is something to say.
#[derive(Debug)]
pub(super) struct Events(mpsc::Receiver<Bytes>);

impl HttpBody for Events {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
    }
}
