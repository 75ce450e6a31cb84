use askama::Template;
use http::{Response, StatusCode};

use super::believed::Believed;
use super::body::{Body, answer, words};
use super::entries::Entry;
use super::files::Upload;
use super::requests::Seen;
use super::ward::Patient;

/// What every page shows around its matter.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) believed: Believed,
    /// The chart's own session.
    pub(super) visit: u64,
    pub(super) pages: u64,
    /// That session was begun by somebody else.
    pub(super) anothers: bool,
    pub(super) notice: Option<String>,
}

#[derive(Template)]
#[template(path = "patients.html")]
pub(super) struct Patients {
    pub(super) frame: Frame,
    pub(super) patients: &'static [Patient],
}

#[derive(Template)]
#[template(path = "patient.html")]
pub(super) struct OnePatient {
    pub(super) frame: Frame,
    pub(super) patient: &'static Patient,
    pub(super) orders: Vec<Entry>,
    pub(super) notes: Vec<Entry>,
    pub(super) files: Vec<Upload>,
}

#[derive(Template)]
#[template(path = "print.html")]
pub(super) struct Print {
    pub(super) frame: Frame,
    pub(super) patient: &'static Patient,
}

#[derive(Template)]
#[template(path = "admin.html")]
pub(super) struct Admin {
    pub(super) frame: Frame,
    pub(super) requests: Vec<Seen>,
}

#[derive(Template)]
#[template(path = "whoami.html")]
pub(super) struct Whoami {
    pub(super) frame: Frame,
}

#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct Message {
    pub(super) frame: Frame,
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) english: &'static str,
}

/// The page as an answer.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response<Body> {
    match template.render() {
        Ok(html) => answer(status, "text/html; charset=utf-8", html),
        Err(_) => words(StatusCode::INTERNAL_SERVER_ERROR, "the page can't be made"),
    }
}
