//! Stage 9: the request goes upstream with the signed assertion, the answer comes back, both streamed.

mod ask;
mod dial;
mod errand;
mod export;
mod failure;
mod health;
mod member;
mod request;
mod response;
mod tunnel;
mod upstream;

use std::net::IpAddr;
use std::sync::Arc;

use access::Effective;
use audit::{Closing, Outcome};
use http::header::{ACCEPT_LANGUAGE, CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::{Body as _, Incoming};
use identity::Live;
use model::{Edge, Refusal, SessionState};
use policy::{ActionClass, ActionId, PatientRule};
use tokio::sync::OwnedSemaphorePermit;

pub(crate) use errand::Errand;
pub(crate) use member::Line;
pub(crate) use upstream::{Terms, Upstream};

use self::ask::ask;
use self::export::{Carrying, Verdict};
use self::failure::Failure;
use self::response::{Release, fault};
use crate::Services;
use crate::body::{Guard, Held, Inward, Outgoing, Progress, Upload};
use crate::companion::Companion;
use crate::cookies::Jar;
use crate::decide::Permitted;
use crate::lease::Lease;
use crate::plane::{App, Plane, Site};
use crate::record::{Closer, Ledger, Recorded};
use crate::refuse::{About, Refused};
use crate::tls::Demands;
use crate::websocket::Offer;

/// Whose request to what this is, for as long as the exchange lasts.
pub(crate) struct Subject {
    pub(crate) plane: Arc<Plane>,
    pub(crate) app: Arc<App>,
    pub(crate) live: Arc<Live>,
    companion: Option<Arc<Companion>>,
    pub(crate) roles: Arc<Effective>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) address: IpAddr,
    /// What was asked of the client at the handshake.
    pub(crate) demands: Arc<Demands>,
    request_id: HeaderValue,
    /// The rule, if it looks into the answer.
    response_patient: Option<PatientRule>,
    action: ActionId,
    carrying: Carrying,
}

/// Forwards what is permitted and on record.
pub(crate) async fn forward(recorded: Recorded, services: &Arc<Services>) -> Result<Response<Outgoing>, Box<Refused>> {
    let (permitted, ledger, held, place) = recorded.into_parts();
    let rule = permitted.action().and_then(|action| action.patient.as_ref());
    let response_patient =
        rule.filter(|rule| matches!(rule, PatientRule::ResponseHeader(_) | PatientRule::ResponseJson(_))).cloned();
    let (carrying, action) = (carrying(&permitted), permitted.action_id());
    // The permit is spent here: one request for each.
    let (resolved, _permit, roles) = permitted.into_parts();
    let (routed, live) = resolved.into_parts();
    let app = Arc::clone(routed.app());
    let admitted = routed.into_admitted();
    let (plane, request_id) = (Arc::clone(admitted.plane()), admitted.id().clone());
    let (head, body, offer, edge, connection) = admitted.into_parts();
    let subject = Subject {
        plane,
        app,
        companion: Companion::of(&live, &services.jars),
        live,
        roles,
        method: head.method.clone(),
        uri: head.uri.clone(),
        address: edge.address,
        demands: Arc::clone(&connection.demands),
        request_id,
        response_patient,
        action,
        carrying,
    };
    let language = head.headers.get(ACCEPT_LANGUAGE).cloned();
    let exchange = Exchange { head, body, held, offer, ledger, place, connection };
    exchange.run(&subject, services).await.map_err(|refusal| Box::new(subject.refused(refusal, edge, language)))
}

/// What action, app and zone say of answers that would be saved (S-22).
fn carrying(permitted: &Permitted) -> Carrying {
    let (action, resolved) = (permitted.action(), permitted.resolved());
    let edge = resolved.routed().admitted().edge();
    let download = action.and_then(|action| action.download).unwrap_or(resolved.app().download);
    Carrying {
        class: action.map_or_else(ActionClass::default, |action| action.class),
        download: download.min(permitted.snapshot().download_in(&edge.zone)),
        opens: Carrying::opens(edge.fetch),
        saves: edge.fetch.saves,
    }
}

impl Subject {
    /// What was let through and didn't come to its end; its record says so already.
    fn refused(self, refusal: Refusal, edge: Edge, language: Option<HeaderValue>) -> Refused {
        let mut head = Request::new(()).into_parts().0;
        (head.method, head.uri) = (self.method, self.uri);
        head.headers = language.into_iter().map(|language| (ACCEPT_LANGUAGE, language)).collect::<HeaderMap>();
        let about = About::new(self.plane, Some(Site::App(self.app)), edge, head);
        Refused::recorded(refusal, about).of_session(self.live)
    }

    /// What the app's own cookies are sealed in.
    fn jar(&self) -> Option<&Jar> {
        self.companion.as_deref().and_then(Companion::jar)
    }

