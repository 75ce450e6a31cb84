use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use audit::{Appended, Journal, JournalError, OutboxRow, Position, StoredRecord, StoredRecordError};
use model::Timestamp;
use tokio::time::Instant;

use crate::outbox::{self, Unsent};
use crate::{Store, StoreError, Unrecorded, change};

/// Records carried at once.
const BATCH: i64 = 256;
/// How often to look without being rung for: rows whose ring was lost.
const POLL: Duration = Duration::from_secs(1);
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(5);
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How long sent records and heard changes stay.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows swept at once, so that the writer is never held for long.
const SWEEP: i64 = 5_000;

/// Where records go: the journal; in tests also one that fails.
pub(crate) trait Ledger: Send + Sync {
    /// Where a record came to stand.
    type Place: Send;

    /// Takes a row it doesn't have yet; for a row it has, says where.
    fn append(&self, row: &OutboxRow, record: &StoredRecord) -> Result<Self::Place, JournalError>;

    /// Returns when everything up to `place` is durable.
    fn synced(&self, place: Self::Place) -> impl Future<Output = Result<(), JournalError>> + Send;
}

impl Ledger for Journal {
    type Place = Position;

    fn append(&self, row: &OutboxRow, record: &StoredRecord) -> Result<Position, JournalError> {
        self.append_outbox(row, record).map(Appended::position)
    }

    async fn synced(&self, place: Position) -> Result<(), JournalError> {
        self.synced(place).await
    }
}

/// Carries committed records to the journal, in order, each once: the journal knows the rows it has,
/// so that what a crash left unmarked is simply sent again.
pub struct Pump<L = Journal> {
    store: Store,
    ledger: L,
}

impl Pump {
    /// A pump from `store` to `journal`; nothing moves until [`Self::run`].
    pub fn new(store: Store, journal: Journal) -> Self {
        Self { store, ledger: journal }
    }
}

#[expect(private_bounds, reason = "only the journal takes records outside tests")]
impl<L: Ledger> Pump<L> {
    /// Carries records until `shutdown` completes, then what is left. Where the journal can't be
    /// written it tries again, from 100 ms to 5 s apart; nothing is dropped meanwhile.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let shared = Arc::clone(self.store.shared());
        let (mut backoff, mut sweep_at) = (BACKOFF_FIRST, Instant::now());
        loop {
            let (wait, listen) = match self.drain().await {
                Ok(()) => {
                    backoff = BACKOFF_FIRST;
                    (POLL, true)
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "records wait for the journal");
                    let wait = backoff;
                    backoff = BACKOFF_MOST.min(backoff * 2);
                    (wait, false)
                }
            };
            if Instant::now() >= sweep_at {
                sweep_at = Instant::now() + SWEEP_EVERY;
                self.sweep().await;
            }
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = shared.posted.notified(), if listen => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Err(error) = self.drain().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "records stay in the outbox until the next start"
            );
        }
    }

    async fn drain(&self) -> Result<(), PumpError> {
        loop {
            let rows = outbox::unsent(&self.store, self.store.node(), BATCH).await?;
            let Some(last) = rows.last().map(|row| row.seq) else { return Ok(()) };
            self.carry(rows).await?;
            self.store
                .shared()
                .journaled
                .send_if_modified(|newest| std::mem::replace(newest, last.max(*newest)) < last);
            let mut tx = self.store.begin().await?;
            let now = tx.now();
            outbox::mark(&mut tx, self.store.node(), last, now).await?;
            tx.commit_unrecorded(Unrecorded::Housekeeping).await?;
        }
    }

    async fn carry(&self, rows: Vec<Unsent>) -> Result<(), PumpError> {
        let mut place = None;
        for Unsent { seq, record, at } in rows {
            let row = OutboxRow { node: self.store.node().clone(), id: seq, at: Timestamp::from_micros(at) };
            let record = StoredRecord::parse(record).map_err(|source| PumpError::Unreadable { seq, source })?;
            place = Some(self.ledger.append(&row, &record)?);
        }
        match place {
            Some(place) => Ok(self.ledger.synced(place).await?),
            None => Ok(()),
        }
    }

    async fn sweep(&self) {
        if let Err(error) = self.try_sweep().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "old outbox rows and changes stay for now");
        }
    }

    async fn try_sweep(&self) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        let before = tx.now().before(KEEP);
        outbox::purge(&mut tx, self.store.node(), before, SWEEP).await?;
        change::purge(&mut tx, before, SWEEP).await?;
        tx.commit_unrecorded(Unrecorded::Housekeeping).await
    }
}

/// Why records stay where they are for now.
#[derive(Debug, thiserror::Error)]
enum PumpError {
    #[error("the store does not give them")]
    Store(#[from] StoreError),
    #[error("the journal does not take them")]
    Journal(#[from] JournalError),
    /// Somebody altered the file, or a newer program wrote it. Nothing overtakes it: a record that
    /// vanishes is worse than an office that waits.
    #[error("row {seq} is no record")]
    Unreadable { seq: i64, source: StoredRecordError },
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod tests;
