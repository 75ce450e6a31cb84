use super::*;
use crate::{PatternFault, Policy};

fn valid() -> RuleSet {
    RuleSet {
        apps: vec![AppRules {
            name: "chart".into(),
            actions: vec![action("view", "GET", "/patients/{id}"), action("order", "POST", "/patients/{id}/orders")],
            ..AppRules::default()
        }],
        roles: vec![
            Role { name: "nurse".into(), permits: vec![permission("chart", "view", None)], ..Role::default() },
            Role { name: "admin".into(), privileged: true, ..Role::default() },
        ],
        birthrights: vec![Birthright { name: "nurses".into(), role: "nurse".into(), ..Birthright::default() }],
        conditions: vec![Condition { name: "ward".into(), zones: vec!["ward".into()], ..Condition::default() }],
    }
}

fn action(name: &str, method: &str, path: &str) -> Action {
    Action { name: name.into(), methods: vec![method.into()], paths: vec![path.into()], ..Action::default() }
}

fn permission(app: &str, action: &str, condition: Option<&str>) -> Permission {
    Permission { app: app.into(), action: action.into(), condition: condition.map(str::to_owned) }
}

/// The faults of the valid rules after a change, with their places.
fn faults(change: impl FnOnce(&mut RuleSet)) -> Vec<(Place, Fault)> {
    let mut rules = valid();
    change(&mut rules);
    let errors = Policy::compile(rules).err().unwrap_or_default();
    errors.into_iter().map(|error| (error.place, error.fault)).collect()
}

#[test]
fn the_valid_rules_are_valid() {
    assert_eq!(faults(|_| {}), []);
}

#[test]
fn empty_values_are_refused_everywhere() {
    let empty = |faults: Vec<(Place, Fault)>, place: Place| {
        assert!(
            faults.iter().any(|(at, fault)| *at == place && matches!(fault, Fault::Empty(_))),
            "{place}: {faults:?}"
        );
    };
    let (app, action) = (Place::App { app: 0 }, Place::Action { app: 0, action: 0 });
    let (role, permit) = (Place::Role { role: 0 }, Place::Permit { role: 0, permit: 0 });
    let (birthright, condition) = (Place::Birthright { birthright: 0 }, Place::Condition { condition: 0 });
    empty(faults(|r| r.apps[0].name.clear()), app);
    empty(faults(|r| r.apps[0].path_parameters.push(String::new())), app);
    empty(faults(|r| r.apps[0].actions[0].name.clear()), action);
    empty(faults(|r| r.apps[0].actions[0].methods.clear()), action);
    empty(faults(|r| r.apps[0].actions[0].methods.push(String::new())), action);
    empty(faults(|r| r.apps[0].actions[0].paths.clear()), action);
    empty(faults(|r| r.apps[0].actions[0].patient = Some(PatientRule::Query(String::new()))), action);
    empty(faults(|r| r.apps[0].actions[0].patient = Some(PatientRule::Path(String::new()))), action);
    empty(faults(|r| r.apps[0].actions[0].patient = Some(PatientRule::ResponseHeader(String::new()))), action);
    empty(faults(|r| r.roles[0].name.clear()), role);
    empty(faults(|r| r.roles[0].permits[0].app.clear()), permit);
    empty(faults(|r| r.roles[0].permits[0].action.clear()), permit);
    empty(faults(|r| r.roles[0].permits[0].condition = Some(String::new())), permit);
    empty(faults(|r| r.birthrights[0].name.clear()), birthright);
    empty(faults(|r| r.birthrights[0].role.clear()), birthright);
    empty(faults(|r| r.birthrights[0].occupation.push(String::new())), birthright);
    empty(faults(|r| r.conditions[0].name.clear()), condition);
    empty(faults(|r| r.conditions[0].zones.push(String::new())), condition);
}

#[test]
fn unknown_names_are_refused() {
    let permit = Place::Permit { role: 0, permit: 0 };
    let unknown = |what, value: &str| Fault::Unknown { what, value: value.into() };
    assert_eq!(faults(|r| r.roles[0].permits[0].app = "pacs".into()), [(permit, unknown("app", "pacs"))]);
    assert_eq!(faults(|r| r.roles[0].permits[0].action = "edit".into()), [(permit, unknown("action", "chart:edit"))]);
    assert_eq!(
        faults(|r| r.roles[0].permits[0].condition = Some("night".into())),
        [(permit, unknown("condition", "night"))]
    );
    let birthright = Place::Birthright { birthright: 0 };
    assert_eq!(faults(|r| r.birthrights[0].role = "doctor".into()), [(birthright, unknown("role", "doctor"))]);
}

