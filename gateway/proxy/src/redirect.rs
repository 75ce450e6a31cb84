//! The plain port: GET is told where HTTPS is, and there is nothing else here.

use std::convert::Infallible;
use std::sync::Arc;

use crate::Services;
use crate::admit::parse_host;
use crate::listen::Seated;
use crate::plane::Plane;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

/// Answers one connection; each answer closes it.
pub(crate) async fn connection(seated: Seated, services: Arc<Services>) {
    let Seated { stream, seat, .. } = seated;
    let mut drained = services.drained();
    let service = service_fn(|request| {
        let allowed = seat.request().is_ok();
        let plane = services.planes.load();
        async move {
            Ok::<_, Infallible>(if allowed { answer(&request, &plane) } else { closed(StatusCode::TOO_MANY_REQUESTS) })
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(services.patience.head)
        .max_buf_size(16 * 1_024)
        .keep_alive(false);
    tokio::select! {
        biased;
        _ = http.serve_connection(TokioIo::new(stream), service) => {}
        _ = drained.wait_for(|drained| *drained) => {}
    }
}

fn answer(request: &Request<Incoming>, plane: &Plane) -> Response<Empty<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return closed(StatusCode::METHOD_NOT_ALLOWED);
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None, None) = (hosts.next(), hosts.next(), request.uri().authority()) else {
        return closed(StatusCode::BAD_REQUEST);
    };
    let Some(named) = host.to_str().ok().and_then(parse_host) else { return closed(StatusCode::BAD_REQUEST) };
    let Some(site) = plane.site(named.name) else { return closed(StatusCode::MISDIRECTED_REQUEST) };
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let location = format!("{}{target}", plane.snapshot.settings.origin_of(site.host()));
    match HeaderValue::from_str(&location) {
        Ok(location) if target.starts_with('/') => {
            let mut response = closed(StatusCode::PERMANENT_REDIRECT);
            response.headers_mut().insert(LOCATION, location);
            response
        }
        _ => closed(StatusCode::BAD_REQUEST),
    }
}

fn closed(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
