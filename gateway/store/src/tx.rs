use std::sync::Arc;
use std::time::Duration;

use model::{NodeId, Timestamp};

use crate::engine::{Connection, Row};
use crate::people::staging::StagedRecords;
use crate::statements::Statement;
use crate::store::Shared;
use crate::value::Value;
use crate::{ChangeKind, Changed, Facts, StoreError, Unrecorded, change, notices, outbox};

/// The most records one commit may carry.
pub(crate) const MAX_RECORDS: usize = 65_536;
/// How long [`Committed::journaled`] waits.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(5);

/// A transaction that holds the one writer. Owned and `Send`; dropped, it rolls back. There are two
/// ways to commit: with [`Facts`], or by naming why the rows carry no act.
#[derive(Debug)]
pub struct Tx {
    connection: Connection,
    shared: Arc<Shared>,
}

impl Tx {
    pub(crate) fn new(connection: Connection, shared: Arc<Shared>) -> Self {
        Self { connection, shared }
    }

    /// What time it is by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Commits the rows together with their records, changes and notices. On return all of it is on the
    /// disk; [`Committed::journaled`] waits for the journal.
    ///
    /// # Errors
    /// Nothing is written: [`StoreError::TooLarge`], [`StoreError::Duplicate`], [`StoreError::Spoilt`],
    /// [`StoreError::InUse`], [`StoreError::Engine`].
    pub async fn commit(mut self, facts: Facts) -> Result<Committed, StoreError> {
        let records = written(&facts)?;
        let (shared, now) = (Arc::clone(&self.shared), self.now());
        notices::append(&mut self, &facts.notices, now).await?;
        let mut posted = outbox::append(&mut self, &shared.node, records, now).await?;
        if let Some(staged) = facts.staged {
            posted = staged.post(&mut self, &shared.node, now).await?;
        }
        let changed = change::append(&mut self, announced(facts), now).await?;
        self.connection.commit().await?;
        shared.announce(changed);
        Ok(Committed { shared, posted })
    }

    /// Commits rows that carry no act: no record, nothing for others to hear.
    ///
    /// # Errors
    /// [`StoreError::Spoilt`], [`StoreError::Engine`].
    pub async fn commit_unrecorded(self, why: Unrecorded) -> Result<(), StoreError> {
        self.connection.commit().await?;
        tracing::trace!(why = why.name(), "committed");
        Ok(())
    }

    /// Runs a statement; how many rows it touched.
    pub(crate) async fn run(&mut self, statement: Statement, values: Vec<Value>) -> Result<u64, StoreError> {
        self.connection.run(statement, values).await
    }

    /// The one row that a statement yields or returns.
    pub(crate) async fn one<R: Row>(
        &mut self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Option<R>, StoreError> {
        self.connection.one(statement, values).await
    }

    /// All rows that a statement yields or returns.
    pub(crate) async fn all<R: Row>(&mut self, statement: Statement, values: Vec<Value>) -> Result<Vec<R>, StoreError> {
        self.connection.all(statement, values).await
    }

    /// The node this process runs as.
    pub(crate) fn node(&self) -> &NodeId {
        &self.shared.node
    }

    /// When this process took its node's name.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.shared.started_at
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Shared {
    fn announce(&self, changed: Option<i64>) {
        if let Some(seq) = changed {
            self.changed.send_if_modified(|newest| std::mem::replace(newest, seq.max(*newest)) < seq);
        }
        self.posted.notify_one();
    }
}

/// What others hear: a queued notice is a change too.
fn announced(facts: Facts) -> Vec<Changed> {
    let told = facts.notices.iter().map(|n| Changed { kind: ChangeKind::Notice, key: n.account.uuid() });
    facts.changed.into_iter().chain(told).collect()
}

fn written(facts: &Facts) -> Result<Vec<String>, StoreError> {
    let staged = facts.staged.map_or(0, StagedRecords::len);
    if facts.records.len().saturating_add(staged) > MAX_RECORDS {
        return Err(StoreError::TooLarge { what: "records", limit: MAX_RECORDS });
    }
    Ok(facts.records.iter().map(|record| record.store().into()).collect())
}

/// Rows and records are on the disk; the journal follows.
#[derive(Debug)]
#[must_use = "an answer to a person waits for `journaled`"]
pub struct Committed {
    shared: Arc<Shared>,
    posted: i64,
}

impl Committed {
    /// Waits until the pump has written this transaction's records to the journal and synced them.
    ///
    /// # Errors
    /// [`StoreError::NotJournaled`] after five seconds; the records are kept and sent later.
    pub async fn journaled(self) -> Result<(), StoreError> {
        self.journaled_within(JOURNAL_PATIENCE).await
    }

    /// As [`Self::journaled`], waiting at most `patience`.
    ///
    /// # Errors
    /// [`StoreError::NotJournaled`].
    pub async fn journaled_within(self, patience: Duration) -> Result<(), StoreError> {
        let mut newest = self.shared.journaled.subscribe();
        let arrived = tokio::time::timeout(patience, newest.wait_for(|seq| *seq >= self.posted)).await;
        match arrived {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::NotJournaled { waited: patience }),
        }
    }
}

#[cfg(test)]
mod tests;
