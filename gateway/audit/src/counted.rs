use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Keeps what strangers can cause in bulk from filling the journal: a few a second are written, the rest
/// counted.
pub struct Counted {
    limiter: DefaultDirectRateLimiter,
    left_out: AtomicU32,
}

impl Counted {
    /// So many a second pass.
    pub fn per_second(per_second: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::direct(Quota::per_second(per_second)), left_out: AtomicU32::new(0) }
    }

    /// `Some` if this one may be written: how many since the last that was were not.
    pub fn pass(&self) -> Option<u32> {
        if self.limiter.check().is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("left_out", &self.left_out).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_counted() {
        let counted = Counted::per_second(NonZeroU32::new(2).unwrap());
        assert_eq!((counted.pass(), counted.pass()), (Some(0), Some(0)));
        assert_eq!((counted.pass(), counted.pass()), (None, None));
        assert_eq!(counted.left_out.load(Ordering::Relaxed), 2);
    }
}
