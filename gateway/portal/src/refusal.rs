//! Every refusal as a page, a small page in a frame, or a problem document.

mod words;

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use identity::{Begin, Purpose, Target};
use model::{Refusal, Token, TokenKind, Wants};

use crate::cookies::Set;
use crate::headers;
use crate::pages::{self, Denied, Framed, Link, Notice};
use crate::problem::Problem;
use crate::refused::Refused;
use crate::routes::Surface;
use crate::visit::{Visit, see_other, target};

use words::Words;
pub(crate) use words::{PORTAL, app_title, zone_title};

/// An empty answer, where not even a page can be made.
pub(crate) fn bare(status: StatusCode) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    headers::guard_data(answer.headers_mut());
    answer
}

/// A refusal of the data plane.
pub(crate) async fn data_plane(visit: &Visit, refusal: Refusal, wants: Wants) -> Response {
    let answer = match (&refusal, wants) {
        (Refusal::LoginRequired { target }, Wants::Page) => away(visit, target, "/login", &refusal).await,
        (Refusal::Locked { target }, Wants::Page) => away(visit, target, "/lock", &refusal).await,
        _ => Ok(shown(visit, &refusal, wants)),
    };
    match answer {
        Ok(answer) => answer,
        Err(refused) => other(visit, wants, refused),
    }
}

/// A refusal of one of our own routes.
pub(crate) async fn answer(visit: &Visit, surface: Surface, refused: Refused) -> Response {
    let wants = match surface {
        Surface::Page => Wants::Page,
        Surface::Problem => Wants::Problem,
    };
    let answer = match (&refused, wants) {
        (Refused::LoginFirst, Wants::Page) => own(visit, Purpose::Login, "/login").await,
        (Refused::UnlockFirst, Wants::Page) => own(visit, Purpose::Login, "/lock").await,
        (Refused::ConfirmFirst, Wants::Page) => own(visit, Purpose::Confirm, "/login").await,
        _ => return other(visit, wants, refused),
    };
    answer.unwrap_or_else(|refused| other(visit, wants, refused))
}

/// Begins an interaction that comes back to this page of the portal, and goes there.
async fn own(visit: &Visit, purpose: Purpose, page: &str) -> Result<Response, Refused> {
    // A form of ours carries nothing that would be missed: what it belonged to goes on by itself.
    if visit.method == Method::POST && purpose == Purpose::Login {
        let interaction = visit.interaction_text();
        let known = Token::parse(interaction).is_ok();
        return Ok(see_other(&if known { format!("{page}?i={interaction}") } else { page.to_owned() }));
    }
    let interaction = begin(visit, purpose, target(&visit.path), None).await?;
    Ok(see_other(&format!("{page}?i={}", interaction.text())))
}

/// From an app's host to the portal: a navigation that reads goes there and comes back, one that
/// sends is told that nothing was delivered (design.md §15).
async fn away(visit: &Visit, place: &str, page: &str, refusal: &Refusal) -> Result<Response, Refused> {
    let reads = matches!(visit.method, Method::GET | Method::HEAD);
    let back = if reads { target(place) } else { Target::root() };
    let interaction = begin(visit, Purpose::Login, back, Some(&visit.binder)).await?;
    let there = visit.on_portal_host(&format!("{page}?i={}", interaction.text()));
    let mut answer = if reads { see_other(&there) } else { not_delivered(visit, refusal, there) };
    // Each visit makes the binder last anew, so that it outlives the tabs it is for.
    Set::Binder(&visit.binder).on(answer.headers_mut());
    Ok(answer)
}

async fn begin(visit: &Visit, purpose: Purpose, target: Target, binder: Option<&Token>) -> Result<Token, Refused> {
    visit.desk.begin(visit.edge.address, visit.held.is_some()).map_err(Refused::too_many)?;
    let begin = Begin {
        purpose,
        host: &visit.edge.host,
        target,
        app_binder: binder.map(|binder| binder.hash(TokenKind::Binder)),
        address: visit.edge.address,
        holder: visit.held.is_some(),
    };
    Ok(visit.parts().logins.begin(begin).await?)
}

