//! What stands before every handler: the route's bounds, origin rule, authority and form token.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, RawPathParams, Request};
use axum::response::Response;
use bytes::Bytes;
use config::Snapshot;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use identity::Live;
use model::{Aal, Edge, Refusal, SessionState, Timestamp, Token, TokenKind};

use crate::cookies::{SESSION, Set};
use crate::form::{self, Bound, Form};
use crate::messages::Language;
use crate::portal::Desk;
use crate::refused::Refused;
use crate::routes::{Origin, Route, Surface, Verb, Who};
use crate::visit::{Held, Visit};
use crate::{api, cookies, refusal};

/// How old a proof may be for acts that want a fresh one (C-35).
pub(crate) const FRESH: Duration = Duration::from_secs(5 * 60);

/// How long a whole body may take; the largest is an HR file.
const BODY_WAIT: Duration = Duration::from_secs(60);

/// What `Portal::serve` was told about a request.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) edge: Edge,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// Runs a route: checks, handler, and a refusal in the route's own form.
pub(crate) async fn run(desk: Desk, route: &'static Route, request: Request) -> Response {
    let (mut visit, body) = match begin(&desk, request).await {
        Ok(begun) => begun,
        Err(answer) => return answer,
    };
    let checked = check(&mut visit, route, body).await;
    let visit = Arc::new(visit);
    let outcome = match checked {
        Ok(()) => (route.run)(Arc::clone(&visit)).await,
        Err(refused) => Err(refused),
    };
    let mut answer = match outcome {
        Ok(answer) => answer,
        Err(refused) => refusal::answer(&visit, route.surface, refused).await,
    };
    if route.surface == Surface::Page {
        keep(&visit, route.verb, &mut answer);
    }
    answer
}

/// Answers what has no route.
pub(crate) async fn refuse(desk: &Desk, request: Request, refusal: Refusal) -> Response {
    let (mut visit, _body) = match begin(desk, request).await {
        Ok(begun) => begun,
        Err(answer) => return answer,
    };
    let wanted = if visit.edge.fetch.navigate { Surface::Page } else { Surface::Problem };
    // Whoever is logged in stays so on the page; if that can't be found out, the page does without.
    visit.held = session(&visit).await.unwrap_or_default();
    refusal::answer(&visit, wanted, Refused::Refusal(refusal)).await
}

