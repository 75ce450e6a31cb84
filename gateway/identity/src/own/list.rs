use std::collections::HashMap;

use model::{AccountId, AuthenticatorId, Timestamp};
use store::authenticators::{self, Described, Standing};
use store::enrolments;
use uuid::Uuid;

use super::{Own, OwnError};
use crate::enrolment::{PROOFED, reaches_aal2};

/// Authenticators that are shown, ended ones included.
pub(super) const MOST: i64 = 64;

/// An authenticator as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Its id.
    pub id: AuthenticatorId,
    /// `passkey`, `security-key`, `password`, `totp`.
    pub kind: &'static str,
    /// As its owner calls it.
    pub label: String,
    /// Since when it is bound.
    pub bound_at: Timestamp,
    /// Who bound it.
    pub bound_by: BoundBy,
    /// When it was last accepted.
    pub last_used_at: Option<Timestamp>,
    /// What it is good for.
    pub usable: Use,
}

/// Who bound an authenticator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundBy {
    /// The person, in a session of his own.
    Oneself,
    /// The person, with a code of the desk; whoever gave it out: a staff number, or the user of the gateway's
    /// own host.
    Desk(String),
}

/// What an authenticator is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// In use, and the others do without it.
    Spare,
    /// In use, and without it the others don't reach AAL2.
    Needed,
    /// Off after too many failures.
    Off,
    /// Ended by its owner or replaced, then.
    Ended(Timestamp),
}

impl Own {
    /// All that the account ever had, at most 64: those in use first, the newest first.
    ///
    /// # Errors
    /// [`OwnError::Store`].
    pub async fn list(&self, account: AccountId) -> Result<Vec<Owned>, OwnError> {
        let store = self.logins.store();
        let officers: HashMap<Uuid, String> = enrolments::officers(store, account, MOST).await?.into_iter().collect();
        let active = authenticators::active(store, account).await?;
        let needed = |id: AuthenticatorId| {
            let left: Vec<_> = active.iter().filter(|one| one.id != id).cloned().collect();
            !reaches_aal2(&left)
        };
        let all = authenticators::of(store, account, MOST).await?;
        Ok(all.into_iter().map(|one| owned(one, &officers, &needed)).collect())
    }
}

fn owned(one: Described, officers: &HashMap<Uuid, String>, needed: &impl Fn(AuthenticatorId) -> bool) -> Owned {
    let proofing = one.bound_by.strip_prefix(PROOFED).and_then(|id| id.parse::<Uuid>().ok());
    Owned {
        id: one.id,
        kind: one.kind.name(),
        label: one.label,
        bound_at: one.bound_at,
        bound_by: match proofing {
            Some(proofing) => BoundBy::Desk(officers.get(&proofing).cloned().unwrap_or_default()),
            None => BoundBy::Oneself,
        },
        last_used_at: one.last_used_at,
        usable: match one.standing {
            Standing::Active if needed(one.id) => Use::Needed,
            Standing::Active => Use::Spare,
            Standing::Off => Use::Off,
            Standing::Ended => Use::Ended(one.ended_at.unwrap_or(one.bound_at)),
        },
    }
}
