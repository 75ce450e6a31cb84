//! The steps that prove something, and what becomes of them.

use model::{Aal, AccountId, AuthenticatorId, Method, Secret};
use store::authenticators::{self, Authenticator, AuthenticatorKind};
use store::{Tx, Unrecorded, interactions};
use webauthn_rs::prelude::AuthenticationResult;

use super::attempt::{Attempt, Door, Failure, with};
use super::place::Whence;
use super::state::{Open, Verified, Whom};
use super::{Completed, Entry, LoginError, Logins, Outcome, Purpose};
use crate::passkey::{KeyLoginChallenge, LoginChallenge, PasskeyError, Passkeys, updated};
use crate::password::Turn;
use crate::session::login_ok;
use crate::totp::Seed;
use crate::{Live, NewSession, SessionError};

impl Logins {
    /// A passkey's answer (`PublicKeyCredential` as JSON, base64url members). With user verification it
    /// is two factors (C-28), so a right one completes the login.
    ///
    /// # Errors
    /// [`LoginError::Refused`] for whatever is wrong with it; its challenge is used up. Others as named.
    pub async fn passkey(&self, entry: Entry<'_>, answer: &str) -> Result<Outcome, LoginError> {
        let mut open = self.open(entry.interaction, entry.binder, entry.edge.address).await?;
        let whom = open.state.whom.clone().ok_or(LoginError::OutOfOrder)?;
        if open.state.unlocks.is_some() {
            return Err(LoginError::OutOfOrder);
        }
        let challenge = self.take_challenge(&mut open).await?;
        let proof = self.prove_passkey(whom.account, challenge, answer).await?;
        self.answered(entry, open, &whom, Method::PasskeyVerified, proof).await
    }

    /// A security key's answer (`PublicKeyCredential` as JSON), after the password: a second factor, never a
    /// first one.
    ///
    /// # Errors
    /// [`LoginError::OutOfOrder`] before a right password, [`LoginError::Refused`] for whatever is wrong with
    /// it; its challenge is used up. Others as named.
    pub async fn key(&self, entry: Entry<'_>, answer: &str) -> Result<Outcome, LoginError> {
        let mut open = self.open(entry.interaction, entry.binder, entry.edge.address).await?;
        let whom = open.state.whom.clone().ok_or(LoginError::OutOfOrder)?;
        if !open.state.methods().contains(&Method::Password) {
            return Err(LoginError::OutOfOrder);
        }
        let packed = open.state.key_challenge.take().ok_or(LoginError::OutOfOrder)?;
        self.advance(&mut open).await?;
        let challenge = KeyLoginChallenge::unpack(packed).ok_or(LoginError::Broken("challenge"))?;
        let user = whom.account.map(AccountId::uuid);
        let verified = self.verifier()?.verify_key(answer, challenge, user, self.now());
        let proof = self.prove_credential(whom.account, AuthenticatorKind::SecurityKey, answer, verified).await?;
        self.answered(entry, open, &whom, Method::SecurityKey, proof).await
    }

    /// What becomes of an answer of a passkey or security key.
    async fn answered(
        &self,
        entry: Entry<'_>,
        open: Open,
        whom: &Whom,
        method: Method,
        proof: Result<(Tx, Authenticator), (Option<Authenticator>, PasskeyError)>,
    ) -> Result<Outcome, LoginError> {
        match proof {
            Ok((tx, authenticator)) => self.proved(tx, entry, open, method, authenticator.id).await,
            Err((known, error)) => {
                let reason = error.to_string();
                let failure = Failure { whom, method, whence: entry.into(), reason: &reason, door: Door::Login };
                self.fail_passkey(known.as_ref(), failure).await?;
                Err(LoginError::Refused)
            }
        }
    }

