//! What the gateway asks an upstream by itself, in the name of a person whose session it holds: whose an id is,
//! and to end the app's own session.

use access::Effective;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body as _;
use identity::{Audience, Live};
use model::Timestamp;

use super::failure::Failure;
use crate::Services;
use crate::body::Inward;
use crate::companion::Companion;
use crate::headers::{ASSERTION, REMOTE_GROUPS, REMOTE_NAME, REMOTE_USER, REQUEST_ID, append_via};
use crate::plane::{App, Plane};

/// Who asks which app.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'e> {
    pub(crate) plane: &'e Plane,
    pub(crate) app: &'e App,
    pub(crate) live: &'e Live,
    pub(crate) roles: &'e Effective,
}

/// An answer to the gateway itself.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `None`: longer than was asked for, or broken off.
    pub(crate) body: Option<Bytes>,
}

impl Errand<'_> {
    /// Says who asks, last of all, in every head that goes upstream. `None`: it can't be said, and then
    /// nothing goes.
    pub(super) fn introduce(&self, headers: &mut HeaderMap, services: &Services, now: Timestamp) -> Option<()> {
        let Self { app, live, roles, .. } = self;
        let assertion = services
            .assertions
            .sign(live, Audience { app: &app.name, roles: &roles.names }, now)
            .inspect_err(|error| tracing::error!(%error, "no assertion"))
            .ok()?;
        headers.insert(HOST, app.host_header.clone());
        if let Some(authorization) = &app.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let said = Companion::of(live, &services.jars)?.introduction(&assertion, live, &roles.names)?;
        headers.insert(ASSERTION, said.assertion.clone());
        if app.identity_headers {
            headers.insert(REMOTE_USER, said.user.clone());
            headers.insert(REMOTE_NAME, said.name.clone());
            headers.insert(REMOTE_GROUPS, said.groups.clone());
        }
        Some(())
    }

    /// Asks for `target`; of the answer's body at most `most` bytes are read. How long that may take is for the
    /// caller to say.
    pub(crate) async fn ask(
        &self,
        (method, target): (Method, PathAndQuery),
        mut headers: HeaderMap,
        request_id: HeaderValue,
        most: usize,
        services: &Services,
    ) -> Result<Reply, Failure> {
        self.introduce(&mut headers, services, services.clock.now()).ok_or(Failure::Other)?;
        append_via(&mut headers, &self.plane.via);
        headers.insert(REQUEST_ID, request_id);
        if method == Method::POST {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut request = Request::new(Inward::Empty);
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, Uri::from(target), headers);
        let upstream = &self.app.upstream;
        let _place = match upstream.free_place() {
            Some(place) => place,
            None => upstream.place().await.ok_or(Failure::Other)?,
        };
        let (response, line) = upstream.ask(request, None).await?;
        let (head, body) = response.into_parts();
        let body = if body.is_end_stream() { Ok(Bytes::new()) } else { gathered(body, most).await };
        match &body {
            Ok(_) => line.done(),
            Err(_) => line.discard(),
        }
        Ok(Reply { status: head.status, headers: head.headers, body: body.ok() })
    }
}

async fn gathered(body: hyper::body::Incoming, most: usize) -> Result<Bytes, crate::body::BoxError> {
    Limited::new(body, most).collect().await.map(http_body_util::Collected::to_bytes)
}
