use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use std::sync::Mutex;

use crate::Snapshot;

/// The snapshot in force. Clones are handles on the same one.
#[derive(Clone)]
pub struct Current(Arc<Inner>);

struct Inner {
    snapshot: ArcSwap<Snapshot>,
    /// Held while a snapshot is exchanged, so that generations follow each other.
    swap: Mutex<()>,
}

/// A configuration can't come into force without a restart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("needs a restart, because it changes: {}", options.join(", "))]
pub struct NeedsRestart {
    /// The options that differ, as `server.https`.
    pub options: Vec<String>,
}

impl Current {
    /// Puts the first snapshot into force, as generation 1.
    pub fn new(mut first: Snapshot) -> Self {
        first.generation = 1;
        Self(Arc::new(Inner { snapshot: ArcSwap::from_pointee(first), swap: Mutex::new(()) }))
    }

    /// The snapshot in force now. A request calls this once.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// Puts `next` into force as the next generation, and returns it. What began under the former one
    /// keeps it.
    ///
    /// # Errors
    /// [`NeedsRestart`]: `next` changes what can't change while the gateway runs; the former one stays.
    pub fn swap(&self, mut next: Snapshot) -> Result<Arc<Snapshot>, NeedsRestart> {
        let _one_at_a_time = self.0.swap.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let former = self.load();
        let options = former.needs_restart(&next);
        if !options.is_empty() {
            return Err(NeedsRestart { options });
        }
        next.generation = former.generation.saturating_add(1);
        let next = Arc::new(next);
        self.0.snapshot.store(Arc::clone(&next));
        Ok(next)
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Current(generation {})", self.load().generation)
    }
}

#[cfg(test)]
mod tests;
