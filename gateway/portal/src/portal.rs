//! The portal as the binary wires it.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::Roles;
use audit::{Counted, Journal};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use config::{Current, Snapshot};
use http::{HeaderMap, Method, Request};
use identity::{Assertions, Enrolment, Live, Logins, Own, Sessions};
use model::{Clock, Edge, Refusal, SessionId, Wants};
use store::Store;
use tower::ServiceExt as _;

use crate::assets::Assets;
use crate::explain::Explain;
use crate::guard::Arrived;
use crate::messages::{Messages, MessagesError};
use crate::throttle::Throttle;
use crate::visit::Visit;
use crate::{refusal, routes};

/// What the portal is made of.
pub struct Parts {
    /// The configuration in force.
    pub current: Current,
    /// All sessions.
    pub sessions: Sessions,
    /// The login state machine.
    pub logins: Logins,
    /// Codes and authenticators.
    pub enrolment: Enrolment,
    /// Who may what.
    pub roles: Roles,
    /// For the published key.
    pub assertions: Assertions,
    /// Where reading the journal and refusals of the API are recorded.
    pub journal: Journal,
    /// For imports and look-ups of people.
    pub store: Store,
    /// What the data plane would decide.
    pub explain: Arc<dyn Explain>,
    /// What time it is.
    pub clock: Clock,
}

/// Pages, handshake and admin API. Clones share everything.
#[derive(Clone)]
pub struct Portal {
    desk: Desk,
    on_portal: Router,
    on_app: Router,
}

/// What every handler reaches.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

struct Inner {
    parts: Parts,
    own: Own,
    messages: Arc<Messages>,
    assets: Assets,
    attempts: Attempts,
    /// Interactions that an address may begin by being sent away from an app's host.
    begun: Throttle,
    begun_by_holders: Throttle,
    /// Handshake codes of an address that nobody was given.
    missed: Throttle,
    /// Records of those, of all addresses.
    misses: Counted,
}

/// A request that the data plane refuses, as far as its page needs it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks from where.
    pub edge: &'a Edge,
    /// The configuration the request came under.
    pub snapshot: &'a Arc<Snapshot>,
    /// Its method: only a navigation by GET is sent to the login page.
    pub method: &'a Method,
    /// Its headers as the client sent them, for our cookies and the language.
    pub headers: &'a HeaderMap,
    /// The session of the app host's cookie, if there is one that hasn't ended.
    pub session: Option<&'a Arc<Live>>,
}

impl Portal {
    /// Wires the portal.
    ///
    /// # Errors
    /// [`MessagesError`] if the built-in message files are broken.
    pub fn new(parts: Parts) -> Result<Self, MessagesError> {
        let own = Own::new(parts.logins.clone(), parts.enrolment.clone());
        let desk = Desk(Arc::new(Inner {
            parts,
            own,
            messages: Messages::load()?,
            assets: Assets::load(),
            attempts: Attempts::default(),
            begun: Throttle::per_minute(BEGUN_PER_MINUTE),
            begun_by_holders: Throttle::per_minute(BEGUN_PER_MINUTE),
            missed: Throttle::per_minute(MISSED_PER_MINUTE),
            misses: Counted::per_second(MISSES_PER_SECOND),
        }));
        let [on_portal, on_app] = [true, false].map(|portal| routes::router(&desk, portal));
        Ok(Self { desk, on_portal, on_app })
    }

    /// Answers a request for the portal host, or for the reserved prefix of an app host.
    pub async fn serve<B>(&self, request: Request<B>, edge: Edge, snapshot: Arc<Snapshot>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let router = if snapshot.is_portal(&edge.host) { &self.on_portal } else { &self.on_app };
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Arrived { edge, snapshot });
        match router.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }

    /// The page, small page or problem document of a refusal of the data plane.
    pub async fn refusal(&self, refusal: Refusal, wants: Wants, asked: Asked<'_>) -> Response {
        match Visit::of_data_plane(&self.desk, asked) {
            Ok(visit) => refusal::data_plane(&visit, refusal, wants).await,
            Err(_) => refusal::bare(http::StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

impl fmt::Debug for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Portal")
    }
}

/// A ward behind one address opens ten restored tabs each; more is a machine.
const BEGUN_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).unwrap();

/// A ward behind one address reloads a few used ones.
const MISSED_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();
const MISSES_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();

impl Desk {
    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    pub(crate) fn own(&self) -> &Own {
        &self.0.own
    }

    pub(crate) fn messages(&self) -> &Arc<Messages> {
        &self.0.messages
    }

    pub(crate) fn assets(&self) -> &Assets {
        &self.0.assets
    }

    /// Takes one attempt at a secret from the budget of the session, which nobody else at its address can use
    /// up (A47), or, without one, of the address.
    pub(crate) fn attempt(
        &self,
        session: Option<SessionId>,
        address: IpAddr,
        snapshot: &Snapshot,
    ) -> Result<(), Duration> {
        let budgets = self.0.attempts.at_pace(snapshot.settings.login.attempts_per_minute);
        match session {
            Some(session) => budgets.by_session.take_of(session),
            None => budgets.by_address.take(address),
        }
    }

    /// Takes one beginning of an interaction from the address's budget: that of browsers with a session,
    /// which no stranger can use up, or that of all others.
    pub(crate) fn begin(&self, address: IpAddr, holder: bool) -> Result<(), Duration> {
        if holder { self.0.begun_by_holders.take(address) } else { self.0.begun.take(address) }
    }

    /// Takes one unknown handshake code from the address's budget.
    pub(crate) fn missed(&self, address: IpAddr) -> Result<(), Duration> {
        self.0.missed.take(address)
    }

    /// May an unknown handshake code be recorded? If so, how many were left out since the last.
    pub(crate) fn may_record_miss(&self) -> Option<u32> {
        self.0.misses.pass()
    }
}

/// Attempts at secrets; made anew when a reload changes the pace.
#[derive(Default)]
struct Attempts(Mutex<Option<(u32, Arc<Budgets>)>>);

struct Budgets {
    by_address: Throttle,
    by_session: Throttle<SessionId>,
}

impl Attempts {
    fn at_pace(&self, per_minute: u32) -> Arc<Budgets> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_ref() {
            Some((pace, budgets)) if *pace == per_minute => Arc::clone(budgets),
            _ => {
                let pace = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
                let budgets =
                    Budgets { by_address: Throttle::per_minute(pace), by_session: Throttle::per_minute(pace) };
                let budgets = Arc::new(budgets);
                *held = Some((per_minute, Arc::clone(&budgets)));
                budgets
            }
        }
    }
}
