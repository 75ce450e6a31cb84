//! One request to the portal: what guard, handlers and refusals work with.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use config::Snapshot;
use http::header::{ACCEPT_LANGUAGE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use identity::{Bearer, Entry, Live, Target};
use model::{Edge, SessionState, Timestamp, Token, TokenError};
use time::UtcOffset;

use crate::cookies::BINDER;
use crate::form::{self, Bound, Form};
use crate::guard::Arrived;
use crate::messages::{Language, Tongue};
use crate::pages::{Badge, Frame, Switch};
use crate::plain::Plain;
use crate::portal::{Asked, Desk, Parts};
use crate::refusal::zone_title;
use crate::refused::Refused;
use crate::{cookies, headers};

/// A request on its way to its handler.
pub(crate) struct Visit {
    pub(crate) desk: Desk,
    pub(crate) edge: Edge,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) now: Timestamp,
    pub(crate) t: Tongue,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Form,
    pub(crate) headers: HeaderMap,
    /// What stood in `{part}` of the route's path.
    pub(crate) part: String,
    pub(crate) form: Form,
    pub(crate) body: Bytes,
    /// The session of this host's cookie, active or locked.
    pub(crate) held: Option<Held>,
    /// Who a program's token speaks for.
    pub(crate) bearer: Option<Bearer>,
    /// What names this browser on this host; new if it had none.
    pub(crate) binder: Token,
}

/// A session in a browser's hands.
pub(crate) struct Held {
    pub(crate) live: Arc<Live>,
    /// The cookie's token; none where the data plane has looked it up.
    pub(crate) token: Option<Token>,
    pub(crate) state: SessionState,
}

impl Visit {
    /// A request as it came, with nothing looked up yet.
    pub(crate) fn arrived(
        desk: &Desk,
        arrived: Arrived,
        method: Method,
        uri: &http::Uri,
        headers: HeaderMap,
    ) -> Result<Self, TokenError> {
        let query = Form::parse(uri.query().unwrap_or_default().as_bytes()).unwrap_or_default();
        let language = language(&query, &headers);
        Ok(Self {
            edge: arrived.edge,
            snapshot: arrived.snapshot,
            now: desk.parts().clock.now(),
            t: desk.messages().tongue(language),
            method,
            path: uri.path().to_owned(),
            query,
            part: String::new(),
            form: Form::default(),
            body: Bytes::new(),
            held: None,
            bearer: None,
            binder: cookies::token(&headers, BINDER).map_or_else(Token::generate, Ok)?,
            headers,
            desk: desk.clone(),
        })
    }

    /// A request that the data plane has refused.
    pub(crate) fn of_data_plane(desk: &Desk, asked: Asked<'_>) -> Result<Self, TokenError> {
        let arrived = Arrived { edge: asked.edge.clone(), snapshot: Arc::clone(asked.snapshot) };
        let headers = asked.headers.clone();
        let mut visit = Self::arrived(desk, arrived, asked.method.clone(), &http::Uri::default(), headers)?;
        visit.held =
            asked.session.map(|live| Held { live: Arc::clone(live), token: None, state: live.state(visit.now) });
        Ok(visit)
    }

    pub(crate) fn parts(&self) -> &Parts {
        self.desk.parts()
    }

    pub(crate) fn on_portal(&self) -> bool {
        self.snapshot.is_portal(&self.edge.host)
    }

    /// A path of the portal as an address that works from this host.
    pub(crate) fn on_portal_host(&self, path: &str) -> String {
        if self.on_portal() { path.to_owned() } else { format!("{}{path}", self.snapshot.settings.portal_origin()) }
    }

    /// The session, if it is active.
    pub(crate) fn active(&self) -> Option<&Held> {
        self.held.as_ref().filter(|held| held.state == SessionState::Active)
    }

    /// The session that the route's authority has made sure of.
    pub(crate) fn holder(&self) -> Result<&Held, Refused> {
        self.held.as_ref().ok_or(Refused::LoginFirst)
    }

