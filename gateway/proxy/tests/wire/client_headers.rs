//! What of a client's header reaches the upstream (H-01, H-02, H-10, H-13 … H-16, H-18, H-24; A8, A10).

use crate::upstream::ok_with;
use crate::world::{CHART, World};

#[tokio::test]
async fn a_request_passes_byte_for_byte() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let answer = world.ask("GET /patients/000123?tab=%E5%B1%B1&x=//..", &nurse.cookie).await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    let seen = world.upstream.only();
    assert_eq!(seen.line(), "GET /patients/000123?tab=%E5%B1%B1&x=//.. HTTP/1.1");
    assert_eq!(seen.header("host"), [CHART]);
    assert_eq!(answer.header("x-request-id"), seen.header("x-request-id"));
}

#[tokio::test]
async fn req_h01_hop_by_hop_fields_and_what_connection_names_stay_behind_both_ways() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| ok_with("Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nX-Kept: 1\r\n", ""));
    let headers = "Connection: keep-alive, X-Foo\r\nX-Foo: 1\r\nKeep-Alive: 1\r\nTE: trailers\r\nUpgrade: h2c\r\n\
                   HTTP2-Settings: AAMAAABk\r\nProxy-Connection: x\r\nX-Kept: 1\r\n";
    let answer = world.ask("GET /patients/1", &format!("{headers}{}", nurse.cookie)).await;
    let seen = world.upstream.only();
    for name in ["connection", "x-foo", "keep-alive", "te", "upgrade", "http2-settings", "proxy-connection"] {
        assert!(seen.header(name).is_empty(), "{name}: {}", seen.head);
    }
    assert_eq!(seen.header("x-kept"), ["1"]);
    assert!(answer.header("x-hop").is_empty() && answer.header("keep-alive").is_empty(), "{}", answer.head);
    assert_eq!(answer.header("x-kept"), ["1"]);
}

#[tokio::test]
async fn req_h02_nobody_names_our_headers_away() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let headers = "Connection: Sekimori-Assertion, Remote-User, X-Request-Id, Host, Via\r\n";
    let answer = world.ask("GET /patients/1", &format!("{headers}{}", nurse.cookie)).await;
    assert_eq!(answer.status, 200);
    let seen = world.upstream.only();
    for name in ["sekimori-assertion", "remote-user", "x-request-id", "host", "via"] {
        assert_eq!(seen.header(name).len(), 1, "{name}: {}", seen.head);
    }
}

#[tokio::test]
async fn atk_a10_no_spelling_of_an_identity_header_gets_through() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let forged = [
        "Sekimori-Assertion",
        "sekimori_assertion",
        "SEKIMORI-ASSERTION",
        "Remote-User",
        "REMOTE_USER",
        "remote-user",
        "Remote-Groups",
        "Remote_Groups",
        "Remote-Name",
        "X-Remote-User",
        "X_Forwarded_User",
        "X-Forwarded-User",
        "X-Forwarded-Groups",
        "X-Gateway-User",
        "x_gateway_user",
        "Client-Cert",
        "X-SSL-Client-Verify",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-Forwarded-For",
        "Forwarded",
        "X-Request-Id",
        "X-Auth-Request-User",
    ];
    let headers: String = forged.iter().map(|name| format!("{name}: evil\r\n{name}: evil2\r\n")).collect();
    let answer = world.ask("GET /patients/1", &format!("{headers}{}", nurse.cookie)).await;
    assert_eq!(answer.status, 200);
    let seen = world.upstream.only();
    assert!(!seen.head.contains("evil"), "{}", seen.head);
    assert_eq!(seen.header("remote-user"), ["000101"]);
    assert_eq!(seen.header("remote-name"), ["%E5%B1%B1%E7%94%B0%20%E8%8A%B1%E5%AD%90"]);
    assert_eq!(seen.header("remote-groups"), ["nurse"]);
    assert_eq!(seen.header("sekimori-assertion")[0].split('.').count(), 3);
}

#[tokio::test]
async fn req_h13_where_the_client_is_comes_from_the_socket() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let headers = "X-Forwarded-For: 10.9.9.9\r\nForwarded: for=10.9.9.9\r\nX-Forwarded-Proto: http\r\n";
    world.ask("GET /patients/1", &format!("{headers}{}", nurse.cookie)).await;
    let seen = world.upstream.only();
    assert_eq!(seen.header("forwarded"), ["for=127.0.0.1;proto=https"]);
    assert_eq!(seen.header("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.header("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.header("x-forwarded-host"), [CHART]);
}

#[tokio::test]
async fn req_h10_trailers_are_dropped() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let body = "5\r\nhello\r\n0\r\nX-Forwarded-User: evil\r\nRemote-User: evil\r\n\r\n";
    let headers = format!("Transfer-Encoding: chunked\r\nTrailer: Remote-User\r\n{}", nurse.cookie);
    let request = format!("POST /patients/1/orders HTTP/1.1\r\nHost: {CHART}\r\n{headers}\r\n{body}");
    assert_eq!(world.connect().await.ask(request).await.status, 200);
    let seen = world.upstream.only();
    let all = format!("{}{}", seen.head, String::from_utf8_lossy(&seen.body));
    assert!(!all.contains("evil") && all.ends_with("5\r\nhello\r\n0\r\n\r\n"), "{all}");
}

#[tokio::test]
async fn req_h18_a_request_that_came_through_us_before_is_a_loop() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let answer = world.ask("GET /patients/1", &format!("Via: 1.1 other, 1.1 sekimori-n1\r\n{}", nurse.cookie)).await;
    assert_eq!(answer.status, 508);
    assert!(world.upstream.seen().is_empty());
    let answer = world.ask("GET /patients/1", &format!("Via: 1.1 other\r\n{}", nurse.cookie)).await;
    assert_eq!(world.upstream.only().header("via"), ["1.1 other", "1.1 sekimori-n1"]);
    assert_eq!(answer.header("via"), ["1.1 sekimori-n1"]);
}

#[tokio::test]
async fn a_service_worker_script_is_refused() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let answer = world.ask("GET /page", &format!("Service-Worker: script\r\n{}", nurse.cookie)).await;
    assert_eq!(answer.status, 403);
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn req_h14_the_assertion_that_goes_upstream_is_the_one_of_now() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    for _ in 0..2 {
        assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 200);
    }
    world.clock.advance(std::time::Duration::from_secs(40));
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 200);
    let seen = world.upstream.seen();
    let told: Vec<_> = seen.iter().map(|seen| seen.header("sekimori-assertion")).collect();
    assert!(told.iter().all(|values| values.len() == 1) && told[0] == told[1], "kept while it is good");
    assert_ne!(told[1], told[2], "and not longer");
}
