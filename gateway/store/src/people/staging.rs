//! A plan of many people on its way into the store (design.md §7): [staged](Staging::stage) in small
//! batches, each a short transaction of its own, then [applied](Staging::apply) by a handful of set-based
//! statements in one, so that nobody waits long for the writer. All of it is applied or nothing.
//!
//! The records are staged with their people, for they are most of the bytes; applying queues them in the
//! outbox like any others.

pub(crate) mod rows;
mod text;

use std::time::Duration;

use audit::Record;
use model::{NodeId, PersonId, Timestamp};
use sqlx::FromRow;
use tokio::runtime::Handle;
use uuid::Uuid;

use self::rows::{Expected, Rows};
use super::PersonFacts;
use crate::statements::statements;
use crate::value::args;
use crate::{Changed, Facts, Reader, Store, StoreError, Tx, Unrecorded, outbox};

/// How many people a caller may well stage at once: some milliseconds of the writer.
pub const BATCH: usize = 256;
/// How many people's rows are cleared at once.
const CLEARED: i64 = 2_000;
/// An import that takes longer than this broke off.
const ABANDONED: Duration = Duration::from_secs(60 * 60);
/// Most broken imports that are cleared at a time.
const SWEEP: i64 = 64;

statements! {
    TURN = "SELECT seq FROM hr_turn WHERE id = 1";
    TAKE_TURN = "UPDATE hr_turn SET seq = seq + 1 WHERE id = 1 RETURNING seq";
    OPEN = "INSERT INTO hr_staging (id, node, at) VALUES ($1, $2, $3)";
    UPDATE_PEOPLE = "UPDATE person SET name = s.name, kana = s.kana, birth_date = s.birth_date, \
                     employment = s.employment, employed_from = s.employed_from, employed_until = s.employed_until, \
                     source = $2, changed_at = $3, version = person.version + 1 FROM hr_staged_person s \
                     WHERE s.import = $1 AND person.id = s.person AND person.version = s.seen";
    INSERT_PEOPLE = "INSERT INTO person (id, staff_no, name, kana, birth_date, employment, employed_from, \
                     employed_until, source, version, changed_at) \
                     SELECT s.person, s.staff_no, s.name, s.kana, s.birth_date, s.employment, s.employed_from, \
                     s.employed_until, CAST($2 AS TEXT), 1, CAST($3 AS BIGINT) \
                     FROM hr_staged_person s WHERE s.import = $1 AND s.seen IS NULL";
    DELETE_AFFILIATIONS = "DELETE FROM affiliation WHERE person IN \
                           (SELECT s.person FROM hr_staged_person s WHERE s.import = $1 AND s.seen IS NOT NULL)";
    DELETE_QUALIFICATIONS = "DELETE FROM qualification WHERE person IN \
                             (SELECT s.person FROM hr_staged_person s WHERE s.import = $1 AND s.seen IS NOT NULL)";
    INSERT_AFFILIATIONS = "INSERT INTO affiliation (id, person, department, occupation, position, main, valid_from, \
                           valid_until) \
                           SELECT s.id, s.person, s.department, s.occupation, s.position, s.main, s.valid_from, \
                           s.valid_until FROM hr_staged_affiliation s WHERE s.import = $1";
    INSERT_QUALIFICATIONS = "INSERT INTO qualification (id, person, kind, number, expires) \
                             SELECT s.id, s.person, s.kind, s.number, s.expires \
                             FROM hr_staged_qualification s WHERE s.import = $1";
    POST_RECORDS = "INSERT INTO outbox (node, seq, record, at) \
                    SELECT CAST($2 AS TEXT), CAST($3 AS BIGINT) + s.place, s.record, CAST($4 AS BIGINT) \
                    FROM hr_staged_record s WHERE s.import = $1";
    LAST_PLACE = "SELECT place AS seq FROM hr_staged_record WHERE import = $1 ORDER BY place DESC LIMIT 1";
    CLEAR_PEOPLE = "DELETE FROM hr_staged_person WHERE import = $1 AND place <= $2";
    CLEAR_AFFILIATIONS = "DELETE FROM hr_staged_affiliation WHERE import = $1 AND place <= $2";
    CLEAR_QUALIFICATIONS = "DELETE FROM hr_staged_qualification WHERE import = $1 AND place <= $2";
    CLEAR_RECORDS = "DELETE FROM hr_staged_record WHERE import = $1 AND place <= $2";
    CLOSE = "DELETE FROM hr_staging WHERE id = $1";
    BROKEN_OFF = "SELECT id FROM hr_staging WHERE at < $1 OR ($2 AND node = $3) ORDER BY at LIMIT $4";
}