/// What was sent into a locked or missing session: said so, with a button that opens beside it.
fn not_delivered(visit: &Visit, refusal: &Refusal, there: String) -> Response {
    let t = &visit.t;
    let locked = matches!(refusal, Refusal::Locked { .. });
    let (title, button) =
        if locked { ("locked-post-title", "act-unlock") } else { ("login-required-title", "act-login") };
    let (what, what_now) =
        if locked { ("locked-post-what", "locked-post-do") } else { ("login-post-what", "login-post-do") };
    let page = Notice {
        frame: visit.frame(None),
        title: t.say(title),
        what: t.say(what),
        what_now: Some(t.say(what_now)),
        link: Some(Link { href: there, words: t.say(button) }),
        new_tab: true,
    };
    let mut answer = pages::answer(status(refusal), &page);
    extras(refusal, answer.headers_mut());
    answer
}

/// What is no refusal of the data plane.
fn other(visit: &Visit, wants: Wants, refused: Refused) -> Response {
    let (status, name) = match refused {
        Refused::Refusal(refusal) => return shown(visit, &refusal, wants),
        Refused::Problem(problem) => return problem.answer(),
        Refused::LoginFirst => return shown(visit, &Refusal::LoginRequired { target: String::new() }, wants),
        Refused::UnlockFirst => return shown(visit, &Refusal::Locked { target: String::new() }, wants),
        Refused::ConfirmFirst => return confirm(visit),
        Refused::Denied { reason, missing } => {
            let denied = Refusal::Denied { app: words::PORTAL.to_owned(), action: None, reason, missing };
            return shown(visit, &denied, wants);
        }
        Refused::Unavailable(why) => {
            tracing::error!(request = %visit.edge.request, why, "a part of the portal failed");
            return shown(visit, &Refusal::Unavailable, wants);
        }
        Refused::Busy { retry_after } => return busy(visit, wants, retry_after),
        Refused::Origin => (StatusCode::FORBIDDEN, "origin"),
        Refused::Expired => (StatusCode::GONE, "login-expired"),
        Refused::Elsewhere => (StatusCode::FORBIDDEN, "login-elsewhere"),
    };
    let words = Words::plain(&visit.t, name);
    match wants {
        Wants::Problem => problem(visit, status, name, words.title).answer(),
        Wants::Page | Wants::Frame => {
            let (place, button) = if matches!(name, "login-expired" | "login-elsewhere") {
                ("/login", "act-login")
            } else {
                ("/", "act-launcher")
            };
            let link = Link { href: visit.on_portal_host(place), words: visit.t.say(button) };
            pages::answer(status, &notice(visit, words, link))
        }
    }
}

/// Too many at once: when to come back, and back to where it was tried.
fn busy(visit: &Visit, wants: Wants, retry_after: Duration) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let words = Words::waiting(&visit.t, "busy", retry_after);
    let mut answer = match wants {
        Wants::Problem => problem(visit, status, "busy", "Too many at once").answer(),
        Wants::Page | Wants::Frame => pages::answer(status, &notice(visit, words, onward(visit))),
    };
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds(retry_after)));
    answer
}

/// The one button: back to the login, unlock or enrolment under way, which is where it was; else on from the
/// first page.
fn onward(visit: &Visit) -> Link {
    let under_way = ["/login", "/unlock", "/enrol"].into_iter().find(|step| visit.path.starts_with(step));
    if let (Some(step), Ok(token)) = (under_way, Token::parse(visit.interaction_text())) {
        let page = if step == "/unlock" { "/lock" } else { step };
        return Link { href: format!("{page}?i={}", token.text()), words: visit.t.say("act-back") };
    }
    let button = if visit.held.is_some() { "act-launcher" } else { "act-login" };
    Link { href: visit.on_portal_host("/"), words: visit.t.say(button) }
}

/// A program's proof is too old (RFC 9470): a new code from the portal is needed.
fn confirm(visit: &Visit) -> Response {
    let status = StatusCode::UNAUTHORIZED;
    let mut answer = problem(visit, status, "stale-authentication", "The login is older than this act allows")
        .detail("Confirm it is you on the portal, and log in with a new code.")
        .answer();
    let challenge = "Bearer error=\"insufficient_user_authentication\", max_age=300";
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    answer
}

fn shown(visit: &Visit, refusal: &Refusal, wants: Wants) -> Response {
    let status = status(refusal);
    let mut answer = match (wants, refusal) {
        (Wants::Problem, _) => problem_of(visit, refusal).answer(),
        (Wants::Frame, _) => framed(visit, refusal),
        (Wants::Page, Refusal::Denied { app, action, reason, missing }) => {
            pages::answer(status, &denied(visit, app, action.as_deref(), reason, missing))
        }
        (Wants::Page, _) => {
            let words = Words::of(&visit.t, refusal);
            pages::answer(status, &notice(visit, words, onward(visit)))
        }
    };
    extras(refusal, answer.headers_mut());
    answer
}

