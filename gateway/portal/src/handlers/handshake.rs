//! From the portal to an app's host and its own cookie (design.md §3).

use std::sync::Arc;

use audit::{Event, Outcome, Record, Who, Why};
use axum::response::Response;
use http::{HeaderValue, StatusCode};
use identity::{Completed, Destination, Live, SessionError};
use model::Token;

use super::{Answer, Guest};
use crate::cookies::Set;
use crate::pages::{self, Link, Notice};
use crate::refused::Refused;
use crate::visit::{Visit, see_other};

/// Where a browser with a session goes: a path of the portal, or an app's host with a fresh code. The
/// host is looked up in the configuration and the path comes from the stored interaction; nothing of
/// the request's address takes part (A15, H-34).
async fn place(visit: &Visit, live: &Live, destination: &Destination) -> Result<String, Refused> {
    let host = &destination.host;
    let binder = destination.app_binder.filter(|_| visit.snapshot.app_by_host(host).is_some());
    let Some(binder) = binder else {
        let here = visit.snapshot.is_portal(host);
        return Ok(if here { destination.target.to_string() } else { "/".to_owned() });
    };
    let address = destination.address.unwrap_or(visit.edge.address);
    let code = visit.parts().sessions.handshake_code(live, host, binder, &destination.target, address).await?;
    let origin = visit.snapshot.settings.origin_of(host);
    let language = visit.t.language().tag();
    Ok(format!("{origin}/.sekimori/enter?code={}&lang={language}", code.text()))
}

/// For a navigation that reads: a redirect.
pub(crate) async fn onward_redirect(visit: &Visit, live: &Arc<Live>, destination: &Destination) -> Answer {
    Ok(see_other(&place(visit, live, destination).await?))
}

/// For a form that asked for no more than to go on: a page that does.
pub(crate) async fn onward_button(visit: &Visit, live: &Arc<Live>, destination: &Destination) -> Answer {
    let there = place(visit, live, destination).await?;
    Ok(if there.starts_with('/') { see_other(&there) } else { moving(visit, &there, "login-done-title") })
}

/// For a form that completed a login or unlock: the new cookie, and a page that goes on by itself. A
/// redirect would be held to `form-action 'self'` all the way into the app and wherever the app sends
/// the browser from there.
pub(crate) async fn onward_page(visit: &Visit, completed: Completed, title: &str) -> Answer {
    let there = match place(visit, &completed.live, &completed.destination).await {
        Ok(there) => there,
        // Logged in all the same: the launcher is always a place to go.
        Err(Refused::LoginFirst | Refused::UnlockFirst) => "/".to_owned(),
        Err(refused) => return Err(refused),
    };
    let mut answer = if there.starts_with('/') { see_other(&there) } else { moving(visit, &there, title) };
    Set::Session(&completed.token).on(answer.headers_mut());
    Ok(answer)
}

fn moving(visit: &Visit, there: &str, title: &str) -> Response {
    let t = &visit.t;
    let page = Notice {
        frame: visit.frame(None),
        title: t.say(title),
        what: t.say("login-done-what"),
        what_now: None,
        link: Some(Link { href: there.to_owned(), words: t.say("act-continue") }),
        new_tab: false,
    };
    let mut answer = pages::answer(StatusCode::OK, &page);
    if let Ok(refresh) = HeaderValue::from_str(&format!("0;url={there}")) {
        answer.headers_mut().insert(http::header::REFRESH, refresh);
    }
    answer
}

/// `GET /.sekimori/enter?code=` on an app's host: the code becomes this host's cookie, once, in a page of
/// its own. Whatever is refused goes to the same place without the code, so that no address that a
/// script could read keeps it (D-14).
pub(crate) async fn enter(visit: Guest) -> Answer {
    let given = visit.query.field("code");
    if given.is_empty() {
        return Err(Refused::Expired);
    }
    let fetch = visit.edge.fetch;
    if fetch.present && !(fetch.navigate && fetch.document) {
        return Ok(see_other(ENTER));
    }
    let Ok(code) = Token::parse(given) else { return Ok(see_other(ENTER)) };
    match visit.parts().sessions.enter(&code, &visit.binder, &visit.edge).await {
        Ok(Some(entered)) => {
            let mut answer = see_other(entered.target.as_str());
            Set::Session(&entered.token).on(answer.headers_mut());
            Ok(answer)
        }
        Ok(None) => Ok(astray(&visit)),
        Err(SessionError::UnknownCode) => {
            unknown(&visit)?;
            Ok(astray(&visit))
        }
        Err(error) => {
            tracing::error!(request = %visit.edge.request, %error, "a handshake code could not be redeemed");
            Ok(see_other(ENTER))
        }
    }
}

const ENTER: &str = "/.sekimori/enter";

/// A code that was used before, in a browser that it worked for: the way is open.
fn astray(visit: &Visit) -> Response {
    see_other(if visit.active().is_some() { "/" } else { ENTER })
}

/// Strangers send codes that nobody was given: an address has a budget of them, and all together a few
/// records a second that say how many were left out.
fn unknown(visit: &Visit) -> Result<(), Refused> {
    if visit.active().is_none() {
        visit.desk.missed(visit.edge.address).map_err(Refused::too_many)?;
    }
    let Some(left_out) = visit.desk.may_record_miss() else { return Ok(()) };
    let who = visit.held.as_ref().map_or_else(|| Who::system("handshake"), |held| held.live.who().clone());
    let mut record = Record::new(Event::HandshakeRefuse, Outcome::Denied)
        .who(who)
        .from(&visit.edge)
        .request(visit.edge.request)
        .why(Why::reason("unknown-or-used"));
    if left_out > 0 {
        record = record.detail("left_out", left_out);
    }
    visit.parts().journal.append(&record)?;
    Ok(())
}
