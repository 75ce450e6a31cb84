//! The proxy as a whole: what it is made of, how it is served, reloaded and stopped.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use access::Roles;
use arc_swap::ArcSwap;
use audit::{Counted, Journal};
use bytes::Bytes;
use config::{Certificate, Snapshot};
use http::header::{HeaderMap, HeaderValue};
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use identity::{Assertions, Live, Sessions};
use model::{Clock, Edge, MasterKey, Refusal, Wants};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::body::Body;
use crate::cookies::Jars;
use crate::limits::Addresses;
use crate::logout::Logouts;
use crate::meters::Meters;
use crate::patient::Lookups;
use crate::plane::{Plane, PlaneError};
use crate::tls::Foundation;
use crate::{listen, logout, redirect, serve, tls};

/// Records a second of what strangers cause: malformed requests, requests without a session.
const STRANGERS: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// How long connections have to end once they were cut.
const LAST: Duration = Duration::from_millis(500);

/// An answer of a handler.
pub type Response = http::Response<Body>;
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;
/// Answers what is the portal's: its own host, and `/.sekimori/` on an app's host.
pub type ReservedHandler = Arc<dyn Fn(Request<Incoming>, Edge, Arc<Snapshot>) -> Answering + Send + Sync>;
/// Makes a page or a problem document of a refusal. Its status, or that of a redirect, is the handler's.
pub type RefusalHandler = Arc<dyn Fn(Refusal, Wants, Context) -> Answering + Send + Sync>;

/// The two functions that answer what isn't forwarded.
#[derive(Clone)]
pub struct Handlers {
    /// For the portal.
    pub reserved: ReservedHandler,
    /// For refusals on a known host.
    pub refusal: RefusalHandler,
}

/// What a refusal's page may need.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where the request came from and to which host.
    pub edge: Edge,
    /// The configuration that the request began under.
    pub snapshot: Arc<Snapshot>,
    /// The session, if it got so far.
    pub session: Option<Arc<Live>>,
    /// The request's method.
    pub method: Method,
    /// The request's headers: cookies, languages. After a failure upstream only `Accept-Language`.
    pub headers: HeaderMap,
}

/// What a proxy is made of.
pub struct Parts {
    /// Who is logged in.
    pub sessions: Sessions,
    /// What they may be.
    pub roles: Roles,
    /// What upstreams are told.
    pub assertions: Assertions,
    /// Where everything is written down.
    pub journal: Journal,
    /// The time.
    pub clock: Clock,
    /// The key from which the keys of upstream cookies are derived.
    pub master: Arc<MasterKey>,
    /// Who answers what isn't forwarded.
    pub handlers: Handlers,
}

/// The sockets to serve.
#[derive(Debug)]
pub struct Listeners {
    /// HTTPS.
    pub https: TcpListener,
    /// Plain HTTP, redirected.
    pub http: Option<TcpListener>,
    /// How long requests may go on after the stop.
    pub drain: Duration,
}

/// The data plane. Clones are handles on the same one.
#[derive(Clone)]
pub struct Proxy(Arc<Services>);

impl Proxy {
    /// A proxy that serves `snapshot`, usually that of `config::Current`.
    ///
    /// # Errors
    /// [`PlaneError`]: the snapshot can't be served.
    pub fn new(parts: Parts, snapshot: Arc<Snapshot>) -> Result<Self, PlaneError> {
        let foundation = Foundation::new()?;
        let limits = snapshot.settings.limits.clone();
        let meters = Arc::new(Meters::default());
        meters.count_for(names(&snapshot));
        let plane = Plane::new(snapshot, &foundation, None)?;
        Ok(Self(Arc::new(Services {
            planes: Planes::new(plane),
            foundation,
            addresses: Addresses::new(limits.connections, limits.connections_per_address, limits.requests_per_second),
            throttle: Counted::per_second(STRANGERS),
            jars: Jars::new(parts.master),
            lookups: Lookups::default(),
            logouts: Logouts::default(),
            meters,
            sessions: parts.sessions,
            roles: parts.roles,
            assertions: parts.assertions,
            journal: parts.journal,
            clock: parts.clock,
            handlers: parts.handlers,
            http1: serve::http1(&limits),
            http2: serve::http2(&limits),
            patience: serve::patience(&limits),
            nowhere: Arc::from(""),
            stop: watch::channel(false).0,
            cut: watch::channel(false).0,
        })))
    }

    /// Derives what serving `snapshot` needs, without serving it: the check before a reload.
    ///
    /// # Errors
    /// [`PlaneError`]; what is served now stays.
    pub fn plane(&self, snapshot: Arc<Snapshot>) -> Result<Plane, PlaneError> {
        Plane::new(snapshot, &self.0.foundation, Some(&self.0.planes.load()))
    }