/// One person of a plan.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Who, and the version that was planned against; `None`: a new person.
    pub known: Option<(PersonId, i64)>,
    /// What HR says now.
    pub facts: &'a PersonFacts,
    /// The record of it.
    pub record: Record,
}

/// Rows of one plan in the staging tables, and what is expected of them. Dropped before
/// [`Self::discard`], it has them cleared in the background.
#[derive(Debug)]
pub struct Staging {
    store: Store,
    id: Uuid,
    expected: Expected,
    changed: Vec<Changed>,
    open: bool,
}

/// The staged records of an import that a commit queues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StagedRecords {
    import: Uuid,
    count: i64,
}

#[derive(FromRow)]
struct Seq {
    seq: i64,
}

#[derive(FromRow)]
struct Id {
    id: Uuid,
}

/// How often a plan was applied so far. Read it in the [`View`](crate::View) that the plan is made from.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn turn<'a>(db: impl Into<Reader<'a>>) -> Result<i64, StoreError> {
    let turn = db.into().one::<Seq>(TURN, args![]).await?;
    turn.map(|turn| turn.seq).ok_or(StoreError::Corrupt { what: "hr_turn" })
}

/// Clears what imports left that broke off: more than an hour ago on any node, or, at the start of this
/// one (`starting`), whenever on this one. How many they were, at most 64.
///
/// # Errors
/// [`StoreError::Busy`], [`StoreError::Engine`].
pub async fn sweep(store: &Store, starting: bool) -> Result<usize, StoreError> {
    let before = store.now().before(ABANDONED);
    let broken: Vec<Id> = Reader::from(store).all(BROKEN_OFF, args![before, starting, store.node(), SWEEP]).await?;
    for Id { id } in &broken {
        clear(store, *id).await?;
    }
    Ok(broken.len())
}

impl Staging {
    /// Begins a plan's staging.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Engine`].
    pub async fn open(store: &Store) -> Result<Self, StoreError> {
        let id = Uuid::now_v7();
        let mut tx = store.begin().await?;
        let now = tx.now();
        tx.run(OPEN, args![id, store.node(), now]).await?;
        tx.commit_unrecorded(Unrecorded::Staging).await?;
        Ok(Self { store: store.clone(), id, expected: Expected::default(), changed: Vec::new(), open: true })
    }

