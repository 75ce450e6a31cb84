//! The code with which `sekimorictl` logs in as the person at this browser.

use std::time::Duration;

use http::StatusCode;

use super::{Answer, Guest};
use crate::pages::{self, CliCode, when};

/// As `identity` has it.
const CODE_LIFE: Duration = Duration::from_secs(10 * 60);

/// `GET /cli`.
pub(crate) async fn show(visit: Guest) -> Answer {
    let page = CliCode {
        frame: visit.frame(Some(("/cli", &[]))),
        code: None,
        until: String::new(),
        form: visit.form_of_session(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// `POST /cli`.
pub(crate) async fn code(visit: Guest) -> Answer {
    let code = visit.parts().sessions.cli_code(&visit.holder()?.live).await?;
    let page = CliCode {
        frame: visit.frame(Some(("/cli", &[]))),
        code: Some(code.text()),
        until: when::hour(visit.now.after(CODE_LIFE), visit.zone()),
        form: visit.form_of_session(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}
