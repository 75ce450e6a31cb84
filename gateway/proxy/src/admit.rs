//! Stage 4: one host, no ambiguity, no forged header; from here on there is exactly one reading of a request.

#[cfg(test)]
mod fuzz;
mod host;
mod http2;

use std::sync::Arc;

use config::Snapshot;
use http::header::{EXPECT, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Uri, Version, uri};
use hyper::body::{Body, Incoming};
use model::{Edge, FetchMetadata, Refusal, RequestId};

use crate::listen::Connection;
use crate::plane::{Plane, Site};
use crate::refuse::{About, Refused};
use crate::websocket::{Offer, offered};
use crate::{headers, request_id};

pub(crate) use host::{Named, parse as parse_host};

/// A request from our socket that means one thing only. Only [`admit`] makes it.
pub(crate) struct Admitted {
    plane: Arc<Plane>,
    site: Site,
    edge: Edge,
    /// The request's id, as upstream and client see it.
    id: HeaderValue,
    head: Parts,
    /// Until it is held or forwarded.
    body: Option<Incoming>,
    offer: Offer,
    connection: Arc<Connection>,
}

impl Admitted {
    pub(crate) fn plane(&self) -> &Arc<Plane> {
        &self.plane
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn edge(&self) -> &Edge {
        &self.edge
    }

    pub(crate) const fn id(&self) -> &HeaderValue {
        &self.id
    }

    pub(crate) fn head(&self) -> &Parts {
        &self.head
    }

    /// No body at all, or an empty one.
    pub(crate) fn is_bodyless(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    /// Takes the body, to be held; it is not there a second time.
    pub(crate) fn take_body(&mut self) -> Option<Incoming> {
        self.body.take()
    }

    pub(crate) fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Path and query, to come back to.
    pub(crate) fn target(&self) -> String {
        self.head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned()
    }

    /// The parts, for forwarding.
    pub(crate) fn into_parts(self) -> (Parts, Option<Incoming>, Offer, Edge, Arc<Connection>) {
        (self.head, self.body, self.offer, self.edge, self.connection)
    }

    /// The request as it is, for the portal. `None` if somebody took its body.
    pub(crate) fn into_request(self) -> Option<(Request<Incoming>, Edge)> {
        Some((Request::from_parts(self.head, self.body?), self.edge))
    }

    /// Gives the request up.
    pub(crate) fn refused(self, refusal: Refusal) -> Refused {
        Refused::decided(refusal, About::new(self.plane, Some(self.site), self.edge, self.head))
    }
}

/// Admits a request or says what is wrong with it.
pub(crate) fn admit(
    request: Request<Incoming>,
    plane: &Arc<Plane>,
    connection: &Arc<Connection>,
) -> Result<Admitted, Box<Refused>> {
    let (mut head, body) = request.into_parts();
    let mut edge = Edge {
        request: RequestId::generate(),
        address: connection.peer.address,
        zone: connection.peer.zone(&plane.snapshot),
        host: Arc::clone(&connection.nowhere),
        fetch: fetch_metadata(&head.headers),
    };
    let site = match site(&head, plane, connection) {
        Ok(site) => site.clone(),
        Err(refusal) => {
            // Whoever asks for what isn't here takes of the address's budget all the same (H-23).
            let refusal = within_budget(connection).err().unwrap_or(refusal);
            return Err(refused(refusal, plane, None, edge, head));
        }
    };
    edge.host = Arc::clone(site.host());
    let offer = match admissible(&mut head, plane, connection) {
        Ok(offer) => offer,
        Err(refusal) => return Err(refused(refusal, plane, Some(site), edge, head)),
    };
    let allow_authorization = match &site {
        Site::App(app) => app.allowed.authorization,
        Site::Portal(_) => true,
    };
    let odd = headers::strip_request(&mut head.headers, allow_authorization);
    if odd > 0 {
        tracing::debug!(request = %edge.request, odd, "fields dropped for their names");
    }
    let (plane, connection, id) = (Arc::clone(plane), Arc::clone(connection), request_id(&edge));
    Ok(Admitted { plane, site, edge, id, head, body: Some(body), offer, connection })
}

fn refused(refusal: Refusal, plane: &Arc<Plane>, site: Option<Site>, edge: Edge, head: Parts) -> Box<Refused> {
    let about = About::new(Arc::clone(plane), site, edge, head);
    Box::new(Refused::at_the_edge(refusal, about))
}

/// Brings the head into its one form and looks at all of it.
fn admissible(head: &mut Parts, plane: &Plane, connection: &Connection) -> Result<Offer, Refusal> {
    one_form(head, plane)?;
    within_budget(connection)?;
    check(head, plane)?;
    match offered(&head.method, head.version, &head.headers) {
        Offer::Malformed(rule) => Err(Refusal::Malformed(rule)),
        offer => Ok(offer),
    }
}

/// Takes one request of the address's budget.
fn within_budget(connection: &Connection) -> Result<(), Refusal> {
    connection.seat.request().map_err(|retry_after| Refusal::TooMany { retry_after })
}

/// Whatever the version and the form of the target: a path, one `Host`, one `Cookie` of HTTP/2's crumbs.
fn one_form(head: &mut Parts, plane: &Plane) -> Result<(), Refusal> {
    if head.version == Version::HTTP_2 {
        http2::check(&head.headers, plane.snapshot.settings.limits.headers).map_err(Refusal::Malformed)?;
        http2::plain(&mut head.headers, &head.uri).ok_or(Refusal::Malformed("host-form"))?;
    }
    if head.uri.authority().is_some() {
        let mut target = uri::Parts::default();
        target.path_and_query = head.uri.path_and_query().cloned();
        head.uri = Uri::from_parts(target).map_err(|_| Refusal::Malformed("target-form"))?;
    }
    Ok(())
}

/// The configured host that the request names, if this connection may lead there (H-37).
fn site<'p>(head: &Parts, plane: &'p Plane, connection: &Connection) -> Result<&'p Site, Refusal> {
    let named = host::named(head.version, &head.uri, &head.headers).map_err(Refusal::Malformed)?;
    let site = find_site(plane, named)?;
    if plane.doors.admits(&connection.demands, site.host()) { Ok(site) } else { Err(Refusal::Misdirected) }
}