    /// A password.
    ///
    /// # Errors
    /// [`LoginError::Refused`] if it is wrong or nobody's, or tries are paused; [`LoginError::Busy`],
    /// [`LoginError::Slow`].
    /// Others as named.
    pub async fn password(&self, entry: Entry<'_>, password: Secret<String>) -> Result<Outcome, LoginError> {
        let mut open = self.open(entry.interaction, entry.binder, entry.edge.address).await?;
        let whom = open.state.whom.clone().ok_or(LoginError::OutOfOrder)?;
        let whence = entry.into();
        self.unhurried(whence, whom.account).await?;
        let proof = self.prove_password(&mut open, whence, whom.account, password).await?;
        match proof {
            Ok((tx, id)) => self.proved(tx, entry, open, Method::Password, id).await,
            Err(attempt) => {
                let (method, door) = (Method::Password, Door::Login);
                let failure = Failure { whom: &whom, method, whence, reason: "wrong", door };
                self.fail(Some(&mut open), &attempt, failure).await?;
                Err(LoginError::Refused)
            }
        }
    }

    /// A one-time password; each is good once (C-26).
    ///
    /// # Errors
    /// As [`Logins::password`].
    pub async fn totp(&self, entry: Entry<'_>, code: &str) -> Result<Outcome, LoginError> {
        let mut open = self.open(entry.interaction, entry.binder, entry.edge.address).await?;
        let whom = open.state.whom.clone().ok_or(LoginError::OutOfOrder)?;
        let whence = entry.into();
        self.unhurried(whence, whom.account).await?;
        let attempt = self.count(&mut open, whence, whom.account, AuthenticatorKind::Totp).await?;
        let step = match &attempt.authenticator {
            Some(authenticator) => self.seed(authenticator)?.step_of(code, self.now()),
            None => None,
        };
        let mut reason = "wrong";
        if let (Some(step), Some(authenticator)) = (step, &attempt.authenticator) {
            let mut tx = self.0.store.begin().await?;
            if authenticators::advance(&mut tx, authenticator.id, step).await?
                && self.refund(&mut tx, authenticator.id, &attempt).await?
            {
                return self.proved(tx, entry, open, Method::Totp, authenticator.id).await;
            }
            reason = "used-before";
        }
        let failure = Failure { whom: &whom, method: Method::Totp, whence, reason, door: Door::Login };
        self.fail(Some(&mut open), &attempt, failure).await?;
        Err(LoginError::Refused)
    }

    /// Counts, checks, takes back: the open transaction of a right password, or the attempt that failed.
    pub(super) async fn prove_password(
        &self,
        open: &mut Open,
        whence: Whence<'_>,
        account: Option<AccountId>,
        password: Secret<String>,
    ) -> Result<Result<(Tx, AuthenticatorId), Attempt>, LoginError> {
        let turn = self.0.hasher.turn().await?;
        let attempt = self.count(open, whence, account, AuthenticatorKind::Password).await?;
        Ok(self.check_password(turn, &attempt, password).await?.ok_or(attempt))
    }

    /// Is it the current password of whoever is logged in here? Counted like every other try (A23).
    ///
    /// # Errors
    /// [`LoginError::Refused`] if not, or tries are paused; [`LoginError::Busy`], [`LoginError::Slow`]. Others
    /// as named.
    pub(crate) async fn prove_current(
        &self,
        whence: Whence<'_>,
        live: &Live,
        password: Secret<String>,
    ) -> Result<(), LoginError> {
        let account = live.account();
        self.unhurried(whence, Some(account)).await?;
        let turn = self.0.hasher.turn().await?;
        let attempt = self.count_alone(whence, account, AuthenticatorKind::Password).await?;
        if let Some((tx, _)) = self.check_password(turn, &attempt, password).await? {
            tx.commit_unrecorded(Unrecorded::Failures).await?;
            return Ok(());
        }
        let (method, door, whom) = (Method::Password, Door::Change(live), Whom::of(live));
        let failure = Failure { whom: &whom, method, whence, reason: "wrong", door };
        self.fail(None, &attempt, failure).await?;
        Err(LoginError::Refused)
    }