fn notice(visit: &Visit, words: Words, link: Link) -> Notice {
    Notice {
        frame: visit.frame(None),
        title: words.title,
        what: words.what,
        what_now: words.what_now,
        link: Some(link),
        new_tab: false,
    }
}

fn denied(visit: &Visit, app: &str, action: Option<&str>, reason: &str, missing: &[String]) -> Denied {
    let t = &visit.t;
    let (why, what_now) = words::denial(t, reason);
    Denied {
        frame: visit.frame(None),
        app: words::app_title(visit, app),
        action: action.map(|action| words::action_title(visit, app, action)),
        why,
        missing: missing.iter().map(|word| words::missing(visit, word)).collect(),
        what_now,
        link: Some(Link { href: visit.on_portal_host("/"), words: t.say("act-launcher") }),
    }
}

/// The small page with one button. The button opens the framed address itself in a tab, where it is a
/// navigation and leads through the login; the address never stands in the page (A15).
fn framed(visit: &Visit, refusal: &Refusal) -> Response {
    let t = &visit.t;
    let (what, button) = match refusal {
        Refusal::LoginRequired { .. } => (t.say("login-required-frame"), Some("act-login")),
        Refusal::Locked { .. } => (t.say("locked-frame"), Some("act-unlock")),
        Refusal::Denied { reason, .. } => (words::denial(t, reason).0, None),
        _ => (Words::of(t, refusal).what, None),
    };
    let page = Framed { frame: visit.frame(None), what, button: button.map(|key| t.say(key)) };
    // What is refused before its path is known may be the handshake's, with a code in its address: no
    // page that a script of the app could frame and read.
    if before_its_path(refusal) {
        return pages::answer(status(refusal), &page);
    }
    pages::framed_answer(status(refusal), &page, &inside(visit))
}

/// `/login` in a frame while somebody is logged in: a button that opens it in a tab, and no code.
pub(crate) fn framed_login(visit: &Visit) -> Response {
    let t = &visit.t;
    let page = Framed { frame: visit.frame(None), what: t.say("onward-frame"), button: Some(t.say("act-continue")) };
    pages::framed_answer(StatusCode::OK, &page, &inside(visit))
}

/// The site's own hosts, as a CSP source.
fn inside(visit: &Visit) -> String {
    let settings = &visit.snapshot.settings;
    settings.origin_of(&format!("*.{}", settings.site.domain))
}

/// All but what comes after routing, so that a refusal nobody thought of here is not framed.
const fn before_its_path(refusal: &Refusal) -> bool {
    !matches!(
        refusal,
        Refusal::LoginRequired { .. }
            | Refusal::Locked { .. }
            | Refusal::Denied { .. }
            | Refusal::NotFound
            | Refusal::MethodNotAllowed(_)
            | Refusal::Upstream
            | Refusal::UpstreamTimeout
            | Refusal::Loop
    )
}

fn problem_of(visit: &Visit, refusal: &Refusal) -> Problem {
    let status = status(refusal);
    let plain = problem(visit, status, refusal.name(), words::title(refusal));
    match refusal {
        Refusal::Denied { reason, missing, .. } => plain.reason(reason, missing.clone()),
        _ => plain,
    }
}

fn problem(visit: &Visit, status: StatusCode, name: &str, title: impl Into<String>) -> Problem {
    let help = visit.snapshot.settings.site.help_extension.as_deref();
    Problem::new(status, name, title, visit.edge.request).help(help)
}

fn status(refusal: &Refusal) -> StatusCode {
    StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The header that a status asks for.
fn extras(refusal: &Refusal, headers: &mut HeaderMap) {
    let (name, value): (HeaderName, String) = match refusal {
        Refusal::TooMany { retry_after } => (RETRY_AFTER, seconds(*retry_after).to_string()),
        Refusal::MethodNotAllowed(methods) => (ALLOW, methods.clone()),
        Refusal::LoginRequired { .. } => (WWW_AUTHENTICATE, "Bearer realm=\"sekimori\"".to_owned()),
        _ => return,
    };
    if let Ok(value) = HeaderValue::from_str(&value) {
        headers.insert(name, value);
    }
}

/// Whole seconds, rounded up, at least one.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests;
