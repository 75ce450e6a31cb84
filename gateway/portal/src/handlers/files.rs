//! What anybody may have: style, scripts, the assertion key.

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::{Answer, Guest};
use crate::headers;
use crate::refused::Refused;

/// `GET /.sekimori/assets/{part}`.
pub(crate) async fn asset(visit: Guest) -> Answer {
    visit.desk.assets().serve(&visit.part).ok_or(Refused::not_found())
}

/// `GET /.sekimori/jwks.json`: public keys, for upstreams.
pub(crate) async fn jwks(visit: Guest) -> Answer {
    let keys = visit.parts().assertions.jwks().to_owned();
    let mut answer = Response::new(Body::from(keys));
    let headers = answer.headers_mut();
    headers::guard_data(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(answer)
}
