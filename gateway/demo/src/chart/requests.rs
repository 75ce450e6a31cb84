use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Requests that are remembered; the oldest goes when one more comes.
const BOUND: usize = 10_000;

/// One request as it arrived here, for joining with the gateway's journal.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Seen {
    /// When, RFC 3339.
    pub(super) at: String,
    /// `X-Request-Id`.
    pub(super) request: Option<String>,
    pub(super) method: String,
    pub(super) target: String,
    /// Whom the chart took the user for.
    pub(super) user: Option<String>,
    /// Every header name as it came, lower case, in order.
    pub(super) headers: Vec<String>,
}

/// What arrived, in memory.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<VecDeque<Seen>>);

impl Requests {
    pub(super) fn note(&self, seen: Seen) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= BOUND {
            all.pop_front();
        }
        all.push_back(seen);
    }

    /// The newest `count`, oldest of them first.
    pub(super) fn newest(&self, count: usize) -> Vec<Seen> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().skip(all.len().saturating_sub(count)).cloned().collect()
    }
}
