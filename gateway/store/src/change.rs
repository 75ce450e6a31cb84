//! The rows of the change feed. Their order is the commit order: the number comes from the head row,
//! whose update is held until the commit, so that nobody sees 8 before 7 is there to be seen.

use model::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use crate::statements::statements;
use crate::value::args;
use crate::{Changed, Reader, StoreError, Tx};

statements! {
    ADVANCE = "UPDATE change_head SET seq = seq + $1 WHERE id = 1 RETURNING seq";
    INSERT = "INSERT INTO change (seq, kind, key, at) VALUES ($1, $2, $3, $4)";
    HEAD = "SELECT seq FROM change_head WHERE id = 1";
    AFTER = "SELECT seq, kind, key FROM change WHERE seq > $1 ORDER BY seq LIMIT $2";
    PURGE = "DELETE FROM change WHERE seq IN \
             (SELECT seq FROM change WHERE at < $1 \
              AND seq < (SELECT seq FROM change_head WHERE id = 1) ORDER BY seq LIMIT $2)";
}

/// More changes than this in one commit are told as "forget everything".
pub(crate) const TELLABLE: usize = 1_000;
/// The kind of that row. No [`ChangeKind`](crate::ChangeKind) has this name, so that it reads as a flush.
const EVERYTHING: &str = "everything";

#[derive(Debug, FromRow)]
pub(crate) struct ChangeRow {
    pub(crate) seq: i64,
    pub(crate) kind: String,
    pub(crate) key: Uuid,
}

#[derive(FromRow)]
struct Seq {
    seq: i64,
}

/// Writes the changes of a transaction; must be the last thing before its commit. The newest number,
/// if there was anything to tell.
pub(crate) async fn append(tx: &mut Tx, changed: Vec<Changed>, now: Timestamp) -> Result<Option<i64>, StoreError> {
    let rows: Vec<(&'static str, Uuid)> = match changed.len() {
        0 => return Ok(None),
        n if n > TELLABLE => vec![(EVERYTHING, Uuid::nil())],
        _ => changed.into_iter().map(|c| (c.kind.name(), c.key)).collect(),
    };
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let last = tx.one::<Seq>(ADVANCE, args![count]).await?.ok_or(StoreError::Corrupt { what: "change_head" })?.seq;
    for (seq, (kind, key)) in (last - count + 1..).zip(rows) {
        tx.run(INSERT, args![seq, kind, key, now]).await?;
    }
    Ok(Some(last))
}

/// The number of the newest committed change.
pub(crate) async fn head<'a>(db: impl Into<Reader<'a>>) -> Result<i64, StoreError> {
    let head = db.into().one::<Seq>(HEAD, args![]).await?;
    head.map(|h| h.seq).ok_or(StoreError::Corrupt { what: "change_head" })
}

/// The changes after `seq`, oldest first, at most `limit`.
pub(crate) async fn after<'a>(db: impl Into<Reader<'a>>, seq: i64, limit: i64) -> Result<Vec<ChangeRow>, StoreError> {
    db.into().all(AFTER, args![seq, limit]).await
}

/// Forgets changes from before `before`, at most `limit`. A feed that still wanted them sees the gap
/// and flushes; the newest one stays for that.
pub(crate) async fn purge(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.run(PURGE, args![before, limit]).await
}
