//! What a person is told: kept until seen, and long enough after that to be looked up.

use model::{AccountId, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use crate::statements::statements;
use crate::value::args;
use crate::{Notice, Reader, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO notice (id, account, kind, body, at) VALUES ($1, $2, $3, $4, $5)";
    OF = "SELECT kind, body, at, seen_at FROM notice WHERE account = $1 ORDER BY at DESC, id DESC LIMIT $2";
    UNSEEN = "SELECT COUNT(*) AS count FROM notice WHERE account = $1 AND seen_at IS NULL";
    SEE = "UPDATE notice SET seen_at = $1 WHERE account = $2 AND at <= $3 AND seen_at IS NULL";
    PURGE = "DELETE FROM notice WHERE id IN (SELECT id FROM notice WHERE at <= $1 ORDER BY at LIMIT $2)";
}

pub(crate) async fn append(tx: &mut Tx, notices: &[Notice], now: Timestamp) -> Result<(), StoreError> {
    for notice in notices {
        tx.run(INSERT, args![Uuid::now_v7(), notice.account, notice.kind, &notice.body, now]).await?;
    }
    Ok(())
}

/// A notice as its person finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What about: the name of a message the pages know.
    pub kind: String,
    /// The message's arguments, as JSON.
    pub body: String,
    /// When it was queued.
    pub at: Timestamp,
    /// When its person said that he has seen it.
    pub seen_at: Option<Timestamp>,
}

/// What an account was told, newest first, at most `limit`.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn of<'a>(db: impl Into<Reader<'a>>, account: AccountId, limit: i64) -> Result<Vec<Told>, StoreError> {
    let rows = db.into().all::<ToldRow>(OF, args![account, limit]).await?;
    Ok(rows.into_iter().map(Told::from).collect())
}

/// How much of it nobody has seen.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn unseen<'a>(db: impl Into<Reader<'a>>, account: AccountId) -> Result<i64, StoreError> {
    Ok(db.into().one::<CountRow>(UNSEEN, args![account]).await?.map_or(0, |row| row.count))
}

/// The person has seen all until `until`; how many were new.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn see(tx: &mut Tx, account: AccountId, until: Timestamp) -> Result<u64, StoreError> {
    let now = tx.now();
    tx.run(SEE, args![now, account, until]).await
}

/// Forgets notices queued until `until`, at most `limit`; how many.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn purge(tx: &mut Tx, until: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.run(PURGE, args![until, limit]).await
}

#[derive(FromRow)]
struct CountRow {
    count: i64,
}

#[derive(FromRow)]
struct ToldRow {
    kind: String,
    body: String,
    at: i64,
    seen_at: Option<i64>,
}

impl From<ToldRow> for Told {
    fn from(row: ToldRow) -> Self {
        Self {
            kind: row.kind,
            body: row.body,
            at: Timestamp::from_micros(row.at),
            seen_at: row.seen_at.map(Timestamp::from_micros),
        }
    }
}

#[cfg(test)]
mod tests;
