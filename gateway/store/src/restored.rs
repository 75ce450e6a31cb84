//! What must not come back to life with a store that was restored from a backup (A54).

use model::{AuthenticatorId, EndReason, Timestamp};
use sqlx::FromRow;

use crate::statements::statements;
use crate::value::args;
use crate::{StoreError, Tx, outbox};

statements! {
    END_SESSIONS = "UPDATE session SET state = 'ended', ended_at = $1, end_reason = $2, version = version + 1 \
                    WHERE state <> 'ended'";
    FORGET_TOKENS = "DELETE FROM session_token WHERE created_at <= $1";
    FORGET_HANDSHAKES = "DELETE FROM handshake WHERE expires_at >= $1";
    FORGET_CLI = "DELETE FROM cli_token WHERE expires_at >= $1";
    FORGET_INTERACTIONS = "DELETE FROM interaction WHERE expires_at >= $1";
    VOID_CODES = "UPDATE enrolment SET expires_at = $1 WHERE used_at IS NULL AND expires_at > $1";
    SPEND_STEPS = "UPDATE authenticator SET last_step = $1 \
                   WHERE kind = 'totp' AND state = 'active' AND (last_step IS NULL OR last_step < $1)";
    END_AUTHENTICATOR = "UPDATE authenticator SET state = 'ended', ended_at = $1 WHERE id = $2 AND state <> 'ended'";
    SWITCH_OFF = "UPDATE authenticator SET state = 'off' WHERE id = $1 AND state = 'active'";
    POSTED = "SELECT outbox_seq AS seq FROM node WHERE name = $1";
    COUNT_FAILURES = "UPDATE authenticator SET failures = $1 WHERE id = $2 AND failures < $1";
}

/// What ended because the store is a backup's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Sessions, with all their tokens.
    pub sessions: u64,
    /// Logins and handshakes that were under way.
    pub ceremonies: u64,
    /// Enrolment codes that nobody had used.
    pub codes: u64,
    /// Verification code seeds whose codes up to now count as spent.
    pub seeds: u64,
}

/// Ends every session, ceremony and one-time code, whatever the backup says of them; verification codes count
/// as spent up to `step`.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn end_all(tx: &mut Tx, step: i64) -> Result<Ended, StoreError> {
    let now = tx.now();
    let long_ago = Timestamp::default();
    let sessions = tx.run(END_SESSIONS, args![now, EndReason::Restored.name()]).await?;
    // A clock that was ahead when the backup was made makes no token immortal.
    tx.run(FORGET_TOKENS, args![i64::MAX]).await?;
    tx.run(FORGET_CLI, args![long_ago]).await?;
    let handshakes = tx.run(FORGET_HANDSHAKES, args![long_ago]).await?;
    let interactions = tx.run(FORGET_INTERACTIONS, args![long_ago]).await?;
    let codes = tx.run(VOID_CODES, args![now]).await?;
    let seeds = tx.run(SPEND_STEPS, args![step]).await?;
    Ok(Ended { sessions, ceremonies: handshakes + interactions, codes, seeds })
}

/// Ends an authenticator that had ended since the backup; false if the backup doesn't know it or had it so.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn end_authenticator(tx: &mut Tx, id: AuthenticatorId) -> Result<bool, StoreError> {
    let now = tx.now();
    Ok(tx.run(END_AUTHENTICATOR, args![now, id]).await? == 1)
}

/// Switches off an authenticator that had been switched off since the backup.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn switch_off(tx: &mut Tx, id: AuthenticatorId) -> Result<bool, StoreError> {
    Ok(tx.run(SWITCH_OFF, args![id]).await? == 1)
}

/// Brings an authenticator's failures up to what had been counted since the backup.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn count_failures(tx: &mut Tx, id: AuthenticatorId, failures: i64) -> Result<bool, StoreError> {
    Ok(tx.run(COUNT_FAILURES, args![failures, id]).await? == 1)
}

#[derive(FromRow)]
struct SeqRow {
    seq: i64,
}

/// The newest row of this node's outbox that the store knows of.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn posted(tx: &mut Tx) -> Result<i64, StoreError> {
    let node = tx.node().clone();
    Ok(tx.one::<SeqRow>(POSTED, args![&node]).await?.map_or(0, |row| row.seq))
}

/// The records of this node up to `row` are in the journal that the backup's store is put beside: they are not
/// sent again.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn sent_up_to(tx: &mut Tx, row: i64) -> Result<u64, StoreError> {
    let (node, now) = (tx.node().clone(), tx.now());
    outbox::mark(tx, &node, row, now).await
}

#[cfg(test)]
mod tests;
