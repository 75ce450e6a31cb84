//! The one function that says yes.

use std::iter::once;
use std::sync::Arc;

use crate::condition::Verdict as Condition;
use crate::engine::{Effect, EngineError};
use crate::ids::{ActionId, AppId};
use crate::policy::{CompiledAction, Policy};
use crate::roles::{RoleSet, Verdict};
use crate::time::LocalTime;

/// What a client that no zone claims is in; no rule can name it.
pub(crate) const UNKNOWN_ZONE: &str = "unknown";

/// How many words a denial lists.
const MISSING: usize = 16;

/// A described request.
#[derive(Clone, Copy, Debug)]
pub struct Query<'q> {
    /// The app.
    pub app: AppId,
    /// The action that [`Policy::route`] found.
    pub action: ActionId,
    /// The roles of whoever asks, from the same policy.
    pub roles: &'q RoleSet,
    /// The zone of the client; `unknown` and the empty text are denied everything.
    pub zone: &'q str,
    /// The moment in the site's time zone.
    pub local: LocalTime,
    /// The session was opened at AAL2, computed from verified factors (C-01).
    pub aal2: bool,
}

/// The answer.
#[derive(Debug)]
pub enum Decision {
    /// Yes, and why.
    Permit(Permit),
    /// No, and why.
    Deny(Denial),
}

impl Decision {
    /// Whether it is a permit.
    pub const fn is_permit(&self) -> bool {
        matches!(self, Self::Permit(_))
    }
}

/// The proof that the policy permits an action. Only [`Policy::decide`] makes one, each for one request.
/// It is a lease: whoever keeps a stream open asks again and again.
#[derive(Debug)]
pub struct Permit {
    ground: Arc<Ground>,
    action: ActionId,
}

impl Permit {
    /// The app's name.
    pub fn app(&self) -> &str {
        &self.ground.app
    }

    /// The action's name.
    pub fn action(&self) -> &str {
        &self.ground.action
    }

    /// The action as the policy that decided knows it.
    pub const fn action_id(&self) -> ActionId {
        self.action
    }

    /// The role that permits it.
    pub fn role(&self) -> &str {
        &self.ground.role
    }

    /// The rule that matched, for the record: `nurse permits chart:view when day-shift`.
    pub fn rule(&self) -> &str {
        &self.ground.rule
    }

    /// The role is a privileged one: the act is recorded and synced first.
    pub fn privileged(&self) -> bool {
        self.ground.privileged
    }
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason, one of a catalogue.
    pub reason: Reason,
    /// What would have been needed: `aal2`, `role:NAME` (any one of them), `zone:NAME` (any one),
    /// `hours:CONDITION`. At most 16.
    pub missing: Vec<String>,
    /// The rule that denies, where one does: `trainee denies chart:order`.
    pub rule: Option<String>,
}

/// Why a request is denied. The names stand in records and select what a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The session isn't at AAL2.
    Assurance,
    /// The client is in no zone of the site.
    UnknownZone,
    /// The path is no action of the app.
    NoAction,
    /// No held role permits it.
    NoRole,
    /// A held role denies it.
    DenyRule,
    /// A held role would permit it from another zone.
    Zone,
    /// A held role would permit it at another hour.
    Hours,
    /// The question was put with ids or roles of another policy; ask again with those of this one.
    StalePolicy,
    /// The engine failed: nothing is permitted that it doesn't permit.
    PolicyError,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Assurance,
        Self::UnknownZone,
        Self::NoAction,
        Self::NoRole,
        Self::DenyRule,
        Self::Zone,
        Self::Hours,
        Self::StalePolicy,
        Self::PolicyError,
    ];

    /// The word of the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assurance => "assurance",
            Self::UnknownZone => "unknown-zone",
            Self::NoAction => "no-action",
            Self::NoRole => "no-role",
            Self::DenyRule => "deny-rule",
            Self::Zone => "zone",
            Self::Hours => "hours",
            Self::StalePolicy => "stale-policy",
            Self::PolicyError => "policy-error",
        }
    }
}

/// One row of the rules as a decision names it; made once per policy.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) app: String,
    pub(crate) action: String,
    pub(crate) role: String,
    pub(crate) privileged: bool,
    pub(crate) rule: String,
    /// Index of the condition.
    pub(crate) condition: Option<usize>,
}

impl Denial {
    /// The denial of a request whose path is no action ([`Routing::NoPath`](crate::Routing::NoPath)).
    pub const fn no_action() -> Self {
        Self::of(Reason::NoAction)
    }

    const fn of(reason: Reason) -> Self {
        Self { reason, missing: Vec::new(), rule: None }
    }
}