    /// Checks a password whose try was counted; if it is right, the open transaction that takes the failures
    /// back.
    async fn check_password(
        &self,
        turn: Turn,
        attempt: &Attempt,
        password: Secret<String>,
    ) -> Result<Option<(Tx, AuthenticatorId)>, LoginError> {
        let kept = attempt.authenticator.as_ref().map(|a| serde_json::from_slice(&a.data));
        let kept = kept.transpose().map_err(|_| LoginError::Broken("stored password"))?;
        let checked = self.0.hasher.check(turn, password, kept, &self.rules()).await?;
        let Some(authenticator) = attempt.authenticator.as_ref().filter(|_| checked.matches) else { return Ok(None) };
        let id = authenticator.id;
        let mut tx = self.0.store.begin().await?;
        if !self.refund(&mut tx, id, attempt).await? {
            return Ok(None);
        }
        if let Some(renewed) = checked.renewed {
            let renewed = serde_json::to_vec(&renewed).map_err(|_| LoginError::Broken("password hash"))?;
            authenticators::renew(&mut tx, id, &renewed).await?;
        }
        Ok(Some((tx, id)))
    }

    /// Takes the challenge out of the store before anybody looks at an answer: it is good once, whatever
    /// comes of it.
    pub(super) async fn take_challenge(&self, open: &mut Open) -> Result<LoginChallenge, LoginError> {
        let packed = open.state.challenge.take().ok_or(LoginError::OutOfOrder)?;
        open.state.unlocks = None;
        self.advance(open).await?;
        LoginChallenge::unpack(packed).ok_or(LoginError::Broken("challenge"))
    }

    /// Moves the interaction on, by compare-and-set.
    async fn advance(&self, open: &mut Open) -> Result<(), LoginError> {
        let next = open.state.to_bytes()?;
        let mut tx = self.0.store.begin().await?;
        interactions::advance(&mut tx, &open.hash, &open.bytes, &next).await?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        open.bytes = next;
        Ok(())
    }

    /// The open transaction that has accepted a passkey's answer, or what was wrong with it and with
    /// whose passkey.
    pub(super) async fn prove_passkey(
        &self,
        account: Option<AccountId>,
        challenge: LoginChallenge,
        answer: &str,
    ) -> Result<Result<(Tx, Authenticator), (Option<Authenticator>, PasskeyError)>, LoginError> {
        let verified = self.verifier()?.verify(answer, challenge, account.map(AccountId::uuid), self.now());
        self.prove_credential(account, AuthenticatorKind::Passkey, answer, verified).await
    }

    /// The same for a passkey or security key whose answer has been verified.
    async fn prove_credential(
        &self,
        account: Option<AccountId>,
        kind: AuthenticatorKind,
        answer: &str,
        verified: Result<AuthenticationResult, PasskeyError>,
    ) -> Result<Result<(Tx, Authenticator), (Option<Authenticator>, PasskeyError)>, LoginError> {
        let known = match Passkeys::claimed_id(answer) {
            Some(id) => authenticators::by_credential(&self.0.store, &id).await?,
            None => None,
        };
        let known = known.filter(|known| Some(known.account) == account && known.kind == kind);
        let result = match verified {
            Ok(result) => result,
            Err(error) => return Ok(Err((known, error))),
        };
        let Some(authenticator) = known else { return Ok(Err((None, PasskeyError::Unknown))) };
        let mut tx = self.0.store.begin().await?;
        if self.accept(&mut tx, &authenticator, &result).await? {
            Ok(Ok((tx, authenticator)))
        } else {
            Ok(Err((Some(authenticator), PasskeyError::Counter)))
        }
    }

