//! Stage 6: whose request it is. Known sessions are found in memory; a request that is nobody's, or
//! whose session is locked, goes no further.

use std::sync::Arc;

use hyper::body::Incoming;
use identity::Live;
use model::{Refusal, SessionState, Timestamp, TokenKind};

use crate::Services;
use crate::cookies::{self, Presented};
use crate::plane::App;
use crate::refuse::Refused;
use crate::route::Routed;

/// A request of a person in an active session. Only [`resolve`] makes it.
pub(crate) struct Resolved {
    routed: Routed,
    live: Arc<Live>,
    /// How often the session's state had changed when it was found active.
    changes: u64,
}

impl Resolved {
    pub(crate) fn routed(&self) -> &Routed {
        &self.routed
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        self.routed.app()
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Is the session active, and has been all the time since [`resolve`]? An unlock in between doesn't
    /// count: it was for requests to come.
    pub(crate) fn still(&self, now: Timestamp) -> Result<(), Refusal> {
        let target = || self.routed.admitted().target();
        match self.live.state(now) {
            SessionState::Active if self.live.changes() == self.changes => Ok(()),
            SessionState::Active | SessionState::Locked => Err(Refusal::Locked { target: target() }),
            SessionState::Ended => Err(Refusal::LoginRequired { target: target() }),
        }
    }

    pub(crate) fn take_body(&mut self) -> Option<Incoming> {
        self.routed.take_body()
    }

    pub(crate) fn into_parts(self) -> (Routed, Arc<Live>) {
        (self.routed, self.live)
    }

    pub(crate) fn refused(self, refusal: Refusal) -> Refused {
        self.routed.refused(refusal).of_session(self.live)
    }
}

/// Finds the session behind the cookie.
pub(crate) async fn resolve(routed: Routed, services: &Services) -> Result<Resolved, Box<Refused>> {
    let admitted = routed.admitted();
    let token = match cookies::presented(&admitted.head().headers) {
        Presented::Token(token) => token,
        Presented::Nothing | Presented::Malformed => return Err(login_required(routed)),
    };
    let found = services.sessions.find(&token, TokenKind::AppSession, &routed.app().host).await;
    let live = match found {
        Ok(Some(live)) => live,
        Ok(None) => return Err(login_required(routed)),
        Err(error) => {
            tracing::error!(%error, "session look-up failed");
            return Err(Box::new(routed.refused(Refusal::Unavailable)));
        }
    };
    let (changes, now) = (live.changes(), services.clock.now());
    match live.state(now) {
        SessionState::Active => {}
        SessionState::Locked => {
            let target = routed.admitted().target();
            return Err(Box::new(routed.refused(Refusal::Locked { target }).of_session(live)));
        }
        SessionState::Ended => return Err(login_required(routed)),
    }
    // Nothing else about a request is a human act (A53), but what the app lists as one.
    let fetch = routed.admitted().edge().fetch;
    if fetch.user && fetch.navigate {
        live.touch(now);
    }
    Ok(Resolved { routed, live, changes })
}

fn login_required(routed: Routed) -> Box<Refused> {
    let target = routed.admitted().target();
    Box::new(routed.refused(Refusal::LoginRequired { target }))
}