impl Policy {
    /// Decides. Deny by default; a deny of any held role wins; conditions are looked at every time.
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        match self.permit(query) {
            Ok(permit) => Decision::Permit(permit),
            Err(denial) => Decision::Deny(denial),
        }
    }

    fn permit(&self, query: &Query<'_>) -> Result<Permit, Denial> {
        if !query.aal2 {
            return Err(Denial { missing: vec!["aal2".to_owned()], ..Denial::of(Reason::Assurance) });
        }
        let roles = &*query.roles.shared;
        let action = match self.compiled_action(query.action) {
            Some(found) if query.action.app == query.app && roles.stamp == query.app.stamp => found,
            _ => return Err(Denial::of(Reason::StalePolicy)),
        };
        if query.zone.is_empty() || query.zone == UNKNOWN_ZONE {
            return Err(Denial::of(Reason::UnknownZone));
        }
        let verdict = match roles.kept(query.action) {
            Some(verdict) => verdict,
            None => {
                // An error is kept nowhere.
                let verdict = action.ask(roles.names()).map_err(|_| Denial::of(Reason::PolicyError))?;
                let actions = self.actions_of(query.app);
                roles.keep(query.action, actions, verdict).ok_or(Denial::of(Reason::StalePolicy))?
            }
        };
        match verdict {
            Verdict::Permitted(first, others) => self.permit_by(once(first).chain(others), query),
            Verdict::Denied(ground) => Err(Denial { rule: Some(ground.rule.clone()), ..Denial::of(Reason::DenyRule) }),
            Verdict::Silent => Err(Denial { missing: action.permitting_roles(), ..Denial::of(Reason::NoRole) }),
        }
    }

    /// Of the grounds whose condition holds, the first. They come with those that need no privilege before
    /// those that do, and then with those without a condition first.
    fn permit_by<'g>(
        &self,
        mut grounds: impl Iterator<Item = &'g Arc<Ground>> + Clone,
        query: &Query<'_>,
    ) -> Result<Permit, Denial> {
        let all = grounds.clone();
        match grounds.find(|ground| self.holds(ground, query)) {
            Some(ground) => Ok(Permit { ground: Arc::clone(ground), action: query.action }),
            None => Err(self.failed_conditions(all, query)),
        }
    }

    fn holds(&self, ground: &Ground, query: &Query<'_>) -> bool {
        let Some(index) = ground.condition else { return true };
        self.condition(index).is_some_and(|it| it.check(query.zone, query.local) == Condition::Holds)
    }

    /// All conditions failed: which zones and hours would do. Where it is only the hour for some role, the
    /// hour is the reason.
    fn failed_conditions<'g>(&self, grounds: impl Iterator<Item = &'g Arc<Ground>>, query: &Query<'_>) -> Denial {
        let mut denial = Denial::of(Reason::Zone);
        let conditions = grounds.filter_map(|ground| self.condition(ground.condition?));
        for condition in conditions {
            let Condition::Fails { zone, hours } = condition.check(query.zone, query.local) else { continue };
            if !zone {
                denial.reason = Reason::Hours;
            }
            let zones = condition.zones().iter().filter(|_| zone).map(|name| format!("zone:{name}"));
            for word in zones.chain(hours.then(|| format!("hours:{}", condition.name))) {
                if denial.missing.len() < MISSING && !denial.missing.contains(&word) {
                    denial.missing.push(word);
                }
            }
        }
        denial
    }
}

impl CompiledAction {
    /// The engine's verdict on these roles: asked for each, deny first.
    fn ask(&self, roles: &[Arc<str>]) -> Result<Verdict, EngineError> {
        let Some(engine) = &self.engine else { return Ok(Verdict::Silent) };
        let mut grounds = Vec::new();
        for role in roles {
            let Some(effect) = engine.ask(role)? else { continue };
            match self.rows.get(role).filter(|row| row.effect == effect).map(|row| &row.grounds[..]) {
                Some([ground, ..]) if effect == Effect::Deny => return Ok(Verdict::Denied(Arc::clone(ground))),
                Some(row) => grounds.extend(row.iter().cloned()),
                // The engine knows a row that the rules don't.
                None => return Err(EngineError::OddRows),
            }
        }
        grounds.sort_by_key(|ground| (ground.privileged, ground.condition.is_some()));
        let mut grounds = grounds.into_iter();
        Ok(match grounds.next() {
            Some(first) => Verdict::Permitted(first, grounds.collect()),
            None => Verdict::Silent,
        })
    }

    /// The roles that would permit the action, as words of a denial.
    fn permitting_roles(&self) -> Vec<String> {
        self.permitting.iter().take(MISSING).map(|role| format!("role:{role}")).collect()
    }
}

#[cfg(test)]
mod tests;
