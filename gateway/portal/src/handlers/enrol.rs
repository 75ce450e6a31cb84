//! First-time enrolment: code, person, passkey, perhaps a second way, done.

use axum::response::Response;
use config::PasswordProfile;
use http::StatusCode;
use identity::{EnrolmentError, Problem, Profile, Progress};
use model::{Secret, Token};

use super::{Answer, Guest, typed_code};
use crate::messages::Tongue;
use crate::pages::{
    self, EnrolPassword, EnrolPerson, EnrolSecond, EnrolStart, EnrolTotp, Link, Notice, PasskeyStep, PersonCard, Qr,
};
use crate::plain::Plain;
use crate::visit::{Visit, see_other};

const FAILED: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

/// `GET /enrol`: the page of whatever comes next; `by` in the address says which.
pub(crate) async fn show(visit: Guest) -> Answer {
    if visit.interaction_text().is_empty() {
        return Ok(start_page(&visit, StatusCode::OK, None));
    }
    let token = visit.interaction()?;
    let progress = visit.parts().enrolment.progress(visit.entry(&token)).await?;
    match visit.query.field("by") {
        "passkey" => passkey_page(&visit, &token, StatusCode::OK, None).await,
        "password" => Ok(password_page(&visit, &token, &progress, StatusCode::OK, None)),
        "totp" => totp_page(&visit, &token).await,
        _ if progress.active && progress.added => Ok(second_page(&visit, &token)),
        _ => Ok(person_page(&visit, &token, &progress)),
    }
}

/// `POST /enrol/start`.
pub(crate) async fn start(visit: Guest) -> Answer {
    let [staff_no, code] = ["staff_no", "code"].map(|field| visit.form.field(field).trim());
    match visit.parts().enrolment.start(&visit.binder, &visit.edge, staff_no, code).await {
        Ok(started) => Ok(place(&started.token, "")),
        Err(EnrolmentError::CodeRefused) => Ok(start_page(&visit, FAILED, Some("enrol-failed"))),
        Err(error) => Err(error.into()),
    }
}

