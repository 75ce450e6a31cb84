//! The apps' own sessions end with the session here (A48), where an app says by what request.
//!
//! The upstream's cookies are sealed in the browser, and the gateway keeps none on disk. What it can show for
//! the farewell is what it last sent upstream for that session and app: kept in memory, in bounds, and for apps
//! with a `logout` alone. After a restart an app is told only of sessions that have used it since.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::Effective;
use audit::{Event, Outcome, Record, What, Why};
use config::{Logout, LogoutMethod};
use http::header::{COOKIE, HeaderMap, HeaderValue, ORIGIN};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use identity::Live;
use model::{RequestId, SessionId, SessionState, Timestamp};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Services;
use crate::forward::Errand;
use crate::plane::App;

/// How often ended sessions are looked for.
const EVERY: Duration = Duration::from_secs(1);
/// Bytes of cookies kept in all, and of one app's of one session.
const KEPT: usize = 32 << 20;
const LONGEST: usize = 8 << 10;
/// What one session and app take beside their cookies, roughly.
const ENTRY: usize = 256;
/// Farewells that wait, and those under way.
const WAITING: usize = 8_192;
const AT_ONCE: usize = 8;
/// How long an upstream has for one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which apps with a `logout` each session has been at.
#[derive(Default)]
pub(crate) struct Logouts(Mutex<Known>);

#[derive(Default)]
struct Known {
    sessions: HashMap<SessionId, Guest>,
    bytes: usize,
}

struct Guest {
    live: Arc<Live>,
    roles: Arc<Effective>,
    visits: Vec<Visit>,
}

/// One app that a session has been at.
struct Visit {
    host: Arc<str>,
    app: Arc<str>,
    cookie: Option<HeaderValue>,
}

impl Visit {
    fn bytes(&self) -> usize {
        ENTRY + self.cookie.as_ref().map_or(0, HeaderValue::len)
    }
}

impl Logouts {
    /// A request of the session goes to `app` with these cookies of the app's own.
    pub(crate) fn visited(&self, live: &Arc<Live>, roles: &Arc<Effective>, app: &App, cookie: Option<&HeaderValue>) {
        let cookie = cookie.filter(|cookie| cookie.len() <= LONGEST);
        let mut known = self.known();
        let Known { sessions, bytes } = &mut *known;
        let full = *bytes >= KEPT;
        if full && !sessions.contains_key(&live.id()) {
            return tracing::debug!(app = %app.name, "too many sessions: the app will not be told when this one ends");
        }
        let new = || Guest { live: Arc::clone(live), roles: Arc::clone(roles), visits: Vec::new() };
        let guest = sessions.entry(live.id()).or_insert_with(new);
        if !Arc::ptr_eq(&guest.roles, roles) {
            guest.roles = Arc::clone(roles);
        }
        let visit = match guest.visits.iter().position(|visit| visit.host == app.host) {
            Some(at) => guest.visits.get_mut(at),
            None if full => None,
            None => {
                *bytes += ENTRY;
                guest.visits.push(Visit { host: Arc::clone(&app.host), app: Arc::clone(&app.name), cookie: None });
                guest.visits.last_mut()
            }
        };
        let Some(visit) = visit else { return };
        // A request without cookies (a picture, an API) takes none away.
        if cookie.is_some() && visit.cookie.as_ref() != cookie && !full {
            *bytes = bytes.saturating_sub(visit.bytes());
            visit.cookie = cookie.cloned();
            *bytes += visit.bytes();
        }
    }

