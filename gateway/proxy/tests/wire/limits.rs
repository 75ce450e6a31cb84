//! Limits and deadlines (H-23).

use std::time::{Duration, Instant};

use crate::browser::Browser;
use crate::world::{CHART, World};

#[tokio::test]
async fn req_h23_a_head_too_large_is_431_and_a_target_too_long_414() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let long = format!("GET /public/{} HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", "x".repeat(1_100), nurse.cookie);
    assert_eq!(world.connect().await.ask(long).await.status, 414);
    let mut browser = world.connect().await;
    let large = format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\nX: {}\r\n{}\r\n", "x".repeat(9_000), nurse.cookie);
    assert_eq!(browser.ask(large).await.status, 431);
    assert!(browser.answer().await.is_none());
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn req_h23_a_slow_head_is_closed() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let since = Instant::now();
    let mut silent = world.connect().await;
    let mut slow = world.connect().await;
    slow.send("GET /page HTTP/1.1\r\n").await;
    let mut second = world.connect().await;
    assert_eq!(second.ask(format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie)).await.status, 200);
    second.send("G").await;
    for browser in [&mut silent, &mut slow, &mut second] {
        assert!(browser.rest().await.is_empty());
    }
    let took = since.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(4), "{took:?}");
    let recorded = world.await_records("edge.malformed", 2).await;
    assert_eq!(recorded.len(), 2, "who says nothing at all is no attacker: {recorded:?}");
}

#[tokio::test]
async fn a_kept_connection_outlasts_the_deadline_of_a_head() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut browser = world.connect().await;
    let request = format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie);
    assert_eq!(browser.ask(&request).await.status, 200);
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    // One that came in pieces, so that its deadline was watched.
    let (first, second) = request.split_at(20);
    browser.send(first).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(browser.ask(second).await.status, 200);
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!(browser.ask(&request).await.status, 200);
}

#[tokio::test]
async fn req_h23_an_address_that_asks_too_often_is_told_429() {
    let world = World::with(|main| main.replace("requests_per_second = 1000", "requests_per_second = 3")).await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(world.ask("GET /page", &nurse.cookie).await.status);
    }
    assert!(statuses.contains(&429) && statuses[..3] == [200, 200, 200], "{statuses:?}");
}

#[tokio::test]
async fn req_h23_an_address_has_so_many_connections_and_no_more() {
    let world = World::with(|main| main.replace("uri_bytes", "connections_per_address = 2\nuri_bytes")).await;
    let (first, _second) = (world.connect().await, world.connect().await);
    assert!(Browser::connect(world.address, &world.ca, CHART).await.is_err());
    drop(first);
    let mut tries = 0;
    while Browser::connect(world.address, &world.ca, CHART).await.is_err() {
        tries += 1;
        assert!(tries < 1_000);
    }
}

#[tokio::test]
async fn req_h23_a_kept_connection_on_which_nothing_is_asked_is_closed() {
    let world = World::with(|main| main.replace("header_timeout", "idle_timeout = \"1s\"\nheader_timeout")).await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut browser = world.connect().await;
    let request = format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie);
    for _ in 0..3 {
        assert_eq!(browser.ask(&request).await.status, 200);
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let since = Instant::now();
    assert_eq!(browser.ask(&request).await.status, 200, "each request begins its time anew");
    assert!(browser.rest().await.is_empty());
    let took = since.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(4), "{took:?}");
    assert!(world.records().iter().all(|line| !line.contains("edge.malformed")), "that is nobody's fault");
}

#[tokio::test]
async fn req_h23_who_asks_for_what_is_not_here_has_a_budget_too() {
    let world = World::with(|main| main.replace("requests_per_second = 1000", "requests_per_second = 3")).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(world.connect().await.ask("GET / HTTP/1.1\r\nHost: nowhere.example\r\n\r\n").await.status);
    }
    assert!(statuses.contains(&429) && statuses[..3] == [421, 421, 421], "{statuses:?}");
}
