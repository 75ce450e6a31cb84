//! Program logins, who is logged in where, and the end of other people's sessions.

use std::sync::Arc;

use http::StatusCode;
use identity::{Attended, By, SessionError};
use model::{EndReason, SessionId, Token};
use serde::{Deserialize, Serialize};

use super::{body, caller, unfit};
use crate::browser;
use crate::guard::FRESH;
use crate::handlers::{Answer, Guest};
use crate::problem::json;
use crate::refused::Refused;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeGiven {
    code: String,
}

#[derive(Serialize)]
struct BearerGiven {
    /// Shown once; the gateway keeps its hash.
    bearer: String,
    /// RFC 3339.
    expires: String,
    /// Until when changes are allowed with it, RFC 3339.
    fresh_until: String,
}

/// `POST session/token`: a code from the portal becomes a bearer token, once.
pub(crate) async fn token(visit: Guest) -> Answer {
    let given: CodeGiven = body(&visit)?;
    let code = Token::parse(given.code.trim()).map_err(|_| unknown_code(&visit))?;
    let (token, bearer) =
        visit.parts().sessions.cli_login(&code, &visit.edge).await?.ok_or_else(|| unknown_code(&visit))?;
    Ok(json(
        StatusCode::OK,
        &BearerGiven {
            bearer: token.text(),
            expires: bearer.expires_at.to_string(),
            fresh_until: bearer.authenticated_at.after(FRESH).to_string(),
        },
    ))
}

fn unknown_code(visit: &Guest) -> Refused {
    unfit(visit, "code", "The code is wrong, used or too old")
}

#[derive(Serialize)]
struct OwnSession {
    staff_no: String,
    name: String,
    department: String,
    station: String,
    zone: String,
    aal: &'static str,
    roles: Arc<[String]>,
    authenticated_at: String,
    until: String,
}

/// `GET session`: who the caller is here.
pub(crate) async fn own(visit: Guest) -> Answer {
    let live = caller(&visit)?;
    let roles = visit.parts().roles.of(live.account(), &visit.snapshot, visit.now).await?;
    let person = live.person();
    let (proved, until) = match &visit.bearer {
        Some(bearer) => (bearer.authenticated_at, bearer.expires_at),
        None => (live.authenticated_at(), live.absolute_until()),
    };
    Ok(json(
        StatusCode::OK,
        &OwnSession {
            staff_no: person.staff_no.to_string(),
            name: person.name.clone(),
            department: person.department.clone(),
            station: live.station().to_owned(),
            zone: visit.edge.zone.name().to_owned(),
            aal: live.aal().name(),
            roles: Arc::clone(&roles.names),
            authenticated_at: proved.to_string(),
            until: until.to_string(),
        },
    ))
}

#[derive(Serialize)]
struct Everybodys {
    sessions: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    /// For `session/{id}/end`.
    id: String,
    /// What records call it.
    session: String,
    staff_no: String,
    name: String,
    state: &'static str,
    station: String,
    zone: String,
    browser: String,
    started_at: String,
    last_act: String,
    until: String,
}

/// `GET session/all`: who is logged in where, or one `staff_no`'s.
pub(crate) async fn all(visit: Guest) -> Answer {
    let staff_no = match visit.query.field("staff_no") {
        "" => None,
        text => Some(text.parse().map_err(|_| unfit(&visit, "staff-no", "`staff_no` is no staff number"))?),
    };
    let attended = visit.parts().sessions.everybodys(staff_no.as_ref()).await?;
    let sessions = attended.into_iter().map(Line::from).collect();
    Ok(json(StatusCode::OK, &Everybodys { sessions }))
}

impl From<Attended> for Line {
    fn from(attended: Attended) -> Self {
        let session = attended.session;
        Self {
            id: session.id.to_string(),
            session: session.session_hash,
            staff_no: attended.staff_no,
            name: attended.name,
            state: session.state.name(),
            station: session.station,
            zone: session.zone,
            browser: browser::words(&session.user_agent),
            started_at: session.started_at.to_string(),
            last_act: session.last_act.to_string(),
            until: session.absolute_until.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Ended {
    /// False: it was over already.
    ended: bool,
}

/// `POST session/{id}/end`.
pub(crate) async fn end(visit: Guest) -> Answer {
    let session: SessionId = visit.part.parse().map_err(|_| Refused::not_found())?;
    let by = By::Admin(caller(&visit)?, &visit.edge);
    let ended = match visit.parts().sessions.end(session, EndReason::Killed, by).await {
        Err(SessionError::Gone) => return Err(Refused::not_found()),
        outcome => outcome?,
    };
    Ok(json(StatusCode::OK, &Ended { ended }))
}
