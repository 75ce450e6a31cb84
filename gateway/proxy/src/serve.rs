//! Stage 3: HTTP/1.1 with every limit set; one plane for each request from its first to its last byte.

mod timed;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use audit::{Event, Outcome, Record, Why};
use config::LimitSettings;
use http::{Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::{Edge, FetchMetadata, Refusal, RequestId};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use self::timed::Timed;
use crate::admit::admit;
use crate::body::Outgoing;
use crate::decide::decide;
use crate::forward::forward;
use crate::headers::REQUEST_ID;
use crate::listen::Connection;
use crate::plane::Plane;
use crate::record::record;
use crate::refuse::Refused;
use crate::resolve::resolve;
use crate::route::{Way, route};
use crate::{Services, request_id};

/// What hyper takes as its own default; naming it would cost an allocation for each request.
const HEADERS: usize = 100;

/// The server side of HTTP/1.1.
pub(crate) fn http(limits: &LimitSettings) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout)
        .max_header_size(limits.header_bytes)
        .half_close(false)
        .keep_alive(true);
    if limits.headers != HEADERS {
        http.max_headers(limits.headers);
    }
    http
}

/// Serves one connection to its end.
pub(crate) async fn connection(stream: TcpStream, connection: Arc<Connection>, services: Arc<Services>) {
    let mut stopping = services.stopping();
    let tls = TlsAcceptor::from(Arc::clone(&services.planes.load().tls));
    let stream = match timeout(services.head_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(address = %connection.peer.address, %error, "handshake failed"),
        Err(_) => return tracing::debug!(address = %connection.peer.address, "handshake too slow"),
    };
    let timed = Timed::new(stream, Arc::clone(&connection.phase), services.head_timeout, services.stall_timeout);
    let service = service_fn(|request| {
        let (connection, services) = (Arc::clone(&connection), Arc::clone(&services));
        async move { Ok::<_, Infallible>(answer(request, &connection, &services).await) }
    });
    let mut http = pin!(services.http.serve_connection(TokioIo::new(timed), service).with_upgrades());
    let mut drained = services.drained();
    let mut told = false;
    let result = loop {
        tokio::select! {
            biased;
            result = &mut http => break result,
            _ = stopping.wait_for(|stopping| *stopping), if !told => {
                told = true;
                http.as_mut().graceful_shutdown();
            }
            _ = drained.wait_for(|drained| *drained) => return,
        }
    };
    if let Err(error) = result {
        refused_by_hyper(&error, &connection, &services);
    }
}

/// The life of a request.
async fn answer(
    request: Request<Incoming>,
    connection: &Arc<Connection>,
    services: &Arc<Services>,
) -> Response<Outgoing> {
    let turn = connection.phase.begin();
    let plane = services.planes.load();
    let bodiless = request.body().is_end_stream();
    let (id, response) = pass(request, &plane, connection, services).await;
    let mut response = match response {
        Ok(response) => response,
        Err(refused) => {
            if !bodiless {
                connection.phase.linger();
            }
            refused.answer(services).await
        }
    };
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.map(|body| body.in_turn(turn))
}

type Passed = (Option<http::HeaderValue>, Result<Response<Outgoing>, Box<Refused>>);

async fn pass(
    request: Request<Incoming>,
    plane: &Arc<Plane>,
    connection: &Arc<Connection>,
    services: &Arc<Services>,
) -> Passed {
    let admitted = match admit(request, plane, connection) {
        Ok(admitted) => admitted,
        Err(refused) => return (None, Err(refused)),
    };
    let id = request_id(admitted.edge());
    let response = match route(admitted) {
        Err(refused) => Err(refused),
        Ok(Way::Ours(admitted)) => match admitted.into_request() {
            Some((request, edge)) => {
                let snapshot = Arc::clone(plane.snapshot());
                Ok((services.handlers.reserved)(request, edge, snapshot).await.map(Outgoing::page))
            }
            None => Ok(crate::refuse::problem(&Refusal::Unavailable)),
        },
        Ok(Way::App(routed)) => through(routed, services).await,
    };
    (Some(id), response)
}

async fn through(routed: crate::route::Routed, services: &Arc<Services>) -> Result<Response<Outgoing>, Box<Refused>> {
    let resolved = resolve(routed, services).await?;
    let permitted = decide(resolved, services).await?;
    let recorded = record(permitted, services).await?;
    forward(recorded, services).await
}

/// What hyper answered or closed by itself, before there was a request to see (H-04 … H-07, H-23).
fn refused_by_hyper(error: &hyper::Error, connection: &Connection, services: &Services) {
    let rule = if error.is_parse_too_large() {
        "head-too-large"
    } else if error.is_parse() {
        "head"
    } else if timed::is_slow_head(error) {
        "head-slow"
    } else {
        return tracing::debug!(address = %connection.peer.address, ?error, "connection closed");
    };
    let Some(suppressed) = services.throttle.pass() else { return };
    let plane = services.planes.load();
    let edge = Edge {
        request: RequestId::generate(),
        address: connection.peer.address,
        zone: connection.peer.zone(&plane.snapshot),
        host: Arc::clone(&connection.nowhere),
        fetch: FetchMetadata::default(),
    };
    let mut record = Record::new(Event::EdgeMalformed, Outcome::Denied).from(&edge).why(Why::reason(rule));
    if suppressed > 0 {
        record = record.detail("count", i64::from(suppressed));
    }
    if let Err(error) = services.journal.append(&record) {
        tracing::error!(%error, "a malformed request could not be recorded");
    }
}
