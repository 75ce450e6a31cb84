//! What the policy would decide (B of `sekimorictl policy test`).

use audit::{Event, Outcome, Patient, What, Why};
use http::{Method, StatusCode};
use model::{StaffNo, Timestamp};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{record, unfit};
use crate::explain::{Answer as Explained, Question};
use crate::handlers::{Answer, Guest};
use crate::problem::json;
use crate::refused::Refused;

const LONGEST_URL: usize = 8 * 1024;

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

#[derive(Serialize)]
struct Decided {
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    missing: Vec<String>,
    roles: Vec<String>,
    zone: String,
    at: String,
    policy: String,
    generation: u64,
}

/// `POST policy/test`. The decision is the data plane's own; asking is recorded.
pub(crate) async fn test(visit: Guest) -> Answer {
    let asked: Asked = super::body(&visit)?;
    let method = Method::from_bytes(asked.method.to_ascii_uppercase().as_bytes());
    let method = method.map_err(|_| unfit(&visit, "method", "`method` is not an HTTP method"))?;
    if asked.url.len() > LONGEST_URL {
        return Err(unfit(&visit, "url", "`url` is too long"));
    }
    let at = moment(&visit, asked.at.as_deref())?;
    let zone = asked.zone.as_deref().unwrap_or_else(|| visit.edge.zone.name());
    let roles = visit.parts().roles.expected(&asked.staff_no, &visit.snapshot, at).await?;
    let roles = roles.ok_or_else(|| unfit(&visit, "person", "Nobody has this staff number"))?;
    let question =
        Question { snapshot: &visit.snapshot, method: method.as_str(), url: &asked.url, zone, roles: &roles.set, at };
    let explained = visit.parts().explain.explain(&question);
    write_down(&visit, &asked, method.as_str(), &explained)?;
    Ok(json(
        StatusCode::OK,
        &Decided {
            decision: word(&explained),
            app: explained.app,
            action: explained.action,
            rule: explained.rule,
            reason: explained.reason,
            missing: explained.missing,
            roles: roles.names.to_vec(),
            zone: zone.to_owned(),
            at: at.to_string(),
            policy: visit.snapshot.policy_hash.clone(),
            generation: visit.snapshot.generation,
        },
    ))
}

const fn word(explained: &Explained) -> &'static str {
    if explained.permit { "permit" } else { "deny" }
}

fn moment(visit: &Guest, at: Option<&str>) -> Result<Timestamp, Refused> {
    let Some(text) = at else { return Ok(visit.now) };
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| unfit(visit, "time", "`at` is not an RFC 3339 time"))?;
    Ok(Timestamp::from_seconds(at.unix_timestamp()))
}

fn write_down(visit: &Guest, asked: &Asked, method: &str, explained: &Explained) -> Result<(), Refused> {
    let app = explained.app.as_deref().unwrap_or("unknown");
    let why = Why {
        rule: explained.rule.as_deref(),
        reason: explained.reason.as_deref(),
        policy: Some(&visit.snapshot.policy_hash),
        generation: Some(visit.snapshot.generation),
        ..Why::default()
    };
    let record = record(visit, Event::PolicyTest, Outcome::Ok)?
        .what(What::request(app, explained.action.as_deref(), method, without_query(&asked.url), Patient::None))
        .why(why)
        .detail("subject", asked.staff_no.as_str())
        .detail("decision", word(explained));
    visit.parts().journal.append(&record)?;
    Ok(())
}

/// A query may carry what doesn't belong into a record.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}
