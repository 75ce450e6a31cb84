//! Roles given by a paper, not by HR data. Expiry is judged when a decision is made, by no job.

use model::{AccountId, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use crate::statements::statements;
use crate::value::args;
use crate::{Reader, StoreError, Tx, accounts};

statements! {
    INSERT = "INSERT INTO role_grant (id, account, role, kind, reason, paper, valid_from, valid_until, created_at) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    END = "UPDATE role_grant SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL RETURNING account";
    OF_ACCOUNT = "SELECT id, account, role, kind, reason, paper, valid_from, valid_until, created_at, ended_at \
                  FROM role_grant WHERE account = $1 AND ended_at IS NULL \
                  AND (valid_until IS NULL OR valid_until > $2) ORDER BY valid_from, id LIMIT $3";
}

/// More living grants than this no account has; those that begin last are left out, which can only
/// take rights away.
const MOST: i64 = 1_000;

/// Why an account holds a role now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: Uuid,
    /// Who holds it.
    pub account: AccountId,
    /// The role's name in the policy of the day; a name it doesn't have gives nothing.
    pub role: String,
    /// What it rests on.
    pub kind: GrantKind,
    /// The reason somebody wrote down.
    pub reason: String,
    /// The request, window or decision it rests on.
    pub paper: Option<String>,
    /// From when.
    pub valid_from: Timestamp,
    /// Until when, exclusive; `None` until ended.
    pub valid_until: Option<Timestamp>,
    /// When it was given.
    pub created_at: Timestamp,
    /// When it was taken away before its time.
    pub ended_at: Option<Timestamp>,
}

impl Grant {
    /// Does it hold at `now`?
    pub fn holds(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && self.valid_from <= now && self.valid_until.is_none_or(|until| now < until)
    }
}

/// What a grant rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantKind {
    /// A request that was approved.
    Request,
    /// A maintenance window.
    Maintenance,
    /// Emergency access.
    BreakGlass,
    /// Another person's right, lent.
    Delegation,
    /// The first registrars, made on the host.
    Bootstrap,
}

impl GrantKind {
    const ALL: [Self; 5] = [Self::Request, Self::Maintenance, Self::BreakGlass, Self::Delegation, Self::Bootstrap];

    /// As the store, records and pages write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Maintenance => "maintenance",
            Self::BreakGlass => "break-glass",
            Self::Delegation => "delegation",
            Self::Bootstrap => "bootstrap",
        }
    }

    /// Reads [`Self::name`] back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A grant to be given.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// To whom.
    pub account: AccountId,
    /// Which role.
    pub role: String,
    /// What it rests on.
    pub kind: GrantKind,
    /// Why.
    pub reason: String,
    /// The request, window or decision.
    pub paper: Option<String>,
    /// From when.
    pub valid_from: Timestamp,
    /// Until when, exclusive.
    pub valid_until: Option<Timestamp>,
}

/// Gives a role; its id. The caller commits [`Changed::grants`](crate::Changed::grants) with it.
///
/// # Errors
/// [`StoreError::Conflict`] if there is no such account, [`StoreError::Engine`].
pub async fn insert(tx: &mut Tx, grant: &NewGrant) -> Result<Uuid, StoreError> {
    accounts::bump(tx, grant.account).await?;
    let (id, now) = (Uuid::now_v7(), tx.now());
    let values = args![
        id,
        grant.account,
        &grant.role,
        grant.kind.name(),
        &grant.reason,
        grant.paper.clone(),
        grant.valid_from,
        grant.valid_until,
        now,
    ];
    tx.run(INSERT, values).await?;
    Ok(id)
}

/// Takes a role away before its time; whose it was. The caller commits
/// [`Changed::grants`](crate::Changed::grants) with it.
///
/// # Errors
/// [`StoreError::Conflict`] if it is over already, [`StoreError::Engine`].
pub async fn end(tx: &mut Tx, id: Uuid) -> Result<AccountId, StoreError> {
    let now = tx.now();
    let holder = tx.one::<Holder>(END, args![now, id]).await?.ok_or(StoreError::Conflict { what: "grant" })?;
    let account = holder.account.into();
    accounts::bump(tx, account).await?;
    Ok(account)
}

/// The grants of an account that hold at `now` or later.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn of_account<'a>(
    db: impl Into<Reader<'a>>,
    account: AccountId,
    now: Timestamp,
) -> Result<Vec<Grant>, StoreError> {
    let rows = db.into().all::<GrantRow>(OF_ACCOUNT, args![account, now, MOST]).await?;
    rows.into_iter().map(Grant::try_from).collect()
}

#[derive(FromRow)]
struct Holder {
    account: Uuid,
}

#[derive(FromRow)]
struct GrantRow {
    id: Uuid,
    account: Uuid,
    role: String,
    kind: String,
    reason: String,
    paper: Option<String>,
    valid_from: i64,
    valid_until: Option<i64>,
    created_at: i64,
    ended_at: Option<i64>,
}

impl TryFrom<GrantRow> for Grant {
    type Error = StoreError;

    fn try_from(row: GrantRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            account: row.account.into(),
            role: row.role,
            kind: GrantKind::from_name(&row.kind).ok_or(StoreError::Corrupt { what: "role_grant.kind" })?,
            reason: row.reason,
            paper: row.paper,
            valid_from: Timestamp::from_micros(row.valid_from),
            valid_until: row.valid_until.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            ended_at: row.ended_at.map(Timestamp::from_micros),
        })
    }
}

#[cfg(test)]
mod tests;
