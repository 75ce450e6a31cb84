use proptest::prelude::*;

use super::*;
use crate::{Action, AppRules, Policy, RuleSet};

fn policy(actions: &[(&str, &[&str], &[&str])]) -> Policy {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let actions = actions.iter().map(|(name, methods, paths)| Action {
        name: (*name).to_owned(),
        methods: texts(methods),
        paths: texts(paths),
        ..Action::default()
    });
    let app = AppRules {
        name: "chart".into(),
        actions: actions.collect(),
        path_parameters: vec!["jsessionid".into()],
        ..AppRules::default()
    };
    Policy::compile(RuleSet { apps: vec![app], ..RuleSet::default() }).unwrap()
}

/// The action's name, `-` for no path, the methods where the method is not allowed.
fn routed(policy: &Policy, method: &str, path: &str) -> String {
    match policy.route(policy.app("chart").unwrap(), method, path) {
        Routing::Action(routed) => policy.action_name(routed.action).to_owned(),
        Routing::NoPath => "-".to_owned(),
        Routing::MethodNotAllowed(methods) => methods.join(","),
    }
}

fn param(policy: &Policy, path: &str, name: &str) -> Option<String> {
    match policy.route(policy.app("chart").unwrap(), "GET", path) {
        Routing::Action(routed) => routed.param(name).map(str::to_owned),
        _ => None,
    }
}

fn ward() -> Policy {
    policy(&[
        ("home", &["GET"], &["/"]),
        ("view", &["GET"], &["/patients/{id}", "/patients"]),
        ("order", &["POST"], &["/patients/{id}/orders", "/patients/{id}"]),
        ("new", &["GET", "POST"], &["/patients/new"]),
        ("static", &["GET"], &["/static/{*rest}"]),
        ("admin", &["GET", "POST"], &["/admin", "/admin/{*rest}"]),
    ])
}

fn open_and_admin() -> Policy {
    policy(&[("view", &["GET"], &["/{*rest}"]), ("admin", &["GET", "POST"], &["/admin/{*rest}", "/setup"])])
}

#[test]
fn the_most_specific_pattern_wins() {
    let policy = ward();
    for (method, path, action) in [
        ("GET", "/", "home"),
        ("GET", "/patients", "view"),
        ("GET", "/patients/0042", "view"),
        ("POST", "/patients/0042", "order"),
        ("GET", "/patients/new", "new"),
        ("POST", "/patients/0042/orders", "order"),
        ("GET", "/static/", "static"),
        ("GET", "/static/js/app.js", "static"),
        ("GET", "/static", "-"),
        ("GET", "/patients/", "-"),
        ("GET", "/patients/0042/orders/1", "-"),
        ("GET", "/nothing", "-"),
    ] {
        assert_eq!(routed(&policy, method, path), action, "{method} {path}");
    }
}

#[test]
fn a_less_specific_pattern_doesnt_lend_its_methods() {
    let policy = ward();
    assert_eq!(routed(&policy, "DELETE", "/patients/new"), "GET,HEAD,POST");
    assert_eq!(routed(&policy, "GET", "/patients/7/orders"), "POST");
    assert_eq!(routed(&policy, "get", "/patients/7"), "GET,HEAD,POST");
}

#[test]
fn head_goes_where_get_goes() {
    let policy = ward();
    assert_eq!(routed(&policy, "HEAD", "/patients/0042"), "view");
    assert_eq!(routed(&policy, "HEAD", "/patients/0042/orders"), "POST");
}

#[test]
fn a_search_that_fails_deeper_goes_back() {
    let policy = policy(&[
        ("a", &["GET"], &["/x/{id}/end"]),
        ("b", &["GET"], &["/x/y/{*rest}"]),
        ("c", &["GET"], &["/x/y/z/end", "/{a}/{b}/{c}"]),
    ]);
    assert_eq!(routed(&policy, "GET", "/x/y/end"), "b");
    assert_eq!(routed(&policy, "GET", "/x/w/end"), "a");
    assert_eq!(routed(&policy, "GET", "/x/w/other"), "c");
    assert_eq!(routed(&policy, "GET", "/x/y/z/end"), "c");
    assert_eq!(param(&policy, "/x/w/other", "a").as_deref(), Some("x"));
    assert_eq!(param(&policy, "/x/w/other", "c").as_deref(), Some("other"));
}

