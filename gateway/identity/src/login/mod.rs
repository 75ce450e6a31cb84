//! Logins: a stored interaction that one browser takes step by step (design.md §5).
//!
//! Every step proves its own completion to the state in the store (A26): a name before a secret, a
//! challenge before its answer, two factors before a session. What is stored moves by compare-and-set,
//! so that two requests can't take one step twice.

mod attempt;
mod interaction;
mod place;
mod state;
mod step;
mod sweep;
mod target;
mod unlock;
mod waiting;

use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, MasterKey, Method, Token, TokenKind, matching_form};
use serde::de::DeserializeOwned;
use store::authenticators::{self, Authenticator, AuthenticatorKind};
use store::{Store, StoreError, Unrecorded, interactions};
use webauthn_rs::prelude::{Passkey, SecurityKey};

use crate::passkey::{Decoys, MOST, PasskeyError, Passkeys};
use crate::password::{HashError, Hasher, PasswordPool};
use crate::session::may_work;
use crate::{Rules, RulesSource, SessionError, Sessions};

pub use interaction::{Begin, Completed, Destination, Entry, Interaction, Next, Outcome, Purpose};
pub use target::{Target, TargetError};

use state::{Open, State, Whom};
use sweep::Sweeps;
use waiting::Waiting;

pub(crate) use place::Whence;
pub(crate) use state::open_row;
pub(crate) use step::SEED_PURPOSE;

/// A login must be done this long after it began.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// Logins, confirmations and enrolments under way at the same time.
const MOST_INTERACTIONS: i64 = 20_000;
/// How many of the oldest that no browser has gone on with make room at once when there are that many.
const ROOM: i64 = 100;
/// When all of them are under way in browsers: some will be done after this long.
const ROOM_AFTER: Duration = Duration::from_secs(30);

/// Why a step of a login did not go through.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// It did not match. The same for a wrong secret, an unknown name, a forged assertion, an account
    /// that is not active and an authenticator that is closed after failures (A40): one sentence for all.
    #[error("name and secret do not match, or cannot be used now")]
    Refused,
    /// No such interaction in this browser: expired, used, or begun elsewhere. Begin again.
    #[error("this login is over")]
    Gone,
    /// Begun at another address than the one that goes on (A15, D-14): whoever began it is somebody else.
    #[error("this login was begun at another address")]
    Elsewhere,
    /// The step doesn't fit what came before it (A26), or another request was faster.
    #[error("not the next step")]
    OutOfOrder,
    /// Name after name was tried from here, so that each try has to wait (429; A47). Nothing was checked.
    #[error("too many names were tried from here")]
    Slow {
        /// When the next try is due.
        retry_after: Duration,
    },
    /// Too many passwords wait to be checked, or too many logins are under way (503). Nothing was checked.
    #[error("too busy")]
    Busy {
        /// When there will be room, as far as one can tell.
        retry_after: Duration,
    },
    /// The session could not be started or unlocked.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The store failed (503).
    #[error(transparent)]
    Store(StoreError),
    /// A key, the randomness or a stored value failed (503).
    #[error("cannot check this now: {0}")]
    Broken(&'static str),
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::OutOfOrder,
            other => Self::Store(other),
        }
    }
}

impl From<HashError> for LoginError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy { retry_after } => Self::Busy { retry_after },
            HashError::Failed => Self::Broken("password hash"),
        }
    }
}

/// The login state machine. Clones share it.
#[derive(Clone, Debug)]
pub struct Logins(Arc<Shared>);

