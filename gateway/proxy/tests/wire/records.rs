//! Nothing happens unrecorded (A50; design.md §9).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use identity::By;
use model::LockReason;

use crate::browser::Browser;
use crate::upstream::{Reply, ok, ok_with};
use crate::world::{CHART, Staff, World};

/// What the journal held when the upstream got the request.
fn watch(world: &World, mark: &'static str) -> Arc<Mutex<Vec<bool>>> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let (seen, folder) = (Arc::clone(&found), world.journal_folder());
    world.upstream.answers(move |request| {
        let id = request.header("x-request-id")[0].to_owned();
        let lines = crate::world::journal_lines(&folder);
        seen.lock().unwrap().push(lines.iter().any(|line| line.contains(mark) && line.contains(&id)));
        ok("done")
    });
    found
}

#[tokio::test]
async fn atk_a50_what_can_change_something_is_on_record_before_its_first_byte_goes_upstream() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse", "sysadmin"]).await;
    let found = watch(&world, "\"request.open\"");
    let order = format!("{}Content-Length: 2\r\n\r\nhi", nurse.cookie);
    for line in ["POST /patients/1/orders", "PUT /patients/1/orders"] {
        let request = format!("{line} HTTP/1.1\r\nHost: {CHART}\r\n{order}");
        assert_eq!(world.connect().await.ask(request).await.status, 200);
    }
    // A privileged read, too.
    assert_eq!(world.ask("GET /admin", &nurse.cookie).await.status, 200);
    assert_eq!(*found.lock().unwrap(), [true, true, true]);
    let closed = world.await_records("request.close", 3).await;
    assert!(closed[0].contains("\"outcome\":\"ok\"") && closed[0].contains("\"status\":200"), "{}", closed[0]);
    assert!(closed[0].contains("\"bytes_in\":2") && closed[0].contains("\"bytes_out\":4"), "{}", closed[0]);
}

#[tokio::test]
async fn atk_a50_an_upload_by_a_reads_method_is_on_record_before_its_first_byte_goes_upstream() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let found = watch(&world, "\"request.open\"");
    for body in ["Content-Length: 2\r\n\r\nhi", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"] {
        let request = format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\n{}{body}", nurse.cookie);
        assert_eq!(world.connect().await.ask(request).await.status, 200);
    }
    // An empty body changes nothing: that is a read.
    let empty = format!("{}Content-Length: 0\r\n", nurse.cookie);
    assert_eq!(world.ask("GET /page", &empty).await.status, 200);
    assert_eq!(*found.lock().unwrap(), [true, true, false]);
}

#[tokio::test]
async fn a_read_is_one_record_with_patient_and_status_written_before_the_client_has_a_byte() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    assert_eq!(world.ask("GET /patients/000123?secret=1", &nurse.cookie).await.status, 200);
    let records = world.records_of("request.permit");
    assert_eq!(records.len(), 1);
    for word in [
        "\"staff_no\":\"000101\"",
        "\"app\":\"chart\"",
        "\"action\":\"view\"",
        "\"target\":\"/patients/000123\"",
        "\"patient\":\"000123\"",
        "\"status\":200",
        "\"roles\":[\"nurse\"]",
        "\"generation\":1",
        "nurse permits chart:view",
    ] {
        assert!(records[0].contains(word), "{word}: {}", records[0]);
    }
    assert!(!records[0].contains("secret"));
    assert!(world.records_of("request.open").is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_leaves_a_record_of_it() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| {
        crate::upstream::with_connection(|stream| async move {
            let _kept = stream;
            std::future::pending::<()>().await;
        })
    });
    let mut browser = world.connect().await;
    browser.send(format!("POST /poll HTTP/1.1\r\nHost: {CHART}\r\n{}Content-Length: 0\r\n\r\n", nurse.cookie)).await;
    world.await_records("request.open", 1).await;
    drop(browser);
    let closed = world.await_records("request.close", 1).await;
    assert!(closed[0].contains("\"outcome\":\"aborted\""), "{}", closed[0]);
}

#[tokio::test]
async fn req_h29_when_the_journal_can_not_be_written_requests_are_refused() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 200);
    world.journal.close().unwrap();
    let order = format!("{}Content-Length: 0\r\n", nurse.cookie);
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 503);
    assert_eq!(world.ask("POST /patients/1/orders", &order).await.status, 503);
    assert_eq!(world.ask("GET /admin", &nurse.cookie).await.status, 503);
    assert_eq!(world.upstream.seen().len(), 1, "nothing more reached the upstream");
}

