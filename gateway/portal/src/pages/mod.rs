//! The pages as data: each struct is what its template shows, nothing more.

mod account;
mod frame;
mod qr;
pub(crate) mod when;

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

pub(crate) use account::{
    AddAuthenticator, AuthenticatorRow, ChangePassword, EndAuthenticator, MyAuthenticator, MyAuthenticators, MyNotices,
    NoticeRow,
};
pub(crate) use frame::{Badge, Frame, Switch};
pub(crate) use qr::Qr;

use crate::headers;
use crate::plain::Plain;

/// A quiet link, or the one button of a page.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) href: String,
    pub(crate) words: String,
}

/// A person as a page shows him.
#[derive(Clone, Debug)]
pub(crate) struct PersonCard {
    pub(crate) name: Plain,
    pub(crate) kana: Option<Plain>,
    pub(crate) department: Plain,
}

impl From<&model::Person> for PersonCard {
    fn from(person: &model::Person) -> Self {
        Self {
            name: Plain::new(&person.name),
            kana: person.kana.as_deref().map(Plain::new),
            department: Plain::new(&person.department),
        }
    }
}

/// Login: who are you?
#[derive(Debug, Template)]
#[template(path = "login_name.html")]
pub(crate) struct LoginName {
    pub(crate) frame: Frame,
    pub(crate) app: Option<Plain>,
    pub(crate) error: Option<String>,
    pub(crate) interaction: String,
    pub(crate) form: String,
}

/// One passkey ceremony: login, unlock or enrolment.
#[derive(Debug, Template)]
#[template(path = "passkey.html")]
pub(crate) struct PasskeyStep {
    pub(crate) frame: Frame,
    pub(crate) title: String,
    pub(crate) locked: bool,
    /// The staff number that was given, as it was typed.
    pub(crate) named: Option<Plain>,
    pub(crate) person: Option<PersonCard>,
    pub(crate) line: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) action: String,
    /// `get` or `create`.
    pub(crate) kind: &'static str,
    /// The options for the browser, JSON.
    pub(crate) options: String,
    /// Ask the browser at once.
    pub(crate) start: bool,
    /// Where a page that stands open gets a new challenge.
    pub(crate) renew: String,
    pub(crate) form: String,
    pub(crate) failed: String,
    pub(crate) button: String,
    pub(crate) links: Vec<Link>,
    /// The form token of the logout button, on a lock page.
    pub(crate) logout: Option<String>,
}

/// What is typed into a [`SecretStep`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    /// A password.
    Password,
    /// A verification code.
    Code,
}

/// One typed secret: password or verification code, at login or unlock.
#[derive(Debug, Template)]
#[template(path = "secret.html")]
pub(crate) struct SecretStep {
    pub(crate) frame: Frame,
    pub(crate) title: String,
    pub(crate) locked: bool,
    /// The staff number that was given, as it was typed.
    pub(crate) named: Option<Plain>,
    pub(crate) person: Option<PersonCard>,
    pub(crate) line: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) action: String,
    pub(crate) field: Field,
    /// For password managers.
    pub(crate) username: Option<Plain>,
    pub(crate) form: String,
    pub(crate) button: String,
    pub(crate) links: Vec<Link>,
    pub(crate) logout: Option<String>,
}

/// Logged in already, in a browser that doesn't say how it came here: a button instead of a redirect.
#[derive(Debug, Template)]
#[template(path = "onward.html")]
pub(crate) struct Onward {
    pub(crate) frame: Frame,
    pub(crate) interaction: String,
    pub(crate) form: String,
}

/// Enrolment: number and desk code.
#[derive(Debug, Template)]
#[template(path = "enrol_start.html")]
pub(crate) struct EnrolStart {
    pub(crate) frame: Frame,
    pub(crate) error: Option<String>,
    pub(crate) form: String,
}

/// Enrolment: is this you?
#[derive(Debug, Template)]
#[template(path = "enrol_person.html")]
pub(crate) struct EnrolPerson {
    pub(crate) frame: Frame,
    pub(crate) person: PersonCard,
    pub(crate) staff_no: Plain,
    pub(crate) interaction: String,
}

/// Enrolment: a second way?
#[derive(Debug, Template)]
#[template(path = "enrol_second.html")]
pub(crate) struct EnrolSecond {
    pub(crate) frame: Frame,
    pub(crate) interaction: String,
    pub(crate) form: String,
}

