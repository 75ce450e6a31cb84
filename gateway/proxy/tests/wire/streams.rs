//! Streams end with the right to them; finite answers only with the session (A21, H-27). A page without a
//! length is finite for ten seconds.

use std::time::{Duration, Instant};

use identity::By;
use model::{EndReason, LockReason};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::browser::Browser;
use crate::upstream::{Reply, with_connection};
use crate::world::{CHART, Staff, World};

/// An answer with this head, whose body is what the test sends, piece by piece.
fn fed(head: &'static str) -> (mpsc::UnboundedSender<Vec<u8>>, impl FnMut(&crate::upstream::Seen) -> Reply + Send) {
    let (feed, pieces) = mpsc::unbounded_channel::<Vec<u8>>();
    let mut pieces = Some(pieces);
    let answer = move |_: &crate::upstream::Seen| {
        let mut pieces = pieces.take().expect("one request");
        with_connection(move |mut stream| async move {
            stream.write_all(head.as_bytes()).await.unwrap();
            while let Some(piece) = pieces.recv().await {
                if stream.write_all(&piece).await.is_err() {
                    return;
                }
            }
        })
    };
    (feed, answer)
}

async fn open(world: &World, nurse: &Staff, path: &str) -> Browser {
    let mut browser = world.connect().await;
    browser.send(format!("GET {path} HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie)).await;
    assert_eq!(browser.head().await.unwrap().status, 200);
    browser
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
const FINITE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 8\r\n\r\n";

const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn closed_within_a_second(browser: &mut Browser, since: Instant) {
    browser.rest().await;
    assert!(since.elapsed() < Duration::from_millis(1_100), "{:?}", since.elapsed());
}

#[tokio::test]
async fn atk_a21_an_event_stream_is_closed_within_a_second_of_the_lock() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (feed, answer) = fed(EVENTS);
    world.upstream.answers(answer);
    let mut browser = open(&world, &nurse, "/events").await;
    feed.send(b"data: 1\n\n".to_vec()).unwrap();
    assert_eq!(browser.exactly(14).await, b"9\r\ndata: 1\n\n\r\n");
    let since = Instant::now();
    world.sessions.lock(nurse.live.id(), LockReason::User, By::Gateway).await.unwrap();
    closed_within_a_second(&mut browser, since).await;
    let closed = world.await_records("request.close", 1).await;
    assert!(closed[0].contains("\"outcome\":\"aborted\"") && closed[0].contains("\"bytes_out\":9"), "{}", closed[0]);
}

#[tokio::test]
async fn a_stream_ends_when_the_session_idles_out_by_the_clock_alone() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (_feed, answer) = fed(EVENTS);
    world.upstream.answers(answer);
    let mut browser = open(&world, &nurse, "/events").await;
    world.clock.advance(Duration::from_secs(301));
    closed_within_a_second(&mut browser, Instant::now()).await;
}

#[tokio::test]
async fn atk_a21_a_stream_ends_with_the_deadline_of_its_session_though_nobody_sweeps() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (_feed, answer) = fed(EVENTS);
    world.upstream.answers(answer);
    let mut browser = open(&world, &nurse, "/events").await;
    world.sweeper.abort();
    world.clock.advance(Duration::from_secs(301));
    closed_within_a_second(&mut browser, Instant::now()).await;
}

#[tokio::test]
async fn req_h27_a_stream_ends_when_the_role_or_the_rule_is_gone() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (_feed, answer) = fed(EVENTS);
    world.upstream.answers(answer);
    let mut browser = open(&world, &nurse, "/events").await;
    let since = Instant::now();
    world.end_grants(nurse.account).await;
    closed_within_a_second(&mut browser, since).await;

    let other = world.login("000102", &["nurse"]).await;
    let (_feed, answer) = fed(EVENTS);
    world.upstream.answers(answer);
    let mut browser = open(&world, &other, "/events").await;
    let since = Instant::now();
    world.reload(|rules| rules.replace("\"bedside\", \"live\"]", "\"bedside\"]"));
    closed_within_a_second(&mut browser, since).await;
}

#[tokio::test]
async fn a_reload_that_still_permits_it_leaves_a_stream_alone() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (feed, answer) = fed(EVENTS);
    world.upstream.answers(answer);
    let mut browser = open(&world, &nurse, "/events").await;
    world.reload(|rules| rules);
    tokio::time::sleep(Duration::from_millis(600)).await;
    feed.send(b"data: 2\n\n".to_vec()).unwrap();
    assert_eq!(browser.exactly(14).await, b"9\r\ndata: 2\n\n\r\n");
}

