//! Changing one's own password (D-7.4.3, D-7.5.1).

use axum::response::Response;
use http::StatusCode;
use identity::{OwnError, Problem};
use model::Secret;

use super::authenticators::{has, others};
use super::enrol::{rule, unfit};
use super::{Answer, Guest};
use crate::pages::{self, ChangePassword};
use crate::plain::Plain;
use crate::refused::Refused;
use crate::visit::{Visit, see_other};

const FAILED: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

/// `GET /password`.
pub(crate) async fn show(visit: Guest) -> Answer {
    let all = visit.desk.own().list(visit.holder()?.live.account()).await?;
    if has(&all, "password") { page(&visit, StatusCode::OK, None).await } else { Ok(see_other("/authenticators")) }
}

/// `POST /password`.
pub(crate) async fn change(visit: Guest) -> Answer {
    let [current, secret, again] = ["current", "secret", "again"].map(|field| visit.form.field(field));
    if secret != again {
        return page(&visit, FAILED, Some(visit.t.say("enrol-password-differs"))).await;
    }
    let live = &visit.holder()?.live;
    let [current, new] = [current, secret].map(|text| Secret::new(text.to_owned()));
    let words = match visit.desk.own().change_password(live, &visit.edge, &visit.binder, current, new).await {
        Ok(_) => return Ok(see_other("/authenticators?done=password")),
        Err(OwnError::Refused) => visit.t.say("password-wrong"),
        Err(OwnError::Same) => visit.t.say("password-same"),
        Err(OwnError::Password(problem)) => said(&visit, problem),
        Err(error) => return Err(error.into()),
    };
    page(&visit, FAILED, Some(words)).await
}

fn said(visit: &Visit, problem: Problem) -> String {
    unfit(&visit.t, problem)
}

async fn page(visit: &Visit, status: StatusCode, error: Option<String>) -> Result<Response, Refused> {
    let others = others(visit).await?;
    let page = ChangePassword {
        frame: visit.frame(Some(("/password", &[]))),
        rule: rule(visit),
        error,
        staff_no: Plain::new(visit.holder()?.live.person().staff_no.as_str()),
        effect: (others > 0).then(|| visit.t.count("password-sessions", others)),
        form: visit.form_of_session(),
    };
    Ok(pages::answer(status, &page))
}
