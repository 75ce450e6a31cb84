//! Login and confirmation: name, then the best authenticator first, the others as quiet links.

mod step;

use axum::response::Response;
use http::StatusCode;
use identity::{Begin, Interaction, LoginError, Outcome, Purpose};
use model::{Method, Secret, SessionState, Token};

use super::handshake::{onward_button, onward_page, onward_redirect};
use super::{Answer, Guest, typed_code};
use crate::pages::{self, Onward};
use crate::refusal::framed_login;
use crate::refused::Refused;
use crate::visit::{Visit, see_other, target};

use step::Step;

/// `GET /login`: the page of whatever comes next. A browser that is logged in goes where it wanted.
pub(crate) async fn show(visit: Guest) -> Answer {
    let state = visit.held.as_ref().map(|held| held.state);
    let Ok(token) = Token::parse(visit.interaction_text()) else {
        return Ok(match state {
            Some(SessionState::Active) => see_other("/"),
            Some(_) => see_other("/lock"),
            None => Step::first(&visit).name(),
        });
    };
    let interaction = match visit.parts().logins.view(&token, &visit.binder, visit.edge.address).await {
        Ok(interaction) => interaction,
        // Over, or another browser's: begin here.
        Err(LoginError::Gone) => return Ok(see_other("/login")),
        Err(error) => return Err(error.into()),
    };
    match (state, interaction.purpose) {
        (Some(SessionState::Active), Purpose::Login) => passing(&visit, &token).await,
        (Some(SessionState::Locked), _) => Ok(see_other(&format!("/lock?i={}", token.text()))),
        (_, Purpose::Confirm) if visit.held.is_none() => Ok(see_other("/login")),
        _ => shown(&visit, &token, interaction).await,
    }
}

/// Somebody is logged in already: on to the app with a fresh code, if this is a page of its own. A frame
/// or a script could show the code to whoever runs it (D-14), and a browser that doesn't say is asked.
async fn passing(visit: &Visit, token: &Token) -> Answer {
    let fetch = visit.edge.fetch;
    match (fetch.present, fetch.navigate && fetch.document) {
        (true, true) => {
            let destination = visit.parts().logins.take(token, &visit.binder, visit.edge.address).await?;
            onward_redirect(visit, &visit.holder()?.live, &destination).await
        }
        (true, false) if fetch.framed => Ok(framed_login(visit)),
        (true, false) => Err(Refused::Origin),
        (false, _) => {
            let i = token.text();
            let frame = visit.frame(Some(("/login", &[("i", &i)])));
            Ok(pages::answer(StatusCode::OK, &Onward { frame, form: visit.form_of(&i), interaction: i }))
        }
    }
}

/// `POST /login/onward`: the button of [`passing`].
pub(crate) async fn onward(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    // A confirmation is no way past its own proof.
    if visit.parts().logins.view(&token, &visit.binder, visit.edge.address).await?.purpose != Purpose::Login {
        return Ok(back(&token));
    }
    let destination = visit.parts().logins.take(&token, &visit.binder, visit.edge.address).await?;
    onward_button(&visit, &visit.holder()?.live, &destination).await
}

/// The page of the next step; `by` in the address chooses another way.
async fn shown(visit: &Visit, token: &Token, mut interaction: Interaction) -> Answer {
    let confirms = interaction.purpose == Purpose::Confirm;
    let by = visit.query.field("by");
    if !confirms && (interaction.name.is_none() || by == "name") {
        return Ok(Step::of(visit, token, &interaction).name());
    }
    if interaction.verified.contains(&Method::Password) {
        return second(visit, token, Step::of(visit, token, &interaction)).await;
    }
    if by == "password" && interaction.name.is_some() {
        return Ok(Step::of(visit, token, &interaction).password());
    }
    let next = visit.parts().logins.next(visit.entry(token)).await?;
    if by == "password" {
        // Asking has told a confirmation whose it is.
        interaction = visit.parts().logins.view(token, &visit.binder, visit.edge.address).await?;
        return Ok(Step::of(visit, token, &interaction).password());
    }
    Ok(Step::of(visit, token, &interaction).passkey(next))
}