    /// Takes out the sessions that have ended.
    fn ended(&self, now: Timestamp) -> Vec<Guest> {
        let mut known = self.known();
        let has_ended = |guest: &Guest| guest.live.state(now) == SessionState::Ended;
        let ids: HashSet<SessionId> =
            known.sessions.iter().filter(|(_, guest)| has_ended(guest)).map(|(id, _)| *id).collect();
        let gone: Vec<Guest> = ids.iter().filter_map(|id| known.sessions.remove(id)).collect();
        let freed: usize = gone.iter().flat_map(|guest| &guest.visits).map(Visit::bytes).sum();
        known.bytes = known.bytes.saturating_sub(freed);
        gone
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An app that is to be told.
struct Farewell {
    live: Arc<Live>,
    roles: Arc<Effective>,
    visit: Visit,
}

/// Watches for ended sessions and tells the apps, until the gateway stops.
pub(crate) async fn run(services: Arc<Services>) {
    let (queue, waiting) = mpsc::channel(WAITING);
    let mut stopping = services.stopping();
    let telling = tokio::spawn(tell_all(waiting, Arc::clone(&services)));
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => break,
            _ = ticks.tick() => {}
        }
        for Guest { live, roles, visits } in services.logouts.ended(services.clock.now()) {
            for visit in visits {
                let farewell = Farewell { live: Arc::clone(&live), roles: Arc::clone(&roles), visit };
                if let Err(error) = queue.try_send(farewell) {
                    error.into_inner().record(&services, RequestId::generate(), None, Err("queue-full"));
                }
            }
        }
    }
    telling.abort();
}

async fn tell_all(mut waiting: mpsc::Receiver<Farewell>, services: Arc<Services>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(farewell) = waiting.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let services = Arc::clone(&services);
        tokio::spawn(async move {
            farewell.tell(&services).await;
            drop(place);
        });
    }
}

impl Farewell {
    async fn tell(self, services: &Services) {
        let plane = services.planes.load();
        // An app that has been taken out of the configuration is told nothing.
        let app = plane.app(&self.visit.host).filter(|app| app.name == self.visit.app);
        let Some((app, logout)) = app.and_then(|app| Some((app, app.logout.as_ref()?))) else { return };
        let id = RequestId::generate();
        let errand = Errand { plane: &plane, app, live: &self.live, roles: &self.roles };
        let outcome = match timeout(PATIENCE, self.ask(errand, logout, id, services)).await {
            Ok(outcome) => outcome,
            Err(_) => Err("upstream-timeout"),
        };
        self.record(services, id, Some(logout), outcome);
    }

    async fn ask(
        &self,
        errand: Errand<'_>,
        logout: &Logout,
        id: RequestId,
        services: &Services,
    ) -> Result<StatusCode, &'static str> {
        let target = PathAndQuery::try_from(logout.path.as_str()).map_err(|_| "target")?;
        let mut headers = HeaderMap::new();
        if let Some(cookie) = &self.visit.cookie {
            headers.insert(COOKIE, cookie.clone());
        }
        // What asks for the same origin, so that a form of its own was pressed, gets that.
        if let Ok(origin) = HeaderValue::from_str(&errand.app.origin) {
            headers.insert(ORIGIN, origin);
        }
        let id = HeaderValue::from_str(&id.to_string()).map_err(|_| "target")?;
        let request = (method(logout.method), target);
        match errand.ask(request, headers, id, 0, services).await {
            Ok(reply) if reply.status.as_u16() < 400 => Ok(reply.status),
            Ok(_) => Err("upstream-status"),
            Err(_) => Err("upstream"),
        }
    }

    fn record(
        &self,
        services: &Services,
        id: RequestId,
        logout: Option<&Logout>,
        outcome: Result<StatusCode, &'static str>,
    ) {
        let result = if outcome.is_ok() { Outcome::Ok } else { Outcome::Failed };
        let method = logout.map(|logout| method(logout.method));
        let mut record = Record::new(Event::AppLogout, result)
            .who(self.live.who().clone())
            .what(What {
                app: Some(&self.visit.app),
                method: method.as_ref().map(Method::as_str),
                target: logout.map(|logout| logout.path.split('?').next().unwrap_or_default()),
                ..What::default()
            })
            .request(id)
            .detail("cookies", self.visit.cookie.is_some());
        match outcome {
            Ok(status) => record = record.detail("status", status.as_u16()),
            Err(reason) => record = record.why(Why::reason(reason)),
        }
        if let Err(error) = services.journal.append(&record) {
            tracing::error!(%error, "that an app was told of a session's end could not be recorded");
        }
    }
}

const fn method(method: LogoutMethod) -> Method {
    match method {
        LogoutMethod::Get => Method::GET,
        LogoutMethod::Post => Method::POST,
    }
}
