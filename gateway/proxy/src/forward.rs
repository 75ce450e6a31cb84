//! Stage 9: the request goes upstream with the signed assertion, the answer comes back, both streamed.

mod request;
mod response;
mod tunnel;
mod upstream;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use access::Effective;
use audit::{Closing, Outcome, Patient};
use http::header::{ACCEPT_LANGUAGE, CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::{Body as _, Incoming};
use identity::Live;
use model::{Edge, Refusal, SessionState};
use policy::PatientRule;
use tokio::time::{Instant, sleep};

pub(crate) use upstream::{Upstream, UpstreamKey};

use self::response::{Release, is_framed_plainly};
use self::upstream::{Answer, Failure, Origin};
use crate::Services;
use crate::body::{Guard, Held, Inward, Outgoing, Progress, Upload};
use crate::lease::{Lease, TICK};
use crate::plane::{App, Plane, Site};
use crate::record::{Closer, Ledger, Recorded, redeem};
use crate::refuse::{About, Refused};
use crate::websocket::Offer;

/// Whose request to what this is, for as long as the exchange lasts.
pub(crate) struct Subject {
    pub(crate) plane: Arc<Plane>,
    pub(crate) app: Arc<App>,
    pub(crate) live: Arc<Live>,
    pub(crate) roles: Arc<Effective>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) address: IpAddr,
    request_id: HeaderValue,
    /// The rule, if it looks into the answer.
    response_patient: Option<PatientRule>,
}

/// Forwards what is permitted and on record.
pub(crate) async fn forward(recorded: Recorded, services: &Arc<Services>) -> Result<Response<Outgoing>, Box<Refused>> {
    let (permitted, ledger, held) = recorded.into_parts();
    let rule = permitted.action().and_then(|action| action.patient.clone());
    let response_patient =
        rule.filter(|rule| matches!(rule, PatientRule::ResponseHeader(_) | PatientRule::ResponseJson(_)));
    // The permit is spent here: one request for each.
    let (resolved, _permit, roles) = permitted.into_parts();
    let (routed, live) = resolved.into_parts();
    let app = Arc::clone(routed.app());
    let admitted = routed.into_admitted();
    let plane = Arc::clone(admitted.plane());
    let (head, body, offer, edge, connection) = admitted.into_parts();
    let subject = Subject {
        plane,
        app,
        live,
        roles,
        method: head.method.clone(),
        uri: head.uri.clone(),
        address: edge.address,
        request_id: crate::request_id(&edge),
        response_patient,
    };
    let language = head.headers.get(ACCEPT_LANGUAGE).cloned();
    let exchange = Exchange { head, body, held, offer, ledger, connection };
    exchange.run(&subject, services).await.map_err(|refusal| Box::new(subject.refused(refusal, edge, language)))
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
    connection: Arc<crate::listen::Connection>,
}

impl Exchange {
    async fn run(mut self, subject: &Subject, services: &Arc<Services>) -> Result<Response<Outgoing>, Refusal> {
        let upstream = &subject.app.upstream;
        let Some(place) = upstream.place().await else { return Err(self.fail(Refusal::Unavailable)) };
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
        let (response, origin) = match ask(head, body, subject, progress.as_deref(), services).await {
            Ok(answer) => answer,
            Err(refusal) => return Err(self.fail(refusal)),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return match (self.offer, self.ledger, socket) {
                (Offer::WebSocket(handshake), Ledger::Open(open), Some((client, lease)))
                    if handshake.is_answered(response.status(), response.headers()) =>
                {
                    let (closer, drained) = (Closer::new(open, None), services.drained());
                    Ok(tunnel::open(&handshake, client, response, lease, closer, self.connection, drained))
                }
                (_, ledger, _) => {
                    origin.discard();
                    Err(fail(ledger, Refusal::Upstream))
                }
            };
        }
        if !is_framed_plainly(response.headers()) {
            origin.discard();
            return Err(self.fail(Refusal::Upstream));
        }
        let release = Release { ledger: self.ledger, place, bytes_in, foreign };
        response::release(response, subject, services, release).map_err(|error| {
            tracing::error!(%error, "an answer could not be recorded and is not released");
            Refusal::Unavailable
        })
    }

    fn fail(self, refusal: Refusal) -> Refusal {
        fail(self.ledger, refusal)
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
            return (Inward::Held(Some(bytes)), None);
        }
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else {
            return (Inward::Empty, None);
        };
        let progress = Arc::new(Progress::default());
        let guard = Guard::new(Arc::clone(&subject.live), services.clock.clone(), subject.app.upstream.stall);
        (Inward::Streamed(Box::new(Upload::new(body, guard, Arc::clone(&progress)))), Some(progress))
    }
}

/// Puts a failure on record; what can't be recorded is answered as such.
fn fail(ledger: Ledger, refusal: Refusal) -> Refusal {
    let status = refusal.status();
    let written = match ledger {
        Ledger::Read(reserved) => redeem(reserved, Outcome::Failed, status, &crate::patient::Found::NotAsked),
        Ledger::Open(open) => {
            let (bytes_in, bytes_out, patient) = (0, 0, Patient::None);
            let closing = Closing { outcome: Outcome::Failed, status: Some(status), bytes_in, bytes_out, patient };
            open.close(closing).map(drop)
        }
    };
    match written {
        Ok(()) => refusal,
        Err(error) => {
            tracing::error!(%error, "a failure could not be recorded");
            Refusal::Unavailable
        }
    }
}

/// Asks the upstream; once more if nothing came back and asking twice does no harm (H-22).
async fn ask(
    head: Parts,
    body: Inward,
    subject: &Subject,
    progress: Option<&Progress>,
    services: &Services,
) -> Result<(Response<Incoming>, Origin), Refusal> {
    let again = (subject.app.retry && is_repeatable(&head.method, &body)).then(|| head.clone());
    let mut answer = ask_once(Request::from_parts(head, body), subject, progress, services).await?;
    if let (Err(Failure::Broken), Some(head)) = (&answer, again) {
        tracing::debug!(app = %subject.app.name, "asking again");
        answer = ask_once(Request::from_parts(head, Inward::Empty), subject, None, services).await?;
    }
    answer.map_err(|failure| match failure {
        Failure::ConnectTimeout => Refusal::UpstreamTimeout,
        Failure::Broken | Failure::Other => Refusal::Upstream,
    })
}

fn is_repeatable(method: &Method, body: &Inward) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) && matches!(body, Inward::Empty)
}

/// Waits for the head of the answer, as long as session and patience last.
async fn ask_once(
    request: Request<Inward>,
    subject: &Subject,
    progress: Option<&Progress>,
    services: &Services,
) -> Result<Answer, Refusal> {
    let upstream = &subject.app.upstream;
    let (answer, origin) = upstream.request(request);
    let mut answer = std::pin::pin!(answer);
    let mut asked = Instant::now();
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => {
                return Ok(answer.map(|answer| (answer, origin)).map_err(|error| {
                    tracing::warn!(app = %subject.app.name, error = ?error, "no answer from the upstream");
                    Failure::of(&error)
                }));
            }
            () = sleep(TICK.min(upstream.answer)) => {}
        }
        if subject.has_ended(services) {
            let target = subject.uri.path_and_query().map_or("/", |target| target.as_str());
            return Err(Refusal::LoginRequired { target: target.to_owned() });
        }
        if progress.is_some_and(|progress| !progress.done.load(Ordering::Relaxed)) {
            asked = Instant::now();
        }
        if asked.elapsed() >= upstream.answer {
            return Err(Refusal::UpstreamTimeout);
        }
    }
}
