use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::birthright::{Birthrights, HrFacts, Index};
use crate::condition::Compiled as CompiledCondition;
use crate::decide::Ground;
use crate::engine::{Effect, Engine};
use crate::error::{Fault, Place, RuleError};
use crate::ids::{ActionId, AppId, Stamp};
use crate::path::{Path, PathFault};
use crate::roles::{RoleSet, RoleSets};
use crate::route::{Router, Routing};
use crate::rules::{Action, AppRules, Role, RuleSet};

/// A rule set, checked and compiled; it never changes. Share it behind an `Arc`, swap it whole.
///
/// ```
/// use policy::{Action, AppRules, LocalTime, Permission, Policy, Query, Role, Routing, RuleSet, Weekday};
///
/// let policy = Policy::compile(RuleSet {
///     apps: vec![AppRules {
///         name: "chart".into(),
///         actions: vec![Action {
///             name: "view".into(),
///             methods: vec!["GET".into()],
///             paths: vec!["/patients/{id}".into()],
///             ..Action::default()
///         }],
///         ..AppRules::default()
///     }],
///     roles: vec![Role {
///         name: "nurse".into(),
///         permits: vec![Permission { app: "chart".into(), action: "view".into(), condition: None }],
///         ..Role::default()
///     }],
///     ..RuleSet::default()
/// })
/// .map_err(|errors| format!("{errors:?}"))?;
///
/// let app = policy.app("chart").ok_or("no such app")?;
/// let Routing::Action(routed) = policy.route(app, "GET", "/patients/0042?tab=orders") else { return Err("no action".into()) };
/// assert_eq!(routed.param("id"), Some("0042"));
///
/// let decision = policy.decide(&Query {
///     app,
///     action: routed.action,
///     roles: &policy.role_set(["nurse"]),
///     zone: "ward",
///     local: LocalTime { weekday: Weekday::Monday, minute: 9 * 60 },
///     aal2: true,
/// });
/// assert!(decision.is_permit());
/// # Ok::<(), String>(())
/// ```
pub struct Policy {
    rules: RuleSet,
    stamp: Stamp,
    apps: Vec<CompiledApp>,
    app_index: HashMap<String, usize>,
    role_index: HashMap<String, usize>,
    role_sets: RoleSets,
    birthrights: Index,
    conditions: Vec<CompiledCondition>,
}

struct CompiledApp {
    router: Router,
    actions: Vec<CompiledAction>,
    action_index: HashMap<String, usize>,
}

/// An action with the rows that are about it.
#[derive(Default)]
pub(crate) struct CompiledAction {
    /// `None` where no role has a row: nobody may.
    pub(crate) engine: Option<Engine>,
    /// By role.
    pub(crate) rows: BTreeMap<Arc<str>, Row>,
    /// Names of the roles that permit it, in the order of the rule set.
    pub(crate) permitting: Vec<Arc<str>>,
}

/// What one role says of an action.
pub(crate) struct Row {
    pub(crate) effect: Effect,
    /// Several where a role permits under several conditions; never none.
    pub(crate) grounds: Vec<Arc<Ground>>,
}

impl Policy {
    /// Checks and compiles a rule set.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the rule set, without repetition.
    pub fn compile(rules: RuleSet) -> Result<Self, Vec<RuleError>> {
        let routers = crate::check::check(&rules)?;
        let names: Vec<Arc<str>> = rules.roles.iter().map(|role| role.name.as_str().into()).collect();
        let mut apps: Vec<_> =
            rules.apps.iter().zip(routers).map(|(app, router)| CompiledApp::new(app, router)).collect();
        let app_index = index(rules.apps.iter().map(|app| &app.name));
        let condition_index = index(rules.conditions.iter().map(|condition| &condition.name));
        for (role, name) in rules.roles.iter().zip(&names) {
            for (effect, permission, ground) in grounds(role, &condition_index) {
                let app = app_index.get(&permission.app).and_then(|at| apps.get_mut(*at));
                if let Some(action) = app.and_then(|app| app.action_mut(&permission.action)) {
                    action.add(name, effect, ground);
                }
            }
        }
        build_engines(&rules, &mut apps)?;
        let stamp = Stamp::fresh();
        Ok(Self {
            stamp,
            app_index,
            role_index: index(rules.roles.iter().map(|role| &role.name)),
            role_sets: RoleSets::new(stamp, names, apps.len()),
            birthrights: Index::new(&rules.birthrights),
            conditions: rules.conditions.iter().map(CompiledCondition::new).collect(),
            apps,
            rules,
        })
    }

    /// The rules it was compiled from.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The app of that name.
    pub fn app(&self, name: &str) -> Option<AppId> {
        self.app_index.get(name).map(|app| AppId { stamp: self.stamp, app: *app })
    }

    /// The rules of an app; `None` for an id of another policy.
    pub fn app_rules(&self, app: AppId) -> Option<&AppRules> {
        if app.stamp == self.stamp { self.rules.apps.get(app.app) } else { None }
    }

    /// The action of that name.
    pub fn action_named(&self, app: AppId, name: &str) -> Option<ActionId> {
        self.app_rules(app)?;
        let action = *self.apps.get(app.app)?.action_index.get(name)?;
        Some(ActionId { app, action })
    }

    /// The rules of an action; `None` for an id of another policy.
    pub fn action(&self, action: ActionId) -> Option<&Action> {
        self.app_rules(action.app)?.actions.get(action.action)
    }