    /// Adds some people, after those before, in a transaction of its own; [`BATCH`] of them is a good
    /// measure. Nobody but this import sees them.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Engine`].
    pub async fn stage(&mut self, batch: &[Entry<'_>]) -> Result<(), StoreError> {
        let mut rows = Rows::new(self.id);
        for entry in batch {
            let person = rows.add(entry, &mut self.expected);
            self.changed.push(Changed::person(person));
        }
        let mut tx = self.store.begin().await?;
        rows.write(&mut tx).await?;
        tx.commit_unrecorded(Unrecorded::Staging).await
    }

    /// Makes the people into what was staged, with `source` as where it is said, and gives `facts` back
    /// with their records after its own, and with the news of each of them. Commit with these.
    ///
    /// `seen` is the [`turn`] that the plan was made in, if it depends on other people than its own.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if one of the people, or with `seen` anybody, has changed meanwhile, or
    /// if the staged rows are gone; [`StoreError::Duplicate`] if a new person's staff number is there;
    /// [`StoreError::Engine`]. The transaction must be dropped then.
    pub async fn apply(&self, tx: &mut Tx, seen: Option<i64>, source: &str, facts: Facts) -> Result<Facts, StoreError> {
        let (import, now, expected) = (self.id, tx.now(), self.expected);
        let turn = tx.one::<Seq>(TAKE_TURN, args![]).await?.ok_or(StoreError::Corrupt { what: "hr_turn" })?.seq;
        if seen.is_some_and(|seen| seen + 1 != turn) {
            return Err(StoreError::Conflict { what: "people" });
        }
        if expected.known > 0 {
            exactly("person", expected.known, tx.run(UPDATE_PEOPLE, args![import, source, now]).await?)?;
            tx.run(DELETE_AFFILIATIONS, args![import]).await?;
            tx.run(DELETE_QUALIFICATIONS, args![import]).await?;
        }
        exactly(STAGED, expected.new, tx.run(INSERT_PEOPLE, args![import, source, now]).await?)?;
        exactly(STAGED, expected.affiliations, tx.run(INSERT_AFFILIATIONS, args![import]).await?)?;
        exactly(STAGED, expected.qualifications, tx.run(INSERT_QUALIFICATIONS, args![import]).await?)?;
        let records = StagedRecords { import, count: expected.people };
        Ok(facts.all_changed(self.changed.iter().copied()).staged(records))
    }

    /// Clears the staged rows, whatever became of them.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Engine`]; the next [`sweep`] tries again.
    pub async fn discard(mut self) -> Result<(), StoreError> {
        clear(&self.store, self.id).await?;
        self.open = false;
        Ok(())
    }
}

/// Whoever asked may be gone in mid-import: his staged people go too.
impl Drop for Staging {
    fn drop(&mut self) {
        let Some(runtime) = self.open.then(Handle::try_current).and_then(Result::ok) else { return };
        let (store, id) = (self.store.clone(), self.id);
        runtime.spawn(async move {
            if let Err(error) = clear(&store, id).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a broken import stays staged for now");
            }
        });
    }
}

/// What conflicts when staged rows are missing.
const STAGED: &str = "staged import";

fn exactly(what: &'static str, expected: u64, touched: u64) -> Result<(), StoreError> {
    if touched == expected { Ok(()) } else { Err(StoreError::Conflict { what }) }
}

impl StagedRecords {
    pub(crate) fn len(self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// Queues them, in order; the last one's number.
    pub(crate) async fn post(self, tx: &mut Tx, node: &NodeId, now: Timestamp) -> Result<i64, StoreError> {
        let last = outbox::number(tx, node, self.count, now).await?;
        let posted = tx.run(POST_RECORDS, args![self.import, node, last - self.count, now]).await?;
        exactly(STAGED, self.count.unsigned_abs(), posted)?;
        Ok(last)
    }
}

async fn clear(store: &Store, import: Uuid) -> Result<(), StoreError> {
    let last = Reader::from(store).one::<Seq>(LAST_PLACE, args![import]).await?.map_or(0, |last| last.seq);
    let mut upto = 0;
    while upto < last {
        upto = last.min(upto + CLEARED);
        let mut tx = store.begin().await?;
        for table in [CLEAR_PEOPLE, CLEAR_AFFILIATIONS, CLEAR_QUALIFICATIONS, CLEAR_RECORDS] {
            tx.run(table, args![import, upto]).await?;
        }
        tx.commit_unrecorded(Unrecorded::Staging).await?;
    }
    let mut tx = store.begin().await?;
    tx.run(CLOSE, args![import]).await?;
    tx.commit_unrecorded(Unrecorded::Staging).await
}

#[cfg(test)]
mod tests;
