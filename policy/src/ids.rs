//! Ids of compiled things. Each carries the stamp of the policy that made it, so that an index of one
//! snapshot never means something else in the next (A32).

use std::sync::atomic::{AtomicU64, Ordering};

/// One compiled policy of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// A stamp that no other policy of this process has.
    pub(crate) fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// An app of one compiled policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppId {
    pub(crate) stamp: Stamp,
    pub(crate) app: usize,
}

/// An action of one app of one compiled policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActionId {
    pub(crate) app: AppId,
    pub(crate) action: usize,
}

impl ActionId {
    /// The app it belongs to.
    pub const fn app(self) -> AppId {
        self.app
    }
}
