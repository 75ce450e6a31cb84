use std::sync::Arc;

use config::Snapshot;
use model::Timestamp;
use policy::{HrFacts, RoleSet};
use store::grants::{Grant, GrantKind};
use uuid::Uuid;

const DAY: i64 = 24 * 60 * 60;

/// The roles somebody holds by the rules of one snapshot, from [`Self::since`] until before
/// [`Self::valid_until`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// For `policy::Query`.
    pub set: RoleSet,
    /// Each reason for each role, birthrights first.
    pub held: Vec<Held>,
    /// The roles' names, for records, assertions and headers.
    pub names: Arc<[String]>,
    /// Names in grants that the policy has no role of. They give nothing.
    pub unknown: Vec<String>,
    /// The moment it was worked out for.
    pub since: Timestamp,
    /// The first moment at which it may be otherwise by the calendar alone: a day of HR data, a grant's
    /// beginning or end. `None`: not until the data change.
    pub valid_until: Option<Timestamp>,
}

/// A role, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The role.
    pub role: String,
    /// Why.
    pub why: Why,
}

/// Why somebody holds a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A birthright rule over HR data.
    Rule(String),
    /// A grant.
    Grant {
        /// Its kind.
        kind: GrantKind,
        /// Its id.
        id: Uuid,
        /// The request, window or decision it rests on.
        paper: Option<String>,
    },
}

impl Effective {
    /// The roles of these HR data and grants at `now`. Grants that don't hold then only bound how long
    /// the answer is good for, and none outlasts employment (S-10). A privileged role can only come from a grant: the policy has no birthright
    /// rule that gives one.
    pub fn of_facts(facts: &HrFacts, grants: &[Grant], snapshot: &Snapshot, now: Timestamp) -> Self {
        let policy = &snapshot.policy;
        let today = snapshot.settings.site.time_zone.day(now);
        let birthrights = policy.birthrights(facts, today);
        let begins = facts.employed_from.filter(|from| today < *from);
        let ends = facts.employed_until.map(|last| last.saturating_add(1));
        let employed = begins.is_none() && ends.is_none_or(|after| today < after);
        let (known, unknown): (Vec<_>, Vec<_>) = grants
            .iter()
            .filter(|grant| employed && grant.holds(now))
            .partition(|grant| policy.role(&grant.role).is_some());
        let held: Vec<Held> =
            birthrights.held.into_iter().map(Held::from).chain(known.into_iter().map(Held::from)).collect();
        let set = policy.role_set(held.iter().map(|held| held.role.as_str()));
        let next_day = [birthrights.valid_until_day, begins, ends.filter(|after| today < *after)];
        let next_day = next_day.into_iter().flatten().min().map(|day| midnight(day, snapshot));
        let next_grant = grants.iter().filter_map(|grant| boundary(grant, now)).min();
        Self {
            names: set.names().map(str::to_owned).collect(),
            set,
            held,
            unknown: unknown.into_iter().map(|grant| grant.role.clone()).collect(),
            since: now,
            valid_until: next_day.into_iter().chain(next_grant).min(),
        }
    }

    /// Nothing, until the data change.
    pub(crate) fn nothing(snapshot: &Snapshot, now: Timestamp) -> Self {
        Self::of_facts(&HrFacts::default(), &[], snapshot, now)
    }

    /// Is it the answer for `now`, if the data are the same?
    pub fn covers(&self, now: Timestamp) -> bool {
        self.since <= now && self.valid_until.is_none_or(|until| now < until)
    }

    /// Why it has this role, in the order of the rules, then of the grants' beginnings.
    pub fn why<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a Why> {
        self.held.iter().filter(move |held| held.role == role).map(|held| &held.why)
    }
}

impl From<policy::Held> for Held {
    fn from(held: policy::Held) -> Self {
        Self { role: held.role, why: Why::Rule(held.rule) }
    }
}

impl From<&Grant> for Held {
    fn from(grant: &Grant) -> Self {
        let why = Why::Grant { kind: grant.kind, id: grant.id, paper: grant.paper.clone() };
        Self { role: grant.role.clone(), why }
    }
}

/// The first moment after `now` at which the grant begins or is over.
fn boundary(grant: &Grant, now: Timestamp) -> Option<Timestamp> {
    [Some(grant.valid_from), grant.valid_until].into_iter().flatten().filter(|moment| *moment > now).min()
}

/// When a day begins in the site's time zone.
fn midnight(day: i32, snapshot: &Snapshot) -> Timestamp {
    let offset = i64::from(snapshot.settings.site.time_zone.offset_seconds());
    Timestamp::from_seconds(i64::from(day) * DAY - offset)
}

#[cfg(test)]
mod tests;
