//! Who is let in, who isn't, and what keeps a session awake (A16, A18, A46, A53; H-28).

use std::time::Duration;

use identity::By;
use model::{EndReason, LockReason, SessionState};

use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);
const NAVIGATION: &str = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: none\r\n";

#[tokio::test]
async fn what_a_stranger_gets_depends_on_what_he_is() {
    let world = World::new().await;
    let answer = world.ask("GET /page?x=1", NAVIGATION).await;
    assert_eq!((answer.status, answer.text()), (401, "LoginRequired { target: \"/page?x=1\" } Page session=false"));
    let frame = NAVIGATION.replace("document", "iframe");
    assert!(world.ask("GET /page", &frame).await.text().contains(" Frame "));
    assert!(world.ask("GET /page", "Sec-Fetch-Mode: cors\r\n").await.text().contains(" Problem "));
    assert!(world.ask("GET /page", "Accept: text/html\r\n").await.text().contains(" Problem "));
    let preflight = "Origin: https://evil.example\r\nAccess-Control-Request-Method: PUT\r\n";
    assert!(world.ask("OPTIONS /page", preflight).await.text().contains("\"cors\""), "no login helps there");
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn a_denial_says_what_is_missing_and_is_recorded() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let answer = world.ask("GET /admin/users", &nurse.cookie).await;
    assert_eq!(answer.status, 403);
    for word in ["no-role", "role:sysadmin", "action: Some(\"admin\")", "session=true"] {
        assert!(answer.text().contains(word), "{}", answer.text());
    }
    let record = world.await_records("request.deny", 1).await.remove(0);
    for word in ["\"000101\"", "\"no-role\"", "\"/admin/users\"", "\"action\":\"admin\""] {
        assert!(record.contains(word), "{record}");
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn a_locked_session_lets_nothing_new_through_and_a_post_gets_423() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    assert!(world.sessions.lock(nurse.live.id(), LockReason::User, By::Gateway).await.unwrap());
    let headers = format!("{NAVIGATION}{}Content-Length: 0\r\n", nurse.cookie);
    let answer = world.ask("POST /patients/1/orders", &headers).await;
    assert_eq!((answer.status, answer.text()), (423, "Locked { target: \"/patients/1/orders\" } Page session=true"));
    assert_eq!(world.ask("GET /patients/1", &nurse.cookie).await.status, 423);
    assert!(world.upstream.seen().is_empty());
    world.await_records("request.deny", 2).await;
}

#[tokio::test]
async fn atk_a18_an_old_cookie_is_worth_nothing_after_lock_and_unlock_or_end() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    assert!(world.sessions.end(nurse.live.id(), EndReason::Logout, By::Gateway).await.unwrap());
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 401);
    let other = world.login("000102", &["nurse"]).await;
    world.clock.advance(13 * 60 * MINUTE);
    assert_eq!(world.ask("GET /page", &other.cookie).await.status, 401);
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn atk_a53_polling_reloading_and_posting_do_not_keep_a_session_awake() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let asked = [
        ("GET /patients/1", ""),
        ("POST /poll", "Content-Length: 0\r\n"),
        ("GET /page", NAVIGATION),
        ("GET /page", "Sec-Fetch-User: ?1\r\nSec-Fetch-Mode: cors\r\n"),
        ("GET /page", "Sec-Fetch-User: ?0\r\nSec-Fetch-Mode: navigate\r\n"),
    ];
    for (line, headers) in asked {
        world.clock.advance(MINUTE.mul_f32(0.9));
        assert_eq!(world.ask(line, &format!("{headers}{}", nurse.cookie)).await.status, 200, "{line} {headers}");
    }
    world.clock.advance(MINUTE);
    assert_eq!(world.ask("GET /patients/1", &nurse.cookie).await.status, 423);
}

#[tokio::test]
async fn req_h28_a_human_navigation_or_a_listed_action_keeps_a_session_awake() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let human = format!("{NAVIGATION}Sec-Fetch-User: ?1\r\n{}", nurse.cookie);
    for _ in 0..3 {
        world.clock.advance(4 * MINUTE);
        assert_eq!(world.ask("GET /page", &human).await.status, 200);
    }
    for _ in 0..2 {
        world.clock.advance(4 * MINUTE);
        let order = format!("{}Content-Length: 0\r\n", nurse.cookie);
        assert_eq!(world.ask("POST /patients/1/orders", &order).await.status, 200);
    }
    assert_eq!(nurse.live.state(world.clock.now()), SessionState::Active);
}

#[tokio::test]
async fn atk_a32_a_role_that_is_gone_permits_nothing_more() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 200);
    world.end_grants(nurse.account).await;
    let mut last = 200;
    for _ in 0..200 {
        last = world.ask("GET /page", &nurse.cookie).await.status;
        if last == 403 {
            break;
        }
    }
    assert_eq!(last, 403);
}
