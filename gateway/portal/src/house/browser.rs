//! A browser in a test: cookies by host, fetch metadata, and a look at every answer for what all of
//! ours must have.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use http::header::{CONTENT_TYPE, COOKIE, HeaderName, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use identity::Live;
use model::{FetchMetadata, Refusal, Wants};

use super::{AUTH, House};
use crate::Asked;

/// What a real navigation within one host says about itself.
pub(crate) const NAVIGATION: FetchMetadata = FetchMetadata {
    navigate: true,
    document: true,
    framed: false,
    user: true,
    saves: false,
    same_origin: true,
    direct: false,
    present: true,
};

pub(crate) struct Browser<'h> {
    house: &'h House,
    cookies: BTreeMap<(String, String), String>,
    pub(crate) language: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) address: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn place(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `n`th form token of the page, as its hidden field has it.
    pub(crate) fn form(&self, action: &str) -> String {
        let form = self.body.split("<form").find(|form| form.contains(&format!("action=\"{action}")));
        let form = form.unwrap_or_else(|| panic!("no form for {action}: {}", self.body));
        form.split("name=\"t\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

impl<'h> Browser<'h> {
    pub(crate) fn new(house: &'h House) -> Self {
        Self { house, cookies: BTreeMap::new(), language: "ja", zone: "ward", address: "10.1.0.7".to_owned() }
    }

    pub(crate) fn keep(&mut self, host: &str, name: &str, value: &str) {
        self.cookies.insert((host.to_owned(), name.to_owned()), value.to_owned());
    }

    pub(crate) fn cookie(&self, host: &str, name: &str) -> Option<&str> {
        self.cookies.get(&(host.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// Opens a page.
    pub(crate) async fn get(&mut self, host: &str, path: &str) -> Got {
        self.send(host, Method::GET, path, NAVIGATION, &[], "").await
    }

    /// Opens a page and follows redirects within the portal.
    pub(crate) async fn open(&mut self, path: &str) -> Got {
        let mut got = self.get(AUTH, path).await;
        for _ in 0..5 {
            if got.status != StatusCode::SEE_OTHER || !got.place().starts_with('/') {
                break;
            }
            let place = got.place().to_owned();
            got = self.get(AUTH, &place).await;
        }
        got
    }

    /// Sends a form of our own page.
    pub(crate) async fn post(&mut self, host: &str, path: &str, fields: &[(&str, &str)]) -> Got {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(host, Method::POST, path, NAVIGATION, &[(CONTENT_TYPE, FORM)], &body).await
    }

    /// Sends anything.
    pub(crate) async fn send(
        &mut self,
        host: &str,
        method: Method,
        path: &str,
        fetch: FetchMetadata,
        headers: &[(HeaderName, &str)],
        body: &str,
    ) -> Got {
        self.send_bytes(host, method, path, fetch, headers, body.as_bytes().to_vec()).await
    }

    pub(crate) async fn send_bytes(
        &mut self,
        host: &str,
        method: Method,
        path: &str,
        fetch: FetchMetadata,
        headers: &[(HeaderName, &str)],
        body: Vec<u8>,
    ) -> Got {
        let mut request = Request::builder().method(method).uri(path);
        let cookies: Vec<_> =
            self.cookies.iter().filter(|((h, _), _)| h == host).map(|((_, n), v)| format!("{n}={v}")).collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        request = request.header("accept-language", self.language).header("user-agent", "Chrome/142 Windows");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let mut edge = self.house.edge(host, fetch);
        edge.zone = model::Zone::named(self.zone);
        edge.address = self.address.parse().unwrap();
        let answer = self.house.portal.serve(request, edge, self.house.snapshot()).await;
        let got = got(answer).await;
        self.take_cookies(host, &got.headers);
        got
    }

    /// What a refusal of the data plane looks like in this browser.
    pub(crate) async fn refused(
        &mut self,
        house: &House,
        host: &str,
        refusal: Refusal,
        wants: Wants,
        method: &Method,
        session: Option<&Arc<Live>>,
    ) -> Got {
        let mut headers = HeaderMap::new();
        let cookies: Vec<_> =
            self.cookies.iter().filter(|((h, _), _)| h == host).map(|((_, n), v)| format!("{n}={v}")).collect();
        if !cookies.is_empty() {
            headers.insert(COOKIE, cookies.join("; ").parse().unwrap());
        }
        headers.insert("accept-language", self.language.parse().unwrap());
        let mut edge = house.edge(host, NAVIGATION);
        edge.address = self.address.parse().unwrap();
        let snapshot = house.snapshot();
        let asked = Asked { edge: &edge, snapshot: &snapshot, method, headers: &headers, session };
        let got = got(house.portal.refusal(refusal, wants, asked).await).await;
        self.take_cookies(host, &got.headers);
        got
    }

    pub(crate) fn take_cookies(&mut self, host: &str, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            for attribute in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite=Lax"] {
                assert!(line.contains(attribute), "C-43: {line}");
            }
            assert!(line.starts_with("__Host-sk") && !line.contains("Domain"), "C-43: {line}");
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(&(host.to_owned(), name.to_owned()));
            } else {
                self.keep(host, name, value);
            }
        }
    }
}

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Reads an answer and looks for what every answer of ours has.
pub(crate) async fn got(answer: axum::response::Response) -> Got {
    let (parts, body) = answer.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let got = Got { status: parts.status, headers: parts.headers, body };
    for name in ["content-security-policy", "strict-transport-security"] {
        assert!(!got.header(name).is_empty(), "{name} is missing: {got:?}");
    }
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    assert_eq!(got.header("referrer-policy"), "no-referrer");
    // One page may be framed, by the site's own hosts, and it says so; it carries no code.
    let policy = got.header("content-security-policy");
    let alone = policy.contains("frame-ancestors 'none'");
    assert!(alone || policy.contains("frame-ancestors 'self' https://*.sekimori.localhost:8443"), "{policy}");
    assert_eq!(got.header("x-frame-options"), if alone { "DENY" } else { "" });
    assert!(alone || !got.body.contains("code="), "{}", got.body);
    let cached = got.header("cache-control");
    assert!(cached == "no-store" || cached.starts_with("public"), "{cached}");
    assert!(!got.body.contains('⟨'), "a message is missing: {}", got.body);
    got
}

/// A navigation that another host of the site has redirected here.
pub(crate) fn navigation_from_elsewhere() -> FetchMetadata {
    FetchMetadata { same_origin: false, ..NAVIGATION }
}
