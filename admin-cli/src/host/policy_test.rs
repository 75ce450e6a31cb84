use std::fs;
use std::path::Path;

use access::{Described, Effective, PolicyTest as Tested};
use model::{Clock, StaffNo, Zone};

use super::snapshot;
use crate::arguments::PolicyTest;
use crate::output::{Answer, Failure};

/// `policy test --hr FILE`: the proxy's own admission, routing and decision for a person of an HR file,
/// without a server. Grants are the server's; here are birthrights only.
pub(crate) fn policy_test(test: &PolicyTest) -> Result<Answer, Failure> {
    let snapshot = snapshot(&test.config)?;
    let zone = Zone::named(test.zone.as_deref().unwrap_or(Zone::UNKNOWN));
    let now = Clock::system().now();
    let described = Described::new(&test.method, &test.url, zone, test.at.as_deref(), now)
        .map_err(|error| Failure::local(error.to_string()))?;
    let file = test.hr.as_deref().unwrap_or_else(|| Path::new(""));
    let bytes = fs::read(file).map_err(|error| Failure::local(format!("{}: {error}", file.display())))?;
    let roster = directory::parse(&bytes, &snapshot.settings.hr).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::local(format!("{}: {} problem(s)\n  {}", file.display(), lines.len(), lines.join("\n  ")))
    })?;
    let staff_no: StaffNo =
        test.staff_no.parse().map_err(|_| Failure::local(format!("{}: not a staff number", test.staff_no)))?;
    let facts = directory::facts(&roster, &staff_no)
        .ok_or_else(|| Failure::local(format!("{}: nobody in {} has this number", staff_no, file.display())))?;
    let roles = Effective::of_facts(&facts, &[], &snapshot, described.at());
    let explanation = proxy::explain(&snapshot, &described, &roles.set);
    let permitted = explanation.permits();
    let value = serde_json::to_value(Tested::new(explanation, &described, &roles, &snapshot))
        .map_err(|error| Failure::local(error.to_string()))?;
    Ok(if permitted { Answer::good(value) } else { Answer::bad(value) })
}
