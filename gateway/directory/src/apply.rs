use std::time::Duration;

use audit::{Event, Outcome, Record, What, Who, Why};
use aws_lc_rs::digest::{self, SHA256};
use config::HrSettings;
use model::Edge;
use serde_json::{Value, json};
use store::people::{self, Import};
use store::{Changed, Facts, Store, StoreError};

use crate::plan::{Doubt, Plan, Report, plan};
use crate::problem::RowProblem;
use crate::roster::{self, Roster};

/// Where the store says a person comes from.
const SOURCE: &str = "csv";
/// How long to wait for the journal: a first import brings a record for everybody.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the plan is made anew because somebody changed a person meanwhile.
const ATTEMPTS: usize = 3;

/// Who imports, for the record.
#[derive(Clone, Debug)]
pub struct Actor<'a> {
    /// As records have him.
    pub who: Who,
    /// In a word: staff number, or `operating system user NAME`.
    pub name: &'a str,
    /// The request he asked by, if it was one.
    pub edge: Option<&'a Edge>,
}

impl Actor<'_> {
    fn record(&self, event: Event, outcome: Outcome) -> Record {
        let record = Record::new(event, outcome).who(self.who.clone());
        match self.edge {
            Some(edge) => record.from(edge).request(edge.request),
            None => record,
        }
    }
}

/// Why an import did nothing at all, or isn't on record yet.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file has problems; every one of them.
    #[error("the file has {} problem(s); nothing was imported", .0.len())]
    File(Vec<RowProblem>),
    /// Somebody must look at these first.
    #[error("{} doubtful match(es); nothing was imported", .0.len())]
    Doubtful(Vec<Doubt>),
    /// The store failed.
    #[error("the import could not be stored")]
    Store(StoreError),
    /// It is stored, and its records wait for the journal.
    #[error(
        "the import is stored, but the journal has not taken its records yet; the same file again will say when it has"
    )]
    NotJournaled,
    /// Reading the file broke off.
    #[error("the import was interrupted; nothing was imported")]
    Interrupted,
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotJournaled { .. } => Self::NotJournaled,
            other => Self::Store(other),
        }
    }
}

/// Reads a file and applies it, as a whole or not at all; the same file again changes nothing. On
/// return it is in the store and in the journal. A refused file is recorded too.
///
/// # Errors
/// [`ImportError`]; nothing has changed then, but for [`ImportError::NotJournaled`].
pub async fn import(
    store: &Store,
    bytes: Vec<u8>,
    settings: &HrSettings,
    actor: &Actor<'_>,
) -> Result<Report, ImportError> {
    let hash = sha256(&bytes);
    let settings = settings.clone();
    let parsed = tokio::task::spawn_blocking(move || roster::parse(&bytes, &settings)).await;
    let roster = match parsed.map_err(|_| ImportError::Interrupted)? {
        Ok(roster) => roster,
        Err(problems) => {
            let reason = format!("{} problem(s) in the file", problems.len());
            refuse(store, hash, actor, Outcome::Failed, &reason).await?;
            return Err(ImportError::File(problems));
        }
    };
    let mut attempt = 1;
    loop {
        let existing = people::all(&mut store.view().await?).await?;
        let plan = plan(&roster, &existing);
        if !plan.doubts.is_empty() {
            let reason = format!("{} doubtful match(es)", plan.doubts.len());
            refuse(store, hash, actor, Outcome::Denied, &reason).await?;
            return Err(ImportError::Doubtful(plan.doubts));
        }
        match apply(store, &plan, hash, actor).await {
            Err(StoreError::Conflict { .. } | StoreError::Duplicate { .. }) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(report(&roster, &plan, hash)),
        }
    }
}

/// Applies a plan in one transaction: people, the import's row, a record for the import and for each
/// person, and the news of each person on the change feed. Waits for the journal.
///
/// # Errors
/// [`StoreError::Conflict`] or [`StoreError::Duplicate`] if somebody changed a person since the plan
/// was made, and the store's others; nothing has changed then, but for [`StoreError::NotJournaled`].
pub async fn apply(store: &Store, plan: &Plan, file_hash: [u8; 32], actor: &Actor<'_>) -> Result<(), StoreError> {
    if !plan.doubts.is_empty() {
        return Err(StoreError::Conflict { what: "person" });
    }
    let counts = json!(plan.counts());
    let mut tx = store.begin().await?;
    let mut changed = Vec::new();
    for facts in &plan.added {
        changed.push(Changed::person(people::insert(&mut tx, facts, SOURCE).await?));
    }
    for change in &plan.changed {
        people::update(&mut tx, change.id, change.version, &change.after, SOURCE).await?;
        changed.push(Changed::person(change.id));
    }
    let import = Import { file_hash, actor: actor.name, counts: &counts.to_string() };
    people::insert_import(&mut tx, &import).await?;
    let mut facts = Facts::recorded(summary(actor, Outcome::Ok, file_hash, &counts)).all_changed(changed);
    for person in plan.people() {
        let (before, after) = person.change();
        let record = actor.record(Event::HrPerson, Outcome::Ok);
        facts = facts.and(record.what(What::thing("person", person.staff_no.as_str())).change(&before, &after));
    }
    tx.commit(facts).await?.journaled_within(PATIENCE).await
}

async fn refuse(
    store: &Store,
    hash: [u8; 32],
    actor: &Actor<'_>,
    outcome: Outcome,
    reason: &str,
) -> Result<(), StoreError> {
    let record = summary(actor, outcome, hash, &Value::Null).why(Why::reason(reason));
    store.begin().await?.commit(Facts::recorded(record)).await?.journaled().await
}

fn summary(actor: &Actor<'_>, outcome: Outcome, hash: [u8; 32], counts: &Value) -> Record {
    let record = actor.record(Event::HrImport, outcome).detail("sha256", hex(&hash).as_str());
    if counts.is_null() { record } else { record.detail("counts", counts) }
}

fn report(roster: &Roster, plan: &Plan, hash: [u8; 32]) -> Report {
    Report {
        sha256: hex(&hash),
        rows: roster.rows,
        counts: plan.counts(),
        people: plan.people().collect(),
        warnings: roster.warnings.clone(),
        ignored_columns: roster.ignored_columns.clone(),
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&SHA256, bytes).as_ref());
    hash
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests;