struct Shared {
    store: Store,
    sessions: Sessions,
    rules: RulesSource,
    master: Arc<MasterKey>,
    clock: Clock,
    hasher: Hasher,
    decoys: Decoys,
    waiting: Mutex<Waiting>,
    sweeps: Mutex<Sweeps>,
    /// Names as sweeps are told of them.
    names: RandomState,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl Logins {
    /// Over the same store as `sessions`.
    ///
    /// # Errors
    /// [`LoginError::Broken`] if keys can't be derived.
    pub fn new(
        store: Store,
        sessions: Sessions,
        rules: RulesSource,
        master: Arc<MasterKey>,
        clock: Clock,
    ) -> Result<Self, LoginError> {
        let hasher = Hasher::new(&master, rules.load().hash_concurrency)?;
        let decoys = Decoys::new(&master).ok_or(LoginError::Broken("decoy key"))?;
        let (waiting, sweeps, names) = (Mutex::default(), Mutex::default(), RandomState::new());
        let shared = Shared { store, sessions, rules, master, clock, hasher, decoys, waiting, sweeps, names };
        Ok(Self(Arc::new(shared)))
    }

    /// How full the pool of password hashes is, for metrics.
    pub fn password_pool(&self) -> PasswordPool {
        self.0.hasher.pool()
    }

    /// Begins an interaction; its token goes into the address of the login page. Where a network, or all
    /// together, have too many that no browser went on with, the oldest of those make room, so that
    /// strangers who begin without end stop nobody.
    ///
    /// # Errors
    /// [`LoginError::OutOfOrder`] for an app's host without a binder, [`LoginError::Busy`],
    /// [`LoginError::Store`].
    pub async fn begin(&self, begin: Begin<'_>) -> Result<Token, LoginError> {
        if begin.app_binder.is_none() && begin.host != self.rules().portal_host {
            return Err(LoginError::OutOfOrder);
        }
        let token = Token::generate().map_err(SessionError::from)?;
        let now = self.now();
        let from = begin.app_binder.map(|_| begin.address.to_canonical());
        let row = interactions::Interaction {
            kind: begin.purpose.kind().to_owned(),
            host: begin.host.to_owned(),
            target: begin.target.as_str().to_owned(),
            app_binder: begin.app_binder,
            portal_binder: None,
            state: State { from, ..State::default() }.to_bytes()?,
            expires_at: now.after(LIFE),
        };
        let hash = token.hash(TokenKind::Interaction);
        let surplus = if begin.holder { None } else { self.waiting().begun(hash, begin.address, row.expires_at, now) };
        let mut tx = self.0.store.begin().await?;
        if let Some(surplus) = surplus {
            interactions::evict(&mut tx, &surplus).await?;
        }
        if !begin.holder
            && interactions::count(&mut tx).await? >= MOST_INTERACTIONS
            && interactions::evict_oldest(&mut tx, ROOM).await? == 0
        {
            return Err(LoginError::Busy { retry_after: ROOM_AFTER });
        }
        interactions::insert(&mut tx, &hash, &row).await?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        Ok(token)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the login page shows; binds the interaction to the browser on its first visit.
    ///
    /// # Errors
    /// [`LoginError::Gone`], [`LoginError::Elsewhere`], [`LoginError::Store`].
    pub async fn view(&self, interaction: &Token, binder: &Token, address: IpAddr) -> Result<Interaction, LoginError> {
        let hash = interaction.hash(TokenKind::Interaction);
        let row = interactions::by_hash(&self.0.store, &hash).await?.ok_or(LoginError::Gone)?;
        if row.portal_binder.is_none() {
            state::began_here(&row, address)?;
            let mut tx = self.0.store.begin().await?;
            // Whoever was first has it; reading it again tells whether that was us.
            if interactions::bind(&mut tx, &hash, &binder.hash(TokenKind::Binder)).await? {
                tx.commit_unrecorded(Unrecorded::Ceremony).await?;
                self.waiting().over(&hash);
            }
        }
        Ok(self.open(interaction, binder, address).await?.view())
    }

    /// Ends an interaction that needs no login, because there is an active session: where to go.
    ///
    /// # Errors
    /// [`LoginError::Gone`], [`LoginError::Elsewhere`], [`LoginError::Store`].
    pub async fn take(&self, interaction: &Token, binder: &Token, address: IpAddr) -> Result<Destination, LoginError> {
        let open = self.open(interaction, binder, address).await?;
        let mut tx = self.0.store.begin().await?;
        interactions::take(&mut tx, &open.hash).await?.ok_or(LoginError::Gone)?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        Ok(open.destination)
    }

    /// The first step: a staff number. Answers alike whether it exists or not (A40); given again, it
    /// begins anew.
    ///
    /// # Errors
    /// [`LoginError::Gone`], [`LoginError::OutOfOrder`] in a confirmation, [`LoginError::Store`].
    pub async fn name(&self, entry: Entry<'_>, name: &str) -> Result<Next, LoginError> {
        let open = self.open(entry.interaction, entry.binder, entry.edge.address).await?;
        if open.purpose != Purpose::Login {
            return Err(LoginError::OutOfOrder);
        }
        let name: String = matching_form(name).chars().take(64).collect();
        let today = self.today();
        // A text that is no staff number is asked for all the same, as one that nobody has.
        let number = name.parse().or_else(|_| "-".parse()).map_err(|_| LoginError::Broken("staff number"))?;
        let holder = authenticators::holder_by_staff_no(&self.0.store, &number, today).await?;
        let account = holder.filter(|holder| may_work(holder, today)).map(|holder| holder.person.account);
        let state = State {
            whom: Some(Whom { name, account }),
            tries: open.state.tries,
            from: open.state.from,
            ..State::default()
        };
        self.ask(open, state).await
    }

    /// What may come next, with a new challenge: for a page that is shown again, and for the first page
    /// of a confirmation.
    ///
    /// # Errors
    /// [`LoginError::Gone`], [`LoginError::OutOfOrder`] before a name was given, [`LoginError::Store`].
    pub async fn next(&self, entry: Entry<'_>) -> Result<Next, LoginError> {
        let open = self.open(entry.interaction, entry.binder, entry.edge.address).await?;
        let mut state = open.state.clone();
        if open.purpose == Purpose::Confirm && state.whom.is_none() {
            let live = entry.current.ok_or(LoginError::OutOfOrder)?;
            state.whom = Some(Whom::of(live));
            state.session = Some(live.id());
        }
        self.ask(open, state).await
    }

    /// Keeps `state` with a new challenge for whoever it names.
    async fn ask(&self, open: Open, mut state: State) -> Result<Next, LoginError> {
        let whom = state.whom.clone().ok_or(LoginError::OutOfOrder)?;
        let keys = match whom.account {
            Some(account) => self.passkeys(account).await?,
            None => Vec::new(),
        };
        let verifier = self.verifier()?;
        let (passkey, challenge) = verifier
            .login_options(&keys, &self.0.decoys, &whom.name, self.now())
            .map_err(|_| LoginError::Broken("passkey options"))?;
        state.challenge = Some(challenge.pack().ok_or(LoginError::Broken("challenge"))?);
        state.unlocks = None;
        let lacks = |method| !state.methods().contains(&method);
        let mut next = Next { passkey, password: lacks(Method::Password), totp: lacks(Method::Totp), key: None };
        state.key_challenge = None;
        // What is bound is told to whoever knows the password, and to nobody else.
        if let (false, Some(account)) = (next.password, whom.account) {
            let second = self.second_factors(account).await?;
            next.totp &= second.totp;
            if !second.keys.is_empty() {
                let (options, challenge) = verifier
                    .key_options(&second.keys, self.now())
                    .map_err(|_| LoginError::Broken("security key options"))?;
                state.key_challenge = Some(challenge.pack().ok_or(LoginError::Broken("challenge"))?);
                next.key = Some(options);
            }
        }
        let mut tx = self.0.store.begin().await?;
        interactions::advance(&mut tx, &open.hash, &open.bytes, &state.to_bytes()?).await?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        Ok(next)
    }

    async fn passkeys(&self, account: model::AccountId) -> Result<Vec<Passkey>, LoginError> {
        credentials(&authenticators::active(&self.0.store, account).await?, AuthenticatorKind::Passkey)
    }

    async fn second_factors(&self, account: model::AccountId) -> Result<SecondFactors, LoginError> {
        let bound = authenticators::active(&self.0.store, account).await?;
        let keys = credentials(&bound, AuthenticatorKind::SecurityKey)?;
        Ok(SecondFactors { keys, totp: bound.iter().any(|a| a.kind == AuthenticatorKind::Totp) })
    }

    async fn open(&self, interaction: &Token, binder: &Token, address: IpAddr) -> Result<Open, LoginError> {
        let found = open_row(&self.0.store, interaction, binder, self.now()).await?;
        if let Some((_, row)) = &found {
            state::began_here(row, address)?;
        }
        found.try_into()
    }

    fn verifier(&self) -> Result<Passkeys, LoginError> {
        Passkeys::new(&self.rules()).map_err(|_: PasskeyError| LoginError::Broken("passkey configuration"))
    }

    fn rules(&self) -> Arc<Rules> {
        self.0.rules.load()
    }

    pub(crate) fn now(&self) -> model::Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    fn today(&self) -> i32 {
        self.rules().today(self.now())
    }
}

/// What may go with a password.
struct SecondFactors {
    keys: Vec<SecurityKey>,
    totp: bool,
}

/// The credentials of one kind among those bound.
fn credentials<T: DeserializeOwned>(bound: &[Authenticator], kind: AuthenticatorKind) -> Result<Vec<T>, LoginError> {
    let of_kind = bound.iter().filter(|a| a.kind == kind).take(MOST);
    of_kind.map(|a| serde_json::from_slice(&a.data).map_err(|_| LoginError::Broken("stored credential"))).collect()
}

#[cfg(test)]
mod tests;
