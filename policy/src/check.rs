//! Everything that can be wrong with a rule set, found at once.

use std::collections::{HashMap, HashSet};

use crate::decide::UNKNOWN_ZONE;
use crate::error::{Fault, Place, RuleError};
use crate::pattern::Pattern;
use crate::route::Router;
use crate::rules::{Action, AppRules, Birthright, Condition, Hours, Lookup, PatientRule, Permission, Role, RuleSet};

/// Roles that a policy holds.
const MAX_ROLES: usize = 10_000;
/// Actions that a policy holds, over all apps: each has an enforcer.
const MAX_ACTIONS: usize = 10_000;

/// The routers of the apps, or all that is wrong, in the order of the rule set.
pub(crate) fn check(rules: &RuleSet) -> Result<Vec<Router>, Vec<RuleError>> {
    let mut check = Check { rules, known: Known::of(rules), errors: Vec::new() };
    check.sizes();
    let mut seen = HashSet::new();
    let mut routers = Vec::new();
    for (at, app) in rules.apps.iter().enumerate() {
        check.name("app", &app.name, &mut seen, Place::App { app: at }, &format!("app {}", app.name));
        routers.push(check.app(at, app));
    }
    seen.clear();
    for (at, role) in rules.roles.iter().enumerate() {
        check.name("role", &role.name, &mut seen, Place::Role { role: at }, &format!("role {}", role.name));
        check.role(at, role);
    }
    seen.clear();
    for (at, rule) in rules.birthrights.iter().enumerate() {
        let (place, name) = (Place::Birthright { birthright: at }, format!("birthright {}", rule.name));
        check.name("birthright", &rule.name, &mut seen, place, &name);
        check.birthright(rule, place, &name);
    }
    seen.clear();
    for (at, condition) in rules.conditions.iter().enumerate() {
        let (place, name) = (Place::Condition { condition: at }, format!("condition {}", condition.name));
        check.name("condition", &condition.name, &mut seen, place, &name);
        check.condition(at, condition, place, &name);
    }
    if check.errors.is_empty() { Ok(routers) } else { Err(check.errors) }
}

struct Check<'r> {
    rules: &'r RuleSet,
    known: Known<'r>,
    errors: Vec<RuleError>,
}

/// The names that others may refer to.
struct Known<'r> {
    actions: HashMap<&'r str, HashSet<&'r str>>,
    /// Whether the role is privileged.
    roles: HashMap<&'r str, bool>,
    conditions: HashSet<&'r str>,
}

impl<'r> Known<'r> {
    fn of(rules: &'r RuleSet) -> Self {
        let actions = |app: &'r AppRules| app.actions.iter().map(|action| action.name.as_str()).collect();
        Self {
            actions: rules.apps.iter().map(|app| (app.name.as_str(), actions(app))).collect(),
            roles: rules.roles.iter().map(|role| (role.name.as_str(), role.privileged)).collect(),
            conditions: rules.conditions.iter().map(|condition| condition.name.as_str()).collect(),
        }
    }
}

impl<'r> Check<'r> {
    fn report(&mut self, place: Place, name: &str, fault: Fault) {
        self.errors.push(RuleError { place, name: name.to_owned(), fault });
    }

    fn sizes(&mut self) {
        let rules = self.rules;
        if rules.roles.len() > MAX_ROLES {
            let place = Place::Role { role: MAX_ROLES };
            self.report(place, "roles", Fault::TooMany { what: "roles", limit: MAX_ROLES });
        }
        let mut actions = 0;
        for (app, app_rules) in rules.apps.iter().enumerate() {
            actions += app_rules.actions.len();
            if actions > MAX_ACTIONS {
                self.report(Place::App { app }, "apps", Fault::TooMany { what: "actions", limit: MAX_ACTIONS });
                break;
            }
        }
    }

    /// A name that is well formed and new among its kind.
    fn name(&mut self, what: &'static str, value: &'r str, seen: &mut HashSet<&'r str>, place: Place, name: &str) {
        if value.is_empty() {
            self.report(place, name, Fault::Empty("name"));
        } else if !is_name(value) {
            self.report(place, name, Fault::BadName { what, value: value.to_owned() });
        } else if !seen.insert(value) {
            self.report(place, name, Fault::Duplicate { what, value: value.to_owned() });
        }
    }

