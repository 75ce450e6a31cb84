//! Stage 3: HTTP/1.1 or HTTP/2 by ALPN with every limit set; one plane for each request from its first to
//! its last byte.

mod drive;
mod frames;
mod http2;
mod phase;
mod streams;
mod timed;
mod turn;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use config::LimitSettings;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use model::Refusal;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

pub(crate) use self::drive::malformed;
pub(crate) use self::http2::{Attendant, http as http2};
pub(crate) use self::timed::Patience;

use self::drive::{drive_http1, drive_http2};
use self::phase::Phase;
use self::streams::{Observed, Streams};
use self::timed::Timed;
use self::turn::{Answer, Line};
use crate::admit::admit;
use crate::body::Outgoing;
use crate::cors::Crossing;
use crate::decide::decide;
use crate::forward::forward;
use crate::headers::REQUEST_ID;
use crate::listen::{Connection, Seated};
use crate::meters::{Lap, Stage};
use crate::plane::Plane;
use crate::record::record;
use crate::refuse::Refused;
use crate::resolve::resolve;
use crate::route::{Routed, Way, route};
use crate::{Services, tls};

/// What hyper takes as its own default; naming it would cost an allocation for each request.
const HEADERS: usize = 100;

/// The server side of HTTP/1.1. Its clocks are those of [`Timed`]: hyper's own would cost a timer for each request.
pub(crate) fn http1(limits: &LimitSettings) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None).max_header_size(limits.header_bytes).half_close(false).keep_alive(true);
    if limits.headers != HEADERS {
        http.max_headers(limits.headers);
    }
    http
}

/// How long a connection may be what it is.
pub(crate) fn patience(limits: &LimitSettings) -> Patience {
    Patience { head: limits.header_timeout, idle: limits.idle_timeout, stall: limits.idle_timeout }
}

/// Serves one connection to its end.
pub(crate) async fn connection(seated: Seated, services: Arc<Services>) {
    let (_open, begun) = (services.meters.accepted(), Instant::now());
    let Seated { stream, peer, seat } = seated;
    let (stream, demands) = match timeout(services.patience.head, tls::handshake(stream, &services.planes.load())).await
    {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            if tls::is_about_the_client(&error) {
                malformed("client-certificate", 1, &peer, &services);
            }
            return tracing::debug!(address = %peer.address, %error, "handshake failed");
        }
        Err(_) => return tracing::debug!(address = %peer.address, "handshake too slow"),
    };
    services.meters.took(Stage::Tls, begun.elapsed());
    let connection = Arc::new(Connection { peer, seat, demands, nowhere: Arc::clone(&services.nowhere) });
    if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2) {
        serve_http2(stream, &connection, &services).await;
    } else {
        serve_http1(stream, &connection, &services).await;
    }
}

async fn serve_http1(stream: TlsStream<TcpStream>, connection: &Arc<Connection>, services: &Arc<Services>) {
    let phase = Phase::fresh();
    let timed = Timed::new(stream, Arc::clone(&phase), services.patience);
    let line = Line::Http1(phase);
    let service = service_fn(|request| respond(request, &line, connection, services));
    let http = services.http1.serve_connection(TokioIo::new(timed), service).with_upgrades();
    drive_http1(http, connection, services).await;
}

async fn serve_http2(stream: TlsStream<TcpStream>, connection: &Arc<Connection>, services: &Arc<Services>) {
    let streams = Streams::new();
    let timed = Timed::new(stream, Observed(Arc::clone(&streams)), services.patience);
    let line = Line::Http2(Arc::clone(&streams));
    let service = service_fn(|request| respond(request, &line, connection, services));
    let http = services.http2.serve_connection(TokioIo::new(timed), service);
    drive_http2(http, &streams, connection, services).await;
}

/// A request of a connection, on its own from here on.
fn respond(
    request: Request<Incoming>,
    line: &Line,
    connection: &Arc<Connection>,
    services: &Arc<Services>,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> + Send + use<> {
    let (line, connection, services) = (line.clone(), Arc::clone(connection), Arc::clone(services));
    async move { Ok(answer(request, &line, &connection, &services).await) }
}

/// The life of a request.
async fn answer(
    request: Request<Incoming>,
    line: &Line,
    connection: &Arc<Connection>,
    services: &Arc<Services>,
) -> Response<Answer> {
    let turn = line.begin();
    let mut lap = services.meters.lap();
    let plane = services.planes.load();
    let bodiless = request.body().is_end_stream();
    let Passed { id, crossing, outcome } = pass(request, &plane, connection, services, &mut lap).await;
    let mut response = match outcome {
        Ok(response) => response,
        Err(refused) => {
            if !bodiless {
                turn.refused_early();
            }
            Box::pin(refused.answer(services)).await
        }
    };
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    if let Some(crossing) = crossing {
        crossing.finish(response.headers_mut());
    }
    if line.is_http2() {
        http2::strip(response.headers_mut());
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        turn.changes_protocol();
    }
    response.map(|body| turn.answer(body))
}

/// What became of a request.
struct Passed {
    id: Option<HeaderValue>,
    /// From whose page it came, if it was for an app.
    crossing: Option<Crossing>,
    outcome: Result<Response<Outgoing>, Box<Refused>>,
}

async fn pass(
    request: Request<Incoming>,
    plane: &Arc<Plane>,
    connection: &Arc<Connection>,
    services: &Arc<Services>,
    lap: &mut Lap<'_>,
) -> Passed {
    let admitted = match admit(request, plane, connection) {
        Ok(admitted) => admitted,
        Err(refused) => return Passed { id: None, crossing: None, outcome: Err(refused) },
    };
    lap.done(Stage::Admit);
    let (id, mut crossing) = (Some(admitted.id().clone()), None);
    let way = route(admitted);
    lap.done(Stage::Route);
    let outcome = match way {
        Err(refused) => Err(refused),
        Ok(Way::Answered(response)) => Ok(response),
        Ok(Way::Ours(admitted)) => match admitted.into_request() {
            Some((request, edge)) => {
                let snapshot = Arc::clone(plane.snapshot());
                Ok((services.handlers.reserved)(request, edge, snapshot).await.map(Outgoing::page))
            }
            None => Ok(crate::refuse::problem(&Refusal::Unavailable)),
        },
        Ok(Way::App(routed)) => {
            crossing = Some(Crossing::of(routed.app(), &routed.admitted().head().headers));
            through(routed, services, lap).await
        }
    };
    Passed { id, crossing, outcome }
}

async fn through(
    routed: Routed,
    services: &Arc<Services>,
    lap: &mut Lap<'_>,
) -> Result<Response<Outgoing>, Box<Refused>> {
    let resolved = resolve(routed, services).await?;
    lap.done(Stage::Resolve);
    let permitted = decide(resolved, services).await?;
    lap.done(Stage::Decide);
    let recorded = record(permitted, services).await?;
    lap.done(Stage::Record);
    let forwarded = forward(recorded, services).await;
    lap.done(Stage::Forward);
    forwarded
}