#[test]
fn parameters_are_the_raw_text() {
    let policy = policy(&[("view", &["GET"], &["/p/{id}", "/f/{id}/{*rest}"])]);
    assert_eq!(param(&policy, "/p/%E5%B1%B1?x=1", "id").as_deref(), Some("%E5%B1%B1"));
    assert_eq!(param(&policy, "/p/7;jsessionid=abc", "id").as_deref(), Some("7"));
    assert_eq!(param(&policy, "/f/7/a/b%20c/", "rest").as_deref(), Some("a/b%20c/"));
    assert_eq!(param(&policy, "/f/7/", "rest").as_deref(), Some(""));
    assert_eq!(param(&policy, "/p/7", "nothing"), None);
}

#[test]
fn one_shape_may_name_its_parameters_by_method() {
    let policy = policy(&[("view", &["GET"], &["/p/{patient}"]), ("edit", &["POST"], &["/p/{id}"])]);
    assert_eq!(param(&policy, "/p/7", "patient").as_deref(), Some("7"));
    assert_eq!(routed(&policy, "POST", "/p/7"), "edit");
}

#[test]
fn atk_a01_a_path_that_an_upstream_could_read_as_another_rule_is_no_path() {
    let policy = open_and_admin();
    assert_eq!(routed(&policy, "GET", "/public/page"), "view");
    assert_eq!(routed(&policy, "GET", "/admin/users"), "admin");
    for path in [
        "/public/../admin/users",
        "/public/%2e%2e/admin/users",
        "/%61dmin/users",
        "/%41dmin/users",
        "/Admin/users",
        "/ADMIN/USERS",
        "/admin%20/users",
        "/admin./users",
        "/admin%3Bx/users",
        "/admin",
        "/setup/",
        "/Setup",
        "/s%65tup/",
    ] {
        assert_eq!(routed(&policy, "GET", path), "-", "{path}");
    }
}

/// Found by fuzzing: a server that decodes before it takes parameters off, or trims dots and spaces, has nothing
/// left of such a segment.
#[test]
fn atk_a02_a_segment_that_comes_to_nothing_hides_no_other_rule() {
    let policy = open_and_admin();
    for path in ["/%3b/admin/users", "/x/..%3b/admin/users", "/.../admin/users", "/%20/admin/users", "/setup/..%20."] {
        assert_eq!(routed(&policy, "GET", path), "-", "{path}");
    }
    assert_eq!(routed(&policy, "GET", "/notes/.../1"), "view");
}

#[test]
fn atk_a02_listed_parameters_are_no_part_of_the_match() {
    let policy = open_and_admin();
    assert_eq!(routed(&policy, "GET", "/admin;jsessionid=1/users"), "admin");
    assert_eq!(routed(&policy, "GET", "/admin;x=1/users"), "-");
    assert_eq!(routed(&policy, "GET", "/admin;jsessionid=%2e%2e%2f/users"), "-");
}

#[test]
fn what_lenient_readings_share_is_served() {
    let policy = policy(&[
        ("view", &["GET"], &["/{*rest}"]),
        ("index", &["GET"], &["/static"]),
        ("static", &["GET"], &["/static/{*rest}"]),
        ("upper", &["GET"], &["/Case"]),
        ("lower", &["GET"], &["/case"]),
    ]);
    for (path, action) in [
        ("/Docs/%E5%B1%B1.PDF", "view"),
        ("/docs/a%3Bb/", "view"),
        ("/static", "index"),
        ("/static/", "static"),
        ("/static/JS/App.js", "static"),
        ("/Case", "upper"),
        ("/case", "lower"),
    ] {
        assert_eq!(routed(&policy, "GET", path), action, "{path}");
    }
    // Within one action nothing is at stake.
    let one = policy_of_one();
    assert_eq!(routed(&one, "GET", "/admin"), "view");
}

fn policy_of_one() -> Policy {
    policy(&[("view", &["GET"], &["/{*rest}", "/admin/{*rest}"])])
}

