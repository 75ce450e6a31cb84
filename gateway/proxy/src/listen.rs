//! Stage 1: who connects, and whether he may have another connection.

mod introduction;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use config::Snapshot;
use http::header::HeaderValue;
use model::Zone;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use self::introduction::introduced;
use crate::Services;
use crate::limits::{Place, Seat};
use crate::serve::malformed;
use crate::tls::Demands;

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
    /// What was asked of the client at its handshake.
    pub(crate) demands: Arc<Demands>,
    /// The host of a request that names none of ours.
    pub(crate) nowhere: Arc<str>,
}

/// A connection that has a seat.
pub(crate) struct Seated {
    pub(crate) stream: TcpStream,
    pub(crate) peer: Peer,
    pub(crate) seat: Seat,
}

/// Accepts connections until the gateway stops, and hands those that get a seat to `serve`.
pub(crate) async fn accept<S, F>(listener: TcpListener, serve: S, services: Arc<Services>)
where
    S: Fn(Seated, Arc<Services>) -> F + Copy + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut stopping = services.stopping();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            accepted = listener.accept() => accepted,
        };
        let arrival = match accepted {
            Ok((stream, address)) => services.addresses.place().map(|place| Arrival { stream, address, place }),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some(arrival) = arrival else {
            services.meters.turned_away();
            continue;
        };
        let services = Arc::clone(&services);
        if arrival.is_introduced(&services) {
            tokio::spawn(async move {
                if let Some(seated) = arrival.introduce(&services).await {
                    serve(seated, services).await;
                }
            });
        } else if let Some(seated) = arrival.sit(None, &services) {
            tokio::spawn(serve(seated, services));
        }
    }
}

/// Forgets addresses without connections until the gateway stops.
pub(crate) async fn sweep(services: Arc<Services>) {
    let mut stopping = services.stopping();
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            _ = ticks.tick() => services.addresses.sweep(),
        }
    }
}

/// A connection that nothing was read from yet.
struct Arrival {
    stream: TcpStream,
    address: SocketAddr,
    place: Place,
}

impl Arrival {
    /// Does it come from where connections are introduced by a header (H-13)?
    fn is_introduced(&self, services: &Services) -> bool {
        let plane = services.planes.load();
        let from = &plane.snapshot.settings.server.proxy_protocol_from;
        from.iter().any(|network| network.contains(self.address.ip()))
    }

    /// Reads the header, which must be there.
    async fn introduce(mut self, services: &Services) -> Option<Seated> {
        match timeout(services.patience.head, introduced(&mut self.stream)).await {
            Ok(Ok(from)) => self.sit(from, services),
            failed => {
                let peer = Peer::of(self.address)?;
                tracing::debug!(address = %peer.address, ?failed, "no PROXY header");
                malformed("proxy-header", 1, &peer, services);
                None
            }
        }
    }

    /// Gives the connection a seat among those of the address it is from.
    fn sit(self, from: Option<SocketAddr>, services: &Services) -> Option<Seated> {
        let peer = Peer::of(from.unwrap_or(self.address))?;
        self.stream.set_nodelay(true).ok()?;
        let Some(seat) = services.addresses.seat(self.place, peer.address) else {
            tracing::debug!(address = %peer.address, "too many connections");
            services.meters.turned_away();
            return None;
        };
        Some(Seated { stream: self.stream, peer, seat })
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
