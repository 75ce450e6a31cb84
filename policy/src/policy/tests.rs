use super::*;
use crate::{LocalTime, Weekday};

fn rules() -> RuleSet {
    let action = |name: &str, paths: &[&str]| Action {
        name: name.into(),
        methods: vec!["GET".into()],
        paths: paths.iter().map(|path| (*path).into()).collect(),
        ..Action::default()
    };
    RuleSet {
        apps: vec![AppRules {
            name: "chart".into(),
            actions: vec![action("view", &["/patients/{id}"]), action("list", &["/patients"])],
            ..AppRules::default()
        }],
        roles: vec![
            Role { name: "nurse".into(), ..Role::default() },
            Role { name: "doctor".into(), ..Role::default() },
        ],
        ..RuleSet::default()
    }
}

#[test]
fn a_policy_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Policy>();
    shared::<RoleSet>();
    shared::<crate::Permit>();
}

#[test]
fn things_are_found_by_name_and_by_id() {
    let policy = Policy::compile(rules()).unwrap();
    let app = policy.app("chart").unwrap();
    let list = policy.action_named(app, "list").unwrap();
    assert_eq!(policy.action_name(list), "list");
    assert_eq!(policy.action(list).unwrap().paths, ["/patients"]);
    assert_eq!(policy.app_rules(app).unwrap().name, "chart");
    assert_eq!(list.app(), app);
    assert_eq!(policy.role("nurse").unwrap().name, "nurse");
    assert_eq!(policy.rules(), &rules());
    assert!(policy.app("pacs").is_none());
    assert!(policy.action_named(app, "order").is_none());
}

#[test]
fn ids_of_another_policy_find_nothing() {
    let (one, other) = (Policy::compile(rules()).unwrap(), Policy::compile(rules()).unwrap());
    let app = other.app("chart").unwrap();
    let view = other.action_named(app, "view").unwrap();
    assert_ne!(one.app("chart"), Some(app));
    assert!(one.app_rules(app).is_none());
    assert!(one.action(view).is_none());
    assert_eq!(one.action_name(view), "");
    assert!(one.action_named(app, "view").is_none());
    assert_eq!(one.route(app, "GET", "/patients"), Routing::NoPath);
    assert_eq!(one.check_path(app, "/patients"), Err(PathFault::NoApp));
}

#[test]
fn a_role_set_is_sorted_without_repetition_and_reports_the_unknown() {
    let policy = Policy::compile(rules()).unwrap();
    let set = policy.role_set(["doctor", "gone", "nurse", "doctor"]);
    assert_eq!(set.names().collect::<Vec<_>>(), ["nurse", "doctor"]);
    assert_eq!(set.unknown(), ["gone"]);
    assert_eq!(set, policy.role_set(["nurse", "doctor"]));
    assert!(Arc::ptr_eq(&set.shared, &policy.role_set(["nurse", "doctor"]).shared));
    assert_ne!(set, policy.role_set(["nurse"]));
    assert_ne!(set, Policy::compile(rules()).unwrap().role_set(["nurse", "doctor"]));
    assert!(policy.role_set([]).is_empty());
    assert_eq!(format!("{set:?}"), r#"{"nurse", "doctor"}"#);
}

#[test]
fn an_action_that_no_role_names_is_nobodys() {
    let policy = Policy::compile(rules()).unwrap();
    let app = policy.app("chart").unwrap();
    let query = crate::Query {
        app,
        action: policy.action_named(app, "view").unwrap(),
        roles: &policy.role_set(["nurse", "doctor"]),
        zone: "ward",
        local: LocalTime { weekday: Weekday::Monday, minute: 0 },
        aal2: true,
    };
    assert!(!policy.decide(&query).is_permit());
}
