//! Sessions: who is logged in where, and whether that still holds (design.md §4).
//!
//! A lock or end holds in memory first and is *owed* to the store until written, so that neither a
//! failing store nor a client that leaves in the middle keeps a session open. An unlock is the other
//! way round: first the store agrees, then memory.

mod bearer;
mod change;
mod handshake;
mod life;
mod live;
mod promise;
mod registry;
mod sweep;
mod unlock;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use audit::{Event, Outcome, Record, What, Who};
use model::{Aal, AccountId, Clock, Edge, Method, SessionId, SessionState, StaffNo, Timestamp, Token, TokenKind};
use store::accounts::AccountState;
use store::authenticators::{self, Holder};
use store::sessions::{self, Session};
use store::{Store, StoreError};
use tokio::sync::Semaphore;

use crate::rules::FRESH;
use crate::{Rules, RulesSource, Target};

pub(crate) use change::{Others, login_ok};
pub use live::Live;
pub(crate) use unlock::failed_unlock;

use life::LimitCell;
use registry::{Key, Registry};

/// Look-ups of tokens that memory doesn't know, at the same time.
const COLD: usize = 8;
/// How long such a look-up waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// Sessions that are listed at once.
const MOST_LISTED: i64 = 500;
/// How often a reading that turned out outdated is repeated.
const READINGS: usize = 4;

/// Why a session is not given or changed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No such session, or it has ended.
    #[error("no such session")]
    Gone,
    /// The session is not in the state the act needs: unlocking wants a locked one, a handshake an active one.
    #[error("the session is not in that state")]
    State,
    /// No such handshake code is waiting: never given, used, or long over.
    #[error("no such code")]
    UnknownCode,
    /// The verified methods don't reach AAL2, or the method doesn't unlock (C-01, C-08).
    #[error("not enough was proved")]
    Assurance,
    /// The account is not active, or the person's employment is over.
    #[error("the account is not active")]
    Account,
    /// Too many look-ups of unknown tokens at once (503).
    #[error("too busy")]
    Busy,
    /// The store failed, or the journal did not get the record in time (503).
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no randomness (503).
    #[error(transparent)]
    Token(#[from] model::TokenError),
}

/// A login that has reached AAL2 and becomes a session.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// Whose.
    pub account: AccountId,
    /// What was verified, each by itself.
    pub methods: BTreeSet<Method>,
    /// The last request of the login.
    pub edge: &'a Edge,
    /// The browser's `User-Agent`, cut to 256 bytes.
    pub user_agent: &'a str,
    /// The session that the same browser had before: ended in the same transaction.
    pub replaces: Option<SessionId>,
}

/// Who locks or ends a session.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// The person whose it is, from a page.
    Holder(&'a Edge),
    /// Somebody else with the right to; his session, and the request.
    Admin(&'a Live, &'a Edge),
    /// The gateway itself.
    Gateway,
}

/// A session as its owner or an administrator sees it in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its line.
    pub id: SessionId,
    /// What records call it.
    pub session_hash: String,
    /// Where it stands.
    pub state: SessionState,
    /// The terminal, as far as it is known.
    pub station: String,
    /// The zone it was begun in.
    pub zone: String,
    /// The browser, as it names itself.
    pub user_agent: String,
    /// When it began.
    pub started_at: Timestamp,
    /// The last human act.
    pub last_act: Timestamp,
    /// When it ends whatever happens.
    pub absolute_until: Timestamp,
}

/// A session in the list of everybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attended {
    /// The person's staff number.
    pub staff_no: String,
    /// The person's name as HR writes it.
    pub name: String,
    /// The session.
    pub session: Listed,
}

/// Sessions in memory, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests pass.
    pub active: usize,
    /// Wait for their person.
    pub locked: usize,
}

/// What a handshake code gave an app host.
#[derive(Debug)]
pub struct Entered {
    /// The session.
    pub live: Arc<Live>,
    /// For `__Host-sk` of this host.
    pub token: Token,
    /// Where the browser wanted to go, a path of this host.
    pub target: Target,
}

/// A program's token, bound to a session.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The session it was made from. It need not be unlocked: a program is not a station.
    pub live: Arc<Live>,
    /// The proof at AAL2 that this token rests on; changes want it at most 5 minutes old.
    pub authenticated_at: Timestamp,
    /// When it is worth nothing any more.
    pub expires_at: Timestamp,
}

/// All sessions of the gateway. Clones share them.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    rules: RulesSource,
    clock: Clock,
    limits: Arc<LimitCell>,
    registry: Registry,
    cold: Semaphore,
}

impl Sessions {
    /// Over `store`. Deadlines hold from now on by the clock; they are written down, and watchers woken,
    /// while [`Sessions::run`] runs.
    pub fn new(store: Store, rules: RulesSource, clock: Clock) -> Self {
        let limits = Arc::new(LimitCell::new(rules.load().limits));
        let (registry, cold) = (Registry::default(), Semaphore::new(COLD));
        Self(Arc::new(Shared { store, rules, clock, limits, registry, cold }))
    }

    /// The session of a token of `kind` on `host`, from memory or, after a restart, from the store. It
    /// may be locked, but not ended.
    ///
    /// # Errors
    /// [`SessionError::Busy`] and [`SessionError::Store`] (503) for a token that memory doesn't know.
    pub async fn find(&self, token: &Token, kind: TokenKind, host: &str) -> Result<Option<Arc<Live>>, SessionError> {
        let key = Key { hash: token.hash(kind), kind, host };
        let live = match self.0.registry.find(&key) {
            Some(live) => Some(live),
            // Boxed: most requests find their session in memory.
            None => Box::pin(self.read(Wanted::Token(key))).await?,
        };
        let now = self.now();
        Ok(live.filter(|live| live.state(now) != SessionState::Ended))
    }

