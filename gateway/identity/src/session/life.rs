//! The state machine of design.md §4 as atomics: written by few, read without a lock by every request.
//!
//! What is written down (`Active`, `Locked`, `Ended`) and what holds at a moment are two things: a
//! session whose person has been idle too long *is* locked from that microsecond on, whether or not the
//! sweeper has come by to write it.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use model::{EndReason, Limits, SessionState, Timestamp};
use store::sessions::Session;

const ACTIVE: u8 = 0;
const LOCKED: u8 = 1;
const ENDED: u8 = 2;

/// The limits in force, shared by all sessions, so that a reload reaches each of them at once.
#[derive(Debug)]
pub(super) struct LimitCell {
    lock_after: AtomicI64,
    end_after: AtomicI64,
    absolute: AtomicI64,
}

impl LimitCell {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            lock_after: AtomicI64::new(micros(limits.lock_after)),
            end_after: AtomicI64::new(micros(limits.end_after)),
            absolute: AtomicI64::new(micros(limits.absolute)),
        }
    }

    pub(super) fn set(&self, limits: Limits) {
        self.lock_after.store(micros(limits.lock_after), Ordering::Relaxed);
        self.end_after.store(micros(limits.end_after), Ordering::Relaxed);
        self.absolute.store(micros(limits.absolute), Ordering::Relaxed);
    }

    pub(super) fn lock_after(&self) -> Duration {
        span(self.lock_after.load(Ordering::Relaxed))
    }

    pub(super) fn end_after(&self) -> Duration {
        span(self.end_after.load(Ordering::Relaxed))
    }

    pub(super) fn absolute(&self) -> Duration {
        span(self.absolute.load(Ordering::Relaxed))
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn span(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// What holds at a moment, and since when or why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Active,
    /// Locked since then; `written` tells whether the lock was written down or follows from the clock.
    Locked {
        since: Timestamp,
        written: bool,
    },
    /// Over by the clock; the reason is what the sweeper will write.
    Over(EndReason),
    /// Over, and written down.
    Ended,
}

impl Standing {
    pub(super) const fn state(self) -> SessionState {
        match self {
            Self::Active => SessionState::Active,
            Self::Locked { .. } => SessionState::Locked,
            Self::Over(_) | Self::Ended => SessionState::Ended,
        }
    }
}

/// One session's life.
#[derive(Debug)]
pub(super) struct Life {
    started_at: Timestamp,
    absolute_until: Timestamp,
    state: AtomicU8,
    last_act: AtomicI64,
    locked_at: AtomicI64,
}

impl Life {
    /// As the store has it.
    pub(super) fn of(row: &Session) -> Self {
        let life = Self::new(row.started_at, row.absolute_until, row.last_act);
        match row.state {
            SessionState::Active => {}
            SessionState::Locked => {
                life.lock(row.locked_at.unwrap_or(row.last_act));
            }
            SessionState::Ended => {
                life.end();
            }
        }
        life
    }

    pub(super) fn new(started_at: Timestamp, absolute_until: Timestamp, last_act: Timestamp) -> Self {
        Self {
            started_at,
            absolute_until,
            state: AtomicU8::new(ACTIVE),
            last_act: AtomicI64::new(last_act.micros()),
            locked_at: AtomicI64::new(0),
        }
    }

    /// The end that no act moves: as granted at login, or sooner if the limit has become stricter.
    pub(super) fn absolute_until(&self, limits: &LimitCell) -> Timestamp {
        self.absolute_until.min(self.started_at.after(limits.absolute()))
    }

    pub(super) fn last_act(&self) -> Timestamp {
        Timestamp::from_micros(self.last_act.load(Ordering::Acquire))
    }

    pub(super) fn standing(&self, limits: &LimitCell, now: Timestamp) -> Standing {
        let state = self.state.load(Ordering::Acquire);
        if state == ENDED {
            return Standing::Ended;
        }
        if now >= self.absolute_until(limits) {
            return Standing::Over(EndReason::Absolute);
        }
        let since = if state == LOCKED {
            Timestamp::from_micros(self.locked_at.load(Ordering::Acquire))
        } else {
            let since = self.last_act().after(limits.lock_after());
            if now < since {
                return Standing::Active;
            }
            since
        };
        if now >= since.after(limits.end_after()) {
            return Standing::Over(EndReason::LockedTooLong);
        }
        Standing::Locked { since, written: state == LOCKED }
    }

    /// A later act that another node has written.
    pub(super) fn acted_elsewhere(&self, act: Timestamp) {
        self.last_act.fetch_max(act.micros(), Ordering::AcqRel);
    }

    /// A human act. Counts only while active; tells whether it did.
    pub(super) fn touch(&self, limits: &LimitCell, now: Timestamp) -> bool {
        let active = self.standing(limits, now) == Standing::Active;
        if active {
            self.last_act.fetch_max(now.micros(), Ordering::AcqRel);
        }
        active
    }

    /// Locks what is active; tells whether it was.
    pub(super) fn lock(&self, since: Timestamp) -> bool {
        // The moment first: whoever sees LOCKED must see since when.
        if self.state.load(Ordering::Acquire) != ACTIVE {
            return false;
        }
        self.locked_at.store(since.micros(), Ordering::Release);
        self.state.compare_exchange(ACTIVE, LOCKED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Opens what is locked, after the store has agreed; tells whether it was locked.
    pub(super) fn unlock(&self, now: Timestamp) -> bool {
        if self.state.load(Ordering::Acquire) != LOCKED {
            return false;
        }
        self.last_act.fetch_max(now.micros(), Ordering::AcqRel);
        self.state.compare_exchange(LOCKED, ACTIVE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Ends it for good; tells whether it was alive.
    pub(super) fn end(&self) -> bool {
        self.state.swap(ENDED, Ordering::AcqRel) != ENDED
    }
}

#[cfg(test)]
mod tests;
