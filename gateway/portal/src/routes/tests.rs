use std::collections::BTreeSet;
use std::time::Duration;

use http::{Method, StatusCode};
use model::FetchMetadata;

use super::*;
use crate::guard::FRESH;
use crate::house::{ADMIN, AUTH, CHART, Got, House, NURSE};

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

/// What a route asks of whoever comes, in words: whose authority, how well proved, how lately.
fn asked(who: Who) -> (String, &'static str, &'static str) {
    let authority = match who {
        Who::Anyone => "anyone".to_owned(),
        Who::Holder => "session".to_owned(),
        Who::Active | Who::Fresh => "active".to_owned(),
        Who::Program => "program".to_owned(),
        Who::Role(action) | Who::FreshRole(action) => format!("role:{action}"),
    };
    let aal = if matches!(who, Who::Anyone | Who::Holder) { "-" } else { "aal2" };
    let fresh = if wants_fresh(who) { "5min" } else { "-" };
    (authority, aal, fresh)
}

fn wants_fresh(who: Who) -> bool {
    matches!(who, Who::Fresh | Who::FreshRole(_))
}

/// One line of the table: hosts, method, path, authority, AAL, freshness, origin rule, form of a refusal,
/// whether it counts against the pace of attempts.
fn line(route: &Route) -> String {
    let (authority, aal, fresh) = asked(route.who);
    let pace = if route.throttled { "paced" } else { "-" };
    format!(
        "{:?} {} {} {authority} {aal} {fresh} {:?} {:?} {pace}",
        route.on,
        method(route),
        route.path,
        route.origin,
        route.surface
    )
}

/// The table as somebody read it who thought about each line: a new route is red until he did again.
#[test]
fn atk_a37_every_route_has_the_authority_assurance_freshness_and_origin_rule_that_was_meant() {
    let table: BTreeSet<String> = ROUTES.iter().map(line).collect();
    let meant = include_str!("table.txt").lines().map(str::to_owned).collect();
    assert_eq!(table, meant, "{}", table.iter().cloned().collect::<Vec<_>>().join("\n"));
    assert_eq!(table.len(), ROUTES.len(), "no route stands there twice");
}

/// How a route sends somebody away who has to prove more: to a page of ours, or by its status.
fn sent_away(got: &Got, page: &str) -> bool {
    let there = got.status == StatusCode::SEE_OTHER && got.place().starts_with(page);
    there || matches!(got.status.as_u16(), 401 | 403 | 423)
}

#[tokio::test]
async fn req_s02_a_locked_session_opens_no_route_that_wants_an_active_one() {
    let house = House::open().await;
    for route in ROUTES.iter().filter(|route| !matches!(route.who, Who::Anyone | Who::Holder)) {
        let mut browser = house.logged_in(ADMIN).await;
        let form = browser.get(AUTH, "/").await.form("/lock");
        browser.post(AUTH, "/lock", &[("t", &form)]).await;
        let got = browser.post_or_get(route, AUTH, &path(route)).await;
        assert!(sent_away(&got, "/lock"), "{}: {} {}", line(route), got.status, got.place());
    }
}

#[tokio::test]
async fn atk_a28_a_route_that_wants_a_fresh_proof_gets_one_and_no_other_asks_for_it() {
    let house = House::open().await;
    for route in ROUTES.iter().filter(|route| !matches!(route.who, Who::Anyone | Who::Holder)) {
        let mut browser = house.logged_in(ADMIN).await;
        house.clock.advance(FRESH - Duration::from_secs(10));
        let form = browser.get(AUTH, "/").await.form("/lock");
        house.clock.advance(Duration::from_secs(11));
        let got = match route.verb {
            Verb::Get => browser.get(host(route), &path(route)).await,
            Verb::Post => browser.post(host(route), &path(route), &[("t", &form)]).await,
        };
        let asks = got.status == StatusCode::SEE_OTHER && got.place().starts_with("/login?i=")
            || got.header("www-authenticate").contains("max_age=300");
        assert_eq!(asks, wants_fresh(route.who), "{}: {} {}", line(route), got.status, got.place());
    }
}

/// There is no such session; if one came into the store, it would open nothing.
#[tokio::test]
async fn atk_a28_a_session_below_aal2_opens_no_route_that_wants_more() {
    let house = House::open().await;
    let mut browser = house.browser();
    browser.keep(AUTH, crate::SESSION, &house.weak_session(ADMIN).await.text());
    assert_eq!(browser.get(AUTH, "/lock").await.place(), "/", "it is a session");
    for route in ROUTES.iter().filter(|route| asked(route.who).1 == "aal2") {
        let got = browser.post_or_get(route, host(route), &path(route)).await;
        assert!(sent_away(&got, "/login?i="), "{}: {} {}", line(route), got.status, got.place());
    }
}

#[tokio::test]
async fn atk_a37_what_wants_a_role_is_refused_to_whoever_has_none_and_that_is_on_record() {
    let house = House::open().await;
    let mut refused = 0;
    for route in ROUTES.iter().filter(|route| matches!(route.who, Who::Role(_) | Who::FreshRole(_))) {
        let mut browser = house.logged_in(NURSE).await;
        let got = browser.post_or_get(route, AUTH, &path(route)).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{}", line(route));
        refused += 1;
        assert_eq!(house.records("request.deny").len(), refused, "{}", line(route));
    }
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
        let login = [
            "/login/",
            "/unlock/",
            "/enrol/start",
            "/enrol/pass",
            "/enrol/totp",
            "/enrol/key",
            "/password",
            "session/token",
        ];
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
async fn no_secret_is_taken_while_its_use_could_not_be_recorded() {
    let house = House::open().await;
    house.journal.close().unwrap();
    for route in ROUTES.iter().filter(|route| route.throttled) {
        let got = house.browser().post(host(route), &path(route), &[]).await;
        assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE, "{}", route.path);
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
