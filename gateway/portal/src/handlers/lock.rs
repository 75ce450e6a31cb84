//! Locking, the lock page, unlocking by one factor of the same account (C-08).

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use identity::{Begin, By, LoginError, Purpose, SessionError};
use model::{LockReason, Secret, SessionState, Token};

use super::handshake::onward_page;
use super::login::begin_here;
use super::{Answer, Guest};
use crate::headers;
use crate::pages::{self, Field, Link, PasskeyStep, PersonCard, SecretStep};
use crate::plain::Plain;
use crate::refused::Refused;
use crate::visit::{Visit, see_other};

const FAILED: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

/// `GET /lock`. `again` in the address renews the interaction of a page that stands open.
pub(crate) async fn show(visit: Guest) -> Answer {
    let token = Token::parse(visit.interaction_text());
    let locked = visit.held.as_ref().map(|held| held.state == SessionState::Locked);
    let token = match (locked, token) {
        (Some(true), Ok(token)) => token,
        (Some(true), Err(_)) => return Ok(lock_place(&begin_here(&visit).await?)),
        (_, Ok(token)) => return Ok(see_other(&format!("/login?i={}", token.text()))),
        (Some(false), Err(_)) => return Ok(see_other("/")),
        (None, Err(_)) => return Ok(see_other("/login")),
    };
    if !visit.query.field("again").is_empty() {
        let start = if visit.query.field("start") == "1" { "&start=1" } else { "" };
        return Ok(see_other(&format!("/lock?i={}{start}", renewed(&visit, &token).await?.text())));
    }
    match page(&visit, &token, StatusCode::OK, None).await {
        Err(Refused::Expired) => Ok(lock_place(&begin_here(&visit).await?)),
        answer => answer,
    }
}

/// `POST /lock`.
pub(crate) async fn lock(visit: Guest) -> Answer {
    close(&visit).await?;
    Ok(see_other("/lock"))
}

/// `POST /.sekimori/lock` on an app's host: any page there may lock the screen, and do no more.
pub(crate) async fn lock_from_app(visit: Guest) -> Answer {
    close(&visit).await?;
    if visit.edge.fetch.navigate {
        return Ok(see_other(&visit.on_portal_host("/lock")));
    }
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    headers::guard_data(answer.headers_mut());
    Ok(answer)
}

async fn close(visit: &Visit) -> Result<(), Refused> {
    let session = visit.holder()?.live.id();
    visit.parts().sessions.lock(session, LockReason::User, By::Holder(&visit.edge)).await?;
    Ok(())
}

/// `POST /unlock/passkey`.
pub(crate) async fn passkey(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let live = &visit.holder()?.live;
    let answer = visit.form.field("credential");
    match visit.parts().logins.unlock_passkey(visit.entry(&token), live, answer).await {
        Ok(completed) => onward_page(&visit, completed, "lock-done-title").await,
        Err(error) => failed(&visit, &token, error).await,
    }
}

/// `POST /unlock/password`.
pub(crate) async fn password(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let live = &visit.holder()?.live;
    let password = Secret::new(visit.form.field("secret").to_owned());
    match visit.parts().logins.unlock_password(visit.entry(&token), live, password).await {
        Ok(completed) => onward_page(&visit, completed, "lock-done-title").await,
        Err(LoginError::Refused) => Ok(password_page(&visit, &token, FAILED, Some("lock-failed"))?),
        Err(error) => failed(&visit, &token, error).await,
    }
}

/// What a step that did not unlock leads to; the place to come back to is kept as long as it lives.
async fn failed(visit: &Visit, token: &Token, error: LoginError) -> Answer {
    match error {
        LoginError::Refused => page(visit, token, FAILED, Some("lock-failed")).await,
        LoginError::Gone | LoginError::OutOfOrder => Ok(see_other("/lock")),
        // Unlocked meanwhile, in another tab: on to where this one wanted.
        LoginError::Session(SessionError::State) => Ok(lock_place(token)),
        error => Err(error.into()),
    }
}

fn lock_place(token: &Token) -> Response {
    see_other(&format!("/lock?i={}", token.text()))
}

/// A new interaction to the same place; to the launcher if the old one is over.
async fn renewed(visit: &Visit, token: &Token) -> Result<Token, Refused> {
    let Ok(destination) = visit.parts().logins.take(token, &visit.binder, visit.edge.address).await else {
        return begin_here(visit).await;
    };
    visit.desk.begin(visit.edge.address, visit.held.is_some()).map_err(Refused::too_many)?;
    let begin = Begin {
        purpose: Purpose::Login,
        host: &destination.host,
        target: destination.target,
        app_binder: destination.app_binder,
        address: visit.edge.address,
        holder: visit.held.is_some(),
    };
    Ok(visit.parts().logins.begin(begin).await?)
}

async fn page(visit: &Visit, token: &Token, status: StatusCode, error: Option<&str>) -> Answer {
    let live = &visit.holder()?.live;
    visit.parts().logins.view(token, &visit.binder, visit.edge.address).await?;
    if visit.query.field("by") == "password" {
        return password_page(visit, token, status, error);
    }
    match visit.parts().logins.unlock_options(visit.entry(token), live).await {
        Ok(options) => passkey_page(visit, token, options, status, error),
        // No passkey to ask for.
        Err(LoginError::Refused) => password_page(visit, token, status, error),
        Err(error) => Err(error.into()),
    }
}

fn passkey_page(visit: &Visit, token: &Token, options: String, status: StatusCode, error: Option<&str>) -> Answer {
    let (t, i) = (&visit.t, token.text());
    let page = PasskeyStep {
        frame: visit.frame(Some(("/lock", &[("i", &i)]))),
        title: t.say("lock-title"),
        locked: true,
        named: None,
        person: Some(PersonCard::from(&**visit.holder()?.live.person())),
        line: None,
        error: error.map(|key| t.say(key)),
        action: format!("/unlock/passkey?i={i}"),
        kind: "get",
        options,
        start: visit.query.field("start") == "1" && error.is_none(),
        renew: format!("/lock?i={i}&again=1"),
        form: visit.form_of(&i),
        failed: t.say("passkey-failed"),
        button: t.say("lock-passkey-button"),
        links: vec![Link { href: format!("/lock?i={i}&by=password"), words: t.say("lock-by-password") }],
        logout: Some(visit.form_of_session()),
    };
    Ok(pages::answer(status, &page))
}

fn password_page(visit: &Visit, token: &Token, status: StatusCode, error: Option<&str>) -> Answer {
    let (t, i) = (&visit.t, token.text());
    let person = visit.holder()?.live.person();
    let page = SecretStep {
        frame: visit.frame(Some(("/lock", &[("i", &i), ("by", "password")]))),
        title: t.say("lock-title"),
        locked: true,
        named: None,
        person: Some(PersonCard::from(&**person)),
        line: None,
        error: error.map(|key| t.say(key)),
        action: format!("/unlock/password?i={i}"),
        field: Field::Password,
        username: Some(Plain::new(person.staff_no.as_str())),
        form: visit.form_of(&i),
        button: t.say("lock-password-button"),
        links: vec![Link { href: format!("/lock?i={i}"), words: t.say("lock-by-passkey") }],
        logout: Some(visit.form_of_session()),
    };
    Ok(pages::answer(status, &page))
}
