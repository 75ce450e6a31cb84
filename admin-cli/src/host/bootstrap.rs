use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use audit::{Event, Outcome, Record, What, Who};
use config::Snapshot;
use identity::{Enrolment, Issued, Officer, Proofing, RulesSource};
use model::{Clock, StaffNo};
use serde_json::json;
use store::people::{self, PersonFacts};
use store::{Changed, Facts, Store};

use super::snapshot;
use crate::arguments::Bootstrap;
use crate::output::{Answer, Failure};

/// `bootstrap`: person, account, grant and desk code of a first registrar (design.md §15). The store's
/// lock file keeps a running server and this command apart; the records go through the outbox and are
/// in the journal when the server next starts.
pub(crate) async fn bootstrap(arguments: Bootstrap) -> Result<Answer, Failure> {
    let snapshot = snapshot(&arguments.config)?;
    let [number, name] = arguments.registrar.as_slice() else {
        return Err(Failure::local("--registrar takes a staff number and a name"));
    };
    let staff_no: StaffNo = number.parse().map_err(|_| Failure::local(format!("{number}: not a staff number")))?;
    let roles = if arguments.role.is_empty() { vec!["registrar".to_owned()] } else { arguments.role };
    let user = operator();
    let issued = issue(&snapshot, &staff_no, name, &roles, &user).await?;
    Ok(Answer::good(json!({
        "staff number": staff_no,
        "name": name,
        "roles": roles,
        "enrolment code": issued.code.expose(),
        "valid until": issued.expires_at.to_string(),
        "next": format!("start the server, open {}/enrol and enter number and code", snapshot.settings.portal_origin()),
    })))
}

/// Who runs this command: what the system says, with the name that the environment gives.
pub(super) fn operator() -> String {
    let uid = fs::metadata("/proc/self").map_or_else(|_| "unknown uid".to_owned(), |own| format!("uid {}", own.uid()));
    match env::var("USER").or_else(|_| env::var("LOGNAME")) {
        Ok(name) => format!("{name} ({uid})"),
        Err(_) => uid,
    }
}

async fn issue(
    snapshot: &Snapshot,
    staff_no: &StaffNo,
    name: &str,
    roles: &[String],
    user: &str,
) -> Result<Issued, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::local(error.to_string());
    let settings = &snapshot.settings;
    let clock = Clock::system();
    let master = config::master_key(&settings.keys.master_key_file).map_err(|error| failed(&error))?;
    let place = settings.store.place().map_err(|error| failed(&error))?;
    let store =
        Store::open(place, settings.server.node.clone(), clock.clone()).await.map_err(|error| failed(&error))?;
    make_person(&store, staff_no, name, user).await?;
    let rules = RulesSource::fixed(identity::Rules::from(snapshot));
    let enrolment = Enrolment::new(store.clone(), rules, Arc::new(master), clock).map_err(|error| failed(&error))?;
    let proofing = Proofing { method: "by operating system user", evidence: user };
    let issued = enrolment.issue(Officer::Host(user), staff_no, proofing).await.map_err(|error| failed(&error))?;
    access::bootstrap(&store, issued.account, roles, user, snapshot).await.map_err(|error| failed(&error))?;
    store.close().await;
    Ok(issued)
}

/// HR data later match by number; until then the person is what was typed here.
async fn make_person(store: &Store, staff_no: &StaffNo, name: &str, user: &str) -> Result<(), Failure> {
    let failed = |error: store::StoreError| Failure::local(error.to_string());
    if people::by_staff_no(store, staff_no).await.map_err(failed)?.is_some() {
        return Ok(());
    }
    let facts = PersonFacts {
        staff_no: staff_no.clone(),
        name: name.to_owned(),
        kana: None,
        birth_date: None,
        employment: String::new(),
        employed_from: None,
        employed_until: None,
        affiliations: Vec::new(),
        qualifications: Vec::new(),
    };
    let mut tx = store.begin().await.map_err(failed)?;
    let id = people::insert(&mut tx, &facts, "bootstrap").await.map_err(failed)?;
    let record = Record::new(Event::HrPerson, Outcome::Ok)
        .who(Who::operator(user))
        .what(What::thing("person", staff_no.as_str()))
        .change(&json!(null), &json!({ "staff_no": staff_no, "name": name, "source": "bootstrap" }));
    // The journal is written by the server; its outbox keeps the record until then.
    let _later = tx.commit(Facts::recorded(record).changed(Changed::person(id))).await.map_err(failed)?;
    Ok(())
}
