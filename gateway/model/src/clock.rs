use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Timestamp;
use crate::timestamp::micros;

/// The one place that reads the wall clock. Whatever waits, expires or locks takes a `Clock` or a
/// [`Timestamp`], so that a test can be five minutes older in a microsecond.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that moves only by [`Clock::advance`]; clones share it. For tests.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.micros()))))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::from_micros(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, micros)),
            Source::Manual(now) => Timestamp::from_micros(now.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward; the machine's clock ignores it.
    pub fn advance(&self, span: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(micros(span), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual(Timestamp::from_seconds(0));
        let twin = clock.clone();
        clock.advance(Duration::from_secs(300));
        assert_eq!(twin.now(), Timestamp::from_seconds(300));
    }
}
