//! Enrolment: from a proofed person to bound authenticators (design.md §5, §15; A13-9, C-34 … C-37).
//!
//! What begins one is a desk code that rests on a proofing record, or a login at AAL2 that is at most
//! five minutes old (A28). As soon as what is bound reaches AAL2, a pending account is active.

mod bind;
mod code;
mod credential;
mod issue;
mod state;

use std::sync::Arc;
use std::time::Duration;

use model::{AccountId, Clock, Edge, MasterKey, Person, Secret, Timestamp, Token, TokenKind};
use store::authenticators::{self, Authenticator};
use store::{Store, StoreError, Unrecorded, interactions};

use crate::passkey::Passkeys;
use crate::password::{HashError, Hasher};
use crate::{Entry, Live, Passwords, Problem, Rules, RulesSource};

pub(crate) use bind::labelled;
pub(crate) use state::{PROOFED, reaches_aal2};

use state::{Basis, Open, State};

/// An enrolment must be done this long after it began.
const LIFE: Duration = Duration::from_secs(20 * 60);
/// New passwords hashed at the same time, beside those of logins: enrolments are rare.
const HASHES: usize = 1;

/// Why enrolment did not go on.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// HR has no such person.
    #[error("no person has this staff number")]
    UnknownPerson,
    /// The account is suspended or disabled, or the employment is over.
    #[error("the account is closed")]
    AccountClosed,
    /// Nobody proofs himself.
    #[error("the officer and the person are the same")]
    OwnProofing,
    /// The account is active and holds granted rights: a registrar who could bind an authenticator to it
    /// would hold them too (A28).
    #[error(
        "this account holds granted rights; a new code is issued on the gateway's host with `sekimorictl bootstrap`"
    )]
    Privileged,
    /// Method and evidence of proofing must say something (A13-9), in at most 200 and 1,000 characters.
    #[error("how the person was checked must be said")]
    NotProofed,
    /// Number and code don't fit, or the code was used or has expired.
    #[error("number and code do not match, or the code is used or too old")]
    CodeRefused,
    /// The login is not at AAL2, not active, or older than five minutes (C-35).
    #[error("a fresh login is needed")]
    Stale,
    /// No such enrolment in this browser, or it has expired.
    #[error("this enrolment is over")]
    Gone,
    /// The step doesn't fit what came before it, or another request was faster.
    #[error("not the next step")]
    OutOfOrder,
    /// The passkey's answer was not accepted, or the passkey is bound already.
    #[error("the passkey was not accepted")]
    PasskeyRefused,
    /// The password may not be used; the words say why (C-19).
    #[error(transparent)]
    Password(#[from] Problem),
    /// The one-time password doesn't match the seed shown.
    #[error("the code does not match")]
    TotpRefused,
    /// What is bound doesn't reach AAL2 yet.
    #[error("not enough is bound yet")]
    Incomplete,
    /// Too many passwords wait (503).
    #[error("too busy")]
    Busy {
        /// When there will be room, as far as one can tell.
        retry_after: Duration,
    },
    /// The store failed, or the journal did not get the record in time (503).
    #[error(transparent)]
    Store(StoreError),
    /// A key, the randomness or a stored value failed (503).
    #[error("cannot do this now: {0}")]
    Broken(&'static str),
}

impl From<StoreError> for EnrolmentError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::OutOfOrder,
            other => Self::Store(other),
        }
    }
}

impl From<HashError> for EnrolmentError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy { retry_after } => Self::Busy { retry_after },
            HashError::Failed => Self::Broken("password hash"),
        }
    }
}

/// Who answers for a proofing. Whether he may is decided above.
#[derive(Clone, Copy, Debug)]
pub enum Officer<'a> {
    /// A logged-in person, in a request.
    Person(&'a Live, &'a Edge),
    /// Whoever runs a command on the gateway's own host (bootstrap); the operating system's user name.
    Host(&'a str),
}

/// How a person was checked (A13-9).
#[derive(Clone, Copy, Debug)]
pub struct Proofing<'a> {
    /// The method: `face-to-face`, `by operating system user` …
    pub method: &'a str,
    /// What was looked at: `staff card`, `driving licence` … never its number.
    pub evidence: &'a str,
}

/// A code to hand over.
#[derive(Debug)]
pub struct Issued {
    /// `ABCDE-FGHJK`: 50 bits, for one person, once.
    pub code: Secret<String>,
    /// Ten minutes from now.
    pub expires_at: Timestamp,
    /// Whose.
    pub account: AccountId,
}

/// An enrolment that has begun in a browser.
#[derive(Debug)]
pub struct Started {
    /// Its interaction.
    pub token: Token,
    /// Whose it is, for "is this you?".
    pub person: Arc<Person>,
}

/// An authenticator that an account has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// `passkey`, `security-key`, `password`, `totp`.
    pub kind: &'static str,
    /// As its owner calls it.
    pub label: String,
    /// Since when.
    pub bound_at: Timestamp,
}

/// How far an enrolment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whose.
    pub person: Arc<Person>,
    /// What is bound.
    pub bound: Vec<Bound>,
    /// What is bound reaches AAL2, so that the person can log in.
    pub active: bool,
    /// Some of it was bound in this enrolment: somebody who lost a passkey is active before the first step.
    pub added: bool,
    /// A fresh login began it, no code of the desk.
    pub own: bool,
}

