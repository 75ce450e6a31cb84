//! Login identities: one to a person, `pending → active ⇄ suspended → disabled`.

use model::{AccountId, PersonId, StaffNo, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use crate::statements::statements;
use crate::value::args;
use crate::{Reader, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO account (id, person, state, change_no, version, created_at) \
              VALUES ($1, $2, 'pending', 1, 1, $3)";
    BY_ID = "SELECT id, person, state, change_no, version, created_at FROM account WHERE id = $1";
    BY_PERSON = "SELECT id, person, state, change_no, version, created_at FROM account WHERE person = $1";
    BY_STAFF_NO = "SELECT a.id, a.person, a.state, a.change_no, a.version, a.created_at \
                   FROM account a JOIN person p ON p.id = a.person WHERE p.staff_no = $1";
    SET_STATE = "UPDATE account SET state = $1, change_no = change_no + 1, version = version + 1 \
                 WHERE id = $2 AND version = $3";
    BUMP = "UPDATE account SET change_no = change_no + 1 WHERE id = $1";
}

/// The login identity of exactly one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Whose it is.
    pub person: PersonId,
    /// Where it is in its life.
    pub state: AccountState,
    /// Grows whenever the account's rights may have changed.
    pub change_no: i64,
    /// Grows with each change of this row; a writer names the one he saw.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where an account is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountState {
    /// Made, but nobody has enrolled yet.
    Pending,
    /// In use.
    Active,
    /// Closed for a while.
    Suspended,
    /// Over for good.
    Disabled,
}

impl AccountState {
    const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Suspended, Self::Disabled];

    /// As the store, records and pages write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Disabled => "disabled",
        }
    }

    /// Reads [`Self::name`] back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// May an account go from here to `next`? Nothing leaves `disabled`.
    pub const fn may_become(self, next: Self) -> bool {
        use AccountState::{Active, Disabled, Pending, Suspended};
        matches!(
            (self, next),
            (Pending, Active | Disabled) | (Active, Suspended | Disabled) | (Suspended, Active | Disabled)
        )
    }
}

/// Makes a pending account for a person.
///
/// # Errors
/// [`StoreError::Duplicate`] if the person has one, [`StoreError::Engine`].
pub async fn insert(tx: &mut Tx, person: PersonId) -> Result<Account, StoreError> {
    let (id, created_at) = (AccountId::generate(), tx.now());
    tx.run(INSERT, args![id, person, created_at]).await?;
    Ok(Account { id, person, state: AccountState::Pending, change_no: 1, version: 1, created_at })
}

/// Moves the account as the caller saw it to another state; the account as it is then.
///
/// # Errors
/// [`StoreError::Transition`] where the states don't follow, [`StoreError::Conflict`] if somebody else
/// was faster, [`StoreError::Engine`].
pub async fn set_state(tx: &mut Tx, seen: &Account, next: AccountState) -> Result<Account, StoreError> {
    if !seen.state.may_become(next) {
        return Err(StoreError::Transition { what: "account", from: seen.state.name(), to: next.name() });
    }
    match tx.run(SET_STATE, args![next.name(), seen.id, seen.version]).await? {
        1 => Ok(Account { state: next, change_no: seen.change_no + 1, version: seen.version + 1, ..seen.clone() }),
        _ => Err(StoreError::Conflict { what: "account" }),
    }
}

/// Notes that the account's rights may have changed.
///
/// # Errors
/// [`StoreError::Conflict`] if there is no such account, [`StoreError::Engine`].
pub async fn bump(tx: &mut Tx, id: AccountId) -> Result<(), StoreError> {
    match tx.run(BUMP, args![id]).await? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict { what: "account" }),
    }
}

/// The account with this id.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn by_id<'a>(db: impl Into<Reader<'a>>, id: AccountId) -> Result<Option<Account>, StoreError> {
    db.into().one::<AccountRow>(BY_ID, args![id]).await?.map(Account::try_from).transpose()
}

/// The account of a person.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn by_person<'a>(db: impl Into<Reader<'a>>, person: PersonId) -> Result<Option<Account>, StoreError> {
    db.into().one::<AccountRow>(BY_PERSON, args![person]).await?.map(Account::try_from).transpose()
}

/// The account of the person with this staff number.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn by_staff_no<'a>(db: impl Into<Reader<'a>>, staff_no: &StaffNo) -> Result<Option<Account>, StoreError> {
    db.into().one::<AccountRow>(BY_STAFF_NO, args![staff_no]).await?.map(Account::try_from).transpose()
}

#[derive(FromRow)]
struct AccountRow {
    id: Uuid,
    person: Uuid,
    state: String,
    change_no: i64,
    version: i64,
    created_at: i64,
}

impl TryFrom<AccountRow> for Account {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            person: row.person.into(),
            state: AccountState::from_name(&row.state).ok_or(StoreError::Corrupt { what: "account.state" })?,
            change_no: row.change_no,
            version: row.version,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

#[cfg(test)]
mod tests;