/// `POST /enrol/passkey`.
pub(crate) async fn passkey(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let (answer, label) = (visit.form.field("credential"), visit.t.say("enrol-passkey-label"));
    match visit.parts().enrolment.passkey(visit.entry(&token), answer, &label).await {
        Ok(_) => Ok(place(&token, "")),
        Err(EnrolmentError::PasskeyRefused | EnrolmentError::OutOfOrder) => {
            passkey_page(&visit, &token, FAILED, Some("enrol-passkey-failed")).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /enrol/password`.
pub(crate) async fn password(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let [secret, again] = ["secret", "again"].map(|field| visit.form.field(field));
    let error = if secret == again {
        let secret = Secret::new(secret.to_owned());
        match visit.parts().enrolment.password(visit.entry(&token), secret).await {
            Ok(_) => return Ok(place(&token, "totp")),
            Err(EnrolmentError::Password(problem)) => unfit(&visit.t, problem),
            Err(error) => return Err(error.into()),
        }
    } else {
        visit.t.say("enrol-password-differs")
    };
    let progress = visit.parts().enrolment.progress(visit.entry(&token)).await?;
    Ok(password_page(&visit, &token, &progress, FAILED, Some(error)))
}

/// `POST /enrol/totp`. The seed shown before stays the one that counts, so that nobody scans twice.
pub(crate) async fn totp(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let code = typed_code(visit.form.field("secret"));
    match visit.parts().enrolment.totp(visit.entry(&token), &code).await {
        Ok(progress) if progress.active => finish(visit).await,
        Ok(_) => Ok(place(&token, "")),
        Err(EnrolmentError::TotpRefused) => Ok(code_page(&visit, &token, None, FAILED, Some("enrol-code-wrong"))),
        Err(error) => Err(error.into()),
    }
}

/// `POST /enrol/finish`.
pub(crate) async fn finish(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    match visit.parts().enrolment.finish(visit.entry(&token)).await {
        Ok(_) => Ok(done_page(&visit)),
        Err(EnrolmentError::Incomplete) => Ok(place(&token, "")),
        Err(error) => Err(error.into()),
    }
}

fn place(token: &Token, by: &str) -> Response {
    let by = if by.is_empty() { String::new() } else { format!("&by={by}") };
    see_other(&format!("/enrol?i={}{by}", token.text()))
}

fn start_page(visit: &Visit, status: StatusCode, error: Option<&str>) -> Response {
    let page = EnrolStart {
        frame: visit.frame(Some(("/enrol", &[]))),
        error: error.map(|key| visit.t.say(key)),
        form: visit.form_of(""),
    };
    pages::answer(status, &page)
}

fn person_page(visit: &Visit, token: &Token, progress: &Progress) -> Response {
    let i = token.text();
    let page = EnrolPerson {
        frame: visit.frame(Some(("/enrol", &[("i", &i)]))),
        person: PersonCard::from(&*progress.person),
        staff_no: Plain::new(progress.person.staff_no.as_str()),
        interaction: i,
    };
    pages::answer(StatusCode::OK, &page)
}

async fn passkey_page(visit: &Visit, token: &Token, status: StatusCode, error: Option<&str>) -> Answer {
    let (t, i) = (&visit.t, token.text());
    let options = visit.parts().enrolment.passkey_options(visit.entry(token)).await?;
    let page = PasskeyStep {
        frame: visit.frame(Some(("/enrol", &[("i", &i), ("by", "passkey")]))),
        title: t.say("enrol-passkey-title"),
        locked: false,
        named: None,
        person: None,
        line: Some(t.say("enrol-passkey-line")),
        error: error.map(|key| t.say(key)),
        action: format!("/enrol/passkey?i={i}"),
        kind: "create",
        options,
        start: false,
        renew: format!("/enrol?i={i}&by=passkey"),
        form: visit.form_of(&i),
        failed: t.say("enrol-passkey-failed"),
        button: t.say("enrol-passkey-button"),
        links: vec![Link { href: format!("/enrol?i={i}&by=password"), words: t.say("enrol-without-passkey") }],
        logout: None,
    };
    Ok(pages::answer(status, &page))
}

fn second_page(visit: &Visit, token: &Token) -> Response {
    let i = token.text();
    let page =
        EnrolSecond { frame: visit.frame(Some(("/enrol", &[("i", &i)]))), form: visit.form_of(&i), interaction: i };
    pages::answer(StatusCode::OK, &page)
}

fn password_page(
    visit: &Visit,
    token: &Token,
    progress: &Progress,
    status: StatusCode,
    error: Option<String>,
) -> Response {
    let (t, i) = (&visit.t, token.text());
    let (profile, key) = match visit.snapshot.settings.login.passwords {
        PasswordProfile::Mhlw7 => (Profile::Mhlw7, "enrol-password-mhlw"),
        PasswordProfile::Nist => (Profile::Nist, "enrol-password-nist"),
    };
    let rule = t.one(key, "least", &profile.shortest().to_string());
    let page = EnrolPassword {
        frame: visit.frame(Some(("/enrol", &[("i", &i), ("by", "password")]))),
        rule,
        error,
        staff_no: Plain::new(progress.person.staff_no.as_str()),
        form: visit.form_of(&i),
        links: vec![Link { href: format!("/enrol?i={i}"), words: t.say("enrol-back") }],
        interaction: i,
    };
    pages::answer(status, &page)
}

/// Why a password may not be used (C-19).
fn unfit(t: &Tongue, problem: Problem) -> String {
    match problem {
        Problem::TooShort { at_least } => t.one("password-too-short", "least", &at_least.to_string()),
        Problem::TooLong => t.say("password-too-long"),
        Problem::Unprintable => t.say("password-unprintable"),
        Problem::NotMixed => t.say("password-not-mixed"),
        Problem::Known => t.say("password-known"),
        Problem::Personal => t.say("password-personal"),
        Problem::Guessable => t.say("password-guessable"),
    }
}

async fn totp_page(visit: &Visit, token: &Token) -> Answer {
    let setup = visit.parts().enrolment.totp_setup(visit.entry(token)).await?;
    let seed = Qr::of(setup.uri.expose()).map(|qr| (qr, setup.key.expose().clone()));
    Ok(code_page(visit, token, seed, StatusCode::OK, None))
}

fn code_page(
    visit: &Visit,
    token: &Token,
    seed: Option<(Qr, String)>,
    status: StatusCode,
    error: Option<&str>,
) -> Response {
    let (t, i) = (&visit.t, token.text());
    let link = |by: &str, key| Link { href: format!("/enrol?i={i}&by={by}"), words: t.say(key) };
    let links = if seed.is_none() { vec![link("totp", "enrol-totp-again")] } else { Vec::new() };
    let page = EnrolTotp {
        frame: visit.frame(Some(("/enrol", &[("i", &i), ("by", "totp")]))),
        seed,
        error: error.map(|key| t.say(key)),
        form: visit.form_of(&i),
        links,
        interaction: i,
    };
    pages::answer(status, &page)
}

fn done_page(visit: &Visit) -> Response {
    let t = &visit.t;
    let page = Notice {
        frame: visit.frame(None),
        title: t.say("enrol-done-title"),
        what: t.say("enrol-done-what"),
        what_now: None,
        link: Some(Link { href: "/login".to_owned(), words: t.say("act-login") }),
        new_tab: false,
    };
    pages::answer(StatusCode::OK, &page)
}
