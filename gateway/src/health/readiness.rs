//! Should requests be sent here? The reasons against are words that programs may go by.

use std::time::{Duration, Instant};

use audit::Journal;
use model::Timestamp;
use serde_json::{Value, json};
use store::{Backlog, Store};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::clock::{Gravity, Standing};

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// However often somebody asks, the store is asked no more often than this.
const FRESH: Duration = Duration::from_secs(1);
/// Records that wait longer for the disk, or for the journal, are worth a warning.
const SLOW_DISK: Duration = Duration::from_secs(1);
const SLOW_OUTBOX: Duration = Duration::from_secs(60);

/// How far the gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Serving,
    Draining,
}

/// What readiness rests on.
pub(crate) struct Readiness {
    journal: Journal,
    store: Store,
    clock: watch::Receiver<Standing>,
    phase: watch::Receiver<Phase>,
    asked: Mutex<Option<(Instant, Option<Backlog>)>>,
}

/// What speaks against sending requests here, and what somebody should look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    reasons: Vec<&'static str>,
    warnings: Vec<&'static str>,
}

/// What a report is made of.
struct Facts {
    phase: Phase,
    journal: audit::Standing,
    clock: Standing,
    backlog: Option<Backlog>,
    now: Timestamp,
}

impl Readiness {
    pub(crate) fn new(
        journal: Journal,
        store: Store,
        clock: watch::Receiver<Standing>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self { journal, store, clock, phase, asked: Mutex::new(None) }
    }

    pub(crate) async fn report(&self) -> Report {
        let backlog = self.backlog().await;
        let facts = Facts {
            phase: *self.phase.borrow(),
            journal: self.journal.standing(),
            clock: *self.clock.borrow(),
            backlog,
            now: self.store.now(),
        };
        facts.report()
    }

    /// What the clock's check found.
    pub(super) fn clock(&self) -> Standing {
        *self.clock.borrow()
    }

    /// What waits in the outbox; `None` if the store does not answer.
    pub(super) async fn backlog(&self) -> Option<Backlog> {
        let mut asked = self.asked.lock().await;
        if let Some((_, known)) = asked.filter(|(at, _)| at.elapsed() < FRESH) {
            return known;
        }
        let answer = timeout(PATIENCE, self.store.backlog()).await;
        let known = match answer {
            Ok(Ok(backlog)) => Some(backlog),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store does not answer");
                None
            }
            Err(_) => None,
        };
        *asked = Some((Instant::now(), known));
        known
    }
}

impl Facts {
    fn report(&self) -> Report {
        let mut report = Report::default();
        match self.phase {
            Phase::Starting => report.reasons.push("starting"),
            Phase::Serving => {}
            Phase::Draining => report.reasons.push("draining"),
        }
        if !self.journal.writable {
            report.reasons.push("journal");
        }
        if self.backlog.is_none() {
            report.reasons.push("store");
        }
        match self.clock {
            Standing::Checking => report.reasons.push("clock-checking"),
            Standing::Known(_, Gravity::Alarm) => report.reasons.push("clock-off"),
            Standing::Known(_, Gravity::Warning) => report.warnings.push("clock-off"),
            Standing::Known(_, Gravity::Within) => {}
            Standing::NoSource => report.warnings.push("clock-unchecked"),
            Standing::NoAnswer(_) => report.warnings.push("clock-unanswered"),
        }
        if self.journal.unsynced_for > SLOW_DISK {
            report.warnings.push("journal-slow");
        }
        let waiting = self.backlog.and_then(|backlog| backlog.oldest);
        if waiting.is_some_and(|oldest| self.now.since(oldest) > SLOW_OUTBOX) {
            report.warnings.push("outbox-slow");
        }
        report
    }
}

impl Report {
    pub(super) fn ready(&self) -> bool {
        self.reasons.is_empty()
    }

    pub(super) fn json(&self) -> Value {
        json!({ "ready": self.ready(), "reasons": self.reasons, "warnings": self.warnings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Edit = fn(&mut Facts);

    fn well() -> Facts {
        let (writable, seq, synced, unsynced_for, open) = (true, 7, 7, Duration::ZERO, 0);
        Facts {
            phase: Phase::Serving,
            journal: audit::Standing { writable, seq, synced, unsynced_for, open },
            clock: Standing::Known(0, Gravity::Within),
            backlog: Some(Backlog { records: 0, oldest: None }),
            now: Timestamp::from_seconds(1_000),
        }
    }

    #[test]
    fn a_gateway_whose_parts_are_well_is_ready() {
        assert_eq!(well().report().json(), json!({ "ready": true, "reasons": [], "warnings": [] }));
    }

    #[test]
    fn each_part_that_fails_is_a_reason_with_its_own_word() {
        let edits: [(Edit, &str); 6] = [
            (|facts| facts.phase = Phase::Starting, "starting"),
            (|facts| facts.phase = Phase::Draining, "draining"),
            (|facts| facts.journal.writable = false, "journal"),
            (|facts| facts.backlog = None, "store"),
            (|facts| facts.clock = Standing::Checking, "clock-checking"),
            (|facts| facts.clock = Standing::Known(5_000_000, Gravity::Alarm), "clock-off"),
        ];
        for (edit, word) in edits {
            let mut facts = well();
            edit(&mut facts);
            let report = facts.report();
            assert!(!report.ready(), "{word}");
            assert_eq!(report.reasons, [word]);
        }
    }

    #[test]
    fn what_somebody_should_look_at_is_no_reason_to_turn_people_away() {
        let edits: [(Edit, &str); 5] = [
            (|facts| facts.clock = Standing::Known(-1_000_000, Gravity::Warning), "clock-off"),
            (|facts| facts.clock = Standing::NoSource, "clock-unchecked"),
            (|facts| facts.clock = Standing::NoAnswer(Some(3)), "clock-unanswered"),
            (|facts| facts.journal.unsynced_for = Duration::from_secs(2), "journal-slow"),
            (
                |facts| facts.backlog = Some(Backlog { records: 1, oldest: Some(Timestamp::from_seconds(900)) }),
                "outbox-slow",
            ),
        ];
        for (edit, word) in edits {
            let mut facts = well();
            edit(&mut facts);
            let report = facts.report();
            assert!(report.ready(), "{word}");
            assert_eq!(report.warnings, [word]);
        }
    }
}