#[tokio::test]
async fn a_finite_answer_goes_on_after_a_lock_and_is_cut_at_the_end() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (feed, answer) = fed(FINITE);
    world.upstream.answers(answer);
    let mut browser = open(&world, &nurse, "/page").await;
    feed.send(b"half".to_vec()).unwrap();
    assert_eq!(browser.exactly(4).await, b"half");
    world.sessions.lock(nurse.live.id(), LockReason::User, By::Gateway).await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    feed.send(b"rest".to_vec()).unwrap();
    assert_eq!(browser.exactly(4).await, b"rest");

    let other = world.login("000102", &["nurse"]).await;
    let (feed, answer) = fed(FINITE);
    world.upstream.answers(answer);
    let mut browser = open(&world, &other, "/page").await;
    feed.send(b"half".to_vec()).unwrap();
    assert_eq!(browser.exactly(4).await, b"half");
    let since = Instant::now();
    world.sessions.end(other.live.id(), EndReason::Killed, By::Gateway).await.unwrap();
    closed_within_a_second(&mut browser, since).await;
}

#[tokio::test]
async fn a_page_without_a_length_comes_to_its_end_after_a_lock() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (feed, answer) = fed(PAGE);
    world.upstream.answers(answer);
    let mut browser = open(&world, &nurse, "/page").await;
    feed.send(b"4\r\nhalf\r\n".to_vec()).unwrap();
    assert_eq!(browser.exactly(9).await, b"4\r\nhalf\r\n");
    world.sessions.lock(nurse.live.id(), LockReason::User, By::Gateway).await.unwrap();
    world.clock.advance(Duration::from_secs(9));
    // Longer than a lease takes to be asked again.
    tokio::time::sleep(Duration::from_millis(700)).await;
    feed.send(b"4\r\nrest\r\n0\r\n\r\n".to_vec()).unwrap();
    assert_eq!(browser.exactly(14).await, b"4\r\nrest\r\n0\r\n\r\n");
    let closed = world.await_records("request.close", 1).await;
    assert!(closed[0].contains("\"outcome\":\"ok\"") && closed[0].contains("\"bytes_out\":8"), "{}", closed[0]);
}

#[tokio::test]
async fn atk_a21_a_page_that_goes_on_for_ten_seconds_is_a_stream() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (_feed, answer) = fed(PAGE);
    world.upstream.answers(answer);
    let mut browser = open(&world, &nurse, "/page").await;
    world.sessions.lock(nurse.live.id(), LockReason::User, By::Gateway).await.unwrap();
    world.clock.advance(Duration::from_secs(10));
    closed_within_a_second(&mut browser, Instant::now()).await;

    let other = world.login("000102", &["nurse"]).await;
    let (feed, answer) = fed(PAGE);
    world.upstream.answers(answer);
    let mut browser = open(&world, &other, "/page").await;
    world.clock.advance(Duration::from_secs(10));
    feed.send(b"4\r\nhalf\r\n".to_vec()).unwrap();
    assert_eq!(browser.exactly(9).await, b"4\r\nhalf\r\n");
    let since = Instant::now();
    world.sessions.lock(other.live.id(), LockReason::User, By::Gateway).await.unwrap();
    closed_within_a_second(&mut browser, since).await;
}

#[tokio::test]
async fn an_upload_under_way_is_cut_at_the_end_of_its_session() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut browser = world.connect().await;
    let head =
        format!("PUT /patients/1/orders HTTP/1.1\r\nHost: {CHART}\r\nContent-Length: 100\r\n{}\r\nhalf", nurse.cookie);
    browser.send(head).await;
    world.await_records("request.open", 1).await;
    let since = Instant::now();
    world.sessions.end(nurse.live.id(), EndReason::Killed, By::Gateway).await.unwrap();
    let answer = browser.answer().await;
    assert!(since.elapsed() < Duration::from_millis(1_100), "{:?}", since.elapsed());
    assert!(answer.is_none_or(|answer| matches!(answer.status, 401 | 502)));
    assert!(world.upstream.seen().is_empty(), "the upstream never had the whole request");
}

#[tokio::test]
async fn req_h27_a_body_that_is_held_when_its_session_ends_reaches_nobody() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut browser = world.connect().await;
    let head = format!("Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n{}\r\n", nurse.cookie);
    browser.send(format!("POST /notes HTTP/1.1\r\nHost: {CHART}\r\n{head}b\r\n{{\"patient\":\r\n")).await;
    // Admitted with a living session, and held for its patient.
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.sessions.end(nurse.live.id(), EndReason::Killed, By::Gateway).await.unwrap();
    browser.send("9\r\n\"000999\"}\r\n0\r\n\r\n").await;
    assert_eq!(browser.answer().await.unwrap().status, 401);
    assert!(world.upstream.seen().is_empty());
    assert!(world.records_of("request.open").is_empty(), "it was never let through");
}

#[tokio::test]
async fn a_stopping_gateway_ends_streams_and_lets_requests_finish() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (_kept, events) = fed(EVENTS);
    world.upstream.answers(events);
    let mut stream = open(&world, &nurse, "/events").await;
    let (feed, finite) = fed(FINITE);
    world.upstream.answers(finite);
    let mut browser = open(&world, &nurse, "/page").await;
    world.stop();
    stream.rest().await;
    feed.send(b"finished".to_vec()).unwrap();
    assert_eq!(browser.exactly(8).await, b"finished");
    drop(browser);
    tokio::time::timeout(Duration::from_secs(5), world.serving).await.expect("a drain in time").unwrap();
}
