//! What a person does with his own ways to log in: looks at them, renames them, ends them, changes the
//! password (C-33, C-34, D-6.5.6, D-7.5.1). Adding one is an [`Enrolment`] that a fresh login began.

mod list;
mod password;

use audit::{Event, Outcome, Record, What, Why};
use model::{AuthenticatorId, Edge, EndReason};
use serde_json::json;
use store::authenticators::{self, AuthenticatorKind};
use store::{Changed, Facts, Notice, StoreError, notices};

use crate::enrolment::{labelled, reaches_aal2};
use crate::session::{Others, proved_lately};
use crate::{Enrolment, Live, LoginError, Logins, Problem, SessionError};

pub use list::{BoundBy, Owned, Use};

/// Why something about one's own authenticators was not done.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// The person has no such authenticator, or it has ended.
    #[error("no such authenticator")]
    Unknown,
    /// Without it the others don't reach AAL2: nobody locks himself out by a slip.
    #[error("it is needed to log in")]
    Needed,
    /// The login is not at AAL2, not active, or older than five minutes (A28).
    #[error("a fresh login is needed")]
    Stale,
    /// The current password is wrong, or can't be tried now.
    #[error("the current password is wrong, or can't be tried now")]
    Refused,
    /// The new password is the current one.
    #[error("it is the same password")]
    Same,
    /// The new password may not be used; the words say why (C-19).
    #[error(transparent)]
    Password(#[from] Problem),
    /// Too busy, too many tries, or a part failed.
    #[error(transparent)]
    Login(LoginError),
    /// The sessions could not be ended.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The store failed, or the journal did not get the record in time (503).
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key or a stored value failed (503).
    #[error("cannot do this now: {0}")]
    Broken(&'static str),
}

impl From<LoginError> for OwnError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Refused => Self::Refused,
            other => Self::Login(other),
        }
    }
}

/// A person's own authenticators and notices. Clones share it.
#[derive(Clone, Debug)]
pub struct Own {
    logins: Logins,
    enrolment: Enrolment,
}

impl Own {
    /// Over the store and rules of both.
    pub fn new(logins: Logins, enrolment: Enrolment) -> Self {
        Self { logins, enrolment }
    }

    /// Gives one of the person's authenticators another label; an empty one leaves it as it is.
    ///
    /// # Errors
    /// [`OwnError::Unknown`], [`OwnError::Store`].
    pub async fn rename(&self, live: &Live, edge: &Edge, id: AuthenticatorId, label: &str) -> Result<(), OwnError> {
        let account = live.account();
        let mut tx = self.logins.store().begin().await?;
        let all = authenticators::of(&mut tx, account, list::MOST).await?;
        let before = all.into_iter().find(|one| one.id == id).ok_or(OwnError::Unknown)?;
        let label = labelled(label, &before.label);
        if label == before.label {
            return Ok(());
        }
        if !authenticators::rename(&mut tx, account, id, &label).await? {
            return Err(OwnError::Unknown);
        }
        let record = about(live, edge, Event::AuthenticatorRename, id, before.kind);
        let record = record.change(&json!({ "label": before.label }), &json!({ "label": label }));
        tx.commit(Facts::recorded(record)).await?.journaled().await?;
        Ok(())
    }

    /// Ends one of the person's authenticators for good, and all his other sessions: whoever lost a key doesn't
    /// know who has used it. How many sessions that were.
    ///
    /// # Errors
    /// [`OwnError::Stale`], [`OwnError::Unknown`], [`OwnError::Needed`], [`OwnError::Session`],
    /// [`OwnError::Store`].
    pub async fn end(&self, live: &Live, edge: &Edge, id: AuthenticatorId) -> Result<usize, OwnError> {
        self.fresh(live)?;
        let account = live.account();
        let mut tx = self.logins.store().begin().await?;
        let all = authenticators::of(&mut tx, account, list::MOST).await?;
        let ended = all.into_iter().find(|one| one.id == id).ok_or(OwnError::Unknown)?;
        let left = authenticators::active(&mut tx, account).await?;
        let left: Vec<_> = left.into_iter().filter(|one| one.id != id).collect();
        if !reaches_aal2(&left) {
            return Err(OwnError::Needed);
        }
        if !authenticators::end(&mut tx, account, id).await? {
            return Err(OwnError::Unknown);
        }
        let record = about(live, edge, Event::AuthenticatorOff, id, ended.kind).why(Why::reason("owner"));
        let body = json!({ "kind": ended.kind.name(), "label": ended.label }).to_string();
        let others = Others {
            reason: EndReason::Revoked,
            records: vec![record],
            notice: Notice { account, kind: "authenticator-ended", body },
            changed: Changed::authenticators(account),
        };
        self.end_others(tx, live, edge, others).await
    }

    async fn end_others(&self, tx: store::Tx, live: &Live, edge: &Edge, others: Others) -> Result<usize, OwnError> {
        let (ended, committed) = self.logins.sessions().end_others_in(tx, live, edge, others).await?;
        committed.journaled().await?;
        Ok(ended)
    }

    /// What the person was told, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`OwnError::Store`].
    pub async fn notices(&self, live: &Live, limit: i64) -> Result<Vec<notices::Told>, OwnError> {
        Ok(notices::of(self.logins.store(), live.account(), limit).await?)
    }

    /// How much of it he has not seen.
    ///
    /// # Errors
    /// [`OwnError::Store`].
    pub async fn unseen(&self, live: &Live) -> Result<i64, OwnError> {
        Ok(notices::unseen(self.logins.store(), live.account()).await?)
    }

    /// He has seen all that was queued until `until`.
    ///
    /// # Errors
    /// [`OwnError::Store`].
    pub async fn see(&self, live: &Live, until: model::Timestamp) -> Result<(), OwnError> {
        let mut tx = self.logins.store().begin().await?;
        notices::see(&mut tx, live.account(), until).await?;
        Ok(tx.commit_unrecorded(store::Unrecorded::Seen).await?)
    }

    fn fresh(&self, live: &Live) -> Result<(), OwnError> {
        if proved_lately(live, self.logins.now()) { Ok(()) } else { Err(OwnError::Stale) }
    }
}

/// A record of something that the person does with one of his authenticators.
fn about(live: &Live, edge: &Edge, event: Event, id: AuthenticatorId, kind: AuthenticatorKind) -> Record {
    let record = Record::new(event, Outcome::Ok).who(live.who().clone()).from(edge);
    record.what(What::thing("authenticator", &id.to_string())).detail("kind", kind.name())
}

#[cfg(test)]
mod tests;
