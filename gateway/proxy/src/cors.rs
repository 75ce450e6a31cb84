//! Pages of other origins that ask an app things (Fetch standard, CORS protocol).
//!
//! The gateway alone says who may: the app's `cors`. Preflights carry no cookie, so nobody could be decided
//! on: they are answered here and never forwarded. What an upstream says of other origins is left out, or a
//! script in one app would read another that isn't careful, with the person's own session (A46).

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use model::Refusal;

use crate::body::Outgoing;
use crate::plane::App;

/// How long browsers may go by a preflight's answer, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const TRUE: HeaderValue = HeaderValue::from_static("true");
/// A list of header names that nobody needs to be longer.
const NAMES: usize = 4_096;

/// Does a browser ask whether it may ask?
pub(crate) fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a preflight: whatever method and headers a listed origin asks for, because the request itself is
/// decided on when it comes.
///
/// # Errors
/// The refusal of an origin that isn't listed, or of a question that is none.
pub(crate) fn preflight(app: &App, headers: &HeaderMap) -> Result<Response<Outgoing>, Refusal> {
    let refused = || Refusal::Denied { app: app.name.to_string(), action: None, reason: "cors", missing: Vec::new() };
    let origin = listed(app, headers).ok_or_else(refused)?;
    let method = only(headers, &ACCESS_CONTROL_REQUEST_METHOD)
        .filter(|method| Method::from_bytes(method.as_bytes()).is_ok())
        .ok_or(Refusal::Malformed("cors-method"))?;
    let mut response = Response::new(Outgoing::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    if headers.contains_key(ACCESS_CONTROL_REQUEST_HEADERS) {
        let names = only(headers, &ACCESS_CONTROL_REQUEST_HEADERS).filter(|names| are_names(names.as_bytes()));
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.ok_or(Refusal::Malformed("cors-headers"))?.clone());
    }
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
    answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    answer.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    allow(answer, origin.clone());
    Ok(response)
}

/// From whose page a request to an app comes, kept for its answer.
pub(crate) struct Crossing {
    app: Arc<App>,
    /// The origin, if the app lists it.
    from: Option<HeaderValue>,
}

impl Crossing {
    pub(crate) fn of(app: &Arc<App>, headers: &HeaderMap) -> Self {
        Self { app: Arc::clone(app), from: listed(app, headers).cloned() }
    }

    /// Says in an answer, or in a refusal, who may read it.
    pub(crate) fn finish(self, answer: &mut HeaderMap) {
        match self.from {
            Some(origin) => allow(answer, origin),
            None if names_another(answer, &self.app.origin) => forbid(answer),
            None => {}
        }
    }
}

fn allow(answer: &mut HeaderMap, origin: HeaderValue) {
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    answer.append(VARY, HeaderValue::from_static("Origin"));
}

fn forbid(answer: &mut HeaderMap) {
    const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
    for name in [
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE,
        ALLOW_PRIVATE_NETWORK,
    ] {
        answer.remove(name);
    }
}

fn names_another(answer: &HeaderMap, own: &str) -> bool {
    answer.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().any(|origin| origin.as_bytes() != own.as_bytes())
}

/// The one `Origin`, if the app lists it.
fn listed<'h>(app: &App, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
    if app.cors.is_empty() {
        return None;
    }
    only(headers, &ORIGIN).filter(|origin| app.cors.iter().any(|listed| listed.as_bytes() == origin.as_bytes()))
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Header names between commas.
fn are_names(list: &[u8]) -> bool {
    list.len() <= NAMES && list.split(|&b| b == b',').all(|name| HeaderName::from_bytes(name.trim_ascii()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn req_h38_only_lists_of_names_are_repeated() {
        for names in ["content-type", "Content-Type, X-App", "x-a,x-b"] {
            assert!(are_names(names.as_bytes()), "{names}");
        }
        for other in ["", "x-a,,x-b", "x a", "x-a: 1", "x-a\u{e9}", "*/*"] {
            assert!(!are_names(other.as_bytes()), "{other}");
        }
        assert!(!are_names(&[b'a'; NAMES + 1]));
    }

    #[test]
    fn atk_a46_what_an_upstream_says_of_other_origins_is_left_out() {
        let own = "https://chart.example";
        let says = |origin: &'static str| {
            HeaderMap::from_iter([(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(origin))])
        };
        assert!(!names_another(&HeaderMap::new(), own) && !names_another(&says("https://chart.example"), own));
        for other in ["*", "null", "https://board.example", "https://chart.example.evil", "HTTPS://chart.example"] {
            let mut answer = says(other);
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            assert!(names_another(&answer, own), "{other}");
            forbid(&mut answer);
            assert!(answer.is_empty());
        }
    }
}
