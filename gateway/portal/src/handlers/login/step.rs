//! The pages of a login or confirmation, one for each step.

use axum::response::Response;
use http::StatusCode;
use identity::{Interaction, Next, Purpose};
use model::Token;

use crate::pages::{self, Field, Link, LoginName, PasskeyStep, PersonCard, SecretStep};
use crate::plain::Plain;
use crate::refusal::app_title;
use crate::visit::Visit;

/// A step that is to be shown.
pub(crate) struct Step<'a> {
    visit: &'a Visit,
    /// The interaction's token as text; empty before there is one.
    i: String,
    /// Somebody logged in proves himself again; his name is known and nobody else's counts.
    confirms: bool,
    /// Where it leads, if that is an app.
    app: Option<Plain>,
    /// The name given.
    name: Option<Plain>,
    status: StatusCode,
    error: Option<String>,
    /// Said on the page of the passkey in place of its usual line.
    line: Option<String>,
}

impl<'a> Step<'a> {
    /// The first step, before there is an interaction.
    pub(crate) fn first(visit: &'a Visit) -> Self {
        let i = String::new();
        Self { visit, i, confirms: false, app: None, name: None, status: StatusCode::OK, error: None, line: None }
    }

    /// A step of an interaction.
    pub(crate) fn of(visit: &'a Visit, token: &Token, interaction: &Interaction) -> Self {
        let app = visit.snapshot.app_by_host(&interaction.destination.host);
        Self {
            i: token.text(),
            confirms: interaction.purpose == Purpose::Confirm,
            app: app.map(|app| app_title(visit, &app.name)),
            name: interaction.name.as_deref().map(Plain::new),
            ..Self::first(visit)
        }
    }

    /// The same step again, after it did not succeed.
    pub(crate) fn failed(self) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, error: Some(self.visit.t.say("login-failed")), ..self }
    }

    /// The password was right, and nothing is bound that goes with it.
    pub(crate) fn only_passkey(self) -> Self {
        Self { line: Some(self.visit.t.say("login-only-passkey")), ..self }
    }

    pub(crate) fn name(self) -> Response {
        let frame = self.visit.frame(Some(("/login", &[("i", &self.i), ("by", "name")])));
        let form = self.visit.form_of(&self.i);
        let page = LoginName { frame, app: self.app, error: self.error, interaction: self.i, form };
        pages::answer(self.status, &page)
    }

    pub(crate) fn passkey(self, next: Next) -> Response {
        let (t, i) = (&self.visit.t, &self.i);
        let page = PasskeyStep {
            frame: self.visit.frame(Some(("/login", &[("i", i)]))),
            title: self.title("login-title"),
            locked: false,
            named: self.named(),
            person: self.person(),
            line: Some(self.line.clone().unwrap_or_else(|| t.say("login-passkey-line"))),
            action: format!("/login/passkey?i={i}"),
            kind: "get",
            options: next.passkey,
            start: self.error.is_none(),
            renew: format!("/login?i={i}"),
            form: self.visit.form_of(i),
            failed: t.say("passkey-failed"),
            button: t.say(if self.confirms { "confirm-passkey-button" } else { "login-passkey-button" }),
            links: if self.line.is_some() {
                self.links(&[])
            } else {
                self.links(&[("&by=password", "login-by-password")])
            },
            logout: None,
            error: self.error,
        };
        pages::answer(self.status, &page)
    }

    /// The security key, after the password.
    pub(crate) fn key(self, next: Next) -> Response {
        let (t, i) = (&self.visit.t, &self.i);
        let page = PasskeyStep {
            frame: self.visit.frame(Some(("/login", &[("i", i)]))),
            title: self.title("login-key-title"),
            locked: false,
            named: self.named(),
            person: self.person(),
            line: Some(t.say("login-key-line")),
            action: format!("/login/key?i={i}"),
            kind: "get",
            options: next.key.unwrap_or_default(),
            start: self.error.is_none(),
            renew: format!("/login?i={i}"),
            form: self.visit.form_of(i),
            failed: t.say("passkey-failed"),
            button: t.say("login-key-button"),
            links: if next.totp { self.links(&[("&by=code", "login-by-code")]) } else { self.links(&[]) },
            logout: None,
            error: self.error,
        };
        pages::answer(self.status, &page)
    }

    pub(crate) fn password(self) -> Response {
        let page = SecretStep {
            frame: self.visit.frame(Some(("/login", &[("i", &self.i), ("by", "password")]))),
            action: format!("/login/password?i={}", self.i),
            button: self.visit.t.say("act-continue"),
            links: self.links(&[("", "login-by-passkey")]),
            ..self.secret(Field::Password, "login-password-title")
        };
        pages::answer(self.status, &page)
    }

    /// The verification code; `beside` a security key that would do as well.
    pub(crate) fn code(self, beside: bool) -> Response {
        let (t, by) = (&self.visit.t, if beside { "&by=code" } else { "" });
        let page = SecretStep {
            line: Some(t.say("login-code-line")),
            action: format!("/login/totp?i={}{by}", self.i),
            username: None,
            button: t.say(if self.confirms { "act-continue" } else { "act-login" }),
            links: if beside { self.links(&[("", "login-by-key")]) } else { self.links(&[]) },
            ..self.secret(Field::Code, "login-code-title")
        };
        pages::answer(self.status, &page)
    }

    fn secret(&self, field: Field, title: &'static str) -> SecretStep {
        SecretStep {
            frame: self.visit.frame(Some(("/login", &[("i", &self.i)]))),
            title: self.title(title),
            locked: false,
            named: self.named(),
            person: self.person(),
            line: None,
            error: self.error.clone(),
            action: String::new(),
            field,
            username: self.name.clone(),
            form: self.visit.form_of(&self.i),
            button: String::new(),
            links: Vec::new(),
            logout: None,
        }
    }

    fn title(&self, login: &'static str) -> String {
        self.visit.t.say(if self.confirms { "confirm-title" } else { login })
    }

    /// Shown again, so that a slip of the finger is seen.
    fn named(&self) -> Option<Plain> {
        self.name.clone().filter(|_| !self.confirms)
    }

    fn person(&self) -> Option<PersonCard> {
        let held = self.visit.held.as_ref().filter(|_| self.confirms)?;
        Some(PersonCard::from(&**held.live.person()))
    }

    /// The other ways, and the way back to the name where there is one.
    fn links(&self, ways: &[(&str, &'static str)]) -> Vec<Link> {
        let other_name = (!self.confirms).then_some(("&by=name", "login-other-name"));
        let way = |(query, key): (&str, &'static str)| Link {
            href: format!("/login?i={}{query}", self.i),
            words: self.visit.t.say(key),
        };
        ways.iter().copied().chain(other_name).map(way).collect()
    }
}
