//! What was worked out before, bounded, and forgotten in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::{AccountId, Timestamp};
use moka::sync::Cache;

use crate::Effective;

/// Accounts times generations in flight; beyond it the least used are worked out again.
const KEPT: u64 = 100_000;
/// Only answers of this many newest generations are kept: requests that began before a reload. A
/// snapshot that was never in force has generation 0, and nothing is kept for it.
const GENERATIONS: u64 = 2;

/// The whole of what an answer depends on, besides the data that the feed speaks of (A32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    account: AccountId,
    generation: u64,
    /// How often everything had been forgotten.
    flush: u64,
}

/// Answers by account and generation. It keeps none while nobody listens to the change feed.
#[derive(Debug)]
pub(crate) struct Memory {
    answers: Cache<Key, Arc<Effective>>,
    /// How often something was forgotten. An answer whose data were read before a later forgetting
    /// isn't kept.
    epoch: AtomicU64,
    flush: AtomicU64,
    newest: AtomicU64,
    listening: AtomicBool,
}

/// Taken before the data are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    epoch: u64,
    flush: u64,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            answers: Cache::new(KEPT),
            epoch: AtomicU64::new(0),
            flush: AtomicU64::new(0),
            newest: AtomicU64::new(0),
            listening: AtomicBool::new(false),
        }
    }

    pub(crate) fn get(&self, account: AccountId, generation: u64, now: Timestamp) -> Option<Arc<Effective>> {
        if !self.listening.load(Ordering::SeqCst) {
            return None;
        }
        let flush = self.flush.load(Ordering::SeqCst);
        self.answers.get(&Key { account, generation, flush }).filter(|answer| answer.covers(now))
    }

    pub(crate) fn epoch(&self) -> Epoch {
        Epoch { flush: self.flush.load(Ordering::SeqCst), epoch: self.epoch.load(Ordering::SeqCst) }
    }

    /// Keeps an answer whose data were read after `epoch` was taken, unless something was forgotten since.
    pub(crate) fn keep(&self, epoch: Epoch, account: AccountId, generation: u64, answer: &Arc<Effective>) {
        let newest = self.newest.fetch_max(generation, Ordering::SeqCst).max(generation);
        let in_force = generation > 0 && generation.saturating_add(GENERATIONS) > newest;
        if !in_force || !self.may_keep(epoch) {
            return;
        }
        let key = Key { account, generation, flush: epoch.flush };
        self.answers.insert(key, Arc::clone(answer));
        // Forgetting counts first and removes then: whichever comes second sees the other.
        if !self.may_keep(epoch) {
            self.answers.invalidate(&key);
        }
    }

    fn may_keep(&self, epoch: Epoch) -> bool {
        self.listening.load(Ordering::SeqCst) && self.epoch.load(Ordering::SeqCst) == epoch.epoch
    }

    /// Nothing that was read before this call is kept after it. To be called before [`Self::forget`]
    /// where finding the account takes a while.
    pub(crate) fn turn(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets an account's answers.
    pub(crate) fn forget(&self, account: AccountId) {
        self.turn();
        let (newest, flush) = (self.newest.load(Ordering::SeqCst), self.flush.load(Ordering::SeqCst));
        for generation in (0..GENERATIONS).filter_map(|back| newest.checked_sub(back)) {
            self.answers.invalidate(&Key { account, generation, flush });
        }
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        self.turn();
        self.flush.fetch_add(1, Ordering::SeqCst);
        self.answers.invalidate_all();
    }

    /// Answers are kept from now on, until the returned guard is dropped.
    pub(crate) fn listen(&self) -> Listening<'_> {
        self.forget_all();
        self.listening.store(true, Ordering::SeqCst);
        Listening(self)
    }

    #[cfg(test)]
    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::SeqCst)
    }
}

/// Somebody hears the change feed.
#[derive(Debug)]
pub(crate) struct Listening<'m>(&'m Memory);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.listening.store(false, Ordering::SeqCst);
        self.0.forget_all();
    }
}

#[cfg(test)]
mod tests;