    /// The name of an action; empty for an id of another policy.
    pub fn action_name(&self, action: ActionId) -> &str {
        self.action(action).map_or("", |action| &action.name)
    }

    /// The role of that name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.rules.roles.get(*self.role_index.get(name)?)
    }

    /// Whether every parser would read a path alike; what is ambiguous is refused before anything else
    /// (400). A query is cut off at the first `?`.
    ///
    /// # Errors
    /// What is ambiguous in it. An id of another policy has no paths.
    pub fn check_path(&self, app: AppId, path: &str) -> Result<(), PathFault> {
        self.parse_path(app, path).map(drop)
    }

    /// What a request does. `path` is the raw path, matched byte for byte, never decoded; a query is cut
    /// off at the first `?` and never matters. [`Routing::NoPath`] also for an ambiguous path
    /// ([`Policy::check_path`]) and for one that a lenient upstream would take for a more specific pattern
    /// of another action.
    pub fn route(&self, app: AppId, method: &str, path: &str) -> Routing {
        match (self.parse_path(app, path), self.apps.get(app.app)) {
            (Ok(path), Some(compiled)) => compiled.router.route(app, method, &path),
            _ => Routing::NoPath,
        }
    }

    /// The roles that HR data gives on a day (counted from 1970-01-01 in the site's time zone).
    pub fn birthrights(&self, facts: &HrFacts, today: i32) -> Birthrights {
        self.birthrights.held(&self.rules.birthrights, facts, today)
    }

    /// The set of the roles of these names; unknown names are dropped and reported by [`RoleSet::unknown`].
    pub fn role_set<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> RoleSet {
        self.role_sets.set(names, |name| self.role_index.get(name).copied())
    }

    fn parse_path<'p>(&self, app: AppId, path: &'p str) -> Result<Path<'p>, PathFault> {
        Path::parse(path, self.app_rules(app).ok_or(PathFault::NoApp)?)
    }

    /// The action, if this policy made the id.
    pub(crate) fn compiled_action(&self, action: ActionId) -> Option<&CompiledAction> {
        if action.app.stamp == self.stamp { self.apps.get(action.app.app)?.actions.get(action.action) } else { None }
    }

    pub(crate) fn actions_of(&self, app: AppId) -> usize {
        self.apps.get(app.app).map_or(0, |app| app.actions.len())
    }

    pub(crate) fn condition(&self, index: usize) -> Option<&CompiledCondition> {
        self.conditions.get(index)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("stamp", &self.stamp).field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl CompiledApp {
    fn new(app: &AppRules, router: Router) -> Self {
        Self {
            router,
            actions: app.actions.iter().map(|_| CompiledAction::default()).collect(),
            action_index: index(app.actions.iter().map(|action| &action.name)),
        }
    }

    fn action_mut(&mut self, name: &str) -> Option<&mut CompiledAction> {
        self.actions.get_mut(*self.action_index.get(name)?)
    }
}

impl CompiledAction {
    fn add(&mut self, role: &Arc<str>, effect: Effect, ground: Ground) {
        let empty = || Row { effect, grounds: Vec::new() };
        let row = self.rows.entry(Arc::clone(role)).or_insert_with(empty);
        if effect == Effect::Allow && row.grounds.is_empty() {
            self.permitting.push(Arc::clone(role));
        }
        row.grounds.push(Arc::new(ground));
    }
}

/// What a role says of each action, in the order it says it.
fn grounds<'r>(
    role: &'r Role,
    conditions: &HashMap<String, usize>,
) -> impl Iterator<Item = (Effect, &'r crate::Permission, Ground)> {
    let permits = role.permits.iter().map(|permission| (Effect::Allow, permission));
    let denies = role.denies.iter().map(|permission| (Effect::Deny, permission));
    permits.chain(denies).map(|(effect, permission)| {
        let verb = if effect == Effect::Allow { "permits" } else { "denies" };
        let mut rule = format!("{} {verb} {}:{}", role.name, permission.app, permission.action);
        if let Some(condition) = &permission.condition {
            rule.push_str(" when ");
            rule.push_str(condition);
        }
        let ground = Ground {
            app: permission.app.clone(),
            action: permission.action.clone(),
            role: role.name.clone(),
            privileged: role.privileged,
            rule,
            condition: permission.condition.as_ref().and_then(|name| conditions.get(name)).copied(),
        };
        (effect, permission, ground)
    })
}

fn build_engines(rules: &RuleSet, apps: &mut [CompiledApp]) -> Result<(), Vec<RuleError>> {
    let mut errors = Vec::new();
    for (app_at, (app, compiled)) in rules.apps.iter().zip(apps).enumerate() {
        for (action_at, (action, compiled)) in app.actions.iter().zip(&mut compiled.actions).enumerate() {
            if compiled.rows.is_empty() {
                continue;
            }
            let rows = compiled.rows.iter().map(|(role, row)| (&**role, row.effect));
            match Engine::new(&app.name, &action.name, rows) {
                Ok(engine) => compiled.engine = Some(engine),
                Err(error) => errors.push(RuleError {
                    place: Place::Action { app: app_at, action: action_at },
                    name: format!("app {}, action {}", app.name, action.name),
                    fault: Fault::Engine(error.to_string()),
                }),
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn index<'n>(names: impl Iterator<Item = &'n String>) -> HashMap<String, usize> {
    names.enumerate().map(|(at, name)| (name.clone(), at)).collect()
}

#[cfg(test)]
mod tests;