    fn app(&mut self, at: usize, app: &'r AppRules) -> Router {
        let place = Place::App { app: at };
        let name = format!("app {}", app.name);
        self.texts("path parameter", &app.path_parameters, place, &name);
        for parameter in app.path_parameters.iter().filter(|p| !p.bytes().all(is_token)) {
            self.report(place, &name, Fault::BadName { what: "path parameter", value: parameter.clone() });
        }
        let mut router = Router::default();
        let mut seen = HashSet::new();
        for (action_at, action) in app.actions.iter().enumerate() {
            let place = Place::Action { app: at, action: action_at };
            let name = format!("{name}, action {}", action.name);
            self.name("action", &action.name, &mut seen, place, &name);
            self.action(action, place, &name);
            self.paths(app, (at, action_at), action, &name, &mut router);
        }
        router
    }

    fn action(&mut self, action: &'r Action, place: Place, name: &str) {
        if action.methods.is_empty() {
            self.report(place, name, Fault::Empty("methods"));
        }
        if action.paths.is_empty() {
            self.report(place, name, Fault::Empty("paths"));
        }
        self.texts("method", &action.methods, place, name);
        for method in action.methods.iter().filter(|m| !m.is_empty() && !is_method(m)) {
            self.report(place, name, Fault::BadMethod(method.clone()));
        }
        match &action.patient {
            Some(PatientRule::Json(pointer) | PatientRule::ResponseJson(pointer)) if !is_pointer(pointer) => {
                self.report(place, name, Fault::BadPointer(pointer.clone()));
            }
            Some(PatientRule::ResponseHeader(header)) if !header.bytes().all(is_token) => {
                self.report(place, name, Fault::BadName { what: "response header", value: header.clone() });
            }
            Some(
                PatientRule::Path(field)
                | PatientRule::Query(field)
                | PatientRule::Form(field)
                | PatientRule::ResponseHeader(field),
            ) if field.is_empty() => self.report(place, name, Fault::Empty("patient")),
            Some(PatientRule::Lookup(lookup)) => self.lookup(lookup, place, name),
            _ => {}
        }
    }

    fn lookup(&mut self, lookup: &Lookup, place: Place, name: &str) {
        if !is_pointer(&lookup.pointer) {
            self.report(place, name, Fault::BadPointer(lookup.pointer.clone()));
        }
        // A fragment is never sent, and a look-up without a parameter asks for nobody in particular.
        let plain = lookup.path.starts_with('/') && lookup.path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !plain || lookup.pieces().is_none_or(|pieces| pieces.len() < 3) {
            self.report(place, name, Fault::BadLookup(lookup.path.clone()));
        }
    }

    fn paths(&mut self, app: &AppRules, at: (usize, usize), action: &Action, name: &str, router: &mut Router) {
        for (path, text) in action.paths.iter().enumerate() {
            let place = Place::Path { app: at.0, action: at.1, path };
            let name = format!("{name}, path {text}");
            let pattern = match Pattern::parse(text) {
                Ok(pattern) => pattern,
                Err(fault) => {
                    self.report(place, &name, Fault::BadPattern(fault));
                    continue;
                }
            };
            let needed = match &action.patient {
                Some(PatientRule::Path(parameter)) => vec![parameter.as_str()],
                Some(PatientRule::Lookup(lookup)) => lookup.parameters().collect(),
                _ => Vec::new(),
            };
            for parameter in needed.into_iter().filter(|parameter| !parameter.is_empty()) {
                if !pattern.parameters().any(|p| **p == *parameter) {
                    self.report(place, &name, Fault::NoSuchParameter(parameter.to_owned()));
                }
            }
            let mut conflicts = router.insert(&pattern, &action.methods, at.1, path);
            // A method listed twice is already reported as that.
            conflicts.retain(|(_, claim)| !(claim.action == at.1 && claim.path == path));
            if conflicts.iter().any(|(_, claim)| claim.action == at.1) {
                self.report(place, &name, Fault::Duplicate { what: "path", value: text.clone() });
            }
            for (method, claim) in conflicts.into_iter().filter(|(_, claim)| claim.action != at.1) {
                let other = app.actions.get(claim.action);
                let pattern = other.and_then(|a| a.paths.get(claim.path)).cloned().unwrap_or_default();
                let other = other.map(|a| a.name.clone()).unwrap_or_default();
                self.report(place, &name, Fault::Conflict { method, pattern, other });
            }
        }
    }

