//! Authenticators of accounts, and whose they are. Never deleted, only ended (C-34).

use model::{AccountId, AuthenticatorId, Person, StaffNo, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use crate::accounts::AccountState;
use crate::statements::statements;
use crate::value::args;
use crate::{Reader, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO authenticator (id, account, kind, label, data, credential_id, last_step, failures, state, bound_at, \
              bound_by) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 'active', $8, $9)";
    ACTIVE = "SELECT id, account, kind, label, data, last_step, failures, bound_at, last_used_at \
              FROM authenticator WHERE account = $1 AND state = 'active' ORDER BY bound_at, id LIMIT 64";
    BY_CREDENTIAL = "SELECT id, account, kind, label, data, last_step, failures, bound_at, last_used_at \
                     FROM authenticator WHERE credential_id = $1 AND state = 'active'";
    REFUND = "UPDATE authenticator SET failures = 0, last_used_at = $1 WHERE id = $2 AND state = 'active'";
    ADVANCE = "UPDATE authenticator SET last_step = $1 \
               WHERE id = $2 AND state = 'active' AND (last_step IS NULL OR last_step < $1)";
    RENEW = "UPDATE authenticator SET data = $1 WHERE id = $2 AND state = 'active'";
    TURN_OFF = "UPDATE authenticator SET state = 'off' WHERE id = $1 AND state = 'active'";
    OF = "SELECT id, kind, label, state, bound_at, bound_by, ended_at, last_used_at FROM authenticator \
          WHERE account = $1 ORDER BY CASE state WHEN 'active' THEN 0 WHEN 'off' THEN 1 ELSE 2 END, bound_at DESC, id \
          LIMIT $2";
    RENAME = "UPDATE authenticator SET label = $1 WHERE id = $2 AND account = $3 AND state <> 'ended'";
    END = "UPDATE authenticator SET state = 'ended', ended_at = $1 WHERE id = $2 AND account = $3 AND state <> 'ended'";
    END_KIND = "UPDATE authenticator SET state = 'ended', ended_at = $1 \
                WHERE account = $2 AND kind = $3 AND id <> $4 AND state <> 'ended' RETURNING id";
    HOLDER_BY_STAFF_NO = "SELECT a.id AS account, a.state, p.id, p.staff_no, p.name, p.kana, p.birth_date, p.employed_until, \
        (SELECT f.department FROM affiliation f WHERE f.person = p.id \
         AND (f.valid_from IS NULL OR f.valid_from <= $2) AND (f.valid_until IS NULL OR f.valid_until >= $2) \
         ORDER BY f.main DESC, f.department LIMIT 1) AS department \
        FROM account a JOIN person p ON p.id = a.person WHERE p.staff_no = $1";
    HOLDER = "SELECT a.id AS account, a.state, p.id, p.staff_no, p.name, p.kana, p.birth_date, p.employed_until, \
        (SELECT f.department FROM affiliation f WHERE f.person = p.id \
         AND (f.valid_from IS NULL OR f.valid_from <= $2) AND (f.valid_until IS NULL OR f.valid_until >= $2) \
         ORDER BY f.main DESC, f.department LIMIT 1) AS department \
        FROM account a JOIN person p ON p.id = a.person WHERE a.id = $1";
}

/// What an authenticator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthenticatorKind {
    /// Something known.
    Password,
    /// A seed in an app or token.
    Totp,
    /// A WebAuthn credential that verifies its user.
    Passkey,
    /// A WebAuthn credential that feels a touch and no more.
    SecurityKey,
}

impl AuthenticatorKind {
    /// As the store, records and pages write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::SecurityKey => "security-key",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Password, Self::Totp, Self::Passkey, Self::SecurityKey].into_iter().find(|kind| kind.name() == name)
    }
}

/// An authenticator that is neither off nor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticator {
    /// Its id.
    pub id: AuthenticatorId,
    /// Whose.
    pub account: AccountId,
    /// What it is.
    pub kind: AuthenticatorKind,
    /// As its owner calls it.
    pub label: String,
    /// The verifier: hash, sealed seed, public key.
    pub data: Vec<u8>,
    /// The last time step or signature counter that was accepted.
    pub last_step: Option<i64>,
    /// Failures in a row, wherever they came from.
    pub failures: i64,
    /// Since when it is bound.
    pub bound_at: Timestamp,
    /// When it was last accepted.
    pub last_used_at: Option<Timestamp>,
}

