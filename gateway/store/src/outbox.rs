//! Records on their way from a committed transaction to the journal.
//!
//! A row's number is this node's own and only grows. It never falls behind the clock either, so that
//! a store restored from a backup does not give new records the numbers of old ones, which the
//! journal would take for repetitions.

use model::{NodeId, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use crate::engine::Connection;
use crate::statements::statements;
use crate::value::args;
use crate::{Reader, StoreError, Tx};

statements! {
    REGISTER = "INSERT INTO node (id, name, outbox_seq, started_at) VALUES ($1, $2, 0, $3) \
                ON CONFLICT (name) DO UPDATE SET started_at = excluded.started_at";
    NUMBER = "UPDATE node SET outbox_seq = \
              CASE WHEN outbox_seq >= $2 THEN outbox_seq + $3 ELSE $2 + $3 - 1 END \
              WHERE name = $1 RETURNING outbox_seq AS seq";
    INSERT = "INSERT INTO outbox (node, seq, record, at) VALUES ($1, $2, $3, $4)";
    UNSENT = "SELECT seq, record, at FROM outbox WHERE node = $1 AND journaled_at IS NULL ORDER BY seq LIMIT $2";
    SENT = "UPDATE outbox SET journaled_at = $1 WHERE node = $2 AND seq <= $3 AND journaled_at IS NULL";
    PURGE = "DELETE FROM outbox WHERE node = $1 AND seq IN \
             (SELECT seq FROM outbox WHERE node = $1 AND journaled_at < $2 ORDER BY seq LIMIT $3)";
}

/// A record that isn't known to be in the journal.
#[derive(Debug, FromRow)]
pub(crate) struct Unsent {
    pub(crate) seq: i64,
    pub(crate) record: String,
    pub(crate) at: i64,
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
pub(crate) async fn append(
    tx: &mut Tx,
    node: &NodeId,
    records: Vec<String>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
    let numbered = tx.one::<Seq>(NUMBER, args![node, now, count]).await?;
    let last = numbered.ok_or(StoreError::Corrupt { what: "node" })?.seq;
    for (seq, record) in (last - count + 1..).zip(records) {
        tx.run(INSERT, args![node, seq, record, now]).await?;
    }
    Ok(last)
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
