use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::ward::Patient;

/// Entries kept over all patients; the oldest goes when one more comes.
const BOUND: usize = 2_000;
/// Longest text of an entry, in characters.
pub(super) const TEXT_BOUND: usize = 2_000;

/// What somebody wrote into the chart: an order or a note.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) patient: &'static str,
    pub(super) text: String,
    /// Whom the chart took the writer for.
    pub(super) by: String,
    pub(super) at: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Order,
    Note,
}

/// The ward's entries and its one notice, in memory.
#[derive(Debug, Default)]
pub(super) struct Entries {
    entries: Mutex<VecDeque<Entry>>,
    notice: Mutex<Option<String>>,
}

impl Entries {
    pub(super) fn add(&self, entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= BOUND {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// A patient's entries of one kind, newest first.
    pub(super) fn of(&self, patient: &Patient, kind: Kind) -> Vec<Entry> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().rev().filter(|e| e.patient == patient.id && e.kind == kind).cloned().collect()
    }

    /// What the administration page put above every page.
    pub(super) fn notice(&self) -> Option<String> {
        self.notice.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_notice(&self, text: Option<String>) {
        *self.notice.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

/// A text that fits an entry: not blank, not too long.
pub(super) fn fitting(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.chars().count() <= TEXT_BOUND).then(|| text.to_owned())
}