    /// Did the browser come without a binder?
    pub(crate) fn unbound(&self) -> bool {
        cookies::token(&self.headers, BINDER).is_none()
    }

    /// The interaction's token in the address, as text; empty if there is none.
    pub(crate) fn interaction_text(&self) -> &str {
        self.query.field("i")
    }

    /// The interaction's token in the address.
    pub(crate) fn interaction(&self) -> Result<Token, Refused> {
        Token::parse(self.interaction_text()).map_err(|_| Refused::Expired)
    }

    /// A step's circumstances.
    pub(crate) fn entry<'a>(&'a self, interaction: &'a Token) -> Entry<'a> {
        Entry {
            interaction,
            binder: &self.binder,
            edge: &self.edge,
            user_agent: self.user_agent(),
            current: self.held.as_ref().map(|held| &held.live),
        }
    }

    fn user_agent(&self) -> &str {
        self.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The token of a form that belongs to an interaction; `text` is empty before there is one.
    pub(crate) fn form_of(&self, interaction: &str) -> String {
        form::token(Bound::Interaction(&self.binder, interaction))
    }

    /// The token of a form of a logged-in page.
    pub(crate) fn form_of_session(&self) -> String {
        let token = self.held.as_ref().and_then(|held| held.token.as_ref());
        token.map(|token| form::token(Bound::Session(token))).unwrap_or_default()
    }

    /// The site's distance from UTC.
    pub(crate) fn zone(&self) -> UtcOffset {
        let seconds = self.snapshot.settings.site.time_zone.offset_seconds();
        UtcOffset::from_whole_seconds(seconds).unwrap_or(UtcOffset::UTC)
    }

    /// The frame of a page; `here` is where its other languages are, as path and query.
    pub(crate) fn frame(&self, here: Option<(&str, &[(&str, &str)])>) -> Frame {
        let site = &self.snapshot.settings.site;
        let name = self.t.language().of(&site.name.ja, &site.name.en);
        let active = self.active().is_some();
        Frame {
            t: self.t.clone(),
            links: self.desk.assets().links().clone(),
            site: Plain::new(name),
            home: active.then(|| self.on_portal_host("/")),
            badge: self.held.as_ref().map(|held| self.badge(held)),
            help: site.help_extension.as_deref().map(Plain::new),
            switches: here.map(|(path, query)| Switch::of(path, query, self.t.language())).unwrap_or_default(),
            request: self.edge.request.to_string(),
        }
    }

    fn badge(&self, held: &Held) -> Badge {
        let person = held.live.person();
        let active = held.state == SessionState::Active;
        let (minutes, remaining, words) = Badge::remaining(&self.t, held.live.absolute_until().since(self.now));
        Badge {
            name: Plain::new(&person.name),
            kana: person.kana.as_deref().map(Plain::new),
            department: Plain::new(&person.department),
            zone: zone_title(self, self.edge.zone.name()),
            remaining,
            minutes,
            words,
            lock: active.then_some(if self.on_portal() { "/lock" } else { "/.sekimori/lock" }),
            logout: active && self.on_portal(),
            form: self.form_of_session(),
        }
    }
}

/// A path of ours as a return target.
pub(crate) fn target(path: &str) -> Target {
    Target::parse(path).unwrap_or_else(|_| Target::root())
}

/// The reader's language: this address, then the cookie, then the browser's wish.
fn language(query: &Form, headers: &HeaderMap) -> Language {
    let wish = || headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Language::from_tag(query.field("lang"))
        .or_else(|| cookies::language(headers))
        .unwrap_or_else(|| Language::accepted(wish()))
}

/// 303 See Other; `place` is a path of ours, or a configured origin with one.
pub(crate) fn see_other(place: &str) -> Response {
    let mut answer = Response::new(Body::empty());
    headers::guard_data(answer.headers_mut());
    match HeaderValue::from_str(place) {
        Ok(place) => {
            *answer.status_mut() = StatusCode::SEE_OTHER;
            answer.headers_mut().insert(LOCATION, place);
        }
        Err(_) => *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    answer
}
