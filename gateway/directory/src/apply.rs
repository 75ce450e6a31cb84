use std::time::Duration;

use audit::{Event, Outcome, Record, What, Who, Why};
use aws_lc_rs::digest::{self, SHA256};
use config::HrSettings;
use model::{Edge, hex};
use serde_json::{Value, json};
use store::people::staging::{self, BATCH, Entry, Staging};
use store::people::{self, Import};
use store::{Committed, Facts, Store, StoreError};

use crate::plan::{Doubt, PersonReport, Plan, Report, plan};
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
    #[error("the file has {} problem(s)", .0.len())]
    File(Vec<RowProblem>),
    /// Somebody must look at these first.
    #[error("{} doubtful match(es)", .0.len())]
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
    if let Err(error) = staging::sweep(store, false).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "broken imports stay staged for now");
    }
    let plan = planned(store, &roster).await?;
    carried_out(store, &roster, plan, hash, actor).await
}

/// Applies `plan`, and where somebody changed a person meanwhile the one that is right then.
async fn carried_out(
    store: &Store,
    roster: &Roster,
    mut plan: Plan,
    hash: [u8; 32],
    actor: &Actor<'_>,
) -> Result<Report, ImportError> {
    let mut attempt = 1;
    loop {
        if !plan.doubts.is_empty() {
            let reason = format!("{} doubtful match(es)", plan.doubts.len());
            refuse(store, hash, actor, Outcome::Denied, &reason).await?;
            return Err(ImportError::Doubtful(plan.doubts));
        }
        match apply(store, &plan, hash, actor).await {
            Err(StoreError::Conflict { .. } | StoreError::Duplicate { .. }) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(report(roster, &plan, hash)),
        }
        plan = planned(store, roster).await?;
    }
}

/// Clears what imports left staged that a crash broke off. Call it once when the gateway starts, before
/// anybody imports.
///
/// # Errors
/// The store's; the next start or import tries again.
pub async fn sweep(store: &Store) -> Result<(), StoreError> {
    match staging::sweep(store, true).await? {
        0 => {}
        imports => tracing::info!(imports, "cleared what broken imports had staged"),
    }
    Ok(())
}

/// The plan for the people as they are now, and in which turn that is.
async fn planned(store: &Store, roster: &Roster) -> Result<Plan, StoreError> {
    let mut view = store.view().await?;
    let turn = staging::turn(&mut view).await?;
    let existing = people::all(&mut view).await?;
    Ok(Plan { turn: Some(turn), ..plan(roster, &existing) })
}

/// Applies a plan: stages it, a few people at a time, and then in one transaction makes it true for all of
/// them, with the import's row, a record for the import and for each person, and the news of each person
/// on the change feed. Waits for the journal.
///
/// # Errors
/// [`StoreError::Conflict`] or [`StoreError::Duplicate`] if somebody changed a person since the plan
/// was made, and the store's others; nothing has changed then, but for [`StoreError::NotJournaled`].
pub async fn apply(store: &Store, plan: &Plan, file_hash: [u8; 32], actor: &Actor<'_>) -> Result<(), StoreError> {
    if !plan.doubts.is_empty() {
        return Err(StoreError::Conflict { what: "person" });
    }
    let counts = json!(plan.counts());
    let facts = Facts::recorded(summary(actor, Outcome::Ok, file_hash, &counts));
    let counts = counts.to_string();
    let import = Import { file_hash, actor: actor.name, counts: &counts };
    let committed = if plan.is_empty() {
        let mut tx = store.begin().await?;
        people::insert_import(&mut tx, &import).await?;
        tx.commit(facts).await?
    } else {
        let mut staging = Staging::open(store).await?;
        let applied = applied(store, &mut staging, plan, actor, &import, facts).await;
        if let Err(error) = staging.discard().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "an import's rows stay staged for now");
        }
        applied?
    };
    committed.journaled_within(PATIENCE).await
}

/// The staging and the one transaction.
async fn applied(
    store: &Store,
    staging: &mut Staging,
    plan: &Plan,
    actor: &Actor<'_>,
    import: &Import<'_>,
    facts: Facts,
) -> Result<Committed, StoreError> {
    let mut people = plan.steps().zip(plan.people());
    loop {
        let batch = people.by_ref().take(BATCH);
        let batch: Vec<Entry<'_>> =
            batch.map(|((known, facts), report)| Entry { known, facts, record: changed(actor, &report) }).collect();
        if batch.is_empty() {
            break;
        }
        staging.stage(&batch).await?;
    }
    let mut tx = store.begin().await?;
    people::insert_import(&mut tx, import).await?;
    let turn = plan.turn.filter(|_| !plan.added.is_empty());
    let facts = staging.apply(&mut tx, turn, SOURCE, facts).await?;
    tx.commit(facts).await
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
    let record = actor.record(Event::HrImport, outcome).detail("sha256", hex::of(&hash).as_str());
    if counts.is_null() { record } else { record.detail("counts", counts) }
}

fn changed(actor: &Actor<'_>, person: &PersonReport) -> Record {
    let (before, after) = person.change();
    let record = actor.record(Event::HrPerson, Outcome::Ok);
    record.what(What::thing("person", person.staff_no.as_str())).change(&before, &after)
}

fn report(roster: &Roster, plan: &Plan, hash: [u8; 32]) -> Report {
    Report {
        sha256: hex::of(&hash),
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

#[cfg(test)]
mod tests;
