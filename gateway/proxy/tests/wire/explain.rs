//! What is explained without a socket is what happens on one.

use access::{Described, Explanation, Verdict};
use model::{Timestamp, Zone};
use proxy::explain;

use crate::world::{CHART, World};

fn described(method: &str, url: &str) -> Described {
    Described::new(method, url, Zone::named("ward"), None, Timestamp::from_seconds(1_795_240_000)).unwrap()
}

#[tokio::test]
async fn an_explanation_says_what_the_proxy_answers_and_records() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let snapshot = world.snapshot();
    let roles = snapshot.policy.role_set(["nurse"]);
    for (method, target, status) in [
        ("GET", "/patients/1", 200),
        ("GET", "/page?x=//..", 200),
        ("GET", "/admin", 403),
        ("GET", "/nothing", 403),
        ("GET", "/public/../admin", 400),
        ("GET", "/public/%2fadmin", 400),
        ("DELETE", "/page", 405),
        ("TRACE", "/page", 405),
        ("GET", "/%2esekimori/x", 404),
    ] {
        let told = explain(&snapshot, &described(method, &format!("https://{CHART}{target}")), &roles);
        assert_eq!(told.status, Some(status).filter(|status| *status != 200), "{method} {target}");
        assert_eq!(told.permits(), status == 200, "{method} {target}");
        assert_eq!(world.ask(&format!("{method} {target}"), &nurse.cookie).await.status, status, "{method} {target}");
        if let Some(reason) = told.reason {
            let newest = world.records().pop().unwrap();
            assert!(newest.contains(&format!("\"reason\":\"{reason}\"")), "{method} {target} {reason}: {newest}");
        }
    }
    let asked = |url: &str| explain(&snapshot, &described("GET", url), &roles);
    assert_eq!(asked(&format!("https://{CHART}/.sekimori/state")), Explanation::ours());
    for (url, status, reason) in [
        ("https://other.example/", 421, "misdirected"),
        ("https://chart.hospital.example:444/page", 421, "misdirected"),
        ("http://chart.hospital.example/page", 400, "target-scheme"),
        ("/page", 400, "target-form"),
        ("https://u@chart.hospital.example/page", 400, "host-form"),
    ] {
        let told = asked(url);
        assert_eq!((told.decision, told.status, told.reason), (Verdict::Deny, Some(status), Some(reason)), "{url}");
    }
}