#[test]
fn duplicates_are_refused() {
    let duplicate = |faults: Vec<(Place, Fault)>, place: Place| {
        let found = faults.iter().any(|(at, fault)| *at == place && matches!(fault, Fault::Duplicate { .. }));
        assert!(found, "{place}: {faults:?}");
    };
    duplicate(faults(|r| r.apps.push(r.apps[0].clone())), Place::App { app: 1 });
    duplicate(faults(|r| r.roles.push(r.roles[0].clone())), Place::Role { role: 2 });
    duplicate(faults(|r| r.birthrights.push(r.birthrights[0].clone())), Place::Birthright { birthright: 1 });
    duplicate(faults(|r| r.conditions.push(r.conditions[0].clone())), Place::Condition { condition: 1 });
    let view = action("view", "PUT", "/other");
    duplicate(faults(|r| r.apps[0].actions.push(view)), Place::Action { app: 0, action: 2 });
    duplicate(faults(|r| r.apps[0].actions[0].methods.push("GET".into())), Place::Action { app: 0, action: 0 });
    let path = Place::Path { app: 0, action: 0, path: 1 };
    duplicate(faults(|r| r.apps[0].actions[0].paths.push("/patients/{other}".into())), path);
    let again = permission("chart", "view", None);
    duplicate(faults(|r| r.roles[0].permits.push(again)), Place::Permit { role: 0, permit: 1 });
    let order = permission("chart", "order", None);
    duplicate(faults(|r| r.roles[0].denies = vec![order.clone(), order]), Place::Deny { role: 0, deny: 1 });
}

#[test]
fn patterns_of_one_shape_conflict_where_their_methods_meet() {
    let conflicts = |method: &str, path: &str| {
        let found = faults(|r| r.apps[0].actions.push(action("edit", method, path)));
        found
            .into_iter()
            .map(|(place, fault)| {
                assert_eq!(place, Place::Path { app: 0, action: 2, path: 0 });
                fault
            })
            .collect::<Vec<_>>()
    };
    let conflict = |method: &str| Fault::Conflict {
        method: method.into(),
        pattern: "/patients/{id}".into(),
        other: "view".into(),
    };
    assert_eq!(conflicts("GET", "/patients/{number}"), [conflict("GET"), conflict("HEAD")]);
    assert_eq!(conflicts("HEAD", "/patients/{id}"), [conflict("HEAD")]);
    assert_eq!(conflicts("PUT", "/patients/{number}"), []);
    assert_eq!(conflicts("GET", "/patients/new"), []);
    assert_eq!(conflicts("GET", "/patients/{*rest}"), []);
}

#[test]
fn a_role_can_neither_contradict_nor_repeat_itself() {
    let view = || permission("chart", "view", None);
    let under = || permission("chart", "view", Some("ward"));
    let deny = Place::Deny { role: 0, deny: 0 };
    let what = || "chart:view".to_owned();
    assert_eq!(faults(|r| r.roles[0].denies.push(view())), [(deny, Fault::Contradiction(what()))]);
    let permit = Place::Permit { role: 0, permit: 1 };
    assert_eq!(faults(|r| r.roles[0].permits.push(under())), [(permit, Fault::Redundant(what()))]);
    assert_eq!(faults(|r| r.roles[0].permits = vec![under(), view()]), [(permit, Fault::Redundant(what()))]);
    assert_eq!(
        faults(|r| r.roles[1].denies.push(under())),
        [(Place::Deny { role: 1, deny: 0 }, Fault::ConditionalDeny)]
    );
}

#[test]
fn a_privileged_role_is_never_given_by_hr_data() {
    let place = Place::Birthright { birthright: 0 };
    assert_eq!(
        faults(|r| r.birthrights[0].role = "admin".into()),
        [(place, Fault::PrivilegedBirthright("admin".into()))]
    );
}

#[test]
fn conditions_say_something_that_can_be_true() {
    let condition = Place::Condition { condition: 0 };
    assert_eq!(faults(|r| r.conditions[0].zones.clear()), [(condition, Fault::NoCondition)]);
    assert_eq!(
        faults(|r| r.conditions[0].zones.push("unknown".into())),
        [(condition, Fault::UnknownZone("unknown".into()))]
    );
    for (from, to) in [(540, 540), (0, 0), (1440, 60), (0, 1441)] {
        let hours = Hours { days: vec![], from_minute: from, to_minute: to };
        let place = Place::Hours { condition: 0, hours: 0 };
        assert_eq!(faults(|r| r.conditions[0].hours.push(hours)), [(place, Fault::BadHours { from, to })]);
    }
    for (from, to) in [(0, 1440), (1320, 360), (1200, 0)] {
        let hours = Hours { days: vec![], from_minute: from, to_minute: to };
        assert_eq!(faults(|r| r.conditions[0].hours.push(hours)), []);
    }
}