async fn begin(desk: &Desk, request: Request) -> Result<(Visit, Body), Response> {
    let (mut parts, body) = request.into_parts();
    // Only `Portal::serve` calls the router, and it says where a request came from.
    let Some(arrived) = parts.extensions.remove::<Arrived>() else {
        return Err(refusal::bare(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let part = RawPathParams::from_request_parts(&mut parts, &()).await.ok();
    let part = part.and_then(|params| params.iter().next().map(|(_, value)| value.to_owned()));
    let mut visit = Visit::arrived(desk, arrived, parts.method, &parts.uri, parts.headers)
        .map_err(|_| refusal::bare(StatusCode::SERVICE_UNAVAILABLE))?;
    visit.part = part.unwrap_or_default();
    Ok((visit, body))
}

/// The binder and a language that the address names stay with the browser.
fn keep(visit: &Visit, verb: Verb, answer: &mut Response) {
    if visit.unbound() {
        Set::Binder(&visit.binder).on(answer.headers_mut());
    }
    if let Some(language) = Language::from_tag(visit.query.field("lang")).filter(|_| verb == Verb::Get) {
        Set::Language(language).on(answer.headers_mut());
    }
}

async fn check(visit: &mut Visit, route: &Route, body: Body) -> Result<(), Refused> {
    meant(visit, route).await?;
    attempt(visit, route)?;
    if visit.bearer.is_none() && (route.who != Who::Anyone || route.surface == Surface::Page) {
        visit.held = session(visit).await?;
        touch(visit, route);
    }
    authority(visit, route).await?;
    if route.verb == Verb::Post {
        visit.body = read(visit, body, route.body).await?;
        form(visit, route)?;
    }
    Ok(())
}

/// Takes one of the login steps of a minute, where the route is one. What a foreign page or an app's script sends is
/// refused before: it would use up the steps of everybody at the address, or of the person whose session it is (A47).
fn attempt(visit: &Visit, route: &Route) -> Result<(), Refused> {
    if !route.throttled {
        return Ok(());
    }
    let session = recalled(visit).map(|live| live.id());
    visit.desk.attempt(session, visit.edge.address, &visit.snapshot).map_err(Refused::too_many)?;
    // A right secret is spent by its use, and opens something: not while neither can be recorded.
    if !visit.parts().journal.is_writable() {
        return Err(Refused::Unavailable("the journal takes no records".to_owned()));
    }
    Ok(())
}

/// The origin rule. A bearer token is sent by a program on purpose; a cookie is sent by a browser
/// whoever asks, so that the request must come from a page of ours.
async fn meant(visit: &mut Visit, route: &Route) -> Result<(), Refused> {
    match route.origin {
        Origin::Any => return Ok(()),
        Origin::Bearer => {
            if let Some(token) = bearer_token(visit)? {
                let found = visit.parts().sessions.bearer(&token).await?;
                visit.bearer = Some(found.ok_or(Refused::LoginFirst)?);
                return Ok(());
            }
            // Neither token nor cookie: there is no authority that a page could misuse.
            if cookies::token(&visit.headers, SESSION).is_none() {
                return Err(Refused::LoginFirst);
            }
        }
        Origin::Same | Origin::SessionForm | Origin::InteractionForm => {}
    }
    let own = visit.snapshot.settings.origin_of(&visit.edge.host);
    if form::same_origin(visit.edge.fetch, &visit.headers, &own) { Ok(()) } else { Err(Refused::Origin) }
}

/// The token of an `Authorization: Bearer` header; any other scheme, or two headers, is nobody's.
fn bearer_token(visit: &Visit) -> Result<Option<Token>, Refused> {
    let mut values = visit.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = token.and_then(|(_, token)| Token::parse(token.trim()).ok()).filter(|_| values.next().is_none());
    token.map(Some).ok_or(Refused::LoginFirst)
}

/// The session of the portal's cookie, if it is known without asking the store.
fn recalled(visit: &Visit) -> Option<Arc<Live>> {
    let token = cookies::token(&visit.headers, SESSION)?;
    visit.parts().sessions.recall(&token, TokenKind::PortalSession, &visit.edge.host)
}

/// The session of this host's cookie, unless it has ended.
async fn session(visit: &Visit) -> Result<Option<Held>, Refused> {
    let Some(token) = cookies::token(&visit.headers, SESSION) else { return Ok(None) };
    let kind = if visit.on_portal() { TokenKind::PortalSession } else { TokenKind::AppSession };
    let live = visit.parts().sessions.find(&token, kind, &visit.edge.host).await?;
    Ok(live.and_then(|live| {
        let state = live.state(visit.now);
        (state != SessionState::Ended).then_some(Held { live, token: Some(token), state })
    }))
}

/// A page that a person opened or sent is a human act (H-28).
fn touch(visit: &Visit, route: &Route) {
    if let Some(held) = visit.active().filter(|_| route.surface == Surface::Page && visit.edge.fetch.user) {
        held.live.touch(visit.now);
    }
}

async fn authority(visit: &Visit, route: &Route) -> Result<(), Refused> {
    match route.who {
        Who::Anyone => Ok(()),
        Who::Holder => visit.holder().map(drop),
        Who::Active => active(visit),
        Who::Fresh => active(visit).and_then(|()| fresh(visit)),
        Who::Program => program(visit),
        Who::Role(action) => {
            program(visit)?;
            api::authorise(visit, action, Ok(())).await
        }
        Who::FreshRole(action) => {
            program(visit)?;
            api::authorise(visit, action, fresh(visit)).await
        }
    }
}

/// Sessions begin at AAL2 only; it is asked again all the same (A28).
fn active(visit: &Visit) -> Result<(), Refused> {
    let held = visit.holder()?;
    match held.state {
        SessionState::Active if held.live.aal() >= Aal::Aal2 => Ok(()),
        SessionState::Active => Err(Refused::ConfirmFirst),
        _ => Err(Refused::UnlockFirst),
    }
}

fn program(visit: &Visit) -> Result<(), Refused> {
    match &visit.bearer {
        Some(bearer) if bearer.expires_at <= visit.now => Err(Refused::LoginFirst),
        Some(bearer) if bearer.live.state(visit.now) == SessionState::Ended => Err(Refused::LoginFirst),
        Some(bearer) if bearer.live.aal() < Aal::Aal2 => Err(Refused::ConfirmFirst),
        Some(_) => Ok(()),
        None => active(visit),
    }
}

fn fresh(visit: &Visit) -> Result<(), Refused> {
    let proved: Option<Timestamp> = match (&visit.bearer, &visit.held) {
        (Some(bearer), _) => Some(bearer.authenticated_at),
        (None, Some(held)) => Some(held.live.authenticated_at()),
        (None, None) => None,
    };
    let proved = proved.ok_or(Refused::LoginFirst)?;
    if visit.now.since(proved) <= FRESH { Ok(()) } else { Err(Refused::ConfirmFirst) }
}

async fn read(visit: &Visit, body: Body, limit: usize) -> Result<Bytes, Refused> {
    let announced = visit.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Refused::Refusal(Refusal::TooLarge));
    }
    match tokio::time::timeout(BODY_WAIT, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refused::Refusal(Refusal::TooLarge)),
        Ok(Err(_)) => Err(Refused::malformed("body")),
        Err(_) => Err(Refused::malformed("slow-body")),
    }
}

/// Reads the form and asks for its token, where the route wants one (C-45).
fn form(visit: &mut Visit, route: &Route) -> Result<(), Refused> {
    let wants_form = matches!(route.origin, Origin::SessionForm | Origin::InteractionForm);
    if !wants_form {
        return Ok(());
    }
    if !form::announced(&visit.headers) {
        return Err(Refused::malformed("form"));
    }
    visit.form = Form::parse(&visit.body).ok_or(Refused::malformed("form"))?;
    visit.body = Bytes::new();
    let fits = match (route.origin, visit.held.as_ref().and_then(|held| held.token.as_ref())) {
        (Origin::SessionForm, Some(token)) => form::matches(Bound::Session(token), &visit.form),
        (Origin::SessionForm, None) => false,
        _ => {
            !visit.unbound() && form::matches(Bound::Interaction(&visit.binder, visit.interaction_text()), &visit.form)
        }
    };
    if fits { Ok(()) } else { Err(Refused::Origin) }
}