    /// The session of a token, if memory knows it and it has not ended: never a look-up that a stranger could
    /// cause.
    pub fn recall(&self, token: &Token, kind: TokenKind, host: &str) -> Option<Arc<Live>> {
        let live = self.0.registry.find(&Key { hash: token.hash(kind), kind, host })?;
        (live.state(self.now()) != SessionState::Ended).then_some(live)
    }

    /// A session by its line, from memory.
    pub fn known(&self, id: SessionId) -> Option<Arc<Live>> {
        self.0.registry.get(id)
    }

    /// How many sessions this node has in memory, by state, for metrics.
    pub fn counted(&self) -> Counted {
        let now = self.now();
        let mut counted = Counted::default();
        for live in self.0.registry.all() {
            match live.state(now) {
                SessionState::Active => counted.active += 1,
                SessionState::Locked => counted.locked += 1,
                SessionState::Ended => {}
            }
        }
        counted
    }

    /// The sessions of an account that have not ended, newest first.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub async fn list(&self, account: AccountId) -> Result<Vec<Listed>, SessionError> {
        let rows = sessions::living(&self.0.store, account).await?;
        let now = self.now();
        let listed = rows.into_iter().map(|row| self.listed(row, now));
        Ok(listed.filter(|listed| listed.state != SessionState::Ended).collect())
    }

    /// The sessions of everybody, or of one staff number, that have not ended: newest first, at most 500.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub async fn everybodys(&self, staff_no: Option<&StaffNo>) -> Result<Vec<Attended>, SessionError> {
        let rows = sessions::everybodys(&self.0.store, staff_no, MOST_LISTED).await?;
        let now = self.now();
        let attended = rows.into_iter().map(|row| Attended {
            staff_no: row.staff_no,
            name: row.name,
            session: self.listed(row.session, now),
        });
        Ok(attended.filter(|attended| attended.session.state != SessionState::Ended).collect())
    }

    fn listed(&self, row: Session, now: Timestamp) -> Listed {
        let life = life::Life::of(&row);
        let live = self.known(row.id);
        let life = live.as_ref().map_or(&life, |live| live.life());
        Listed {
            id: row.id,
            session_hash: live::line_hash(row.id),
            state: life.standing(&self.0.limits, now).state(),
            station: row.station,
            zone: row.zone,
            user_agent: row.user_agent,
            started_at: row.started_at,
            last_act: life.last_act(),
            absolute_until: life.absolute_until(&self.0.limits),
        }
    }

    /// A session by its line, from memory or the store; not an ended one.
    async fn living(&self, id: SessionId) -> Result<Option<Arc<Live>>, SessionError> {
        let live = match self.known(id) {
            Some(live) => Some(live),
            None => self.read(Wanted::Line(id)).await?,
        };
        Ok(live.filter(|live| live.state(self.now()) != SessionState::Ended))
    }

    /// Reads a session from the store into memory. Whatever changes while it is read makes the reading
    /// void: a session must not come back because its end was written between reading and remembering.
    async fn read(&self, wanted: Wanted<'_>) -> Result<Option<Arc<Live>>, SessionError> {
        let turn = tokio::time::timeout(PATIENCE, self.0.cold.acquire()).await;
        let _turn = turn.map_err(|_| SessionError::Busy)?.map_err(|_| SessionError::Busy)?;
        for _ in 0..READINGS {
            let epoch = self.0.registry.epoch();
            let (row, key) = match wanted {
                Wanted::Token(key) => {
                    (sessions::by_token(&self.0.store, &key.hash, key.kind, key.host).await?, Some(key))
                }
                Wanted::Line(id) => (sessions::by_id(&self.0.store, id).await?, None),
            };
            let Some(row) = row.filter(|row| row.state != SessionState::Ended) else { return Ok(None) };
            let today = self.rules().today(self.now());
            let holder = authenticators::holder(&self.0.store, row.account, today).await?;
            let Some(holder) = holder.filter(|holder| may_work(holder, today)) else { return Ok(None) };
            let live = Live::new(&row, holder.person, Arc::clone(&self.0.limits));
            if let Some(live) = self.0.registry.adopt(live, key, epoch) {
                return Ok(Some(live));
            }
        }
        Err(SessionError::Busy)
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn rules(&self) -> Arc<Rules> {
        self.0.rules.load()
    }
}

#[derive(Clone, Copy)]
enum Wanted<'a> {
    Token(Key<'a>),
    Line(SessionId),
}

/// Is the account open, and the person still employed?
pub(crate) fn may_work(holder: &Holder, today: i32) -> bool {
    holder.state == AccountState::Active && holder.employed_until.is_none_or(|last| today <= last)
}

/// Is it an active session at AAL2 whose person has proved himself within the last five minutes (A28, C-35)?
pub(crate) fn proved_lately(live: &Live, now: Timestamp) -> bool {
    let proved = live.authenticated_at();
    let fresh = proved <= now && now.since(proved) <= FRESH;
    live.state(now) == SessionState::Active && live.aal() == Aal::Aal2 && fresh
}

/// A record about a session, by whom it was done.
fn about(event: Event, hash: &str, holder: &Who, by: By<'_>) -> Record {
    let record = Record::new(event, Outcome::Ok).what(What::thing("session", hash));
    match by {
        By::Holder(edge) => record.who(holder.clone()).from(edge),
        By::Admin(admin, edge) => record.who(admin.who().clone()).from(edge),
        By::Gateway => record.who(holder.clone()).detail("by", "gateway"),
    }
}

#[cfg(test)]
mod history;
#[cfg(test)]
mod tests;