/// The page of what goes with a password: a security key where there is one, else a verification code.
async fn second(visit: &Visit, token: &Token, step: Step<'_>) -> Answer {
    let next = visit.parts().logins.next(visit.entry(token)).await?;
    Ok(match (next.key.is_some(), next.totp) {
        (true, true) if visit.query.field("by") == "code" => step.code(true),
        (true, _) => step.key(next),
        (false, true) => step.code(false),
        (false, false) => step.only_passkey().passkey(next),
    })
}

/// `POST /login/name`. A page that stood open overnight goes on under a new interaction.
pub(crate) async fn name(visit: Guest) -> Answer {
    let name = visit.form.field("name").trim();
    if let Ok(token) = Token::parse(visit.interaction_text()) {
        match visit.parts().logins.name(visit.entry(&token), name).await {
            Ok(_) | Err(LoginError::OutOfOrder) => return Ok(back(&token)),
            Err(LoginError::Gone) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let token = begin_here(&visit).await?;
    visit.parts().logins.view(&token, &visit.binder, visit.edge.address).await?;
    visit.parts().logins.name(visit.entry(&token), name).await?;
    Ok(back(&token))
}

/// `POST /login/passkey`.
pub(crate) async fn passkey(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let outcome = visit.parts().logins.passkey(visit.entry(&token), visit.form.field("credential")).await;
    if matches!(outcome, Err(LoginError::Refused)) {
        let next = visit.parts().logins.next(visit.entry(&token)).await?;
        return Ok(again(&visit, &token).await?.passkey(next));
    }
    led(&visit, &token, outcome).await
}

/// `POST /login/password`.
pub(crate) async fn password(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let password = Secret::new(visit.form.field("secret").to_owned());
    let outcome = visit.parts().logins.password(visit.entry(&token), password).await;
    if matches!(outcome, Err(LoginError::Refused)) {
        return Ok(again(&visit, &token).await?.password());
    }
    led(&visit, &token, outcome).await
}

/// `POST /login/totp`.
pub(crate) async fn totp(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let code = typed_code(visit.form.field("secret"));
    let outcome = visit.parts().logins.totp(visit.entry(&token), &code).await;
    if matches!(outcome, Err(LoginError::Refused)) {
        return Ok(again(&visit, &token).await?.code(visit.query.field("by") == "code"));
    }
    led(&visit, &token, outcome).await
}

/// `POST /login/key`.
pub(crate) async fn key(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let outcome = visit.parts().logins.key(visit.entry(&token), visit.form.field("credential")).await;
    if matches!(outcome, Err(LoginError::Refused)) {
        let step = again(&visit, &token).await?;
        return second(&visit, &token, step).await;
    }
    led(&visit, &token, outcome).await
}

/// The step after a wrong proof: the same words whatever was wrong (A40).
async fn again<'a>(visit: &'a Visit, token: &Token) -> Result<Step<'a>, Refused> {
    let interaction = visit.parts().logins.view(token, &visit.binder, visit.edge.address).await?;
    Ok(Step::of(visit, token, &interaction).failed())
}

/// Where a step that was no wrong proof has led.
async fn led(visit: &Visit, token: &Token, outcome: Result<Outcome, LoginError>) -> Answer {
    match outcome {
        Ok(Outcome::Complete(completed)) => onward_page(visit, completed, "login-done-title").await,
        Ok(Outcome::More(_)) | Err(LoginError::OutOfOrder) => Ok(back(token)),
        Err(error) => Err(error.into()),
    }
}

/// Begins a login that leads to the launcher.
pub(crate) async fn begin_here(visit: &Visit) -> Result<Token, Refused> {
    visit.desk.begin(visit.edge.address, visit.held.is_some()).map_err(Refused::too_many)?;
    let begin = Begin {
        purpose: Purpose::Login,
        host: &visit.edge.host,
        target: target("/"),
        app_binder: None,
        address: visit.edge.address,
        holder: visit.held.is_some(),
    };
    Ok(visit.parts().logins.begin(begin).await?)
}

fn back(token: &Token) -> Response {
    see_other(&format!("/login?i={}", token.text()))
}
