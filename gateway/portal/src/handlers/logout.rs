//! Logging out: the session ends at the server, the browser forgets what it kept (A18, D-14.3).

use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use identity::By;
use model::EndReason;

use super::{Answer, Guest};
use crate::cookies::Set;
use crate::pages::{self, Link, Notice};
use crate::visit::Visit;

/// `POST /logout`.
pub(crate) async fn logout(visit: Guest) -> Answer {
    let session = visit.holder()?.live.id();
    visit.parts().sessions.end(session, EndReason::Logout, By::Holder(&visit.edge)).await?;
    Ok(gone(&visit))
}

/// The page after the end of this browser's own session. Cookies of app hosts are left: they open
/// nothing any more.
pub(crate) fn gone(visit: &Visit) -> Response {
    let t = &visit.t;
    let mut frame = visit.frame(None);
    frame.badge = None;
    frame.home = None;
    let page = Notice {
        frame,
        title: t.say("logout-title"),
        what: t.say("logout-what"),
        what_now: None,
        link: Some(Link { href: "/login".to_owned(), words: t.say("act-login") }),
        new_tab: false,
    };
    let mut answer = pages::answer(StatusCode::OK, &page);
    let headers = answer.headers_mut();
    headers.insert(HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\", \"storage\""));
    Set::NoSession.on(headers);
    answer
}
