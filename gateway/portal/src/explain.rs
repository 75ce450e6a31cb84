//! The one thing the portal asks of its neighbour: what the data plane would decide. The binary
//! wires the proxy's own admission and routing behind this trait.

use std::sync::Arc;

use config::Snapshot;
use model::Timestamp;
use policy::RoleSet;

/// A made-up request, for `policy test`.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// By which configuration.
    pub snapshot: &'a Arc<Snapshot>,
    /// The method, upper case.
    pub method: &'a str,
    /// The address as a browser would have it.
    pub url: &'a str,
    /// From which zone.
    pub zone: &'a str,
    /// With which roles.
    pub roles: &'a RoleSet,
    /// When.
    pub at: Timestamp,
}

/// What would be decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Would it be let through?
    pub permit: bool,
    /// The app that the address belongs to, if there is one.
    pub app: Option<String>,
    /// The action that method and path are, if they are one.
    pub action: Option<String>,
    /// The rule that permits.
    pub rule: Option<String>,
    /// Why not: a word of the policy's catalogue, or of the admission's.
    pub reason: Option<String>,
    /// What would have been needed.
    pub missing: Vec<String>,
}

/// Answers as the data plane would, without a request.
pub trait Explain: Send + Sync {
    /// What would be decided.
    fn explain(&self, question: &Question<'_>) -> Answer;
}
