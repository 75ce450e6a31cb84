use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::change::{self, ChangeRow};
use crate::{ChangeKind, Store, StoreError};

/// How long a change of another node may go unseen.
const POLL: Duration = Duration::from_millis(250);
/// Changes read at once.
const BATCH: i64 = 500;
/// Further behind than this, forgetting everything is cheaper than hearing it all.
const MAX_LAG: i64 = 10_000;
/// A store that can't be read for this long may hide a revocation (design.md §4: 1 s).
const DEAF: Duration = Duration::from_secs(1);

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// This one thing changed.
    One {
        /// The place in the order of commits.
        seq: i64,
        /// What kind of thing.
        kind: ChangeKind,
        /// Which one.
        key: Uuid,
    },
    /// Anything may have changed: forget all. Said on lag, on a gap, on a change this program doesn't
    /// know, and when the store could not be read for a second.
    Flush,
}

/// The committed changes in their order, each once. Bounded: whoever listens too slowly is told to
/// [`Change::Flush`]. Subscribe before reading what a change may outdate.
#[derive(Debug)]
pub struct Feed {
    store: Store,
    hint: watch::Receiver<i64>,
    heard: i64,
    waiting: VecDeque<ChangeRow>,
    deaf_since: Option<Instant>,
}

impl Feed {
    pub(crate) fn new(store: Store, hint: watch::Receiver<i64>, heard: i64) -> Self {
        Self { store, hint, heard, waiting: VecDeque::new(), deaf_since: None }
    }

    /// The next change; waits as long as it takes. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(row) = self.waiting.pop_front() {
                return self.hear(row);
            }
            if let Some(flush) = self.read().await {
                return flush;
            }
            if self.waiting.is_empty() {
                self.pause().await;
            }
        }
    }

    /// The number of the last change that [`Self::next`] returned.
    pub fn position(&self) -> i64 {
        self.heard
    }

    fn hear(&mut self, row: ChangeRow) -> Change {
        let expected = self.heard + 1;
        self.heard = row.seq;
        match ChangeKind::from_name(&row.kind) {
            Some(kind) if row.seq == expected => Change::One { seq: row.seq, kind, key: row.key },
            _ => Change::Flush,
        }
    }

    async fn read(&mut self) -> Option<Change> {
        let begun = Instant::now();
        let batch = tokio::time::timeout(DEAF, self.batch()).await.unwrap_or(Err(StoreError::Busy));
        match batch {
            Ok(lagging) => {
                self.deaf_since = None;
                lagging
            }
            Err(error) => self.deaf(&error, begun),
        }
    }

    async fn batch(&mut self) -> Result<Option<Change>, StoreError> {
        let rows = change::after(&self.store, self.heard, BATCH).await?;
        let head = match rows.len() {
            0 => self.heard,
            _ => change::head(&self.store).await?,
        };
        if head - self.heard > MAX_LAG {
            self.heard = head;
            return Ok(Some(Change::Flush));
        }
        self.waiting = rows.into();
        Ok(None)
    }

    /// Said again each second, because caches may fill again from a store that others can still read.
    fn deaf(&mut self, error: &StoreError, begun: Instant) -> Option<Change> {
        let since = *self.deaf_since.get_or_insert(begun);
        if since.elapsed() < DEAF {
            return None;
        }
        tracing::error!(%error, "the change feed cannot be read");
        self.deaf_since = Some(Instant::now());
        Some(Change::Flush)
    }

    async fn pause(&mut self) {
        let hinted = async {
            if self.hint.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        // A late wake-up is as good as a hint: the next read decides.
        let _ = tokio::time::timeout(POLL, hinted).await;
    }
}

#[cfg(test)]
mod tests;