    fn role(&mut self, at: usize, role: &'r Role) {
        let name = format!("role {}", role.name);
        let mut permitted: HashMap<(&str, &str), Vec<Option<&str>>> = HashMap::new();
        for (permit, permission) in role.permits.iter().enumerate() {
            let place = Place::Permit { role: at, permit };
            let what = format!("{}:{}", permission.app, permission.action);
            self.permission(permission, place, &name);
            let before = permitted.entry((&permission.app, &permission.action)).or_default();
            let condition = permission.condition.as_deref();
            if before.contains(&condition) {
                self.report(place, &name, Fault::Duplicate { what: "permit", value: what });
            } else if !before.is_empty() && (condition.is_none() || before.contains(&None)) {
                self.report(place, &name, Fault::Redundant(what));
            }
            before.push(condition);
        }
        let mut denied = HashSet::new();
        for (deny, permission) in role.denies.iter().enumerate() {
            let place = Place::Deny { role: at, deny };
            let what = format!("{}:{}", permission.app, permission.action);
            let key = (permission.app.as_str(), permission.action.as_str());
            self.permission(permission, place, &name);
            if permission.condition.is_some() {
                self.report(place, &name, Fault::ConditionalDeny);
            }
            if permitted.contains_key(&key) {
                self.report(place, &name, Fault::Contradiction(what));
            } else if !denied.insert(key) {
                self.report(place, &name, Fault::Duplicate { what: "deny", value: what });
            }
        }
    }

    fn permission(&mut self, permission: &Permission, place: Place, name: &str) {
        let unknown = |what, value: &str| Fault::Unknown { what, value: value.to_owned() };
        match self.known.actions.get(permission.app.as_str()) {
            _ if permission.app.is_empty() => self.report(place, name, Fault::Empty("app")),
            _ if permission.action.is_empty() => self.report(place, name, Fault::Empty("action")),
            None => self.report(place, name, unknown("app", &permission.app)),
            Some(actions) if !actions.contains(permission.action.as_str()) => {
                let value = format!("{}:{}", permission.app, permission.action);
                self.report(place, name, unknown("action", &value));
            }
            Some(_) => {}
        }
        match permission.condition.as_deref() {
            Some("") => self.report(place, name, Fault::Empty("condition")),
            Some(condition) if !self.known.conditions.contains(condition) => {
                self.report(place, name, unknown("condition", condition));
            }
            _ => {}
        }
    }

    fn birthright(&mut self, rule: &'r Birthright, place: Place, name: &str) {
        match self.known.roles.get(rule.role.as_str()) {
            _ if rule.role.is_empty() => self.report(place, name, Fault::Empty("role")),
            None => self.report(place, name, Fault::Unknown { what: "role", value: rule.role.clone() }),
            Some(true) => self.report(place, name, Fault::PrivilegedBirthright(rule.role.clone())),
            Some(false) => {}
        }
        self.texts("occupation", &rule.occupation, place, name);
        self.texts("department", &rule.department, place, name);
        self.texts("position", &rule.position, place, name);
        self.texts("qualification", &rule.qualification, place, name);
        self.texts("employment", &rule.employment, place, name);
    }

    fn condition(&mut self, at: usize, condition: &'r Condition, place: Place, name: &str) {
        if condition.zones.is_empty() && condition.hours.is_empty() {
            self.report(place, name, Fault::NoCondition);
        }
        self.texts("zone", &condition.zones, place, name);
        if condition.zones.iter().any(|zone| zone == UNKNOWN_ZONE) {
            self.report(place, name, Fault::UnknownZone(UNKNOWN_ZONE.to_owned()));
        }
        for (hours_at, hours) in condition.hours.iter().enumerate() {
            let Hours { from_minute: from, to_minute: to, .. } = *hours;
            if from > 1439 || to > 1440 || from == to {
                self.report(Place::Hours { condition: at, hours: hours_at }, name, Fault::BadHours { from, to });
            }
        }
    }

    /// Texts none of which is empty or there twice.
    fn texts(&mut self, what: &'static str, values: &'r [String], place: Place, name: &str) {
        let mut seen = HashSet::new();
        for value in values {
            if value.is_empty() {
                self.report(place, name, Fault::Empty(what));
            } else if !seen.insert(value) {
                self.report(place, name, Fault::Duplicate { what, value: value.clone() });
            }
        }
    }
}

fn is_name(value: &str) -> bool {
    value.len() <= 64 && value.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
}

/// A method of upper-case letters (RFC 9110 9.1 compares them by case); `-` is in some registered ones.
fn is_method(method: &str) -> bool {
    let letters = method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    letters && method.len() <= 32 && !matches!(method, "CONNECT" | "TRACE")
}

/// `tchar` of RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 6901 3: empty, or parts that begin with a slash, `~` only as `~0` and `~1`.
fn is_pointer(pointer: &str) -> bool {
    let escaped = pointer.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    (pointer.is_empty() || pointer.starts_with('/')) && escaped
}

#[cfg(test)]
mod tests;
