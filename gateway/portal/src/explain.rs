//! The one thing the portal asks of its neighbour: what the data plane would decide. The binary
//! wires the proxy's own admission and routing behind this trait.

use access::{Described, Explanation};
use config::Snapshot;
use policy::RoleSet;

/// Answers as the data plane would, without a request.
pub trait Explain: Send + Sync {
    /// What would happen to `described`, for somebody with `roles` of this snapshot's policy.
    fn explain(&self, snapshot: &Snapshot, described: &Described, roles: &RoleSet) -> Explanation;
}
