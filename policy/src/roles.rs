//! Sets of roles, and the engine's verdicts on each.

use std::fmt;
use std::sync::{Arc, OnceLock};

use moka::sync::Cache;

use crate::decide::Ground;
use crate::ids::{ActionId, Stamp};

/// How many role sets a policy keeps. A set that is dropped here lives on with whoever holds it and is
/// made anew, without its verdicts, for the next who asks.
const KEPT_SETS: u64 = 65_536;

/// How many verdicts lie in the set itself.
const NEAR: usize = 8;

/// The roles that somebody holds, of one compiled policy. Cheap to clone; equal sets share their verdicts.
#[derive(Clone)]
pub struct RoleSet {
    pub(crate) shared: Arc<Shared>,
    unknown: Arc<[String]>,
}

impl RoleSet {
    /// The names of the roles, in the order of the rule set.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.shared.names.iter().map(|name| &**name)
    }

    /// Names that were given and that the policy has no role of; they permit nothing and deny nothing.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// No role at all.
    pub fn is_empty(&self) -> bool {
        self.shared.ids.is_empty()
    }
}

impl fmt::Debug for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// The same roles of the same policy.
impl PartialEq for RoleSet {
    fn eq(&self, other: &Self) -> bool {
        self.shared.stamp == other.shared.stamp && self.shared.ids == other.shared.ids
    }
}

impl Eq for RoleSet {}

/// What equal role sets have in common.
pub(crate) struct Shared {
    pub(crate) stamp: Stamp,
    /// The verdicts on the actions that were asked about first, in the set itself: one look at memory.
    near: [OnceLock<(ActionId, Verdict)>; NEAR],
    /// The others by app, then by action.
    far: OnceLock<Far>,
    apps: usize,
    /// Indices of roles, ascending.
    ids: Box<[usize]>,
    names: Box<[Arc<str>]>,
}

/// An app's part is made when it is first asked about.
type Far = Box<[OnceLock<Box<[OnceLock<Verdict>]>>]>;

impl Shared {
    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The verdict on an action, if it was asked for before. It is kept under the whole action in this very
    /// set, so that none can answer for another action or other roles (A32).
    pub(crate) fn kept(&self, action: ActionId) -> Option<&Verdict> {
        match self.near(action)?.get() {
            Some((known, verdict)) if *known == action => Some(verdict),
            Some(_) => self.far.get()?.get(action.app.app)?.get()?.get(action.action)?.get(),
            None => None,
        }
    }

    /// Keeps a verdict; `None` if the policy has no such action.
    pub(crate) fn keep(&self, action: ActionId, actions_of_app: usize, verdict: Verdict) -> Option<&Verdict> {
        let near = self.near(action)?;
        let verdict = match near.set((action, verdict)) {
            Ok(()) => return near.get().map(|(_, verdict)| verdict),
            Err((_, verdict)) => verdict,
        };
        let far = self.far.get_or_init(|| empty(self.apps));
        let of_app = far.get(action.app.app)?.get_or_init(|| empty(actions_of_app));
        Some(of_app.get(action.action)?.get_or_init(|| verdict))
    }

    fn near(&self, action: ActionId) -> Option<&OnceLock<(ActionId, Verdict)>> {
        self.near.get((action.app.app * 31 + action.action) % NEAR)
    }
}

fn empty<T>(count: usize) -> Box<[OnceLock<T>]> {
    std::iter::repeat_with(OnceLock::new).take(count).collect()
}

/// What the engine says about an action and a set of roles, before any condition.
pub(crate) enum Verdict {
    /// No held role has a row.
    Silent,
    /// A held role denies it.
    Denied(Arc<Ground>),
    /// What could permit it, in the order of preference: the first and the others.
    Permitted(Arc<Ground>, Box<[Arc<Ground>]>),
}

/// The roles of a policy and the sets made of them.
pub(crate) struct RoleSets {
    stamp: Stamp,
    names: Vec<Arc<str>>,
    apps: usize,
    kept: Cache<Box<[usize]>, Arc<Shared>>,
}

impl RoleSets {
    pub(crate) fn new(stamp: Stamp, names: Vec<Arc<str>>, apps: usize) -> Self {
        Self { stamp, names, apps, kept: Cache::new(KEPT_SETS) }
    }

    /// The set of these names; `index` finds a role's index.
    pub(crate) fn set<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
        index: impl Fn(&str) -> Option<usize>,
    ) -> RoleSet {
        let (mut ids, mut unknown) = (Vec::new(), Vec::new());
        for name in names {
            match index(name) {
                Some(id) => ids.push(id),
                None => unknown.push(name.to_owned()),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let ids = ids.into_boxed_slice();
        let shared = self.kept.get_with(ids.clone(), || Arc::new(self.shared(ids)));
        RoleSet { shared, unknown: unknown.into() }
    }

    fn shared(&self, ids: Box<[usize]>) -> Shared {
        let names = ids.iter().filter_map(|id| self.names.get(*id)).cloned().collect();
        let near = std::array::from_fn(|_| OnceLock::new());
        Shared { stamp: self.stamp, near, far: OnceLock::new(), apps: self.apps, ids, names }
    }
}
