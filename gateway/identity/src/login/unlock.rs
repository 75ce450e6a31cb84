//! Unlocking: one factor of the session's own account, a password or a verified passkey (C-08).

use std::sync::Arc;

use model::{Method, Secret, SessionState};
use store::{Tx, Unrecorded, interactions};

use super::attempt::{Door, Failure};
use super::state::{Open, Whom};
use super::{Completed, Entry, LoginError, Logins, Purpose};
use crate::{Live, SessionError};

impl Logins {
    /// Options for unlocking `live` with a passkey, as in [`Next::passkey`](super::Next::passkey).
    ///
    /// # Errors
    /// [`LoginError::Gone`], [`SessionError::State`] if it isn't locked, [`LoginError::Store`].
    pub async fn unlock_options(&self, entry: Entry<'_>, live: &Arc<Live>) -> Result<String, LoginError> {
        let open = self.open_locked(entry, live).await?;
        let keys = self.passkeys(live.account()).await?;
        let (options, challenge) = self
            .verifier()?
            .login_options(&keys, &self.0.decoys, live.person().staff_no.as_str(), self.now())
            .map_err(|_| LoginError::Broken("passkey options"))?;
        let mut state = open.state.clone();
        state.challenge = Some(challenge.pack().ok_or(LoginError::Broken("challenge"))?);
        state.unlocks = Some(live.id());
        let mut tx = self.0.store.begin().await?;
        interactions::advance(&mut tx, &open.hash, &open.bytes, &state.to_bytes()?).await?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        Ok(options)
    }

    /// Unlocks with a passkey's answer.
    ///
    /// # Errors
    /// [`LoginError::Refused`], [`LoginError::OutOfOrder`] without options of this session before. Others as named.
    pub async fn unlock_passkey(
        &self,
        entry: Entry<'_>,
        live: &Arc<Live>,
        answer: &str,
    ) -> Result<Completed, LoginError> {
        let mut open = self.open_locked(entry, live).await?;
        if open.state.unlocks != Some(live.id()) {
            return Err(LoginError::OutOfOrder);
        }
        let challenge = self.take_challenge(&mut open).await?;
        match self.prove_passkey(Some(live.account()), challenge, answer).await? {
            Ok((tx, _)) => self.unlocked(tx, entry, open, live, Method::PasskeyVerified).await,
            Err((known, error)) => {
                let (whom, reason) = (Whom::of(live), error.to_string());
                let (method, whence, door) = (Method::PasskeyVerified, entry.into(), Door::Unlock(live));
                let failure = Failure { whom: &whom, method, whence, reason: &reason, door };
                self.fail_passkey(known.as_ref(), failure).await?;
                Err(LoginError::Refused)
            }
        }
    }

    /// Unlocks with the password; the same failure counter as login (A23).
    ///
    /// # Errors
    /// [`LoginError::Refused`], [`LoginError::Busy`], [`LoginError::Slow`]. Others as named.
    pub async fn unlock_password(
        &self,
        entry: Entry<'_>,
        live: &Arc<Live>,
        password: Secret<String>,
    ) -> Result<Completed, LoginError> {
        let mut open = self.open_locked(entry, live).await?;
        let whence = entry.into();
        self.unhurried(whence, Some(live.account())).await?;
        match self.prove_password(&mut open, whence, Some(live.account()), password).await? {
            Ok((tx, _)) => self.unlocked(tx, entry, open, live, Method::Password).await,
            Err(attempt) => {
                let (whom, method, door) = (Whom::of(live), Method::Password, Door::Unlock(live));
                let failure = Failure { whom: &whom, method, whence, reason: "wrong", door };
                self.fail(Some(&mut open), &attempt, failure).await?;
                Err(LoginError::Refused)
            }
        }
    }

    async fn open_locked(&self, entry: Entry<'_>, live: &Live) -> Result<Open, LoginError> {
        match live.state(self.now()) {
            SessionState::Locked => {}
            SessionState::Active => return Err(SessionError::State.into()),
            SessionState::Ended => return Err(SessionError::Gone.into()),
        }
        let open = self.open(entry.interaction, entry.binder, entry.edge.address).await?;
        if open.purpose == Purpose::Login { Ok(open) } else { Err(LoginError::OutOfOrder) }
    }

    async fn unlocked(
        &self,
        mut tx: Tx,
        entry: Entry<'_>,
        open: Open,
        live: &Arc<Live>,
        method: Method,
    ) -> Result<Completed, LoginError> {
        let taken = interactions::take(&mut tx, &open.hash).await?.ok_or(LoginError::Gone)?;
        if taken.state != open.bytes {
            return Err(LoginError::OutOfOrder);
        }
        let unlocked = self.0.sessions.unlock_in(tx, live.id(), method, entry.edge).await?;
        let (live, token) = unlocked.kept().await?;
        Ok(Completed { live, token, destination: open.destination })
    }
}
