//! Enrolment codes for people who were proofed at the desk (A13-9).

use http::StatusCode;
use identity::{EnrolmentError, Officer, Proofing};
use model::StaffNo;
use serde::{Deserialize, Serialize};

use super::{body, caller, problem, unfit};
use crate::handlers::{Answer, Guest};
use crate::problem::json;
use crate::refused::Refused;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proofed {
    staff_no: StaffNo,
    method: String,
    evidence: String,
}

#[derive(Serialize)]
struct CodeIssued {
    /// Shown once, to be handed over.
    code: String,
    /// RFC 3339.
    expires: String,
}

/// `POST enrolment`.
pub(crate) async fn issue(visit: Guest) -> Answer {
    let given: Proofed = body(&visit)?;
    let officer = Officer::Person(caller(&visit)?, &visit.edge);
    let proofing = Proofing { method: &given.method, evidence: &given.evidence };
    match visit.parts().enrolment.issue(officer, &given.staff_no, proofing).await {
        Ok(issued) => {
            let answer = CodeIssued { code: issued.code.expose().clone(), expires: issued.expires_at.to_string() };
            Ok(json(StatusCode::CREATED, &answer))
        }
        Err(
            error @ (EnrolmentError::UnknownPerson
            | EnrolmentError::AccountClosed
            | EnrolmentError::OwnProofing
            | EnrolmentError::NotProofed),
        ) => Err(unfit(&visit, "enrolment", &error.to_string())),
        Err(error @ EnrolmentError::Privileged) => {
            let problem = problem(&visit, StatusCode::FORBIDDEN, "privileged", "A registrar may not do this");
            Err(Refused::Problem(Box::new(problem.detail(error.to_string()))))
        }
        Err(error) => Err(error.into()),
    }
}
