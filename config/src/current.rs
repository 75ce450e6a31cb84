use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::Snapshot;

/// The snapshot in force. Clones are handles on the same one.
#[derive(Clone)]
pub struct Current(Arc<ArcSwap<Snapshot>>);

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
        Self(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// The snapshot in force now. A request calls this once.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// `next` as the next generation, not yet in force: whatever is derived from it is derived before
    /// [`Self::install`], so that nothing has to be taken back.
    ///
    /// # Errors
    /// [`NeedsRestart`]: `next` changes what can't change while the gateway runs.
    pub fn prepare(&self, mut next: Snapshot) -> Result<Arc<Snapshot>, NeedsRestart> {
        let former = self.load();
        let options = former.needs_restart(&next);
        if !options.is_empty() {
            return Err(NeedsRestart { options });
        }
        next.generation = former.generation.saturating_add(1);
        Ok(Arc::new(next))
    }

    /// Puts what [`Self::prepare`] gave into force. What began under the former one keeps it. One
    /// caller reloads at a time.
    pub fn install(&self, next: Arc<Snapshot>) {
        self.0.store(next);
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Current(generation {})", self.load().generation)
    }
}

#[cfg(test)]
mod tests;
