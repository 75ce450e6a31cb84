use std::collections::BTreeSet;

use http::{Method, StatusCode};
use model::FetchMetadata;

use super::*;
use crate::house::{AUTH, CHART, House, NURSE};

fn method(route: &Route) -> Method {
    match route.verb {
        Verb::Get => Method::GET,
        Verb::Post => Method::POST,
    }
}

fn host(route: &Route) -> &'static str {
    if route.on == On::App { CHART } else { AUTH }
}

fn path(route: &Route) -> String {
    route.path.replace("{part}", "0199a6f0-4d1e-7c3a-9b1e-2f6d0c8a1b77")
}

/// The table as somebody read it who thought about each line: a new route is red until he did again.
#[test]
fn atk_a37_every_route_has_the_authority_and_origin_rule_that_was_meant() {
    let table: BTreeSet<String> =
        ROUTES.iter().map(|r| format!("{:?} {} {} {:?} {:?}", r.on, method(r), r.path, r.who, r.origin)).collect();
    let meant = include_str!("table.txt").lines().map(str::to_owned).collect();
    assert_eq!(table, meant, "{}", table.iter().cloned().collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_changes_something_is_a_post_with_an_origin_rule() {
    for route in ROUTES {
        match route.verb {
            Verb::Post if route.path.ends_with("session/token") => assert_eq!(route.who, Who::Anyone),
            Verb::Post => assert_ne!(route.origin, Origin::Any, "{}", route.path),
            Verb::Get => assert!(route.body == 0, "{}", route.path),
        }
        if matches!(route.who, Who::Role(_) | Who::FreshRole(_) | Who::Program) {
            assert_eq!(route.origin, Origin::Bearer, "{}", route.path);
        }
        let login = ["/login/", "/unlock/", "/enrol/start", "/enrol/pass", "/enrol/totp", "session/token"];
        let secretless = route.path == "/login/onward";
        if route.verb == Verb::Post && !secretless && login.iter().any(|part| route.path.contains(part)) {
            assert!(route.throttled, "{} takes secrets", route.path);
        }
    }
}

#[test]
fn the_policys_own_paths_lead_to_the_action_that_the_table_names() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let house = runtime.block_on(House::open());
    let snapshot = house.snapshot();
    for route in ROUTES {
        let (Who::Role(action) | Who::FreshRole(action)) = route.who else { continue };
        let routed = snapshot.policy.route(snapshot.portal_app(), method(route).as_str(), &path(route));
        let ::policy::Routing::Action(routed) = routed else { panic!("{} is no action", route.path) };
        assert_eq!(snapshot.policy.action_name(routed.action), action, "{}", route.path);
    }
}

#[tokio::test]
async fn atk_a37_without_a_session_nothing_that_needs_one_answers() {
    let house = House::open().await;
    for route in ROUTES.iter().filter(|route| route.who != Who::Anyone) {
        let mut browser = house.browser();
        let got = browser.post_or_get(route, host(route), &path(route)).await;
        let away = got.status == StatusCode::SEE_OTHER && got.place().starts_with("/login");
        let refused = matches!(got.status.as_u16(), 401 | 403);
        assert!(away || refused, "{} {}: {} {}", method(route), route.path, got.status, got.place());
    }
}

#[tokio::test]
async fn atk_a45_no_state_changes_by_a_request_from_elsewhere() {
    let house = House::open().await;
    let strangers = [
        FetchMetadata { present: true, navigate: true, document: true, user: true, ..FetchMetadata::default() },
        FetchMetadata { present: true, ..FetchMetadata::default() },
        FetchMetadata::default(),
    ];
    for route in ROUTES.iter().filter(|r| r.verb == Verb::Post && !r.path.ends_with("session/token")) {
        for fetch in strangers {
            let mut browser = house.logged_in(NURSE).await;
            let got = browser.send(host(route), Method::POST, &path(route), fetch, &[], "").await;
            assert_eq!(got.status, StatusCode::FORBIDDEN, "{} {fetch:?}", route.path);
        }
    }
}

#[tokio::test]
async fn req_c45_a_form_without_its_token_changes_nothing() {
    let house = House::open().await;
    let forms = |r: &&Route| matches!(r.origin, Origin::SessionForm | Origin::InteractionForm);
    for route in ROUTES.iter().filter(forms).filter(|r| !r.path.starts_with("/unlock")) {
        let mut browser = house.logged_in(NURSE).await;
        let got = browser.post(AUTH, route.path, &[("t", "AAAA"), ("name", NURSE)]).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{}", route.path);
        let got = browser.get(AUTH, "/").await;
        assert_eq!(got.status, StatusCode::OK, "{} has changed the session", route.path);
    }
}

#[tokio::test]
async fn what_has_no_route_is_404_and_a_wrong_method_is_405_with_the_right_ones() {
    let house = House::open().await;
    let mut browser = house.browser();
    for (host, path) in [
        (AUTH, "/nothing"),
        (AUTH, "/.sekimori/enter"),
        (AUTH, "/.sekimori/lock"),
        (AUTH, "/.sekimori/"),
        (CHART, "/login"),
        (CHART, "/.sekimori/api/v1/session"),
        (CHART, "/.sekimori/jwks.json"),
        (CHART, "/.sekimori/nothing"),
    ] {
        assert_eq!(browser.get(host, path).await.status, StatusCode::NOT_FOUND, "{host}{path}");
    }
    let got = browser.get(AUTH, "/logout").await;
    assert_eq!((got.status, got.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    let got = browser.post(AUTH, "/lock", &[]).await;
    assert_ne!(got.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_body_beyond_the_routes_bound_is_413() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let long = "x".repeat(70_000);
    let got = browser.post(AUTH, "/lock", &[("t", &long)]).await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
}

impl crate::house::Browser<'_> {
    /// As a page of ours would, without any token.
    async fn post_or_get(&mut self, route: &Route, host: &str, path: &str) -> crate::house::Got {
        match route.verb {
            Verb::Get => self.get(host, path).await,
            Verb::Post => self.post(host, path, &[]).await,
        }
    }
}
