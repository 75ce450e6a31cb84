//! Records on their way from a committed transaction to the journal.
//!
//! A row's number is this node's own and only grows. It never falls behind the clock either, so that
//! a store restored from a backup does not give new records the numbers of old ones, which the
//! journal would take for repetitions.

use model::{NodeId, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use crate::engine::Connection;
use crate::statements::{Statement, statements};
use crate::value::args;
use crate::{Reader, StoreError, Tx};

statements! {
    REGISTER = "INSERT INTO node (id, name, outbox_seq, started_at) VALUES ($1, $2, 0, $3) \
                ON CONFLICT (name) DO UPDATE SET started_at = excluded.started_at";
    NUMBER = "UPDATE node SET outbox_seq = \
              CASE WHEN outbox_seq >= $2 THEN outbox_seq + $3 ELSE $2 + $3 - 1 END \
              WHERE name = $1 AND started_at = $4 RETURNING outbox_seq AS seq";
    INSERT = "INSERT INTO outbox (node, seq, record, at) VALUES ($1, $2, $3, $4)";
    UNSENT = "SELECT seq, record, at FROM outbox WHERE node = $1 AND journaled_at IS NULL ORDER BY seq LIMIT $2";
    BACKLOG = "SELECT COUNT(*) AS records, MIN(at) AS oldest FROM outbox WHERE node = $1 AND journaled_at IS NULL";
    SENT = "UPDATE outbox SET journaled_at = $1 WHERE node = $2 AND seq <= $3 AND journaled_at IS NULL";
    PURGE = "DELETE FROM outbox WHERE node = $1 AND seq IN \
             (SELECT seq FROM outbox WHERE node = $1 AND journaled_at < $2 ORDER BY seq LIMIT $3)";
}

/// How a row is numbered and queued, for whoever has a connection of his own.
pub(crate) const POSTING: [Statement; 2] = [NUMBER, INSERT];

/// A record that isn't known to be in the journal.
#[derive(Debug, FromRow)]
pub(crate) struct Unsent {
    pub(crate) seq: i64,
    pub(crate) record: String,
    pub(crate) at: i64,
}

/// What waits for the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many records.
    pub records: u64,
    /// Since when the oldest of them waits.
    pub oldest: Option<Timestamp>,
}

#[derive(FromRow)]
struct BacklogRow {
    records: i64,
    oldest: Option<i64>,
}

/// What `node` has not carried to the journal yet.
pub(crate) async fn backlog<'a>(db: impl Into<Reader<'a>>, node: &NodeId) -> Result<Backlog, StoreError> {
    let row = db.into().one::<BacklogRow>(BACKLOG, args![node]).await?;
    Ok(row.map_or(Backlog { records: 0, oldest: None }, |row| Backlog {
        records: row.records.unsigned_abs(),
        oldest: row.oldest.map(Timestamp::from_micros),
    }))
}

#[derive(FromRow)]
struct Seq {
    seq: i64,
}

/// Makes sure the node has its row.
pub(crate) async fn register(tx: &mut Connection, id: Uuid, node: &NodeId, now: Timestamp) -> Result<(), StoreError> {
    tx.run(REGISTER, args![id, node, now]).await.map(drop)
}

/// Queues `records`, in order; the last one's number.
///
/// # Errors
/// As [`number`].
pub(crate) async fn append(
    tx: &mut Tx,
    node: &NodeId,
    records: Vec<String>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
    let last = number(tx, node, count, now).await?;
    for (seq, record) in (last - count + 1..).zip(records) {
        tx.run(INSERT, args![node, seq, record, now]).await?;
    }
    Ok(last)
}

/// Takes the next `count` numbers of `node`; the last of them. They are only for the process that took the
/// node's name last: a former one that lives on writes no more.
///
/// # Errors
/// [`StoreError::InUse`] if another process has taken the name since, [`StoreError::Engine`].
pub(crate) async fn number(tx: &mut Tx, node: &NodeId, count: i64, now: Timestamp) -> Result<i64, StoreError> {
    let started_at = tx.started_at();
    let numbered = tx.one::<Seq>(NUMBER, args![node, now, count, started_at]).await?;
    numbered.map(|n| n.seq).ok_or_else(|| StoreError::InUse { place: format!("node {}", node.as_str()) })
}

/// The oldest records of `node` that aren't marked, at most `limit`.
pub(crate) async fn unsent<'a>(
    db: impl Into<Reader<'a>>,
    node: &NodeId,
    limit: i64,
) -> Result<Vec<Unsent>, StoreError> {
    db.into().all(UNSENT, args![node, limit]).await
}

/// Marks the records of `node` up to `seq` as durable in the journal.
pub(crate) async fn mark(tx: &mut Tx, node: &NodeId, seq: i64, now: Timestamp) -> Result<u64, StoreError> {
    tx.run(SENT, args![now, node, seq]).await
}

/// Forgets records that were marked before `before`, at most `limit`.
pub(crate) async fn purge(tx: &mut Tx, node: &NodeId, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.run(PURGE, args![node, before, limit]).await
}
