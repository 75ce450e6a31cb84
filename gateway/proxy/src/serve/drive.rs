//! Runs a connection until it ends by itself, by its clock, or with the gateway; and writes down what hyper
//! itself refused, before there was a request to see (H-04 … H-07, H-11, H-23).

use std::pin::{Pin, pin};
use std::sync::Arc;

use audit::{Event, Outcome, Record, Why};
use http::Request;
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use model::{Edge, FetchMetadata, RequestId};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::streams::{Finding, Streams};
use super::{Attendant, timed};
use crate::Services;
use crate::body::BoxError;
use crate::listen::{Connection, Peer};

/// Runs an HTTP/1.1 connection; its deadlines are in its stream.
pub(super) async fn drive_http1<I, S, B>(
    http: http1::UpgradeableConnection<I, S>,
    connection: &Connection,
    services: &Services,
) where
    S: Service<Request<Incoming>, Response = http::Response<B>>,
    S::Error: Into<BoxError>,
    I: Read + Write + Unpin + Send + 'static,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    let http = pin!(http);
    let stop = |http: Pin<&mut http1::UpgradeableConnection<I, S>>| http.graceful_shutdown();
    let Ended::ByItself(Err(error)) = run(http, stop, None, services).await else { return };
    if error.is_parse_too_large() {
        malformed("head-too-large", 1, &connection.peer, services);
    } else if error.is_parse() {
        malformed("head", 1, &connection.peer, services);
    } else if timed::is_slow_head(&error) {
        malformed("head-slow", 1, &connection.peer, services);
    } else {
        tracing::debug!(address = %connection.peer.address, ?error, "connection closed");
    }
}

/// Runs an HTTP/2 connection, and its clock.
pub(super) async fn drive_http2<I, S, B>(
    http: http2::Connection<I, S, Attendant>,
    streams: &Arc<Streams>,
    connection: &Connection,
    services: &Services,
) where
    S: Service<Request<Incoming>, Response = http::Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    I: Read + Write + Unpin,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let mut clock = Clock::new(streams, connection, services);
    let http = pin!(http);
    let stop = |http: Pin<&mut http2::Connection<I, S, Attendant>>| http.graceful_shutdown();
    let ended = run(http, stop, Some(&mut clock), services).await;
    clock.faults();
    match ended {
        Ended::ByItself(Err(error)) if !streams.has_greeted() && streams.has_spoken() => {
            tracing::debug!(address = %connection.peer.address, ?error, "no greeting");
            malformed("http2-preface", 1, &connection.peer, services);
        }
        Ended::ByItself(Err(error)) => {
            tracing::debug!(address = %connection.peer.address, ?error, "connection closed");
        }
        Ended::ByClock(Finding::SlowHead(true)) => malformed("head-slow", 1, &connection.peer, services),
        Ended::ByClock(finding) => tracing::debug!(address = %connection.peer.address, ?finding, "connection closed"),
        Ended::ByItself(Ok(())) | Ended::WithTheGateway => {}
    }
}

/// How a connection ended.
enum Ended {
    ByItself(hyper::Result<()>),
    ByClock(Finding),
    WithTheGateway,
}

/// What its clock wants of a connection.
enum Wanted {
    /// No new requests; those under way may end.
    Stop,
    /// The end, now.
    End(Finding),
}

async fn run<C>(
    mut http: Pin<&mut C>,
    stop: impl Fn(Pin<&mut C>),
    mut clock: Option<&mut Clock<'_>>,
    services: &Services,
) -> Ended
where
    C: Future<Output = hyper::Result<()>>,
{
    let (mut stopping, mut drained) = (services.stopping(), services.drained());
    let mut told = false;
    loop {
        let wanted = tokio::select! {
            biased;
            result = &mut http => return Ended::ByItself(result),
            _ = stopping.wait_for(|stopping| *stopping), if !told => Wanted::Stop,
            _ = drained.wait_for(|drained| *drained) => return Ended::WithTheGateway,
            wanted = next(clock.as_deref_mut()) => wanted,
        };
        match wanted {
            Wanted::Stop => {
                told = true;
                stop(http.as_mut());
            }
            Wanted::End(finding) => return Ended::ByClock(finding),
        }
    }
}

/// What the clock wants next; without one, nothing ever.
async fn next(clock: Option<&mut Clock<'_>>) -> Wanted {
    match clock {
        Some(clock) => clock.next().await,
        None => std::future::pending().await,
    }
}

/// Looks at an HTTP/2 connection now and then.
struct Clock<'c> {
    ticks: Interval,
    streams: &'c Streams,
    connection: &'c Connection,
    services: &'c Services,
    /// No new requests since then.
    closing: Option<Instant>,
}

impl<'c> Clock<'c> {
    fn new(streams: &'c Streams, connection: &'c Connection, services: &'c Services) -> Self {
        let patience = services.patience;
        let every = patience.head.min(patience.idle) / 2;
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, streams, connection, services, closing: None }
    }

    async fn next(&mut self) -> Wanted {
        loop {
            self.ticks.tick().await;
            self.faults();
            match (self.streams.look(&self.services.patience), self.closing) {
                (Finding::Fine, _) => {}
                (Finding::Idle, None) => {
                    self.closing = Some(Instant::now());
                    return Wanted::Stop;
                }
                (Finding::Idle, Some(since)) if since.elapsed() < self.services.patience.head => {}
                (finding, _) => return Wanted::End(finding),
            }
        }
    }

    /// Puts on record what hyper told the client off for.
    fn faults(&self) {
        for (rule, times) in self.streams.faults() {
            malformed(rule, times, &self.connection.peer, self.services);
        }
    }
}

/// Records `times` breaches of a rule by somebody nobody knows, a few a second.
pub(crate) fn malformed(rule: &'static str, times: u32, peer: &Peer, services: &Services) {
    let Some(suppressed) = services.throttle.pass() else { return };
    let plane = services.planes.load();
    let edge = Edge {
        request: RequestId::generate(),
        address: peer.address,
        zone: peer.zone(&plane.snapshot),
        host: Arc::clone(&services.nowhere),
        fetch: FetchMetadata::default(),
    };
    let mut record = Record::new(Event::EdgeMalformed, Outcome::Denied).from(&edge).why(Why::reason(rule));
    let count = times.saturating_add(suppressed);
    if count > 1 {
        record = record.detail("count", i64::from(count));
    }
    if let Err(error) = services.journal.append(&record) {
        tracing::error!(%error, "a malformed request could not be recorded");
    }
}
