//! A request that goes no further: recorded, and answered by a page or a problem document.

use std::sync::Arc;

use audit::{Event, Outcome, Patient, Record, What, Why};
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Method, Response, StatusCode, Uri};
use identity::Live;
use model::{Edge, Refusal, Wants};

use crate::body::Outgoing;
use crate::plane::{Plane, Site};
use crate::{Context, Services};

/// Why a request stops, and what is known of it.
pub(crate) struct Refused {
    refusal: Refusal,
    trace: Trace,
    about: About,
}

/// How a refusal comes on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trace {
    /// As `edge.malformed`, a few a second.
    Edge,
    /// As `request.deny`; without a session, a few a second.
    Decision,
    /// It is on record already.
    Recorded,
}

/// What is known of a request when it is refused.
pub(crate) struct About {
    plane: Arc<Plane>,
    site: Option<Site>,
    edge: Edge,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    session: Option<Arc<Live>>,
    action: Option<String>,
    rule: Option<String>,
}

impl About {
    pub(crate) fn new(plane: Arc<Plane>, site: Option<Site>, edge: Edge, head: Parts) -> Self {
        let Parts { method, uri, headers, .. } = head;
        let (session, action, rule) = (None, None, None);
        Self { plane, site, edge, method, uri, headers, session, action, rule }
    }

    fn wants(&self) -> Wants {
        match self.edge.fetch {
            fetch if fetch.navigate && fetch.document => Wants::Page,
            fetch if fetch.navigate && fetch.framed => Wants::Frame,
            _ => Wants::Problem,
        }
    }
}

impl Refused {
    /// Refused before any decision.
    pub(crate) fn at_the_edge(refusal: Refusal, about: About) -> Self {
        Self { refusal, trace: Trace::Edge, about }
    }

    /// Refused by a decision, or instead of one.
    pub(crate) fn decided(refusal: Refusal, about: About) -> Self {
        let trace = if matches!(refusal, Refusal::Malformed(_)) { Trace::Edge } else { Trace::Decision };
        Self { refusal, trace, about }
    }

    pub(crate) fn of_session(mut self, live: Arc<Live>) -> Self {
        self.about.session = Some(live);
        self
    }

    pub(crate) fn of_action(mut self, action: String) -> Self {
        self.about.action = Some(action);
        self
    }

    pub(crate) fn by_rule(mut self, rule: Option<String>) -> Self {
        self.about.rule = rule;
        self
    }

    /// Let through, on record, and then it failed.
    pub(crate) fn recorded(refusal: Refusal, about: About) -> Self {
        Self { refusal, trace: Trace::Recorded, about }
    }

    /// Writes it down and answers. After a request whose end may be read in two ways, the connection is
    /// closed: what follows on it is no request (H-03 … H-05). So it is after a body that didn't come to its end.
    pub(crate) async fn answer(self, services: &Services) -> Response<Outgoing> {
        let closes = match self.refusal {
            Refusal::Malformed(_) => self.trace == Trace::Edge,
            // To another host than this connection leads to: the client should take another (RFC 9110 15.5.20).
            Refusal::SlowBody | Refusal::Misdirected => true,
            _ => false,
        };
        let mut response = self.told(services).await;
        if closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn told(mut self, services: &Services) -> Response<Outgoing> {
        if let Err(error) = self.record(services) {
            tracing::error!(%error, "a refusal could not be recorded");
            self.refusal = Refusal::Unavailable;
        }
        let app = match &self.about.site {
            Some(Site::App(app)) => Some(&*app.name),
            _ => None,
        };
        services.meters.refused(app, &self.refusal);
        let wants = self.about.wants();
        if self.about.site.is_none() {
            return problem(&self.refusal);
        }
        let about = self.about;
        let (status, allow, retry) = (self.refusal.status(), allowed(&self.refusal), retry_after(&self.refusal));
        let context = Context {
            edge: about.edge,
            snapshot: Arc::clone(&about.plane.snapshot),
            session: about.session,
            method: about.method,
            headers: about.headers,
        };
        let mut response = (services.handlers.refusal)(self.refusal, wants, context).await;
        if let Some(methods) = allow {
            response.headers_mut().entry(ALLOW).or_insert(methods);
        }
        if let Some(seconds) = retry {
            response.headers_mut().entry(RETRY_AFTER).or_insert(seconds);
        }
        tracing::debug!(status, "refused");
        response.map(Outgoing::page)
    }

    fn record(&self, services: &Services) -> Result<(), audit::JournalError> {
        let about = &self.about;
        let record = match self.trace {
            Trace::Recorded => return Ok(()),
            Trace::Edge => Record::new(Event::EdgeMalformed, Outcome::Denied),
            Trace::Decision => Record::new(Event::RequestDeny, outcome(&self.refusal)),
        };
        let mut suppressed = 0;
        if about.session.is_none() {
            match services.throttle.pass() {
                Some(count) => suppressed = count,
                None => return Ok(()),
            }
        }
        let app = match &about.site {
            Some(Site::App(app)) => Some(&*app.name),
            _ => None,
        };
        let snapshot = &about.plane.snapshot;
        let mut record = record
            .from(&about.edge)
            .what(What {
                app,
                action: about.action.as_deref().or(denied_action(&self.refusal)),
                method: Some(about.method.as_str()),
                target: Some(about.uri.path()),
                patient: Patient::None,
                ..What::default()
            })
            .why(Why {
                rule: about.rule.as_deref(),
                reason: Some(self.refusal.reason()),
                policy: Some(&snapshot.policy_hash),
                generation: Some(snapshot.generation),
                ..Why::default()
            })
            .detail("status", i64::from(self.refusal.status()));
        if let Refusal::Denied { missing, .. } = &self.refusal {
            record = record.detail("missing", &serde_json::Value::from(missing.as_slice()));
        }
        if let Some(live) = &about.session {
            record = record.who(live.who().clone());
        }
        if suppressed > 0 {
            record = record.detail("count", i64::from(suppressed));
        }
        services.journal.append(&record).map(drop)
    }
}

fn outcome(refusal: &Refusal) -> Outcome {
    match refusal {
        Refusal::Unavailable | Refusal::Upstream | Refusal::UpstreamTimeout => Outcome::Failed,
        _ => Outcome::Denied,
    }
}

fn denied_action(refusal: &Refusal) -> Option<&str> {
    if let Refusal::Denied { action, .. } = refusal { action.as_deref() } else { None }
}

fn allowed(refusal: &Refusal) -> Option<HeaderValue> {
    if let Refusal::MethodNotAllowed(methods) = refusal { HeaderValue::from_str(methods).ok() } else { None }
}

fn retry_after(refusal: &Refusal) -> Option<HeaderValue> {
    if let Refusal::TooMany { retry_after } = refusal {
        Some(HeaderValue::from(retry_after.as_secs().max(1)))
    } else {
        None
    }
}

/// The answer where no host is known, so that no page of one can be shown.
pub(crate) fn problem(refusal: &Refusal) -> Response<Outgoing> {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let title = status.canonical_reason().unwrap_or("Refused");
    let text = format!("{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{}}}", status.as_u16());
    let mut response = Response::new(Outgoing::text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = retry_after(refusal) {
        headers.insert(RETRY_AFTER, seconds);
    }
    response
}