#[tokio::test]
async fn req_h29_an_answer_whose_record_can_not_be_written_is_not_released() {
    // One record when the answer is there; open and close where a body is looked into.
    for path in ["/page", "/bedside"] {
        let world = World::new().await;
        let nurse = world.login("000101", &["nurse"]).await;
        let journal = world.journal.clone();
        world.upstream.answers(move |_| {
            journal.close().unwrap();
            ok_with("Content-Type: application/json\r\n", "{\"patient\":{\"id\":\"000666\"}}")
        });
        let answer = world.ask(&format!("GET {path}"), &nurse.cookie).await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(!answer.text().contains("000666"), "{path}: {}", answer.text());
        assert_eq!(world.upstream.seen().len(), 1, "{path}");
    }
}

#[tokio::test]
async fn the_patient_of_a_query_form_or_json_request_is_on_record_and_the_same_bytes_go_on() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    assert_eq!(world.ask("GET /find?pid=000777", &nurse.cookie).await.status, 200);
    assert!(world.records_of("request.permit")[0].contains("\"patient\":\"000777\""));
    for (path, kind, body, patient) in [
        ("/orders", "application/x-www-form-urlencoded", "a=1&pid=000888&b=%20", "000888"),
        ("/notes", "application/json", "{ \"patient\" : \"000999\" }", "000999"),
        ("/notes", "text/plain", "{ \"patient\" : \"000999\" }", "unknown"),
        ("/notes", "application/json", "{ broken", "unknown"),
    ] {
        let before = world.records_of("request.open").len();
        let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let head = format!("Transfer-Encoding: chunked\r\nContent-Type: {kind}\r\n{}\r\n", nurse.cookie);
        let request = format!("POST {path} HTTP/1.1\r\nHost: {CHART}\r\n{head}{chunked}");
        assert_eq!(world.connect().await.ask(request).await.status, 200);
        let seen = world.upstream.seen();
        assert_eq!(String::from_utf8_lossy(&seen.last().unwrap().body), body);
        let open = &world.records_of("request.open")[before];
        assert!(open.contains(&format!("\"patient\":\"{patient}\"")), "{open}");
    }
}

#[tokio::test]
async fn req_h23_a_held_body_beyond_its_bound_is_413_and_reaches_nobody() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let body = "x".repeat(70_000);
    let head = format!("Content-Type: application/json\r\n{}", nurse.cookie);
    let known = format!("POST /notes HTTP/1.1\r\nHost: {CHART}\r\nContent-Length: 70000\r\n{head}\r\n");
    assert_eq!(world.connect().await.ask(known).await.status, 413);
    let chunked = format!("Transfer-Encoding: chunked\r\n{head}\r\n{:x}\r\n{body}\r\n", body.len());
    let request = format!("POST /notes HTTP/1.1\r\nHost: {CHART}\r\n{chunked}");
    assert_eq!(world.connect().await.ask(request).await.status, 413);
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn the_patient_of_an_answer_is_on_record() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|seen| match seen.line() {
        line if line.contains("/rounds") => ok_with("X-Patient-Id: 000555\r\n", ""),
        _ => ok_with("Content-Type: application/json\r\n", "{\"patient\":{\"id\":\"000666\"}}"),
    });
    assert_eq!(world.ask("GET /rounds", &nurse.cookie).await.status, 200);
    assert!(world.records_of("request.permit")[0].contains("\"patient\":\"000555\""));
    assert_eq!(world.ask("GET /bedside", &nurse.cookie).await.status, 200);
    let closed = world.await_records("request.close", 1).await;
    assert!(closed[0].contains("\"patient\":\"000666\""), "{}", closed[0]);
    world.upstream.answers(|_| ok_with("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "{}"));
    assert_eq!(world.ask("GET /bedside", &nurse.cookie).await.status, 200);
    let closed = world.await_records("request.close", 2).await;
    assert!(closed[1].contains("\"patient\":\"unknown\""), "{}", closed[1]);
}

#[tokio::test]
async fn an_upstream_that_breaks_off_leaves_an_aborted_record() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()));
    let mut browser = world.connect().await;
    browser.send(format!("POST /poll HTTP/1.1\r\nHost: {CHART}\r\n{}Content-Length: 0\r\n\r\n", nurse.cookie)).await;
    assert_eq!(browser.head().await.unwrap().status, 200);
    assert_eq!(browser.rest().await, b"half");
    let closed = world.await_records("request.close", 1).await;
    assert!(closed[0].contains("\"outcome\":\"aborted\""), "{}", closed[0]);
}

/// A form of which all but the last byte is on its way, and which the gateway has begun to hold.
async fn trickle(world: &World, nurse: &Staff) -> Browser {
    let mut browser = world.connect().await;
    let head = format!("POST /orders HTTP/1.1\r\nHost: {CHART}\r\n{}", nurse.cookie);
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    browser.send(format!("{head}{form}")).await;
    assert_eq!(browser.exactly(25).await, b"HTTP/1.1 100 Continue\r\n\r\n");
    browser.send("pid=00088").await;
    browser
}