#[test]
fn atk_a03_a_query_is_no_part_of_the_path() {
    let policy = ward();
    assert_eq!(routed(&policy, "GET", "/admin?path=/static/x"), "admin");
    assert_eq!(routed(&policy, "GET", "/nothing?/static/x"), "-");
    assert_eq!(routed(&policy, "GET", "/nothing?path=/static/x"), "-");
    assert_eq!(routed(&policy, "GET", "/patients/7?/../../static/x"), "view");
}

#[test]
fn atk_a04_a_fragment_is_no_path_and_an_encoded_one_is_data() {
    let policy = ward();
    assert_eq!(routed(&policy, "GET", "/static/#/admin"), "-");
    assert_eq!(routed(&policy, "GET", "/admin%23/static/x"), "-");
    assert_eq!(param(&policy, "/patients/7%23", "id").as_deref(), Some("7%23"));
}

#[test]
fn atk_a05_a_public_path_elsewhere_in_the_target_grants_nothing() {
    let policy = ward();
    assert_eq!(routed(&policy, "GET", "/nothing/static/x"), "-");
    assert_eq!(routed(&policy, "GET", "/admin/static/x"), "admin");
    assert_eq!(routed(&policy, "GET", "/admin/static/x?/static/x"), "admin");
}

#[test]
fn atk_a06_a_malformed_path_is_no_path() {
    let policy = open_and_admin();
    for path in
        ["", "*", "?", "public", "/%", "/%zz", "/\u{0}", "/a\r\nb", "/\u{ff0e}\u{ff0e}/", "/%c0%ae", "//", "/a//b"]
    {
        assert_eq!(routed(&policy, "GET", path), "-", "{path}");
    }
}

#[test]
fn atk_a07_a_path_without_its_leading_slash_is_no_path() {
    assert_eq!(routed(&open_and_admin(), "GET", "public/page"), "-");
}

/// The interpreter that the router is held against: every pattern tried, the best rank taken.
mod naive {
    use std::collections::BTreeMap;

    pub(super) type Actions = Vec<(Vec<String>, Vec<String>)>;

    /// The rank (0 literal, 1 parameter, 2 rest for each segment) if the pattern holds the segments.
    fn rank(pattern: &str, segments: &[String], literal: &dyn Fn(&str) -> String) -> Option<Vec<u8>> {
        let mut rank = Vec::new();
        let parts: Vec<&str> = pattern[1..].split('/').collect();
        for (at, part) in parts.iter().enumerate() {
            let segment = segments.get(at)?;
            if part.starts_with("{*") {
                rank.push(2);
                return Some(rank);
            } else if part.starts_with('{') && !segment.is_empty() {
                rank.push(1);
            } else if literal(part) == *segment {
                rank.push(0);
            } else {
                return None;
            }
        }
        (parts.len() == segments.len()).then_some(rank)
    }

    /// The best rank, and for each shape of pattern there the action that claims the method.
    fn best(
        actions: &Actions,
        method: &str,
        segments: &[String],
        literal: &dyn Fn(&str) -> String,
    ) -> Option<(Vec<u8>, Vec<Option<usize>>)> {
        let get = if method == "HEAD" { "GET" } else { method };
        let mut found: BTreeMap<(Vec<u8>, String), Option<usize>> = BTreeMap::new();
        for (at, (methods, paths)) in actions.iter().enumerate() {
            let claims = methods.iter().any(|m| m == method || m == get);
            for path in paths {
                let Some(rank) = rank(path, segments, literal) else { continue };
                let shape = path.replace(['x', 'y', 'z'], "");
                let claimed = found.entry((rank, shape)).or_default();
                *claimed = claimed.or(claims.then_some(at));
            }
        }
        let best = found.keys().next()?.0.clone();
        let claims = found.into_iter().filter(|((rank, _), _)| *rank == best).map(|(_, claim)| claim).collect();
        Some((best, claims))
    }

