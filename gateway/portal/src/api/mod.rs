//! The admin API, version 1: REST and JSON under `/.sekimori/api/v1/`, held to docs/openapi.yaml.
//!
//! Who may do what is decided by the same policy as everything else: the portal is its app `sekimori`.

pub(crate) mod audit;
pub(crate) mod enrolment;
pub(crate) mod hr;
pub(crate) mod policy;
pub(crate) mod session;

use std::sync::Arc;

use ::audit::{Event, Outcome, Patient, Record, What, Why};
use ::policy::{Decision, Denial};
use access::{Question, ask};
use http::StatusCode;
use identity::Live;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::refusal::PORTAL;
use crate::refused::Refused;
use crate::visit::Visit;

/// Whoever reads the journal is on record by `audit.read`, with what he asked for: a second line for the
/// permit would make `tail` follow its own asking.
const READING: &str = "audit";

/// Whoever asks, by bearer token or cookie.
pub(crate) fn caller(visit: &Visit) -> Result<&Arc<Live>, Refused> {
    match &visit.bearer {
        Some(bearer) => Ok(&bearer.live),
        None => Ok(&visit.holder()?.live),
    }
}

/// May the caller do `action`, if need be with a proof that is `fresh`? Either answer is recorded before it
/// takes effect; a yes is on disk by then, since what the API does wants a privileged role.
pub(crate) async fn authorise(visit: &Visit, action: &'static str, fresh: Result<(), Refused>) -> Result<(), Refused> {
    let live = caller(visit)?;
    let snapshot = &visit.snapshot;
    let roles = visit.parts().roles.of(live.account(), snapshot, visit.now).await?;
    let app = snapshot.portal_app();
    let decision = match snapshot.policy.action_named(app, action) {
        Some(action) => {
            let question = Question { app, action, roles: &roles.set, zone: &visit.edge.zone, aal: live.aal() };
            ask(snapshot, &question, visit.now)
        }
        None => Decision::Deny(Denial::no_action()),
    };
    match decision {
        Decision::Permit(permit) => {
            fresh?;
            if action == READING {
                return Ok(());
            }
            let record = record(visit, Event::RequestPermit, Outcome::Ok)?
                .roles(Arc::clone(&roles.names))
                .what(What::request(PORTAL, Some(action), visit.method.as_str(), &visit.path, Patient::None))
                .why(Why { rule: Some(permit.rule()), ..why(visit) });
            visit.parts().journal.append_synced(&record).await?;
            Ok(())
        }
        Decision::Deny(denial) => {
            let record = record(visit, Event::RequestDeny, Outcome::Denied)?
                .roles(Arc::clone(&roles.names))
                .what(What::request(PORTAL, Some(action), visit.method.as_str(), &visit.path, Patient::None))
                .why(Why { rule: denial.rule.as_deref(), reason: Some(denial.reason.name()), ..why(visit) })
                .detail("status", 403_u16);
            visit.parts().journal.append(&record)?;
            Err(Refused::Denied { reason: denial.reason.name(), missing: denial.missing })
        }
    }
}

fn why(visit: &Visit) -> Why<'_> {
    Why { policy: Some(&visit.snapshot.policy_hash), generation: Some(visit.snapshot.generation), ..Why::default() }
}

/// A record of something that the caller does in this request.
pub(crate) fn record(visit: &Visit, event: Event, outcome: Outcome) -> Result<Record, Refused> {
    let who = caller(visit)?.who().clone();
    Ok(Record::new(event, outcome).who(who).from(&visit.edge).request(visit.edge.request))
}

/// The body as JSON of the given shape; unknown members are refused.
pub(crate) fn body<T: DeserializeOwned>(visit: &Visit) -> Result<T, Refused> {
    serde_json::from_slice(&visit.body).map_err(|error| {
        let problem = problem(visit, StatusCode::UNPROCESSABLE_ENTITY, "body", "The body is not as described");
        Refused::Problem(Box::new(problem.detail(error.to_string())))
    })
}

/// A problem with the request's id and the site's help.
pub(crate) fn problem(visit: &Visit, status: StatusCode, name: &str, title: &str) -> Problem {
    let help = visit.snapshot.settings.site.help_extension.as_deref();
    Problem::new(status, name, title, visit.edge.request).help(help)
}

/// A problem with what was asked, in words for whoever asked.
pub(crate) fn unfit(visit: &Visit, name: &str, title: &str) -> Refused {
    Refused::Problem(Box::new(problem(visit, StatusCode::UNPROCESSABLE_ENTITY, name, title)))
}

/// A number in the address, or what it is without one.
pub(crate) fn number<T: std::str::FromStr>(visit: &Visit, name: &str) -> Result<Option<T>, Refused> {
    match visit.query.field(name) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| unfit(visit, "number", &format!("`{name}` is not a number"))),
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
