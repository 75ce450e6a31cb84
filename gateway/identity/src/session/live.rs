use std::any::Any;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use audit::Who;
use aws_lc_rs::digest::{SHA256, digest};
use model::{Aal, AccountId, EndReason, LockReason, Method, Person, SessionId, SessionState, Timestamp, hex};
use store::sessions::Session;
use tokio::sync::watch;

use super::life::{Life, LimitCell, Standing};
use crate::assertion::Signed;

/// A session in memory. Requests read it without a lock; only [`Sessions`](crate::Sessions) changes it,
/// but for the last human act.
#[derive(Debug)]
pub struct Live {
    id: SessionId,
    hash: String,
    person: Arc<Person>,
    who: Who,
    methods: Vec<Method>,
    aal: Aal,
    station: String,
    started_at: Timestamp,
    authenticated_at: AtomicI64,
    life: Life,
    limits: Arc<LimitCell>,
    state: watch::Sender<SessionState>,
    flushed: AtomicI64,
    changes: AtomicU64,
    owed: Mutex<Option<Owed>>,
    assertions: Mutex<Vec<Signed>>,
    companion: OnceLock<Arc<dyn Any + Send + Sync>>,
}

/// A change of state that holds in memory and is not yet known to be in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owed {
    Lock(LockReason, Timestamp),
    End(EndReason),
}

impl Live {
    pub(super) fn new(row: &Session, person: Person, limits: Arc<LimitCell>) -> Self {
        let hash = line_hash(row.id);
        Self {
            who: Who::person(&person, &hash, row.aal, row.methods.iter().copied(), Some(&row.station)),
            id: row.id,
            hash,
            person: Arc::new(person),
            methods: row.methods.iter().copied().collect(),
            aal: row.aal,
            station: row.station.clone(),
            started_at: row.started_at,
            authenticated_at: AtomicI64::new(row.authenticated_at.micros()),
            life: Life::of(row),
            limits,
            state: watch::Sender::new(row.state),
            flushed: AtomicI64::new(row.last_act.micros()),
            changes: AtomicU64::new(0),
            owed: Mutex::new(None),
            assertions: Mutex::new(Vec::new()),
            companion: OnceLock::new(),
        }
    }

    /// Its line: the same from login to end.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// What records and assertions call it: 128 bits in hex, from which nothing of its tokens follows.
    pub fn session_hash(&self) -> &str {
        &self.hash
    }

    /// Whose it is.
    pub fn person(&self) -> &Arc<Person> {
        &self.person
    }

    /// Whose account.
    pub fn account(&self) -> AccountId {
        self.person.account
    }

    /// For records.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Where it stands at `now`, by the clock: an idle session is locked at once, written or not.
    pub fn state(&self, now: Timestamp) -> SessionState {
        self.standing(now).state()
    }

    /// A human act at `now`; false and without effect unless the session is active.
    pub fn touch(&self, now: Timestamp) -> bool {
        self.life.touch(&self.limits, now)
    }

    /// Told within 250 ms of every change. Any change ends what was let in before it, also one that
    /// reads as active: a lock and its unlock may be seen as one.
    pub fn watch(&self) -> watch::Receiver<SessionState> {
        self.state.subscribe()
    }

    /// How often the state has changed: a lease taken under another number is over.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What the login reached; unlocking never raises it.
    pub fn aal(&self) -> Aal {
        self.aal
    }

    /// By what.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The last time the person proved himself at AAL2: login, confirmation, or unlock with a passkey.
    pub fn authenticated_at(&self) -> Timestamp {
        Timestamp::from_micros(self.authenticated_at.load(Ordering::Acquire))
    }

    /// When it began.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// When it ends whatever happens.
    pub fn absolute_until(&self) -> Timestamp {
        self.life.absolute_until(&self.limits)
    }

    /// The terminal.
    pub fn station(&self) -> &str {
        &self.station
    }

    /// What a user of sessions works out once for each and needs again with every request: made by `make` at
    /// the first call, gone with the session's place in memory. There is one for each session, of one type `T`;
    /// asked for as another it is `None`.
    pub fn companion<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<Arc<T>> {
        Arc::downcast(Arc::clone(self.companion.get_or_init(|| Arc::new(make())))).ok()
    }

    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        self.life.standing(&self.limits, now)
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    pub(super) fn confirmed(&self, at: Timestamp) {
        self.authenticated_at.fetch_max(at.micros(), Ordering::AcqRel);
    }

    /// Wakes whoever watches, if it is news.
    pub(super) fn tell(&self, state: SessionState) {
        self.state.send_if_modified(|told| {
            let news = *told != state;
            if news {
                *told = state;
                self.changes.fetch_add(1, Ordering::AcqRel);
            }
            news
        });
    }

    /// The last act, if it is later than what the store knows.
    pub(super) fn unflushed(&self) -> Option<Timestamp> {
        let act = self.life.last_act();
        (act.micros() > self.flushed.load(Ordering::Acquire)).then_some(act)
    }

    /// The last act that the store knows.
    pub(super) fn flushed(&self) -> Timestamp {
        Timestamp::from_micros(self.flushed.load(Ordering::Acquire))
    }

    pub(super) fn note_flushed(&self, act: Timestamp) {
        self.flushed.fetch_max(act.micros(), Ordering::AcqRel);
    }

    /// Owes a change to the store; an end is never forgotten over a lock.
    pub(super) fn owe(&self, change: Owed) {
        let mut owed = self.owed();
        if !matches!(*owed, Some(Owed::End(_))) {
            *owed = Some(change);
        }
    }

    pub(super) fn owed(&self) -> MutexGuard<'_, Option<Owed>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn assertions(&self) -> MutexGuard<'_, Vec<Signed>> {
        self.assertions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's name outside: the first half of SHA-256 over its line, in hex.
pub(super) fn line_hash(id: SessionId) -> String {
    let mut plain = b"session-line\0".to_vec();
    plain.extend_from_slice(id.uuid().as_bytes());
    hex::of(digest(&SHA256, &plain).as_ref().get(..16).unwrap_or_default())
}