/// An authenticator to bind.
#[derive(Clone, Debug)]
pub struct NewAuthenticator<'a> {
    /// A new id, which sealed data is bound to.
    pub id: AuthenticatorId,
    /// Whose.
    pub account: AccountId,
    /// What it is.
    pub kind: AuthenticatorKind,
    /// As its owner calls it.
    pub label: &'a str,
    /// The verifier.
    pub data: &'a [u8],
    /// The credential id of a passkey or security key, unique among all.
    pub credential_id: Option<&'a [u8]>,
    /// The time step or counter that proved it at binding.
    pub last_step: Option<i64>,
    /// What the binding rests on: a proofing record's id, or a session's.
    pub bound_by: &'a str,
}

/// Where an authenticator is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In use.
    Active,
    /// Off after too many failures.
    Off,
    /// Ended by its owner, or replaced.
    Ended,
}

impl Standing {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "active" => Some(Self::Active),
            "off" => Some(Self::Off),
            "ended" => Some(Self::Ended),
            _ => None,
        }
    }
}

/// An authenticator as its owner looks at it, ended ones too; nothing secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its id.
    pub id: AuthenticatorId,
    /// What it is.
    pub kind: AuthenticatorKind,
    /// As its owner calls it.
    pub label: String,
    /// Where it is in its life.
    pub standing: Standing,
    /// Since when it is bound.
    pub bound_at: Timestamp,
    /// What the binding rests on.
    pub bound_by: String,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
    /// When it was last accepted.
    pub last_used_at: Option<Timestamp>,
}

/// All an account ever had, at most `limit`: those in use first, then those that are off, then ended ones; the
/// newest of each first.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn of<'a>(db: impl Into<Reader<'a>>, account: AccountId, limit: i64) -> Result<Vec<Described>, StoreError> {
    let rows = db.into().all::<DescribedRow>(OF, args![account, limit]).await?;
    rows.into_iter().map(Described::try_from).collect()
}

/// Gives one of the account's authenticators another label; false if the account has no such.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn rename(tx: &mut Tx, account: AccountId, id: AuthenticatorId, label: &str) -> Result<bool, StoreError> {
    Ok(tx.run(RENAME, args![label, id, account]).await? == 1)
}

/// Ends one of the account's authenticators; false if the account has no such, or it has ended.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn end(tx: &mut Tx, account: AccountId, id: AuthenticatorId) -> Result<bool, StoreError> {
    let now = tx.now();
    Ok(tx.run(END, args![now, id, account]).await? == 1)
}

/// Binds an authenticator.
///
/// # Errors
/// [`StoreError::Duplicate`] if the credential is bound already, to whomever; [`StoreError::Engine`].
pub async fn insert(tx: &mut Tx, new: &NewAuthenticator<'_>) -> Result<(), StoreError> {
    let now = tx.now();
    let args = args![
        new.id,
        new.account,
        new.kind.name(),
        new.label,
        new.data,
        new.credential_id,
        new.last_step,
        now,
        new.bound_by,
    ];
    tx.run(INSERT, args).await.map(drop)
}

/// The account's authenticators that are neither off nor ended, oldest first, at most 64.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn active<'a>(db: impl Into<Reader<'a>>, account: AccountId) -> Result<Vec<Authenticator>, StoreError> {
    let rows = db.into().all::<AuthenticatorRow>(ACTIVE, args![account]).await?;
    rows.into_iter().map(Authenticator::try_from).collect()
}

/// The passkey or security key with this credential id.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn by_credential<'a>(
    db: impl Into<Reader<'a>>,
    credential_id: &[u8],
) -> Result<Option<Authenticator>, StoreError> {
    let row = db.into().one::<AuthenticatorRow>(BY_CREDENTIAL, args![credential_id]).await?;
    row.map(Authenticator::try_from).transpose()
}

/// Takes the sum of failures back after a success (those of a place: [`crate::places::clear`]); false if the
/// authenticator is off or ended meanwhile.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn refund(tx: &mut Tx, id: AuthenticatorId, now: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.run(REFUND, args![now, id]).await? == 1)
}

/// Accepts a time step or counter, if it is later than every one before; false if it isn't.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn advance(tx: &mut Tx, id: AuthenticatorId, step: i64) -> Result<bool, StoreError> {
    Ok(tx.run(ADVANCE, args![step, id]).await? == 1)
}

/// Replaces the verifier: a stronger hash, a passkey's new flags.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn renew(tx: &mut Tx, id: AuthenticatorId, data: &[u8]) -> Result<(), StoreError> {
    tx.run(RENEW, args![data, id]).await.map(drop)
}

