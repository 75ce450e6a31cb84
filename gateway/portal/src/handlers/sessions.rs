//! The person's own sessions: where, since when, and an end to each (D-7.5.2).

use http::StatusCode;
use identity::{By, Listed};
use model::{EndReason, SessionId, SessionState};

use super::{Answer, Guest, logout};
use crate::browser;
use crate::pages::{self, MySessions, SessionRow, when};
use crate::plain::Plain;
use crate::refusal::zone_title;
use crate::refused::Refused;
use crate::visit::{Visit, see_other};

/// `GET /sessions`.
pub(crate) async fn show(visit: Guest) -> Answer {
    let here = visit.holder()?.live.id();
    let account = visit.holder()?.live.account();
    let listed = visit.parts().sessions.list(account).await?;
    let done = match visit.query.field("done") {
        "ended" => Some(visit.t.say("sessions-ended")),
        "gone" => Some(visit.t.say("sessions-gone")),
        _ => None,
    };
    let page = MySessions {
        frame: visit.frame(Some(("/sessions", &[]))),
        done,
        rows: listed.iter().map(|session| row(&visit, session, here)).collect(),
        form: visit.form_of_session(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// `POST /sessions/end`: only what is on one's own list (A39).
pub(crate) async fn end(visit: Guest) -> Answer {
    let session: SessionId = visit.form.field("session").parse().map_err(|_| Refused::malformed("session"))?;
    let live = &visit.holder()?.live;
    let own = visit.parts().sessions.list(live.account()).await?;
    if !own.iter().any(|listed| listed.id == session) {
        return Ok(see_other("/sessions?done=gone"));
    }
    let here = session == live.id();
    let reason = if here { EndReason::Logout } else { EndReason::Killed };
    let ended = visit.parts().sessions.end(session, reason, By::Holder(&visit.edge)).await?;
    Ok(match (here, ended) {
        (true, _) => logout::gone(&visit),
        (false, true) => see_other("/sessions?done=ended"),
        (false, false) => see_other("/sessions?done=gone"),
    })
}

/// `POST /sessions/end-others`.
pub(crate) async fn end_others(visit: Guest) -> Answer {
    let live = &visit.holder()?.live;
    let sessions = &visit.parts().sessions;
    for listed in sessions.list(live.account()).await?.iter().filter(|listed| listed.id != live.id()) {
        sessions.end(listed.id, EndReason::Killed, By::Holder(&visit.edge)).await?;
    }
    Ok(see_other("/sessions?done=ended"))
}

fn row(visit: &Visit, session: &Listed, here: SessionId) -> SessionRow {
    let t = &visit.t;
    let moment = |at| when::moment(at, visit.zone(), t.language());
    SessionRow {
        id: session.id.to_string(),
        station: Plain::new(&session.station),
        browser: Plain::new(&browser::words(&session.user_agent)),
        zone: zone_title(visit, &session.zone),
        since: moment(session.started_at),
        act: moment(session.last_act),
        state: match session.state {
            SessionState::Active => t.say("sessions-active"),
            SessionState::Locked | SessionState::Ended => t.say("sessions-locked"),
        },
        here: session.id == here,
    }
}
