//! What the policy would decide (`sekimorictl policy test`).

use access::{Described, Explanation, PolicyTest};
use audit::{Event, Outcome, Patient, What, Why};
use http::StatusCode;
use model::{StaffNo, Zone};
use serde::Deserialize;

use super::{record, unfit};
use crate::handlers::{Answer, Guest};
use crate::problem::json;
use crate::refused::Refused;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    staff_no: StaffNo,
    url: String,
    method: String,
    /// RFC 3339; now, if left out.
    at: Option<String>,
    /// The caller's own, if left out.
    zone: Option<String>,
}

/// `POST policy/test`. The decision is the data plane's own; asking is recorded.
pub(crate) async fn test(visit: Guest) -> Answer {
    let asked: Asked = super::body(&visit)?;
    let zone = asked.zone.as_deref().map_or_else(|| visit.edge.zone.clone(), Zone::named);
    let described = Described::new(&asked.method, &asked.url, zone, asked.at.as_deref(), visit.now)
        .map_err(|error| unfit(&visit, "question", &error.to_string()))?;
    let roles = visit.parts().roles.expected(&asked.staff_no, &visit.snapshot, described.at()).await?;
    let roles = roles.ok_or_else(|| unfit(&visit, "person", "Nobody has this staff number"))?;
    let explanation = visit.parts().explain.explain(&visit.snapshot, &described, &roles.set);
    write_down(&visit, &asked.staff_no, &described, &explanation)?;
    Ok(json(StatusCode::OK, &PolicyTest::new(explanation, &described, &roles, &visit.snapshot)))
}

fn write_down(visit: &Guest, subject: &StaffNo, described: &Described, told: &Explanation) -> Result<(), Refused> {
    let app = told.app.as_deref().unwrap_or("unknown");
    let why = Why {
        rule: told.rule.as_deref(),
        reason: told.reason,
        policy: Some(&visit.snapshot.policy_hash),
        generation: Some(visit.snapshot.generation),
        ..Why::default()
    };
    let target = without_query(described.url());
    let record = record(visit, Event::PolicyTest, Outcome::Ok)?
        .what(What::request(app, told.action.as_deref(), described.method(), target, Patient::None))
        .why(why)
        .detail("subject", subject.as_str())
        .detail("decision", told.decision.name());
    visit.parts().journal.append(&record)?;
    Ok(())
}

/// A query may carry what doesn't belong into a record.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}
