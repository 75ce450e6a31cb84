use std::fs;

use access::Effective;
use model::{Clock, StaffNo, Timestamp, Zone};
use policy::Decision;
use proxy::{Explanation, Question, explain};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::snapshot;
use crate::arguments::PolicyTest;
use crate::output::{Answer, Failure};

/// `policy test --hr FILE`: the proxy's own admission, routing and decision for a person of an HR file,
/// without a server. Grants are the server's; here are birthrights only.
pub(crate) fn policy_test(test: &PolicyTest) -> Result<Answer, Failure> {
    let snapshot = snapshot(&test.config)?;
    let file = test.hr.as_deref().unwrap_or_else(|| std::path::Path::new(""));
    let bytes = fs::read(file).map_err(|error| Failure::local(format!("{}: {error}", file.display())))?;
    let roster = directory::parse(&bytes, &snapshot.settings.hr).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::local(format!("{}: {} problem(s)\n  {}", file.display(), lines.len(), lines.join("\n  ")))
    })?;
    let staff_no: StaffNo =
        test.staff_no.parse().map_err(|_| Failure::local(format!("{}: not a staff number", test.staff_no)))?;
    let facts = directory::facts(&roster, &staff_no)
        .ok_or_else(|| Failure::local(format!("{}: nobody in {} has this number", staff_no, file.display())))?;
    let at = moment(test.at.as_deref())?;
    let roles = Effective::of_facts(&facts, &[], &snapshot, at);
    let zone = Zone::named(test.zone.as_deref().unwrap_or(Zone::UNKNOWN));
    let question = Question { method: &test.method, url: &test.url, zone: &zone, roles: &roles.set, at };
    let (permit, told) = told(explain(&snapshot, &question));
    let mut value = json!({ "decision": if permit { "permit" } else { "deny" }, "roles": roles.names });
    if let (Value::Object(all), Value::Object(more)) = (&mut value, told) {
        all.extend(more);
    }
    Ok(if permit { Answer::good(value) } else { Answer::bad(value) })
}

fn told(explanation: Explanation) -> (bool, Value) {
    match explanation {
        Explanation::Refused(refusal) => {
            (false, json!({ "status": refusal.status(), "reason": format!("{refusal:?}") }))
        }
        Explanation::Ours => (false, json!({ "reason": "the portal's own address: no policy is asked" })),
        Explanation::Decided { app, action, decision: Decision::Permit(permit) } => {
            (true, json!({ "app": app, "action": action, "role": permit.role(), "rule": permit.rule() }))
        }
        Explanation::Decided { app, action, decision: Decision::Deny(denial) } => {
            let value = json!({
                "app": app, "action": action, "reason": denial.reason.name(), "missing": denial.missing,
            });
            (false, value)
        }
    }
}

fn moment(at: Option<&str>) -> Result<Timestamp, Failure> {
    let Some(text) = at else { return Ok(Clock::system().now()) };
    OffsetDateTime::parse(text, &Rfc3339)
        .map(|moment| Timestamp::from_seconds(moment.unix_timestamp()))
        .map_err(|_| Failure::local(format!("{text}: not a moment such as 2026-11-21T22:00:00+09:00")))
}