#[tokio::test]
async fn atk_a52_a_body_that_trickles_in_beyond_a_lock_reaches_nobody() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut browser = trickle(&world, &nurse).await;
    assert!(world.sessions.lock(nurse.live.id(), LockReason::User, By::Gateway).await.unwrap());
    browser.send("8").await;
    assert_eq!(browser.answer().await.unwrap().status, 423);

    // By the clock alone, and with nothing more sent.
    let other = world.login("000102", &["nurse"]).await;
    let mut browser = trickle(&world, &other).await;
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(browser.answer().await.unwrap().status, 423);
    assert!(world.upstream.seen().is_empty());
    assert!(world.records_of("request.open").is_empty());
    let denied = world.await_records("request.deny", 2).await;
    assert!(denied.iter().all(|record| record.contains("\"locked\"")), "{denied:?}");
}

#[tokio::test]
async fn atk_a52_what_was_permitted_before_a_held_body_is_asked_again_after_it() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut browser = trickle(&world, &nurse).await;
    world.end_grants(nurse.account).await;
    // Role changes are heard on the feed: another request of hers says when.
    for _ in 0..500 {
        if world.ask("GET /page", &nurse.cookie).await.status == 403 {
            break;
        }
    }
    let seen = world.upstream.seen().len();
    browser.send("8").await;
    assert_eq!(browser.answer().await.unwrap().status, 403);
    assert_eq!(world.upstream.seen().len(), seen);
    assert!(world.records_of("request.open").is_empty());
}

#[tokio::test]
async fn req_h23_a_held_body_has_thirty_seconds_in_all() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut browser = trickle(&world, &nurse).await;
    world.clock.advance(Duration::from_secs(29));
    browser.send("8").await;
    assert_eq!(browser.answer().await.unwrap().status, 200);
    let mut browser = trickle(&world, &nurse).await;
    world.clock.advance(Duration::from_secs(30));
    let answer = browser.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (408, vec!["close"]));
    assert_eq!(world.upstream.seen().len(), 1);
    assert!(world.await_records("request.deny", 1).await[0].contains("\"slow-body\""));
}

#[tokio::test]
async fn atk_a52_a_patient_that_two_servers_read_differently_is_unknown() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let json = "Content-Type: application/json\r\n";
    for (target, kind, body) in [
        ("/orders?pid=2", form, "pid=1"),
        ("/orders", form, "pid=1&pid[]=2"),
        ("/orders", &*format!("{form}{json}"), "pid=1"),
        ("/notes", json, "{\"patient\":\"1\",\"patient\":\"2\"}"),
        ("/notes", "Content-Type: application/json; charset=shift_jis\r\n", "{\"patient\":\"1\"}"),
    ] {
        let before = world.records_of("request.open").len();
        let head = format!("{kind}{}Content-Length: {}\r\n", nurse.cookie, body.len());
        let request = format!("POST {target} HTTP/1.1\r\nHost: {CHART}\r\n{head}\r\n{body}");
        assert_eq!(world.connect().await.ask(request).await.status, 200);
        let open = &world.records_of("request.open")[before];
        assert!(open.contains("\"patient\":\"unknown\""), "{target} {body}: {open}");
    }
}

#[tokio::test]
async fn a_held_body_is_recorded_with_its_bytes() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let form = format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n{}", nurse.cookie);
    let mut browser = world.connect().await;
    browser.send(format!("POST /orders HTTP/1.1\r\nHost: {CHART}\r\n{form}\r\npid=77")).await;
    assert_eq!(browser.answer().await.unwrap().status, 200);
    assert!(world.await_records("request.close", 1).await[0].contains("\"bytes_in\":6"));
}

#[tokio::test]
async fn atk_a52_what_a_rule_looks_into_comes_whole_and_plain() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| ok_with("Content-Type: application/json\r\n", "{\"patient\":{\"id\":\"77\"}}"));
    let blinding = format!("Range: bytes=1-\r\nIf-Range: \"x\"\r\nAccept-Encoding: gzip, br\r\n{}", nurse.cookie);
    assert_eq!(world.ask("GET /bedside", &blinding).await.status, 200);
    let seen = world.upstream.only();
    assert!(seen.header("range").is_empty() && seen.header("if-range").is_empty());
    assert_eq!(seen.header("accept-encoding"), ["identity"]);
    assert!(world.await_records("request.close", 1).await[0].contains("\"patient\":\"77\""));
    assert_eq!(world.ask("GET /page", &blinding).await.status, 200);
    assert_eq!(world.upstream.seen()[1].header("accept-encoding"), ["gzip, br"], "other rules change nothing");
}
