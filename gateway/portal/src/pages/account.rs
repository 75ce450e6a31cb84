//! The pages about a person's own ways to log in, and what he was told.

use askama::Template;

use super::{Frame, Link};
use crate::plain::Plain;

/// The person's own authenticators.
#[derive(Debug, Template)]
#[template(path = "authenticators.html")]
pub(crate) struct MyAuthenticators {
    pub(crate) frame: Frame,
    pub(crate) done: Option<String>,
    /// What is missing.
    pub(crate) hint: Option<String>,
    pub(crate) rows: Vec<AuthenticatorRow>,
    pub(crate) ended: Vec<AuthenticatorRow>,
    pub(crate) links: Vec<Link>,
}

/// One authenticator in the list.
#[derive(Clone, Debug)]
pub(crate) struct AuthenticatorRow {
    pub(crate) href: String,
    pub(crate) kind: String,
    /// As the person calls it, where he calls it anything.
    pub(crate) label: Option<Plain>,
    pub(crate) bound: String,
    pub(crate) by: Plain,
    pub(crate) used: String,
    pub(crate) state: String,
    /// It can't be used: something to do about.
    pub(crate) off: bool,
}

/// One authenticator: what it is called, and its end.
#[derive(Debug, Template)]
#[template(path = "authenticator.html")]
pub(crate) struct MyAuthenticator {
    pub(crate) frame: Frame,
    pub(crate) row: AuthenticatorRow,
    /// Where a new label is sent; none where there is nothing to tell apart.
    pub(crate) rename: Option<String>,
    /// The page that ends it; none if it is needed.
    pub(crate) end: Option<String>,
    /// The page that changes it.
    pub(crate) change: Option<String>,
    pub(crate) form: String,
}

/// What happens when an authenticator is ended, and the button.
#[derive(Debug, Template)]
#[template(path = "authenticator_end.html")]
pub(crate) struct EndAuthenticator {
    pub(crate) frame: Frame,
    pub(crate) row: AuthenticatorRow,
    pub(crate) action: String,
    /// Which sessions end with it.
    pub(crate) effect: String,
    pub(crate) back: String,
    pub(crate) form: String,
}

/// What shall be added?
#[derive(Debug, Template)]
#[template(path = "authenticator_add.html")]
pub(crate) struct AddAuthenticator {
    pub(crate) frame: Frame,
    /// A password is bound already.
    pub(crate) password: bool,
    /// A verification code too.
    pub(crate) totp: bool,
    pub(crate) form: String,
}

/// A new password in the place of the current one.
#[derive(Debug, Template)]
#[template(path = "password.html")]
pub(crate) struct ChangePassword {
    pub(crate) frame: Frame,
    pub(crate) rule: String,
    pub(crate) error: Option<String>,
    pub(crate) staff_no: Plain,
    /// Which sessions end with it, if any.
    pub(crate) effect: Option<String>,
    pub(crate) form: String,
}

/// What the person was told.
#[derive(Debug, Template)]
#[template(path = "notices.html")]
pub(crate) struct MyNotices {
    pub(crate) frame: Frame,
    pub(crate) rows: Vec<NoticeRow>,
    /// Until when all is seen with the button; none if there is nothing new.
    pub(crate) until: Option<String>,
    pub(crate) form: String,
}

/// One notice in the list.
#[derive(Clone, Debug)]
pub(crate) struct NoticeRow {
    pub(crate) at: String,
    pub(crate) what: Plain,
    pub(crate) new: bool,
}
