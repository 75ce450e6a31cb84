//! From the portal to an app's host and its own cookie (design.md §3).

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderValue, StatusCode};
use identity::{Completed, Destination, Live};
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
    let code = visit.parts().sessions.handshake_code(live, host, binder, &destination.target).await?;
    let origin = visit.snapshot.settings.origin_of(host);
    let language = visit.t.language().tag();
    Ok(format!("{origin}/.sekimori/enter?code={}&lang={language}", code.text()))
}

/// For a navigation that reads: a redirect.
pub(crate) async fn onward_redirect(visit: &Visit, live: &Arc<Live>, destination: &Destination) -> Answer {
    Ok(see_other(&place(visit, live, destination).await?))
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

/// `GET /.sekimori/enter?code=` on an app's host: the code becomes this host's cookie, once.
pub(crate) async fn enter(visit: Guest) -> Answer {
    if visit.edge.fetch.present && !visit.edge.fetch.navigate {
        return Err(Refused::Origin);
    }
    let entered = match Token::parse(visit.query.field("code")) {
        Ok(code) => visit.parts().sessions.enter(&code, &visit.binder, &visit.edge).await?,
        Err(_) => None,
    };
    match entered {
        Some(entered) => {
            let mut answer = see_other(entered.target.as_str());
            Set::Session(&entered.token).on(answer.headers_mut());
            Ok(answer)
        }
        // A code that was used before, in a browser that it worked for: the way is open.
        None if visit.active().is_some() => Ok(see_other("/")),
        None => Err(Refused::Expired),
    }
}
