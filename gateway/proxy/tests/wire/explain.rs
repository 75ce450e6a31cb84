//! What is explained without a socket is what happens on one.

use model::{Timestamp, Zone};
use policy::Decision;
use proxy::{Explanation, Question, explain};

use crate::world::{CHART, World};

#[tokio::test]
async fn an_explanation_agrees_with_the_proxy() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let snapshot = world.snapshot();
    let roles = snapshot.policy.role_set(["nurse"]);
    let zone = Zone::named("ward");
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
        let url = format!("https://{CHART}{target}");
        let at = Timestamp::from_seconds(1_795_240_000);
        let question = Question { method, url: &url, zone: &zone, roles: &roles, at };
        let explained = match explain(&snapshot, &question) {
            Explanation::Refused(refusal) => refusal.status(),
            Explanation::Ours => 0,
            Explanation::Decided { decision: Decision::Permit(_), .. } => 200,
            Explanation::Decided { decision: Decision::Deny(_), .. } => 403,
        };
        assert_eq!(explained, status, "{method} {target}");
        assert_eq!(world.ask(&format!("{method} {target}"), &nurse.cookie).await.status, status, "{method} {target}");
    }
    let asked = |url: &str| {
        explain(&snapshot, &Question { method: "GET", url, zone: &zone, roles: &roles, at: Timestamp::default() })
    };
    assert!(matches!(asked(&format!("https://{CHART}/.sekimori/state")), Explanation::Ours));
    for (url, status) in [
        ("https://other.example/", 421),
        ("https://chart.hospital.example:444/page", 421),
        ("http://chart.hospital.example/page", 400),
        ("/page", 400),
        ("https://u@chart.hospital.example/page", 400),
    ] {
        assert!(matches!(asked(url), Explanation::Refused(refusal) if refusal.status() == status), "{url}");
    }
}
