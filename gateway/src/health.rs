//! Where operators and their tools look: `/healthz`, `/readyz` and `/metrics`, on a listener of their own.
//!
//! Plain HTTP, to anybody who gets there: nothing told here is secret or about a person, and every list has an
//! end that no request can move.

mod listener;
mod metrics;
mod process;
mod readiness;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub(crate) use listener::Listener;
pub(crate) use metrics::Gauges;
pub(crate) use readiness::{Phase, Readiness};

use listener::Stream;

/// Connections at the same time; further ones wait.
const CONNECTIONS: usize = 32;
/// A connection without a request is closed after this long, and any after the second.
const IDLE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(600);
const HEAD: usize = 16 * 1_024;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What [`Gauges::page`] writes.
const OPENMETRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Who answers.
pub(crate) struct Desk {
    pub(crate) readiness: Readiness,
    pub(crate) gauges: Gauges,
}

/// Answers until the task is dropped.
pub(crate) async fn serve(listener: Listener, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = listener.accept().await;
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            let _place = place;
            if timeout(LONGEST, connection(stream, desk)).await.is_err() {
                tracing::debug!("a health connection was closed for its age");
            }
        });
    }
}

async fn connection(stream: Stream, desk: Arc<Desk>) {
    let service = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(&request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEAD);
    let served = match stream {
        Stream::Tcp(stream) => http.serve_connection(TokioIo::new(stream), service).await,
        Stream::Unix(stream) => http.serve_connection(TokioIo::new(stream), service).await,
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a health connection broke off");
    }
}

impl Desk {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = told(StatusCode::METHOD_NOT_ALLOWED, JSON, "{}".to_owned());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/healthz" => told(StatusCode::OK, JSON, "{\"alive\":true}".to_owned()),
            "/readyz" => {
                let report = self.readiness.report().await;
                let status = if report.ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                told(status, JSON, report.json().to_string())
            }
            "/metrics" => match self.gauges.page(&self.readiness).await {
                Ok(page) => told(StatusCode::OK, OPENMETRICS, page),
                Err(std::fmt::Error) => told(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}".to_owned()),
            },
            _ => told(StatusCode::NOT_FOUND, JSON, "{}".to_owned()),
        }
    }
}

fn told(status: StatusCode, kind: HeaderValue, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