/// Enrolment: choose a password.
#[derive(Debug, Template)]
#[template(path = "enrol_password.html")]
pub(crate) struct EnrolPassword {
    pub(crate) frame: Frame,
    pub(crate) rule: String,
    pub(crate) error: Option<String>,
    pub(crate) staff_no: Plain,
    pub(crate) interaction: String,
    pub(crate) form: String,
    pub(crate) links: Vec<Link>,
}

/// Enrolment: the app that shows verification codes.
#[derive(Template)]
#[template(path = "enrol_totp.html")]
pub(crate) struct EnrolTotp {
    pub(crate) frame: Frame,
    /// The picture and the text for typing; none when a wrong code is tried again.
    pub(crate) seed: Option<(Qr, String)>,
    pub(crate) error: Option<String>,
    pub(crate) interaction: String,
    pub(crate) form: String,
    pub(crate) links: Vec<Link>,
}

/// The apps this person may use.
#[derive(Debug, Template)]
#[template(path = "launcher.html")]
pub(crate) struct Launcher {
    pub(crate) frame: Frame,
    pub(crate) cards: Vec<Card>,
    /// How much the person was told and has not seen.
    pub(crate) unseen: Option<String>,
    /// There is something to do on the command line.
    pub(crate) cli: bool,
}

/// An app on the launcher.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub(crate) href: String,
    pub(crate) title: Plain,
    pub(crate) host: Plain,
}

/// The person's own sessions.
#[derive(Debug, Template)]
#[template(path = "sessions.html")]
pub(crate) struct MySessions {
    pub(crate) frame: Frame,
    pub(crate) done: Option<String>,
    pub(crate) rows: Vec<SessionRow>,
    pub(crate) form: String,
}

/// One session in the list.
#[derive(Clone, Debug)]
pub(crate) struct SessionRow {
    pub(crate) id: String,
    pub(crate) station: Plain,
    pub(crate) browser: Plain,
    pub(crate) zone: Plain,
    pub(crate) since: String,
    pub(crate) act: String,
    pub(crate) state: String,
    pub(crate) here: bool,
}

/// The policy said no.
#[derive(Debug, Template)]
#[template(path = "denied.html")]
pub(crate) struct Denied {
    pub(crate) frame: Frame,
    pub(crate) app: Plain,
    pub(crate) action: Option<Plain>,
    pub(crate) why: String,
    pub(crate) missing: Vec<Plain>,
    pub(crate) what_now: String,
    pub(crate) link: Option<Link>,
}

/// Anything else that has to be said: what happened, what to do, one button.
#[derive(Debug, Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice {
    pub(crate) frame: Frame,
    pub(crate) title: String,
    pub(crate) what: String,
    pub(crate) what_now: Option<String>,
    pub(crate) link: Option<Link>,
    pub(crate) new_tab: bool,
}

/// The small page inside a frame of an app.
#[derive(Debug, Template)]
#[template(path = "framed.html")]
pub(crate) struct Framed {
    pub(crate) frame: Frame,
    pub(crate) what: String,
    /// The one button: opens the framed address in a tab of its own.
    pub(crate) button: Option<String>,
}

/// The code for `sekimorictl`.
#[derive(Template)]
#[template(path = "cli.html")]
pub(crate) struct CliCode {
    pub(crate) frame: Frame,
    pub(crate) code: Option<String>,
    pub(crate) until: String,
    pub(crate) form: String,
}

/// The page as an answer.
pub(crate) fn answer<T: Template>(status: StatusCode, page: &T) -> Response {
    let mut answer = html(status, page);
    headers::guard_page(answer.headers_mut());
    answer
}

/// The small page as an answer that may stand in a frame of `origins`.
pub(crate) fn framed_answer(status: StatusCode, page: &Framed, origins: &str) -> Response {
    let mut answer = html(status, page);
    headers::guard_framed(answer.headers_mut(), origins);
    answer
}

fn html<T: Template>(status: StatusCode, page: &T) -> Response {
    let (status, text) = match page.render() {
        Ok(text) => (status, text),
        Err(error) => {
            tracing::error!(%error, "a page did not render");
            (StatusCode::INTERNAL_SERVER_ERROR, "500".to_owned())
        }
    };
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests;