    /// `Some(Some(action))`, `Some(None)` for a method not allowed, `None` for no path.
    pub(super) fn route(actions: &Actions, method: &str, path: &str) -> Option<Option<usize>> {
        let raw: Vec<String> = path[1..].split('/').map(str::to_owned).collect();
        let (rank, claims) = best(actions, method, &raw, &|text| text.to_owned())?;
        let lenient = |text: &str| text.replace("%62", "b").to_lowercase();
        let read: Vec<String> = raw.iter().map(|segment| lenient(segment)).collect();
        let mut slashed = read.clone();
        if slashed.len() > 1 && slashed.last().unwrap().is_empty() {
            slashed.pop();
        } else {
            slashed.push(String::new());
        }
        for reading in [read, slashed] {
            let Some((other, others)) = best(actions, method, &reading, &lenient) else { continue };
            let differs = rank.iter().zip(&other).find(|(a, b)| a != b);
            if differs.is_some_and(|(a, b)| b < a) && others.iter().any(|other| *other != claims[0]) {
                return None;
            }
        }
        Some(claims[0])
    }
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => "[abAc]", 2 => "\\{[xy]\\}"];
    let end = prop_oneof![4 => Just(""), 1 => Just("/"), 2 => Just("/{*rest}")];
    (prop::collection::vec(segment, 0..3), end).prop_map(|(mut segments, end)| {
        // A parameter name stands once in a pattern.
        let mut names = ["{x}", "{y}", "{z}"].into_iter();
        for segment in segments.iter_mut().filter(|s| s.starts_with('{')) {
            *segment = names.next().unwrap().to_owned();
        }
        let text = segments.iter().map(|s| format!("/{s}")).collect::<String>() + end;
        if text.is_empty() { "/".to_owned() } else { text }
    })
}

fn actions() -> impl Strategy<Value = naive::Actions> {
    let methods = prop::sample::subsequence(vec!["GET".to_owned(), "POST".to_owned()], 1..=2);
    prop::collection::vec((methods, prop::collection::vec(pattern(), 1..4)), 1..4)
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof!["[abcA]", Just("%62".to_owned()), Just("B".to_owned())];
    (prop::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(segments, slash)| {
        let path = segments.iter().map(|s| format!("/{s}")).collect::<String>();
        if slash || path.is_empty() { path + "/" } else { path }
    })
}

/// The policy of as many of the actions as have no conflict; the others are dropped.
fn compile(actions: &mut naive::Actions) -> Policy {
    loop {
        let numbered = actions.iter().enumerate().map(|(at, (methods, paths))| Action {
            name: format!("a{at}"),
            methods: methods.clone(),
            paths: paths.clone(),
            ..Action::default()
        });
        let app = AppRules { name: "chart".into(), actions: numbered.collect(), ..AppRules::default() };
        match Policy::compile(RuleSet { apps: vec![app], ..RuleSet::default() }) {
            Ok(policy) => return policy,
            Err(_) => drop(actions.pop()),
        }
    }
}

proptest! {
    #[test]
    fn the_router_agrees_with_trying_every_pattern(
        mut actions in actions(),
        requests in prop::collection::vec((prop::sample::select(vec!["GET", "HEAD", "POST", "PUT"]), path()), 20),
    ) {
        let policy = compile(&mut actions);
        let app = policy.app("chart").unwrap();
        for (method, path) in requests {
            let expected = naive::route(&actions, method, &path);
            let found = match policy.route(app, method, &path) {
                Routing::Action(routed) => Some(Some(routed.action.action)),
                Routing::MethodNotAllowed(_) => Some(None),
                Routing::NoPath => None,
            };
            prop_assert_eq!(found, expected, "{} {}", method, path);
        }
    }

    #[test]
    fn a_route_never_depends_on_the_query(mut actions in actions(), path in path(), query in ".{0,30}") {
        let policy = compile(&mut actions);
        let app = policy.app("chart").unwrap();
        prop_assert_eq!(policy.route(app, "GET", &format!("{path}?{query}")), policy.route(app, "GET", &path));
    }

    #[test]
    fn no_text_makes_the_router_panic_and_what_is_ambiguous_is_no_path(path in "[/a.%25efcA;=#?\\\\ 0é]{0,24}") {
        let policy = open_and_admin();
        let app = policy.app("chart").unwrap();
        let routing = policy.route(app, "GET", &path);
        if policy.check_path(app, &path).is_err() {
            prop_assert_eq!(routing, Routing::NoPath);
        }
    }
}