    /// Serves `plane` from now on. Requests under way keep theirs, open streams are decided anew.
    pub fn install(&self, plane: Plane) {
        self.0.addresses.set_rate(plane.snapshot.settings.limits.requests_per_second);
        self.0.meters.count_for(names(&plane.snapshot));
        self.0.planes.install(plane);
    }

    /// Serves these hosts, which no file's certificate covers, with `certificate` from the next handshake on.
    ///
    /// # Errors
    /// [`PlaneError::Tls`]; what was served before stays.
    pub fn issue(&self, certificate: &Certificate, hosts: &[Arc<str>]) -> Result<(), PlaneError> {
        let foundation = &self.0.foundation;
        foundation.issued().install(certificate, hosts, foundation.provider()).map_err(PlaneError::Tls)
    }

    /// Shows `certificate` to a certificate authority that looks whether `host` is ours (RFC 8737).
    ///
    /// # Errors
    /// [`PlaneError::Tls`].
    pub fn challenge(&self, host: &str, certificate: &Certificate) -> Result<(), PlaneError> {
        let foundation = &self.0.foundation;
        foundation.issued().challenge(host, certificate, foundation.provider()).map_err(PlaneError::Tls)
    }

    /// No certificate authority is shown anything any more.
    pub fn withdraw_challenges(&self) {
        self.0.foundation.issued().withdraw();
    }

    /// What the data plane counts of itself.
    pub fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// Serves until `shutdown` completes, then lets requests end: no new ones, streams and sockets are
    /// closed, the rest has `listeners.drain`.
    pub async fn serve(&self, listeners: Listeners, shutdown: impl Future<Output = ()> + Send) {
        let mut accepting = tokio::task::JoinSet::new();
        accepting.spawn(listen::accept(listeners.https, serve::connection, Arc::clone(&self.0)));
        if let Some(listener) = listeners.http {
            accepting.spawn(listen::accept(listener, redirect::connection, Arc::clone(&self.0)));
        }
        accepting.spawn(listen::sweep(Arc::clone(&self.0)));
        accepting.spawn(logout::run(Arc::clone(&self.0)));
        accepting.spawn(tls::watch(Arc::clone(&self.0)));
        shutdown.await;
        self.0.stop.send_replace(true);
        while accepting.join_next().await.is_some() {}
        if timeout(listeners.drain, self.0.cut.closed()).await.is_err() {
            tracing::warn!("requests were cut off at the end of the drain");
            self.0.cut.send_replace(true);
            let _ = timeout(LAST, self.0.cut.closed()).await;
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("plane", &self.0.planes.load()).finish_non_exhaustive()
    }
}

/// What the stages share.
pub(crate) struct Services {
    pub(crate) planes: Planes,
    foundation: Foundation,
    pub(crate) addresses: Addresses,
    pub(crate) throttle: Counted,
    pub(crate) jars: Jars,
    pub(crate) lookups: Lookups,
    pub(crate) logouts: Logouts,
    pub(crate) meters: Arc<Meters>,
    pub(crate) sessions: Sessions,
    pub(crate) roles: Roles,
    pub(crate) assertions: Assertions,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) handlers: Handlers,
    pub(crate) http1: http1::Builder,
    pub(crate) http2: http2::Builder<serve::Attendant>,
    pub(crate) patience: serve::Patience,
    /// The host of a request that names none of ours.
    pub(crate) nowhere: Arc<str>,
    stop: watch::Sender<bool>,
    cut: watch::Sender<bool>,
}

impl Services {
    /// Becomes true when the gateway stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Becomes true when the drain is over. Whoever holds one is waited for.
    pub(crate) fn drained(&self) -> watch::Receiver<bool> {
        self.cut.subscribe()
    }
}

/// The apps that are counted for.
fn names(snapshot: &Snapshot) -> impl Iterator<Item = Arc<str>> {
    snapshot.apps.iter().map(|app| Arc::clone(&app.name))
}

/// The plane in force.
pub(crate) struct Planes {
    current: ArcSwap<Plane>,
    changed: watch::Sender<()>,
}

impl Planes {
    fn new(first: Plane) -> Self {
        Self { current: ArcSwap::from_pointee(first), changed: watch::channel(()).0 }
    }

    pub(crate) fn load(&self) -> Arc<Plane> {
        self.current.load_full()
    }

    pub(crate) fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn install(&self, plane: Plane) {
        self.current.store(Arc::new(plane));
        self.changed.send_replace(());
    }
}

/// The request's id as upstream and client see it.
pub(crate) fn request_id(edge: &Edge) -> HeaderValue {
    let mut text = String::with_capacity(36);
    edge.request.push(&mut text);
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static("-"))
}