#[test]
fn what_records_and_headers_cant_hold_is_no_name() {
    let long = "a".repeat(65);
    for name in ["Nurse", "看護師", "a b", "a,b", "a:b", "a\n", long.as_str()] {
        let found = faults(|r| r.roles[1].name = name.into());
        let bad = Fault::BadName { what: "role", value: name.into() };
        assert_eq!(found, [(Place::Role { role: 1 }, bad)], "{name}");
    }
}

#[test]
fn methods_patterns_and_patient_rules_are_checked() {
    let place = Place::Action { app: 0, action: 0 };
    for method in ["get", "CONNECT", "TRACE", "*", "GET "] {
        let found = faults(|r| r.apps[0].actions[0].methods = vec![method.into()]);
        assert_eq!(found, [(place, Fault::BadMethod(method.into()))]);
    }
    let path = Place::Path { app: 0, action: 0, path: 0 };
    assert_eq!(
        faults(|r| r.apps[0].actions[0].paths[0] = "/a/../b".into()),
        [(path, Fault::BadPattern(PatternFault::DotSegment))]
    );
    let patient = |rule| faults(move |r| r.apps[0].actions[0].patient = Some(rule));
    assert_eq!(patient(PatientRule::Path("id".into())), []);
    assert_eq!(patient(PatientRule::Path("no".into())), [(path, Fault::NoSuchParameter("no".into()))]);
    assert_eq!(patient(PatientRule::Json("/patient/id~1x".into())), []);
    assert_eq!(patient(PatientRule::Json("patient".into())), [(place, Fault::BadPointer("patient".into()))]);
    assert_eq!(patient(PatientRule::ResponseJson("/a~2".into())), [(place, Fault::BadPointer("/a~2".into()))]);
    let header = Fault::BadName { what: "response header", value: "X Y".into() };
    assert_eq!(patient(PatientRule::ResponseHeader("X Y".into())), [(place, header)]);
    let lookup =
        |path: &str, pointer: &str| patient(PatientRule::Lookup(Lookup { path: path.into(), pointer: pointer.into() }));
    assert_eq!(lookup("/studies?uid={id}&x={id}", "/0/PatientID"), []);
    assert_eq!(lookup("/things/{no}", "/a"), [(path, Fault::NoSuchParameter("no".into()))]);
    assert_eq!(lookup("/things/{id}", "a"), [(place, Fault::BadPointer("a".into()))]);
    for bad in ["", "things/{id}", "/things", "/things/{id", "/th ings/{id}", "/things/{id}#x"] {
        assert_eq!(lookup(bad, "/a"), [(place, Fault::BadLookup(bad.into()))], "{bad}");
    }
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_rules() {
    let places: Vec<_> = faults(|r| {
        r.conditions[0].zones.clear();
        r.birthrights[0].role = "none".into();
        r.roles[0].permits[0].app = "none".into();
        r.apps[0].actions[1].paths[0] = "orders".into();
        r.apps[0].name = "Chart".into();
    })
    .into_iter()
    .map(|(place, _)| place)
    .collect();
    let mut sorted = places.clone();
    sorted.sort();
    assert_eq!(places.len(), 5);
    assert_eq!(places, sorted);
}

#[test]
fn an_error_reads_as_a_sentence() {
    let mut rules = valid();
    rules.apps[0].actions.push(action("edit", "PUT", "patients"));
    let errors = Policy::compile(rules).err().unwrap();
    let text = errors[0].to_string();
    assert_eq!(text, "app chart, action edit, path patients: a path pattern begins with '/'");
}

#[test]
fn more_actions_than_a_policy_holds_are_refused() {
    let many =
        |count: usize| (0..count).map(|at| action(&format!("a{at}"), "GET", &format!("/a{at}"))).collect::<Vec<_>>();
    let limit =
        |found: &[(Place, Fault)]| found.iter().any(|(_, f)| matches!(f, Fault::TooMany { what: "actions", .. }));
    assert!(limit(&faults(|r| r.apps[0].actions.extend(many(MAX_ACTIONS)))));
    assert!(!limit(&faults(|r| r.apps[0].actions.extend(many(100)))));
}
