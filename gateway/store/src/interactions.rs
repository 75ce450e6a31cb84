//! Logins, confirmations and enrolments on their way: one row each, until done or expired.

use model::{Timestamp, TokenHash};
use sqlx::FromRow;

use crate::sessions::hash;
use crate::statements::statements;
use crate::value::args;
use crate::{Reader, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO interaction (hash, kind, host, target, app_binder, portal_binder, state, expires_at) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    BY_HASH = "SELECT kind, host, target, app_binder, portal_binder, state, expires_at FROM interaction WHERE hash = $1";
    BIND = "UPDATE interaction SET portal_binder = $1 WHERE hash = $2 AND portal_binder IS NULL";
    ADVANCE = "UPDATE interaction SET state = $1 WHERE hash = $2 AND state = $3";
    TAKE = "DELETE FROM interaction WHERE hash = $1 \
            RETURNING kind, host, target, app_binder, portal_binder, state, expires_at";
    COUNT = "SELECT COUNT(*) AS count FROM interaction";
    EVICT = "DELETE FROM interaction WHERE hash = $1 AND portal_binder IS NULL";
    EVICT_OLDEST = "DELETE FROM interaction WHERE hash IN \
                    (SELECT hash FROM interaction WHERE portal_binder IS NULL ORDER BY expires_at LIMIT $1)";
    PURGE = "DELETE FROM interaction WHERE hash IN \
             (SELECT hash FROM interaction WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
}

/// A ceremony's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// `login`, `confirm`, `enrolment`.
    pub kind: String,
    /// The host to come back to.
    pub host: String,
    /// The path there.
    pub target: String,
    /// The browser, as that host knows it.
    pub app_binder: Option<TokenHash>,
    /// The browser, as the portal host knows it.
    pub portal_binder: Option<TokenHash>,
    /// Where the ceremony stands, as JSON.
    pub state: Vec<u8>,
    /// When it is worth nothing any more.
    pub expires_at: Timestamp,
}

/// Keeps a new interaction.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn insert(tx: &mut Tx, hash: &TokenHash, row: &Interaction) -> Result<(), StoreError> {
    let args = args![
        hash,
        &row.kind,
        &row.host,
        &row.target,
        row.app_binder,
        row.portal_binder,
        row.state.as_slice(),
        row.expires_at,
    ];
    tx.run(INSERT, args).await.map(drop)
}

/// The interaction of a token; expired ones too.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn by_hash<'a>(db: impl Into<Reader<'a>>, hash: &TokenHash) -> Result<Option<Interaction>, StoreError> {
    db.into().one::<InteractionRow>(BY_HASH, args![hash]).await?.map(Interaction::try_from).transpose()
}

/// Gives an interaction to the first browser that comes with it; false if it has one.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn bind(tx: &mut Tx, hash: &TokenHash, binder: &TokenHash) -> Result<bool, StoreError> {
    Ok(tx.run(BIND, args![binder, hash]).await? == 1)
}

/// Moves an interaction from the state the caller saw to the next.
///
/// # Errors
/// [`StoreError::Conflict`] if another request was faster, [`StoreError::Engine`].
pub async fn advance(tx: &mut Tx, hash: &TokenHash, seen: &[u8], next: &[u8]) -> Result<(), StoreError> {
    match tx.run(ADVANCE, args![next, hash, seen]).await? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict { what: "interaction" }),
    }
}

/// Takes an interaction out: it is done, once.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn take(tx: &mut Tx, hash: &TokenHash) -> Result<Option<Interaction>, StoreError> {
    tx.one::<InteractionRow>(TAKE, args![hash]).await?.map(Interaction::try_from).transpose()
}

/// How many interactions there are.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn count<'a>(db: impl Into<Reader<'a>>) -> Result<i64, StoreError> {
    Ok(db.into().one::<CountRow>(COUNT, args![]).await?.map_or(0, |row| row.count))
}

/// Forgets an interaction that no browser has come with to the portal yet.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn evict(tx: &mut Tx, hash: &TokenHash) -> Result<(), StoreError> {
    tx.run(EVICT, args![hash]).await.map(drop)
}

/// Forgets the oldest interactions that no browser has come with to the portal yet, at most `limit`; how
/// many.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn evict_oldest(tx: &mut Tx, limit: i64) -> Result<u64, StoreError> {
    tx.run(EVICT_OLDEST, args![limit]).await
}

/// Forgets expired interactions, at most `limit`; how many.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn purge(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.run(PURGE, args![now, limit]).await
}

#[derive(FromRow)]
struct CountRow {
    count: i64,
}

#[derive(FromRow)]
struct InteractionRow {
    kind: String,
    host: String,
    target: String,
    app_binder: Option<Vec<u8>>,
    portal_binder: Option<Vec<u8>>,
    state: Vec<u8>,
    expires_at: i64,
}

impl TryFrom<InteractionRow> for Interaction {
    type Error = StoreError;

    fn try_from(row: InteractionRow) -> Result<Self, StoreError> {
        let binder = |bytes: Option<Vec<u8>>| bytes.map(|b| hash(&b, "interaction binder")).transpose();
        Ok(Self {
            kind: row.kind,
            host: row.host,
            target: row.target,
            app_binder: binder(row.app_binder)?,
            portal_binder: binder(row.portal_binder)?,
            state: row.state,
            expires_at: Timestamp::from_micros(row.expires_at),
        })
    }
}
