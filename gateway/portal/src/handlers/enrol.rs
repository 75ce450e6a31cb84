//! First-time enrolment: code, person, passkey, perhaps a second way, done.

use std::sync::Arc;

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
        "passkey" => passkey_page(&visit, &token, &progress, StatusCode::OK, None).await,
        "key" => key_page(&visit, &token, &progress, StatusCode::OK, None).await,
        "password" => Ok(password_page(&visit, &token, &progress, StatusCode::OK, None)),
        "totp" => totp_page(&visit, &token, &progress).await,
        _ if progress.active && progress.added && progress.own => finish(visit).await,
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
    let progress = visit.parts().enrolment.progress(visit.entry(&token)).await?;
    let label = numbered(visit.t.say("own-passkey"), "passkey", &progress);
    match visit.parts().enrolment.passkey(visit.entry(&token), visit.form.field("credential"), &label).await {
        Ok(progress) => bound(visit, &token, &progress).await,
        Err(EnrolmentError::PasskeyRefused | EnrolmentError::OutOfOrder) => {
            passkey_page(&visit, &token, &progress, FAILED, Some("enrol-passkey-failed")).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /enrol/key`.
pub(crate) async fn key(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let progress = visit.parts().enrolment.progress(visit.entry(&token)).await?;
    let label = numbered(visit.t.say("own-key"), "security-key", &progress);
    match visit.parts().enrolment.key(visit.entry(&token), visit.form.field("credential"), &label).await {
        // It goes with a password that was enrolled just before: done, as with a verification code.
        Ok(progress) if progress.active => finish(visit).await,
        Ok(progress) => bound(visit, &token, &progress).await,
        Err(EnrolmentError::PasskeyRefused | EnrolmentError::OutOfOrder) => {
            key_page(&visit, &token, &progress, FAILED, Some("enrol-key-failed")).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Whoever was logged in wanted this one thing; an enrolment from the desk goes on.
async fn bound(visit: Guest, token: &Token, progress: &Progress) -> Answer {
    if progress.own && progress.active { finish(visit).await } else { Ok(place(token, "")) }
}

/// `パスキー`, `パスキー 2` …: told apart until their owner names them.
fn numbered(kind_words: String, kind: &str, progress: &Progress) -> String {
    match progress.bound.iter().filter(|one| one.kind == kind).count() {
        0 => kind_words,
        held => format!("{kind_words} {}", held + 1),
    }
}

/// `POST /enrol/password`.
pub(crate) async fn password(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let [secret, again] = ["secret", "again"].map(|field| visit.form.field(field));
    let error = if secret == again {
        let secret = Secret::new(secret.to_owned());
        match visit.parts().enrolment.password(visit.entry(&token), secret).await {
            Ok(progress) if progress.own => return bound(Arc::clone(&visit), &token, &progress).await,
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
        Err(EnrolmentError::TotpRefused) => {
            let progress = visit.parts().enrolment.progress(visit.entry(&token)).await?;
            Ok(code_page(&visit, &token, &progress, None, FAILED, Some("enrol-code-wrong")))
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /enrol/finish`.
pub(crate) async fn finish(visit: Guest) -> Answer {
    let token = visit.interaction()?;
    let own = visit.parts().enrolment.progress(visit.entry(&token)).await?.own;
    match visit.parts().enrolment.finish(visit.entry(&token)).await {
        Ok(_) if own => Ok(see_other("/authenticators?done=added")),
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

async fn passkey_page(
    visit: &Visit,
    token: &Token,
    progress: &Progress,
    status: StatusCode,
    error: Option<&str>,
) -> Answer {
    let t = &visit.t;
    let options = visit.parts().enrolment.passkey_options(visit.entry(token)).await?;
    let page = PasskeyStep {
        title: t.say("enrol-passkey-title"),
        line: Some(t.say("enrol-passkey-line")),
        error: error.map(|key| t.say(key)),
        options,
        failed: t.say("enrol-passkey-failed"),
        button: t.say("enrol-passkey-button"),
        links: ways(visit, token, progress, &[("password", "enrol-without-passkey")]),
        ..ceremony(visit, token, "passkey")
    };
    Ok(pages::answer(status, &page))
}

async fn key_page(
    visit: &Visit,
    token: &Token,
    progress: &Progress,
    status: StatusCode,
    error: Option<&str>,
) -> Answer {
    let t = &visit.t;
    let options = visit.parts().enrolment.key_options(visit.entry(token)).await?;
    let page = PasskeyStep {
        title: t.say("enrol-key-title"),
        line: Some(t.say("enrol-key-line")),
        error: error.map(|key| t.say(key)),
        options,
        failed: t.say("enrol-key-failed"),
        button: t.say("enrol-key-button"),
        links: ways(visit, token, progress, &[("totp", "enrol-totp-instead")]),
        ..ceremony(visit, token, "key")
    };
    Ok(pages::answer(status, &page))
}

/// What the pages of passkeys and security keys have in common.
fn ceremony(visit: &Visit, token: &Token, by: &str) -> PasskeyStep {
    let i = token.text();
    PasskeyStep {
        frame: visit.frame(Some(("/enrol", &[("i", &i), ("by", by)]))),
        title: String::new(),
        locked: false,
        named: None,
        person: None,
        line: None,
        error: None,
        action: format!("/enrol/{by}?i={i}"),
        kind: "create",
        options: String::new(),
        start: false,
        renew: format!("/enrol?i={i}&by={by}"),
        form: visit.form_of(&i),
        failed: String::new(),
        button: String::new(),
        links: Vec::new(),
        logout: None,
    }
}

/// Other ways from here: of an enrolment from the desk, or back to the list for whoever is logged in.
fn ways(visit: &Visit, token: &Token, progress: &Progress, others: &[(&str, &str)]) -> Vec<Link> {
    if progress.own {
        return vec![Link { href: "/authenticators".to_owned(), words: visit.t.say("act-back") }];
    }
    let link =
        |(by, key): &(&str, &str)| Link { href: format!("/enrol?i={}&by={by}", token.text()), words: visit.t.say(key) };
    others.iter().map(link).collect()
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
    let i = token.text();
    let page = EnrolPassword {
        frame: visit.frame(Some(("/enrol", &[("i", &i), ("by", "password")]))),
        rule: rule(visit),
        error,
        staff_no: Plain::new(progress.person.staff_no.as_str()),
        form: visit.form_of(&i),
        links: ways(visit, token, progress, &[("", "act-back")]),
        interaction: i,
    };
    pages::answer(status, &page)
}

/// What a new password must be like, in words.
pub(super) fn rule(visit: &Visit) -> String {
    let (profile, key) = match visit.snapshot.settings.login.passwords {
        PasswordProfile::Mhlw7 => (Profile::Mhlw7, "enrol-password-mhlw"),
        PasswordProfile::Nist => (Profile::Nist, "enrol-password-nist"),
    };
    visit.t.one(key, "least", &profile.shortest().to_string())
}

/// Why a password may not be used (C-19).
pub(super) fn unfit(t: &Tongue, problem: Problem) -> String {
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

async fn totp_page(visit: &Visit, token: &Token, progress: &Progress) -> Answer {
    let setup = visit.parts().enrolment.totp_setup(visit.entry(token)).await?;
    let seed = Qr::of(setup.uri.expose()).map(|qr| (qr, setup.key.expose().clone()));
    Ok(code_page(visit, token, progress, seed, StatusCode::OK, None))
}

fn code_page(
    visit: &Visit,
    token: &Token,
    progress: &Progress,
    seed: Option<(Qr, String)>,
    status: StatusCode,
    error: Option<&str>,
) -> Response {
    let (t, i) = (&visit.t, token.text());
    let again = Link { href: format!("/enrol?i={i}&by=totp"), words: t.say("enrol-totp-again") };
    let mut links = ways(visit, token, progress, &[("key", "enrol-key-instead")]);
    if seed.is_none() {
        links.insert(0, again);
    }
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
