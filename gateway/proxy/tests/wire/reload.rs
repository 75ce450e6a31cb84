//! A reload swaps everything at once; what began before goes on as it began (A32).

use crate::upstream::ok;
use crate::world::{CHART, World};

#[tokio::test]
async fn a_reload_is_in_force_for_the_next_request_of_an_open_connection() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut browser = world.connect().await;
    let request = format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie);
    assert_eq!(browser.ask(&request).await.status, 200);
    world.reload(|rules| rules.replace("\"find\", \"browse\", \"order\"", "\"find\", \"order\""));
    assert_eq!(browser.ask(&request).await.status, 403);
    let record = world.await_records("request.deny", 1).await.remove(0);
    assert!(record.contains("\"generation\":2"), "{record}");
}

#[tokio::test]
async fn an_upstream_that_stays_keeps_its_connections_over_a_reload() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|seen| ok(&seen.connection.to_string()));
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "1");
    world.reload(|rules| rules);
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "1");
}