    /// A no that only the answer gave rise to.
    fn refuses(&self, reason: &'static str) -> Refusal {
        let action = self.plane.snapshot().policy.action_name(self.action).to_owned();
        Refusal::Denied { app: self.app.name.to_string(), action: Some(action), reason, missing: Vec::new() }
    }

    fn has_ended(&self, services: &Services) -> bool {
        self.live.state(services.clock.now()) == SessionState::Ended
    }
}

/// One request and its answer.
struct Exchange {
    head: Parts,
    body: Option<Incoming>,
    held: Held,
    offer: Offer,
    ledger: Ledger,
    place: OwnedSemaphorePermit,
    connection: Arc<crate::listen::Connection>,
}

impl Exchange {
    async fn run(mut self, subject: &Subject, services: &Arc<Services>) -> Result<Response<Outgoing>, Refusal> {
        // The lease of a socket begins before the upstream is asked, so that no lock in between is missed.
        let socket =
            matches!(self.offer, Offer::WebSocket(_)).then(|| (self.take_upgrade(), Lease::of(subject, services)));
        let (now, peer) = (services.clock.now(), &self.connection.peer);
        let Some(foreign) = request::prepare(&mut self.head, subject, &self.offer, peer, services, now) else {
            return Err(self.fail(Refusal::Unavailable));
        };
        let (body, progress) = self.body(subject, services);
        let bytes_in = progress.as_ref().map(|progress| Arc::clone(&progress.bytes));
        let head = std::mem::replace(&mut self.head, Request::new(()).into_parts().0);
        let (mut response, line) = match ask(head, body, subject, progress.as_deref(), services).await {
            Ok(answer) => answer,
            Err(refusal) => return Err(self.fail(refusal)),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return match (self.offer, self.ledger, socket) {
                (Offer::WebSocket(handshake), Ledger::Open(open), Some((client, lease)))
                    if handshake.is_answered(response.status(), response.headers()) =>
                {
                    let (closer, drained) = (Closer::new(open, None), services.drained());
                    Ok(tunnel::open(&handshake, client, (response, line), lease, closer, self.connection, drained))
                }
                (_, ledger, _) => {
                    line.discard();
                    Err(fail(ledger, Refusal::Upstream, "upstream-upgrade"))
                }
            };
        }
        if let Some(fault) = fault(&response, &subject.app) {
            tracing::error!(app = %subject.app.name, fault, "an answer of the upstream is not passed on");
            line.discard();
            return Err(fail(self.ledger, Refusal::Upstream, fault));
        }
        let Verdict::Pass { exported } = subject.carrying.judge(response.status(), response.headers_mut()) else {
            line.discard();
            return Err(self.fail(subject.refuses("download")));
        };
        let release = Release { ledger: self.ledger, place: self.place, line, bytes_in, foreign, exported };
        response::release(response, subject, services, release).map_err(|error| {
            tracing::error!(%error, "an answer could not be recorded and is not released");
            Refusal::Unavailable
        })
    }

    fn fail(self, refusal: Refusal) -> Refusal {
        let fault = refusal.reason();
        fail(self.ledger, refusal, fault)
    }

    /// The client's side of the change to WebSocket; must be taken before the head goes upstream.
    fn take_upgrade(&mut self) -> hyper::upgrade::OnUpgrade {
        let mut request = Request::new(());
        *request.extensions_mut() = std::mem::take(&mut self.head.extensions);
        hyper::upgrade::on(&mut request)
    }

    fn body(&mut self, subject: &Subject, services: &Services) -> (Inward, Option<Arc<Progress>>) {
        if let Held::Whole(bytes) = std::mem::take(&mut self.held) {
            // What was chunked has a length now.
            self.head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            let progress = Arc::new(Progress::whole(bytes.len() as u64));
            return (Inward::Held(Some(bytes)), Some(progress));
        }
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else {
            return (Inward::Empty, None);
        };
        if body.size_hint().exact().is_none() {
            // hyper would leave such a body of a GET behind.
            self.head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let progress = Arc::new(Progress::default());
        let guard = Guard::new(Arc::clone(&subject.live), services.clock.clone(), subject.app.upstream.stall);
        (Inward::Streamed(Box::new(Upload::new(body, guard, Arc::clone(&progress)))), Some(progress))
    }
}

/// Puts a failure on record; what can't be recorded is answered as such.
fn fail(ledger: Ledger, refusal: Refusal, fault: &str) -> Refusal {
    let outcome = if matches!(refusal, Refusal::Denied { .. }) { Outcome::Denied } else { Outcome::Failed };
    let status = Some(refusal.status());
    let closing = Closing { outcome, status, fault: Some(fault), ..Closing::ABORTED };
    let written = match ledger {
        Ledger::Read(reserved) => reserved.redeem(closing),
        Ledger::Open(open) => open.close(closing),
    };
    match written {
        Ok(_) => refusal,
        Err(error) => {
            tracing::error!(%error, "a failure could not be recorded");
            Refusal::Unavailable
        }
    }
}
