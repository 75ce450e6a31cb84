//! Stage 1: who connects, and whether he may have another connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use config::Snapshot;
use http::header::HeaderValue;
use model::Zone;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::limits::Seat;
use crate::{Services, redirect, serve};

/// How often addresses without connections are looked for.
const SWEEP: Duration = Duration::from_secs(10);
/// The pause after the system refused a connection (no descriptors, say).
const PAUSE: Duration = Duration::from_millis(50);

/// The client's end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// `Forwarded` and `X-Forwarded-For` as the upstream gets them (RFC 7239 6; H-13).
    pub(crate) forwarded: HeaderValue,
    pub(crate) forwarded_for: HeaderValue,
}

impl Peer {
    fn of(address: SocketAddr) -> Option<Self> {
        let address = address.ip().to_canonical();
        let node = match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("\"[{v6}]\""),
        };
        Some(Self {
            address,
            forwarded: HeaderValue::from_str(&format!("for={node};proto=https")).ok()?,
            forwarded_for: HeaderValue::from_str(&address.to_string()).ok()?,
        })
    }

    pub(crate) fn zone(&self, snapshot: &Snapshot) -> Zone {
        snapshot.zone_of(self.address)
    }
}

/// One connection, shared by its requests.
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    pub(crate) seat: Seat,
    /// The host of a request that names none of ours.
    pub(crate) nowhere: Arc<str>,
    pub(crate) phase: Arc<Phase>,
}

/// What a connection is doing: it decides how long it may be silent.
#[derive(Debug)]
pub(crate) struct Phase {
    now: AtomicU8,
    /// A request was refused before its body had come: the client is probably still sending.
    lingers: AtomicBool,
}

/// Nothing has come yet; browsers open connections ahead of need.
const FRESH: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;
/// Between two requests: the idle limit holds.
const IDLE: u8 = 3;

impl Phase {
    /// A new connection: the first head is due.
    fn fresh() -> Arc<Self> {
        Arc::new(Self { now: AtomicU8::new(FRESH), lingers: AtomicBool::new(false) })
    }

    /// Is a head due?
    pub(crate) fn is_due(&self) -> bool {
        matches!(self.now.load(Ordering::Relaxed), FRESH | HEAD)
    }

    /// Has a head begun?
    pub(crate) fn is_head(&self) -> bool {
        self.now.load(Ordering::Relaxed) == HEAD
    }

    /// Bytes came in; `true` if they begin a head after a pause.
    pub(crate) fn bytes(&self) -> bool {
        match self.now.load(Ordering::Relaxed) {
            FRESH => {
                self.now.store(HEAD, Ordering::Relaxed);
                false
            }
            IDLE => {
                self.now.store(HEAD, Ordering::Relaxed);
                true
            }
            _ => false,
        }
    }

    /// A request begins; the connection is busy until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Turn {
        self.now.store(BUSY, Ordering::Relaxed);
        Turn(Arc::clone(self))
    }

    /// The connection will be closed over an unread body.
    pub(crate) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    /// Is the client to be heard out before the connection is dropped?
    pub(crate) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }
}

/// A request's time on its connection.
pub(crate) struct Turn(Arc<Phase>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.now.store(IDLE, Ordering::Relaxed);
    }
}

/// Accepts HTTPS connections until the gateway stops.
pub(crate) async fn https(listener: TcpListener, services: Arc<Services>) {
    let mut stopping = services.stopping();
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            _ = sweep.tick() => services.addresses.sweep(),
            accepted = accept(&listener) => {
                let Some((stream, peer)) = accepted else { continue };
                let Some(seat) = services.addresses.seat(peer.address) else {
                    tracing::debug!(address = %peer.address, "too many connections");
                    continue;
                };
                let nowhere = Arc::clone(&services.nowhere);
                let connection = Arc::new(Connection { peer, seat, nowhere, phase: Phase::fresh() });
                tokio::spawn(serve::connection(stream, connection, Arc::clone(&services)));
            }
        }
    }
}

/// Accepts plain connections, which are told where HTTPS is.
pub(crate) async fn http(listener: TcpListener, services: Arc<Services>) {
    let mut stopping = services.stopping();
    loop {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            accepted = accept(&listener) => {
                let Some((stream, peer)) = accepted else { continue };
                let Some(seat) = services.addresses.seat(peer.address) else { continue };
                tokio::spawn(redirect::connection(stream, seat, Arc::clone(&services)));
            }
        }
    }
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, Peer)> {
    match listener.accept().await {
        Ok((stream, address)) => {
            stream.set_nodelay(true).ok()?;
            Some((stream, Peer::of(address)?))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            sleep(PAUSE).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn req_h13_an_ipv6_address_stands_in_brackets_and_quotes() {
        let peer = |text: &str| Peer::of(text.parse().unwrap()).unwrap();
        assert_eq!(peer("10.0.0.1:5000").forwarded, "for=10.0.0.1;proto=https");
        assert_eq!(peer("[2001:db8::1]:5000").forwarded, "for=\"[2001:db8::1]\";proto=https");
        assert_eq!(peer("[2001:db8::1]:5000").forwarded_for, "2001:db8::1");
        assert_eq!(peer("[::ffff:10.0.0.1]:5000").forwarded_for, "10.0.0.1");
    }
}
