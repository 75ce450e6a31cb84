//! Proofing records and the one-time codes that rest on them.

use model::{AccountId, Timestamp, TokenHash};
use sqlx::FromRow;
use uuid::Uuid;

use crate::statements::statements;
use crate::value::args;
use crate::{Reader, StoreError, Tx};

statements! {
    INSERT_PROOFING = "INSERT INTO proofing (id, account, officer, method, evidence, at) VALUES ($1, $2, $3, $4, $5, $6)";
    INSERT = "INSERT INTO enrolment (hash, account, proofing, kind, issued_by, expires_at) \
              VALUES ($1, $2, $3, 'desk', $4, $5)";
    PROOFINGS = "SELECT id, officer FROM proofing WHERE account = $1 ORDER BY at DESC, id LIMIT $2";
    SUPERSEDE = "UPDATE enrolment SET expires_at = $1 WHERE account = $2 AND used_at IS NULL AND expires_at > $1";
    REDEEM = "UPDATE enrolment SET used_at = $1 \
              WHERE hash = $2 AND used_at IS NULL AND expires_at > $1 RETURNING account, proofing";
}

/// How a person's identity was checked; never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proofing {
    /// The record's id.
    pub id: Uuid,
    /// Whose account rests on it.
    pub account: AccountId,
    /// Who checked: a staff number, or the user of the gateway's own host.
    pub officer: String,
    /// How.
    pub method: String,
    /// What was looked at.
    pub evidence: String,
    /// When.
    pub at: Timestamp,
}

/// Keeps a proofing record.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn insert_proofing(tx: &mut Tx, proofing: &Proofing) -> Result<(), StoreError> {
    let args =
        args![proofing.id, proofing.account, &proofing.officer, &proofing.method, &proofing.evidence, proofing.at,];
    tx.run(INSERT_PROOFING, args).await.map(drop)
}

/// The account's proofing records, newest first, at most `limit`: each one's id and officer.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn officers<'a>(
    db: impl Into<Reader<'a>>,
    account: AccountId,
    limit: i64,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let rows = db.into().all::<OfficerRow>(PROOFINGS, args![account, limit]).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.officer)).collect())
}

/// Keeps a desk code, good until `expires_at`; earlier unused ones of the account are over.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn insert(
    tx: &mut Tx,
    code: &TokenHash,
    proofing: &Proofing,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    tx.run(SUPERSEDE, args![proofing.at, proofing.account]).await?;
    let args = args![code, proofing.account, proofing.id, &proofing.officer, expires_at];
    tx.run(INSERT, args).await.map(drop)
}

/// Uses a code up, once and in time: whose it was, and the proofing it rests on.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn redeem(tx: &mut Tx, code: &TokenHash, now: Timestamp) -> Result<Option<(AccountId, Uuid)>, StoreError> {
    let row = tx.one::<RedeemedRow>(REDEEM, args![now, code]).await?;
    Ok(row.map(|row| (row.account.into(), row.proofing)))
}

#[derive(FromRow)]
struct OfficerRow {
    id: Uuid,
    officer: String,
}

#[derive(FromRow)]
struct RedeemedRow {
    account: Uuid,
    proofing: Uuid,
}
