//! What of an upstream's answer reaches the client (H-20 … H-22, H-33, H-35, H-36).

use crate::upstream::{Reply, ok, ok_with, with_connection};
use crate::world::{CHART, World};
use tokio::io::AsyncWriteExt as _;

fn bytes(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

#[tokio::test]
async fn req_h20_an_answer_with_two_lengths_is_502_and_its_connection_is_dropped() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|seen| match seen.connection {
        1 => bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        _ => ok("clean"),
    });
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 502);
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "clean");
    assert_eq!(world.upstream.seen()[1].connection, 2);
}

#[tokio::test]
async fn req_h20_head_204_and_304_have_no_body() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|seen| match seen.line() {
        line if line.starts_with("HEAD /patients/1 ") => bytes("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
        line if line.starts_with("HEAD") => bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        line if line.contains("/patients/204") => bytes("HTTP/1.1 204 No Content\r\n\r\n"),
        _ => bytes("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
    });
    let mut browser = world.connect().await;
    let request = |line: &str| format!("{line} HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie);
    let answer = browser.ask(request("HEAD /patients/1")).await;
    assert_eq!((answer.status, answer.header("content-length")), (200, vec!["1234"]));
    let answer = browser.ask(request("HEAD /patients/2")).await;
    assert!(answer.header("content-length").is_empty(), "{}", answer.head);
    assert_eq!(browser.ask(request("GET /patients/204")).await.status, 204);
    assert_eq!(browser.ask(request("GET /patients/304")).await.status, 304);
    assert_eq!(browser.ask(request("HEAD /patients/1")).await.status, 200);
}

#[tokio::test]
async fn req_h20_interim_answers_do_not_end_the_exchange() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| {
        bytes("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let answer = world.ask("GET /page", &nurse.cookie).await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
}

#[tokio::test]
async fn req_h20_extra_bytes_after_an_answer_never_meet_the_next_request() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|seen| match seen.connection {
        1 => bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
        _ => ok("clean"),
    });
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "ok");
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "clean");
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_502() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world
        .upstream
        .answers(|_| bytes("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"));
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 502);
}

#[tokio::test]
async fn req_h22_a_read_without_an_answer_is_asked_again_once_and_a_write_never() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|seen| if seen.connection == 1 { Reply::Last(vec![]) } else { ok("second") });
    assert_eq!(world.ask("GET /patients/1", &nurse.cookie).await.text(), "second");
    assert_eq!(world.upstream.seen().len(), 2);
    world.upstream.answers(|_| Reply::Last(vec![]));
    assert_eq!(world.ask("GET /patients/1", &nurse.cookie).await.status, 502);
    let reads = world.upstream.seen().len();
    assert!((4..=5).contains(&reads), "{reads}");
    let order = format!("{}Content-Length: 0\r\n", nurse.cookie);
    assert_eq!(world.ask("POST /patients/1/orders", &order).await.status, 502);
    assert_eq!(world.upstream.seen().len(), reads + 1);
}

#[tokio::test]
async fn req_h23_an_upstream_that_does_not_answer_is_504_and_one_that_is_not_there_502() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| {
        with_connection(|stream| async move {
            let _kept = stream;
            std::future::pending::<()>().await;
        })
    });
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 504);
    let gone = world.upstream.address;
    world.reload(|rules| rules.replace(&gone.to_string(), "127.0.0.1:1").replace("UPSTREAM", "127.0.0.1:1"));
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 502);
    let records = world.await_records("request.permit", 2).await;
    assert!(records.iter().all(|r| r.contains("\"outcome\":\"failed\"")), "{records:?}");
}

#[tokio::test]
async fn req_h35_an_authenticated_answer_is_not_stored_unless_the_app_says_static() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| ok_with("Cache-Control: public, max-age=600\r\nExpires: x\r\nETag: \"1\"\r\n", ""));
    let answer = world.ask("GET /page", &nurse.cookie).await;
    assert_eq!(answer.header("cache-control"), ["no-store"]);
    assert!(answer.header("expires").is_empty());
    let answer = world.ask("GET /static/app.css", &nurse.cookie).await;
    assert_eq!(answer.header("cache-control"), ["public, max-age=600"]);
}

#[tokio::test]
async fn req_h36_what_would_outlive_the_session_is_removed() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| {
        ok_with(
            "Alt-Svc: h3=\":443\"\r\nClear-Site-Data: \"*\"\r\nStrict-Transport-Security: max-age=1\r\nNEL: {}\r\n\
         Service-Worker-Allowed: /\r\nWWW-Authenticate: NTLM\r\n",
            "",
        )
    });
    let answer = world.ask("GET /page", &nurse.cookie).await;
    for name in ["alt-svc", "clear-site-data", "nel", "service-worker-allowed", "www-authenticate"] {
        assert!(answer.header(name).is_empty(), "{name}");
    }
    assert_eq!(answer.header("strict-transport-security"), ["max-age=31536000"], "ours, not the upstream's");
}

#[tokio::test]
async fn req_h23_an_upload_that_is_through_and_not_answered_is_504() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| {
        with_connection(|stream| async move {
            let _kept = stream;
            std::future::pending::<()>().await;
        })
    });
    let order =
        format!("POST /patients/1/orders HTTP/1.1\r\nHost: {CHART}\r\nContent-Length: 2\r\n{}\r\nhi", nurse.cookie);
    assert_eq!(world.connect().await.ask(order).await.status, 504);
    let closed = world.await_records("request.close", 1).await;
    assert!(closed[0].contains("\"outcome\":\"failed\"") && closed[0].contains("\"status\":504"), "{}", closed[0]);
}

#[tokio::test]
async fn a_redirect_to_the_upstreams_own_name_becomes_one_to_the_app() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let own = world.upstream.address;
    world.upstream.answers(move |_| {
        bytes(&format!("HTTP/1.1 302 Found\r\nLocation: http://{own}/next?x=1\r\nContent-Length: 0\r\n\r\n"))
    });
    let answer = world.ask("GET /page", &nurse.cookie).await;
    assert_eq!(answer.header("location"), [format!("https://{CHART}/next?x=1")]);
}

#[tokio::test]
async fn req_h33_a_large_body_streams_both_ways_and_waits_for_a_slow_reader() {
    const SIZE: usize = 24 * 1_024 * 1_024;
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (told, written) = tokio::sync::watch::channel(0_usize);
    world.upstream.answers(move |_| {
        let told = told.clone();
        with_connection(move |mut stream| async move {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let chunk = vec![7; 64 * 1_024];
            for sent in 1..=SIZE / chunk.len() {
                stream.write_all(&chunk).await.unwrap();
                told.send_replace(sent * chunk.len());
            }
        })
    });
    let mut browser = world.connect().await;
    browser.send(format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie)).await;
    assert_eq!(browser.head().await.unwrap().status, 200);
    // Nobody reads: what the upstream got rid of stays far below the whole.
    let mut settled = written.clone();
    while tokio::time::timeout(std::time::Duration::from_millis(300), settled.changed()).await.is_ok() {}
    assert!(*written.borrow() < SIZE / 2, "{} of {SIZE}", *written.borrow());
    let mut read = 0;
    while read < SIZE {
        let piece = (SIZE - read).min(1 << 20);
        assert!(browser.exactly(piece).await.iter().all(|b| *b == 7));
        read += piece;
    }
}