/// A seed for an authenticator app, shown once.
#[derive(Debug)]
pub struct TotpSetup {
    /// `otpauth://totp/…`, for a QR code.
    pub uri: Secret<String>,
    /// The seed in base32, in groups of four, for typing.
    pub key: Secret<String>,
}

/// Issues codes and binds authenticators. Clones share it.
#[derive(Clone, Debug)]
pub struct Enrolment(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    rules: RulesSource,
    master: Arc<MasterKey>,
    clock: Clock,
    hasher: Hasher,
    passwords: Arc<Passwords>,
}

impl Enrolment {
    /// Over `store`.
    ///
    /// # Errors
    /// [`EnrolmentError::Broken`] if keys can't be derived.
    pub fn new(store: Store, rules: RulesSource, master: Arc<MasterKey>, clock: Clock) -> Result<Self, EnrolmentError> {
        let hasher = Hasher::new(&master, HASHES)?;
        let passwords = Arc::new(Passwords::new());
        Ok(Self(Arc::new(Shared { store, rules, master, clock, hasher, passwords })))
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`EnrolmentError::Gone`], [`EnrolmentError::Store`].
    pub async fn progress(&self, entry: Entry<'_>) -> Result<Progress, EnrolmentError> {
        let open = self.open(entry).await?;
        self.progress_of(&open).await
    }

    /// Ends the enrolment; what is bound must reach AAL2. Who it was.
    ///
    /// # Errors
    /// [`EnrolmentError::Incomplete`], [`EnrolmentError::Gone`], [`EnrolmentError::Store`].
    pub async fn finish(&self, entry: Entry<'_>) -> Result<Arc<Person>, EnrolmentError> {
        let open = self.open(entry).await?;
        if !self.progress_of(&open).await?.active {
            return Err(EnrolmentError::Incomplete);
        }
        let mut tx = self.0.store.begin().await?;
        interactions::take(&mut tx, &open.hash).await?.ok_or(EnrolmentError::Gone)?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        Ok(open.person)
    }

    async fn progress_of(&self, open: &Open) -> Result<Progress, EnrolmentError> {
        let bound = authenticators::active(&self.0.store, open.person.account).await?;
        let active = state::reaches_aal2(&bound);
        let bound = bound.into_iter().map(|a: Authenticator| Bound {
            kind: a.kind.name(),
            label: a.label,
            bound_at: a.bound_at,
        });
        let (bound, added) = (bound.collect(), open.state.added);
        let own = matches!(open.state.basis, Basis::Session(_));
        Ok(Progress { person: Arc::clone(&open.person), bound, active, added, own })
    }

    /// The enrolment that this browser may go on with, for a person who still works here.
    async fn open(&self, entry: Entry<'_>) -> Result<Open, EnrolmentError> {
        let now = self.now();
        let found = crate::login::open_row(&self.0.store, entry.interaction, entry.binder, now).await?;
        let (hash, row) = found.filter(|(_, row)| row.kind == state::KIND).ok_or(EnrolmentError::Gone)?;
        let state: State = serde_json::from_slice(&row.state).map_err(|_| EnrolmentError::Broken("enrolment state"))?;
        if let Basis::Session(id) = state.basis {
            // A lock in between, and the one factor that opened it, end what a fresh login has begun (A28).
            let same = |live: &Arc<Live>| live.id() == id && live.changes() == state.changes;
            let active = |live: &Arc<Live>| same(live) && live.state(now) == model::SessionState::Active;
            if !entry.current.is_some_and(active) {
                return Err(EnrolmentError::Stale);
            }
        }
        let today = self.rules().today(now);
        let holder = authenticators::holder(&self.0.store, state.account, today).await?;
        let holder = holder.filter(|holder| state::may_enrol(holder, today)).ok_or(EnrolmentError::AccountClosed)?;
        Ok(Open { hash, bytes: row.state, state, birth_date: holder.birth_date, person: Arc::new(holder.person) })
    }

    /// Keeps a new enrolment for the browser that began it.
    async fn keep(&self, tx: &mut store::Tx, binder: &Token, state: &State) -> Result<Token, EnrolmentError> {
        let token = Token::generate().map_err(|_| EnrolmentError::Broken("randomness"))?;
        let row = interactions::Interaction {
            kind: state::KIND.to_owned(),
            host: self.rules().portal_host.clone(),
            target: "/".to_owned(),
            app_binder: None,
            portal_binder: Some(binder.hash(TokenKind::Binder)),
            state: state.to_bytes()?,
            expires_at: self.now().after(LIFE),
        };
        interactions::insert(tx, &token.hash(TokenKind::Interaction), &row).await?;
        Ok(token)
    }

    /// Moves the enrolment on, by compare-and-set.
    async fn advance(&self, open: &mut Open) -> Result<(), EnrolmentError> {
        let next = open.state.to_bytes()?;
        let mut tx = self.0.store.begin().await?;
        interactions::advance(&mut tx, &open.hash, &open.bytes, &next).await?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        open.bytes = next;
        Ok(())
    }

    fn verifier(&self) -> Result<Passkeys, EnrolmentError> {
        Passkeys::new(&self.rules()).map_err(|_| EnrolmentError::Broken("passkey configuration"))
    }

    fn rules(&self) -> Arc<Rules> {
        self.0.rules.load()
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}

#[cfg(test)]
mod tests;
