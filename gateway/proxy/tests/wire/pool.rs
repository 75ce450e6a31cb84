//! Connections to upstreams: what is used again, what never is, and who is asked when one is gone (H-21, H-22).

use std::net::SocketAddr;
use std::time::Duration;

use identity::By;
use model::{EndReason, LockReason};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;

use crate::upstream::{Reply, Upstream, ok, with_connection};
use crate::world::{CHART, World};

/// An address at which nobody listens.
async fn nobody() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Puts the chart's upstream in the hands of these members, with more options of `[[upstream]]`.
fn members(world: &World, members: &[SocketAddr], more: &str) {
    let members: Vec<String> = members.iter().map(|member| format!("\"http://{member}\"")).collect();
    let table = format!("\n[[upstream]]\nname = \"ward\"\nmembers = [{}]\n{more}", members.join(", "));
    world.reload(|rules| rules.replacen("\"http://UPSTREAM\"", "\"ward\"", 1) + table.as_str());
}

#[tokio::test]
async fn req_h21_a_connection_is_used_again_only_after_the_last_byte_of_its_answer() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (cut, closed) = oneshot::channel();
    let mut cut = Some(cut);
    world.upstream.answers(move |seen| match (seen.connection, cut.take()) {
        (1, Some(cut)) => with_connection(|mut stream| async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
            let mut rest = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
            cut.send(rest).unwrap();
        }),
        (connection, _) => ok(&connection.to_string()),
    });
    let mut browser = world.connect().await;
    browser.send(format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie)).await;
    assert_eq!(browser.head().await.unwrap().status, 200);
    browser.exactly(4).await;
    drop(browser);
    assert!(closed.await.unwrap().is_empty(), "the connection with the half answer is closed, and nothing more came");
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "2");
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "2", "a whole answer leaves it open");
}

#[tokio::test]
async fn req_h21_an_idle_connection_is_not_used_after_its_time() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|seen| ok(&seen.connection.to_string()));
    world.reload(|rules| rules.replacen("identity_headers", "keep_alive = \"0s\"\nidentity_headers", 1));
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "1");
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "2", "with no time at all it is never kept");
    world.reload(|rules| rules.replacen("identity_headers", "keep_alive = \"200ms\"\nidentity_headers", 1));
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "3");
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "3");
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "4");
}

#[tokio::test]
async fn req_h22_what_was_never_written_goes_to_another_connection_whatever_it_is() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let order = format!("{}Content-Length: 2\r\n", nurse.cookie);
    world.upstream.answers(|_| Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()));
    for _ in 0..3 {
        // The upstream has closed the connection by the time of the next order; the order is done once.
        let mut browser = world.connect().await;
        let text = format!("POST /patients/1/orders HTTP/1.1\r\nHost: {CHART}\r\n{order}\r\nhi");
        assert_eq!(browser.ask(text).await.status, 200);
    }
    assert_eq!(world.upstream.seen().len(), 3);
}

#[tokio::test]
async fn a_member_that_cannot_be_connected_to_is_passed_over_for_reads_and_writes() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    members(&world, &[nobody().await, world.upstream.address], "");
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 200);
    let order = format!("{}Content-Length: 0\r\n", nurse.cookie);
    assert_eq!(world.ask("POST /patients/1/orders", &order).await.status, 200);
    assert_eq!(world.upstream.seen().len(), 2);
    members(&world, &[nobody().await, nobody().await], "");
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 502);
}

#[tokio::test]
async fn requests_go_to_the_first_member_that_is_well_and_come_back_when_it_is_again() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let second = Upstream::start().await;
    let well = |text: &'static str| move |_: &crate::upstream::Seen| ok(text);
    second.answers(well("second"));
    world.upstream.answers(well("first"));
    let health = "[upstream.health]\npath = \"/health\"\nevery = \"100ms\"\ndown_after = 2\nup_after = 2\n";
    members(&world, &[world.upstream.address, second.address], health);
    let until = async |wanted: &str| {
        for _ in 0..500 {
            if world.ask("GET /page", &nurse.cookie).await.text() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {wanted}");
    };
    until("first").await;
    // It still takes connections, and answers its users, but says that it isn't well.
    world.upstream.answers(|seen| match seen.line().starts_with("GET /health ") {
        true => Reply::Bytes(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec()),
        false => ok("ill"),
    });
    until("second").await;
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "second");
    world.upstream.answers(well("first"));
    until("first").await;
    let asked = second.seen();
    let health = asked.iter().find(|seen| seen.line() == "GET /health HTTP/1.1").expect("it was watched");
    assert_eq!(health.header("host"), [second.address.to_string()]);
    assert!(health.header("sekimori-assertion").is_empty() && health.header("cookie").is_empty());
}

#[tokio::test]
async fn an_upstream_has_so_many_requests_at_once_and_no_more() {
    let world = World::with(|main| main.replace("\"700ms\"", "\"5s\"\nconnect_timeout = \"200ms\"")).await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (release, held) = tokio::sync::watch::channel(false);
    world.upstream.answers(move |_| {
        let mut held = held.clone();
        with_connection(|mut stream| async move {
            held.wait_for(|released| *released).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            std::future::pending::<()>().await;
        })
    });
    members(&world, &[world.upstream.address], "requests_at_once = 1\n");
    let mut first = world.connect().await;
    first.send(format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie)).await;
    while world.upstream.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 503);
    assert_eq!(world.upstream.seen().len(), 1);
    release.send_replace(true);
    assert_eq!(first.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn atk_a18_a_request_that_waits_for_its_place_does_not_begin_after_the_lock_or_the_end() {
    let world = World::with(|main| main.replace("\"700ms\"", "\"20s\"\nconnect_timeout = \"20s\"")).await;
    let (first, nurse) = (world.login("000101", &["nurse"]).await, world.login("000102", &["nurse"]).await);
    let other = world.login("000103", &["nurse"]).await;
    let (release, held) = tokio::sync::watch::channel(false);
    world.upstream.answers(move |_| {
        let mut held = held.clone();
        with_connection(|mut stream| async move {
            held.wait_for(|released| *released).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        })
    });
    members(&world, &[world.upstream.address], "requests_at_once = 1\n");
    let mut holder = world.connect().await;
    holder.send(format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", first.cookie)).await;
    while world.upstream.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let order = |cookie: &str| {
        format!("POST /patients/1/orders HTTP/1.1\r\nHost: {CHART}\r\nContent-Length: 0\r\n{cookie}\r\n")
    };
    let (mut locked, mut ended) = (world.connect().await, world.connect().await);
    locked.send(order(&nurse.cookie)).await;
    ended.send(order(&other.cookie)).await;
    // Both are permitted by now: the next request of the same address comes to its own end behind them.
    assert_eq!(world.ask("GET /admin/users", &nurse.cookie).await.status, 403);
    assert_eq!(world.ask("GET /admin/users", &other.cookie).await.status, 403);
    world.await_records("request.deny", 2).await;
    assert!(world.sessions.lock(nurse.live.id(), LockReason::User, By::Gateway).await.unwrap());
    assert!(world.sessions.end(other.live.id(), EndReason::Logout, By::Gateway).await.unwrap());
    release.send_replace(true);
    assert_eq!(holder.answer().await.unwrap().status, 200);
    assert_eq!(locked.answer().await.unwrap().status, 423);
    assert_eq!(ended.answer().await.unwrap().status, 401);
    assert_eq!(world.upstream.seen().len(), 1, "neither came to the upstream");
    assert_eq!(world.await_records("request.deny", 4).await.len(), 4);
}
