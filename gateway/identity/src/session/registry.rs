//! The sessions that this node has in memory, by token and by line.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{AccountId, SessionId, TokenHash, TokenKind};

use super::Live;

/// Tokens of one session that are kept in memory; the oldest is asked of the store again.
const TOKENS: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Registry(RwLock<Maps>);

#[derive(Debug, Default)]
struct Maps {
    tokens: HashMap<TokenHash, Door>,
    sessions: HashMap<SessionId, Entry>,
    /// Grows with every change that a row read before it does not show.
    epoch: u64,
}

#[derive(Debug)]
struct Door {
    live: Arc<Live>,
    host: Box<str>,
}

#[derive(Debug)]
struct Entry {
    live: Arc<Live>,
    tokens: Vec<TokenHash>,
}

/// A token as the registry keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    pub(super) hash: TokenHash,
    pub(super) kind: TokenKind,
    pub(super) host: &'a str,
}

impl Registry {
    pub(super) fn find(&self, key: &Key<'_>) -> Option<Arc<Live>> {
        let maps = self.read();
        let door = maps.tokens.get(&key.hash)?;
        (&*door.host == key.host).then(|| Arc::clone(&door.live))
    }

    pub(super) fn get(&self, id: SessionId) -> Option<Arc<Live>> {
        self.read().sessions.get(&id).map(|entry| Arc::clone(&entry.live))
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        self.read().sessions.values().map(|entry| Arc::clone(&entry.live)).collect()
    }

    pub(super) fn of(&self, account: AccountId) -> Vec<Arc<Live>> {
        let maps = self.read();
        let held = maps.sessions.values().filter(|entry| entry.live.account() == account);
        held.map(|entry| Arc::clone(&entry.live)).collect()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.read().epoch
    }

    /// Something in the store has changed: a row that is being read may be older.
    pub(super) fn outdate(&self) {
        self.write().epoch += 1;
    }

    /// Takes in a session just begun here, or adds a token to it.
    pub(super) fn install(&self, live: &Arc<Live>, key: Option<Key<'_>>) {
        let mut maps = self.write();
        maps.install(live, key);
    }

    /// Takes in a session that was read from the store while the epoch was `epoch`. The session as it is
    /// in memory, which may be another's reading of it; `None` if the reading is outdated.
    pub(super) fn adopt(&self, live: Live, key: Option<Key<'_>>, epoch: u64) -> Option<Arc<Live>> {
        let mut maps = self.write();
        if maps.epoch != epoch {
            return None;
        }
        let live = match maps.sessions.get(&live.id()) {
            Some(entry) => Arc::clone(&entry.live),
            None => Arc::new(live),
        };
        maps.install(&live, key);
        Some(live)
    }

    /// Forgets all tokens of a session, and takes in `key` instead.
    pub(super) fn replace_tokens(&self, live: &Arc<Live>, key: Key<'_>) {
        let mut maps = self.write();
        maps.drop_tokens(live.id());
        maps.install(live, Some(key));
        maps.epoch += 1;
    }

    /// Forgets one kind's tokens of a session but `keep`.
    pub(super) fn replace_tokens_on(&self, live: &Arc<Live>, keep: Key<'_>) {
        let mut maps = self.write();
        let held = maps.sessions.get(&live.id()).map(|entry| entry.tokens.clone()).unwrap_or_default();
        let gone: Vec<TokenHash> = held
            .into_iter()
            .filter(|hash| maps.tokens.get(hash).is_some_and(|door| &*door.host == keep.host))
            .collect();
        for hash in &gone {
            maps.tokens.remove(hash);
        }
        if let Some(entry) = maps.sessions.get_mut(&live.id()) {
            entry.tokens.retain(|hash| !gone.contains(hash));
        }
        maps.install(live, Some(keep));
        maps.epoch += 1;
    }

    /// No token leads to the session any more; by its line it can still be found.
    pub(super) fn shut(&self, id: SessionId) {
        let mut maps = self.write();
        maps.drop_tokens(id);
        maps.epoch += 1;
    }

    /// Forgets the session.
    pub(super) fn forget(&self, id: SessionId) {
        let mut maps = self.write();
        maps.drop_tokens(id);
        maps.sessions.remove(&id);
        maps.epoch += 1;
    }

    fn read(&self) -> RwLockReadGuard<'_, Maps> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Maps> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Maps {
    fn install(&mut self, live: &Arc<Live>, key: Option<Key<'_>>) {
        let entry =
            self.sessions.entry(live.id()).or_insert_with(|| Entry { live: Arc::clone(live), tokens: Vec::new() });
        let Some(key) = key else { return };
        if entry.tokens.len() >= TOKENS {
            self.tokens.remove(&entry.tokens.remove(0));
        }
        if !entry.tokens.contains(&key.hash) {
            entry.tokens.push(key.hash);
        }
        self.tokens.insert(key.hash, Door { live: Arc::clone(&entry.live), host: key.host.into() });
    }

    fn drop_tokens(&mut self, id: SessionId) {
        let tokens = self.sessions.get_mut(&id).map(|entry| std::mem::take(&mut entry.tokens));
        for hash in tokens.unwrap_or_default() {
            self.tokens.remove(&hash);
        }
    }
}