    /// Persists counter and flags; false if the counter has been seen, or the passkey is off meanwhile.
    async fn accept(
        &self,
        tx: &mut Tx,
        authenticator: &Authenticator,
        result: &AuthenticationResult,
    ) -> Result<bool, LoginError> {
        let now = self.now();
        let counter = i64::from(result.counter());
        // The library compares with the counter of when the challenge was made; this one is of now.
        if counter > 0 && !authenticators::advance(tx, authenticator.id, counter).await? {
            return Ok(false);
        }
        if counter == 0 && authenticator.last_step.is_some_and(|last| last > 0) {
            return Ok(false);
        }
        if let Some(data) = updated(authenticator.kind, &authenticator.data, result) {
            authenticators::renew(tx, authenticator.id, &data).await?;
        }
        Ok(authenticators::refund(tx, authenticator.id, now).await?)
    }

    /// One more method is verified. Two factors complete the login, in the transaction that accepted the
    /// second.
    async fn proved(
        &self,
        mut tx: Tx,
        entry: Entry<'_>,
        mut open: Open,
        method: Method,
        id: AuthenticatorId,
    ) -> Result<Outcome, LoginError> {
        let Some(Whom { account: Some(account), .. }) = open.state.whom.clone() else {
            return Err(LoginError::Refused);
        };
        if !self.still_good(&mut tx, entry.into(), account, &open.state).await? {
            open.state.verified.clear();
        }
        if Aal::of(&with(&open.state, method)) == Some(Aal::Aal2) {
            open.state.verified.push(Verified { method, authenticator: id });
            return self.complete(tx, entry, open, account).await.map(Outcome::Complete);
        }
        open.state.verified.retain(|verified| verified.method != method);
        open.state.verified.push(Verified { method, authenticator: id });
        let next = open.state.to_bytes()?;
        interactions::advance(&mut tx, &open.hash, &open.bytes, &next).await?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        open.bytes = next;
        let state = open.state.clone();
        self.ask(open, state).await.map(Outcome::More)
    }

    async fn complete(
        &self,
        mut tx: Tx,
        entry: Entry<'_>,
        open: Open,
        account: AccountId,
    ) -> Result<Completed, LoginError> {
        let taken = interactions::take(&mut tx, &open.hash).await?.ok_or(LoginError::Gone)?;
        if taken.state != open.bytes {
            return Err(LoginError::OutOfOrder);
        }
        if open.purpose == Purpose::Confirm {
            return self.confirm(tx, entry, open, account).await;
        }
        let notice = self.marks(entry.into())?.logged_in(&mut tx, account, entry.into()).await?;
        let new = NewSession {
            account,
            methods: open.state.methods(),
            edge: entry.edge,
            user_agent: entry.user_agent,
            replaces: entry.current.map(|live| live.id()),
        };
        let begun = match self.0.sessions.start_in(tx, new, notice).await {
            Err(SessionError::Account) => return Err(LoginError::Refused),
            begun => begun?,
        };
        let (live, token) = begun.kept().await?;
        Ok(Completed { live, token, destination: open.destination })
    }

    async fn confirm(&self, tx: Tx, entry: Entry<'_>, open: Open, account: AccountId) -> Result<Completed, LoginError> {
        let live = entry.current.ok_or(LoginError::OutOfOrder)?;
        if open.state.session != Some(live.id()) || live.account() != account {
            return Err(LoginError::OutOfOrder);
        }
        let record = login_ok(live, entry.edge).detail("purpose", "confirm");
        let (token, committed) = self.0.sessions.confirm_in(tx, live, record, self.now()).await?;
        committed.journaled().await?;
        Ok(Completed { live: std::sync::Arc::clone(live), token, destination: open.destination })
    }

    pub(super) fn seed(&self, authenticator: &Authenticator) -> Result<Seed, LoginError> {
        open_seed(&self.0.master, authenticator).ok_or(LoginError::Broken("stored seed"))
    }
}

/// The purpose under which TOTP seeds are sealed; the authenticator's id is the context.
pub(crate) const SEED_PURPOSE: &str = "totp-seed";

fn open_seed(master: &model::MasterKey, authenticator: &Authenticator) -> Option<Seed> {
    let context = authenticator.id.uuid();
    let bytes = master.open(SEED_PURPOSE, context.as_bytes(), &authenticator.data).ok()?;
    Seed::from_bytes(bytes)
}