/// Turns an authenticator off; false if it was not active.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn turn_off(tx: &mut Tx, id: AuthenticatorId) -> Result<bool, StoreError> {
    Ok(tx.run(TURN_OFF, args![id]).await? == 1)
}

/// Ends all authenticators of a kind but `keep`; which.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn end_others(
    tx: &mut Tx,
    account: AccountId,
    kind: AuthenticatorKind,
    keep: AuthenticatorId,
) -> Result<Vec<AuthenticatorId>, StoreError> {
    let now = tx.now();
    let rows = tx.all::<IdRow>(END_KIND, args![now, account, kind.name(), keep]).await?;
    Ok(rows.into_iter().map(|row| row.id.into()).collect())
}

/// A person together with the state of his account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub person: Person,
    /// Where the account is in its life.
    pub state: AccountState,
    /// The birthday, in days since 1970.
    pub birth_date: Option<i32>,
    /// The last day of employment, in days since 1970.
    pub employed_until: Option<i32>,
}

/// The holder of the account with this staff number; his department as of `today` (days since 1970).
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn holder_by_staff_no<'a>(
    db: impl Into<Reader<'a>>,
    staff_no: &StaffNo,
    today: i32,
) -> Result<Option<Holder>, StoreError> {
    db.into().one::<HolderRow>(HOLDER_BY_STAFF_NO, args![staff_no, today]).await?.map(Holder::try_from).transpose()
}

/// The holder of an account; his department as of `today` (days since 1970).
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn holder<'a>(
    db: impl Into<Reader<'a>>,
    account: AccountId,
    today: i32,
) -> Result<Option<Holder>, StoreError> {
    db.into().one::<HolderRow>(HOLDER, args![account, today]).await?.map(Holder::try_from).transpose()
}

#[derive(FromRow)]
struct IdRow {
    id: Uuid,
}

#[derive(FromRow)]
struct DescribedRow {
    id: Uuid,
    kind: String,
    label: String,
    state: String,
    bound_at: i64,
    bound_by: String,
    ended_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TryFrom<DescribedRow> for Described {
    type Error = StoreError;

    fn try_from(row: DescribedRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            kind: AuthenticatorKind::from_name(&row.kind).ok_or(StoreError::Corrupt { what: "authenticator.kind" })?,
            label: row.label,
            standing: Standing::from_name(&row.state).ok_or(StoreError::Corrupt { what: "authenticator.state" })?,
            bound_at: Timestamp::from_micros(row.bound_at),
            bound_by: row.bound_by,
            ended_at: row.ended_at.map(Timestamp::from_micros),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
        })
    }
}

#[derive(FromRow)]
struct AuthenticatorRow {
    id: Uuid,
    account: Uuid,
    kind: String,
    label: String,
    data: Vec<u8>,
    last_step: Option<i64>,
    failures: i64,
    bound_at: i64,
    last_used_at: Option<i64>,
}

impl TryFrom<AuthenticatorRow> for Authenticator {
    type Error = StoreError;

    fn try_from(row: AuthenticatorRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            account: row.account.into(),
            kind: AuthenticatorKind::from_name(&row.kind).ok_or(StoreError::Corrupt { what: "authenticator.kind" })?,
            label: row.label,
            data: row.data,
            last_step: row.last_step,
            failures: row.failures,
            bound_at: Timestamp::from_micros(row.bound_at),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
        })
    }
}

#[derive(FromRow)]
struct HolderRow {
    account: Uuid,
    state: String,
    id: Uuid,
    staff_no: String,
    name: String,
    kana: Option<String>,
    birth_date: Option<i32>,
    employed_until: Option<i32>,
    department: Option<String>,
}

impl TryFrom<HolderRow> for Holder {
    type Error = StoreError;

    fn try_from(row: HolderRow) -> Result<Self, StoreError> {
        let person = Person {
            id: row.id.into(),
            account: row.account.into(),
            staff_no: row.staff_no.parse().map_err(|_| StoreError::Corrupt { what: "person.staff_no" })?,
            name: row.name,
            kana: row.kana,
            department: row.department.unwrap_or_default(),
        };
        let state = AccountState::from_name(&row.state).ok_or(StoreError::Corrupt { what: "account.state" })?;
        Ok(Self { person, state, birth_date: row.birth_date, employed_until: row.employed_until })
    }
}

#[cfg(test)]
mod tests;