fn find_site<'p>(plane: &'p Plane, named: Named<'_>) -> Result<&'p Site, Refusal> {
    let site = plane.site(named.name).filter(|_| port_is_ours(&plane.snapshot, named));
    site.ok_or(Refusal::Misdirected)
}

/// A port that a client names is the one that browsers see.
pub(crate) fn port_is_ours(snapshot: &Snapshot, named: Named<'_>) -> bool {
    named.port.is_none_or(|port| port == snapshot.settings.public_port())
}

/// What can be said of a method and a target without their headers.
pub(crate) fn check_target(method: &Method, uri: &Uri, snapshot: &Snapshot) -> Result<(), Refusal> {
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > snapshot.settings.limits.uri_bytes {
        return Err(Refusal::UriTooLong);
    }
    if !target.starts_with('/') {
        return Err(Refusal::Malformed("target-form"));
    }
    if matches!(*method, Method::TRACE | Method::CONNECT) {
        return Err(Refusal::MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned()));
    }
    Ok(())
}

fn check(head: &Parts, plane: &Plane) -> Result<(), Refusal> {
    check_target(&head.method, &head.uri, &plane.snapshot)?;
    let headers = &head.headers;
    if !transfer_coding_is_plain(headers) {
        return Err(Refusal::Malformed("transfer-encoding"));
    }
    let expects = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !headers.get_all(EXPECT).iter().all(expects) {
        return Err(Refusal::Expectation);
    }
    if headers::has_passed(headers, &plane.pseudonym) {
        return Err(Refusal::Loop);
    }
    Ok(())
}

/// `chunked`, once, or nothing (H-05).
fn transfer_coding_is_plain(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

fn fetch_metadata(headers: &HeaderMap) -> FetchMetadata {
    const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
    const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
    const USER: HeaderName = HeaderName::from_static("sec-fetch-user");
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let [mode, dest, user, site] = [MODE, DEST, USER, SITE].map(|name| headers.get(name));
    let is = |value: Option<&http::HeaderValue>, text: &str| value.is_some_and(|value| value == text);
    FetchMetadata {
        navigate: is(mode, "navigate"),
        document: is(dest, "document"),
        framed: is(dest, "iframe") || is(dest, "frame"),
        user: is(user, "?1"),
        saves: is(mode, "navigate") && is(dest, "empty"),
        same_origin: is(site, "same-origin"),
        direct: is(site, "none"),
        present: mode.or(dest).or(user).or(site).is_some(),
    }
}
