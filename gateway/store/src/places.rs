//! Where accounts have logged in, and the failures of each place (A47). A place is a known one, with a count
//! of its own, or one of all the others, which share theirs.

use model::{AccountId, AuthenticatorId, Timestamp};
use sqlx::FromRow;

use crate::statements::statements;
use crate::value::args;
use crate::{Reader, StoreError, Tx};

statements! {
    KNOWN = "SELECT mark FROM known_place WHERE account = $1 AND mark IN ($2, $3)";
    ANY = "SELECT mark FROM known_place WHERE account = $1 LIMIT 1";
    SEEN = "INSERT INTO known_place (account, mark, seen_at) VALUES ($1, $2, $3) \
            ON CONFLICT (account, mark) DO UPDATE SET seen_at = excluded.seen_at";
    KEEP_NEWEST = "DELETE FROM known_place WHERE account = $1 AND mark NOT IN \
                   (SELECT mark FROM known_place WHERE account = $1 ORDER BY seen_at DESC, mark LIMIT $2)";
    FORGET_FAILURES = "DELETE FROM failure WHERE authenticator IN (SELECT id FROM authenticator WHERE account = $1) \
                       AND place <> $2 AND place NOT IN (SELECT mark FROM known_place WHERE account = $1)";
    COUNT = "INSERT INTO failure (authenticator, place, failures) \
             SELECT id, $2, 1 FROM authenticator WHERE id = $1 AND state = 'active' AND failures < $3 \
             ON CONFLICT (authenticator, place) DO UPDATE SET failures = failure.failures + 1 \
             WHERE failure.closed_until IS NULL OR failure.closed_until <= $4 RETURNING failures AS count";
    COUNT_ALL = "UPDATE authenticator SET failures = failures + 1 WHERE id = $1 AND state = 'active' \
                 RETURNING failures AS count";
    CLOSE = "UPDATE failure SET closed_until = $1 WHERE authenticator = $2 AND place = $3";
    CLOSED = "SELECT failures AS count FROM failure WHERE authenticator = $1 AND place = $2 AND closed_until > $3";
    CLEAR = "DELETE FROM failure WHERE authenticator = $1 AND place = $2";
}

/// The place of all that no account has logged in from.
const ELSEWHERE: &[u8] = b"elsewhere";

/// A keyed hash of a browser or an address.
pub type Mark = [u8; 32];

/// Where a try is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The account has logged in there before.
    Known(Mark),
    /// One count for everywhere else.
    Elsewhere,
}

impl Place {
    fn key(&self) -> &[u8] {
        match self {
            Self::Known(mark) => mark,
            Self::Elsewhere => ELSEWHERE,
        }
    }
}

/// A try that was counted as failed before it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Failures in a row at this place, this one included.
    pub here: i64,
    /// Failures in a row wherever they came from, this one included.
    pub everywhere: i64,
}

/// Where the account stands that comes from the browser and address of these marks; its browser counts before
/// its address, which others may share.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn of<'a>(
    db: impl Into<Reader<'a>>,
    account: AccountId,
    browser: &Mark,
    address: &Mark,
) -> Result<Place, StoreError> {
    let rows = db.into().all::<MarkRow>(KNOWN, args![account, browser.as_slice(), address.as_slice()]).await?;
    let known = |mark: &Mark| rows.iter().any(|row| row.mark == *mark).then_some(Place::Known(*mark));
    Ok(known(browser).or_else(|| known(address)).unwrap_or(Place::Elsewhere))
}

/// Has the account ever logged in anywhere that is still remembered?
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn any<'a>(db: impl Into<Reader<'a>>, account: AccountId) -> Result<bool, StoreError> {
    Ok(db.into().one::<MarkRow>(ANY, args![account]).await?.is_some())
}

/// The account has logged in where these marks are. Of its marks the newest `most` are kept, and no failures of
/// a place that is forgotten.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn seen(tx: &mut Tx, account: AccountId, marks: &[Mark], most: i64) -> Result<(), StoreError> {
    let now = tx.now();
    for mark in marks {
        tx.run(SEEN, args![account, mark.as_slice(), now]).await?;
    }
    if tx.run(KEEP_NEWEST, args![account, most]).await? > 0 {
        tx.run(FORGET_FAILURES, args![account, ELSEWHERE]).await?;
    }
    Ok(())
}

/// Counts a try as failed, at its place and in all, before it is checked. `None`, uncounted, if the
/// authenticator is closed for this place, off, ended, or has failed `most` times in all.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn count(
    tx: &mut Tx,
    id: AuthenticatorId,
    place: Place,
    most: i64,
    now: Timestamp,
) -> Result<Option<Counted>, StoreError> {
    let here = tx.one::<CountRow>(COUNT, args![id, place.key(), most, now]).await?;
    let Some(here) = here else { return Ok(None) };
    let everywhere = tx.one::<CountRow>(COUNT_ALL, args![id]).await?;
    Ok(everywhere.map(|everywhere| Counted { here: here.count, everywhere: everywhere.count }))
}

/// Closes an authenticator for a place until then; at all other places it goes on.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn close(tx: &mut Tx, id: AuthenticatorId, place: Place, until: Timestamp) -> Result<(), StoreError> {
    tx.run(CLOSE, args![until, id, place.key()]).await.map(drop)
}

/// Is the authenticator closed for this place?
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn closed<'a>(
    db: impl Into<Reader<'a>>,
    id: AuthenticatorId,
    place: Place,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(db.into().one::<CountRow>(CLOSED, args![id, place.key(), now]).await?.is_some())
}

/// Takes a place's failures back after a success there.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn clear(tx: &mut Tx, id: AuthenticatorId, place: Place) -> Result<(), StoreError> {
    tx.run(CLEAR, args![id, place.key()]).await.map(drop)
}

#[derive(FromRow)]
struct MarkRow {
    mark: Vec<u8>,
}

#[derive(FromRow)]
struct CountRow {
    count: i64,
}

#[cfg(test)]
mod tests;
