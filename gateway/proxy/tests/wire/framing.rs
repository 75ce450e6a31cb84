//! What is ambiguous goes no further (H-03 … H-09, H-17, H-19; A1 … A7, A13, A14).

use crate::upstream::ok;
use crate::world::{CHART, PACS, PORTAL, World};

#[tokio::test]
async fn atk_a13_transfer_encoding_beside_content_length_is_one_request_and_the_last() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let smuggled = format!("GET /admin HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie);
    for order in
        ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"]
    {
        let before = world.upstream.seen().len();
        let mut browser = world.connect().await;
        let head = format!("POST /patients/1/orders HTTP/1.1\r\nHost: {CHART}\r\n{order}{}\r\n", nurse.cookie);
        let answer = browser.ask(format!("{head}0\r\n\r\n{smuggled}")).await;
        assert_eq!(answer.status, 200);
        assert!(browser.answer().await.is_none(), "the connection is closed");
        let seen = world.upstream.seen();
        assert_eq!(seen.len(), before + 1);
        assert!(seen[before].header("content-length").is_empty());
    }
}

#[tokio::test]
async fn req_h04_to_h07_what_hyper_refuses_is_closed_and_recorded() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let cookie = &nurse.cookie;
    let raw = [
        format!("POST /notes HTTP/1.1\r\nHost: {CHART}\r\nContent-Length: 1\r\nContent-Length: 2\r\n{cookie}\r\nab"),
        format!("POST /notes HTTP/1.1\r\nHost: {CHART}\r\nContent-Length: +1\r\n{cookie}\r\na"),
        format!("POST /notes HTTP/1.1\r\nHost: {CHART}\r\nContent-Length: 1, 1\r\n{cookie}\r\na"),
        format!("POST /notes HTTP/1.1\r\nHost: {CHART}\r\nTransfer-Encoding: chunked, gzip\r\n{cookie}\r\n0\r\n\r\n"),
        format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\nX : 1\r\n{cookie}\r\n"),
        format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\nX: 1\r\n folded\r\n{cookie}\r\n"),
        format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\nX: a\0b\r\n{cookie}\r\n"),
        format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\nX: a\rb\r\n{cookie}\r\n"),
    ];
    for request in &raw {
        let mut browser = world.connect().await;
        browser.send(request).await;
        let status = browser.answer().await.map(|answer| answer.status);
        assert_eq!(status, Some(400), "{request:?}");
        assert!(browser.answer().await.is_none(), "{request:?}");
    }
    assert!(world.upstream.seen().is_empty());
    world.await_records("edge.malformed", raw.len()).await;
}

#[tokio::test]
async fn req_h05_a_second_coding_that_hyper_lets_through_is_refused_here() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    for coding in
        ["Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"]
    {
        let request = format!("POST /notes HTTP/1.1\r\nHost: {CHART}\r\n{coding}{}\r\n0\r\n\r\n", nurse.cookie);
        assert_eq!(world.connect().await.ask(request).await.status, 400, "{coding}");
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn req_h08_and_atk_a14_a_request_names_exactly_one_host_of_ours() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    for (line, hosts, status) in [
        ("GET /page", "", 400),
        ("GET /page", "Host: chart.hospital.example\r\nHost: chart.hospital.example\r\n", 400),
        ("GET /page", "Host: chart.hospital.example@evil\r\n", 400),
        ("GET /page", "Host: \r\n", 400),
        ("GET https://pacs.hospital.example/page", "Host: chart.hospital.example\r\n", 400),
        ("GET https://u@chart.hospital.example/page", "Host: chart.hospital.example\r\n", 400),
        ("GET http://chart.hospital.example/page", "Host: chart.hospital.example\r\n", 400),
        ("GET *", "Host: chart.hospital.example\r\n", 400),
        ("GET /page", "Host: other.hospital.example\r\n", 421),
        ("GET /page", "Host: chart.hospital.example.\r\n", 421),
        ("GET /page", "Host: 127.0.0.1\r\n", 421),
        ("GET /page", "Host: chart.hospital.example:444\r\n", 421),
        ("GET https://chart.hospital.example/page", "Host: chart.hospital.example\r\n", 200),
        ("GET /page", "Host: Chart.Hospital.Example:443\r\n", 200),
    ] {
        let request = format!("{line} HTTP/1.1\r\n{hosts}{}\r\n", nurse.cookie);
        let answer = world.connect().await.ask(request).await;
        assert_eq!(answer.status, status, "{line} {hosts}: {}", answer.text());
    }
    for seen in world.upstream.seen() {
        assert_eq!((seen.line(), seen.header("host")), ("GET /page HTTP/1.1", vec![CHART]));
    }
}

#[tokio::test]
async fn atk_a14_an_app_is_reached_by_its_host_whatever_the_handshake_named() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut browser = world.connect_to(PACS).await;
    let request = format!("GET /patients/1 HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie);
    assert_eq!(browser.ask(request).await.status, 200);
    // The cookie of one host is no session on another.
    let request = format!("GET /patients/1 HTTP/1.1\r\nHost: {PACS}\r\n{}\r\n", nurse.cookie);
    assert_eq!(browser.ask(request).await.status, 401);
}

#[tokio::test]
async fn req_h09_trace_connect_and_unknown_methods_are_refused() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    for line in ["TRACE /page", "BREW /page", "DELETE /page", "get /page"] {
        let answer = world.ask(line, &nurse.cookie).await;
        assert_eq!(answer.status, 405, "{line}");
        assert!(!answer.header("allow").is_empty(), "{line}");
    }
    let connect = format!("CONNECT {CHART}:443 HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie);
    let answer = world.connect().await.ask(connect).await;
    assert!(matches!(answer.status, 400 | 405), "{}", answer.head);
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn req_h17_and_atk_a01_a02_a_path_with_two_meanings_is_refused() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse", "sysadmin"]).await;
    for path in [
        "/public/../admin",
        "/public/./x",
        "/public/%2e%2e/admin",
        "/public/..;/admin",
        "/public//admin",
        "//admin",
        "/public/%2fadmin",
        "/public/%5c..%5cadmin",
        "/public/\\admin",
        "/public/%00",
        "/public/%252e%252e/admin",
        "/public/%c0%ae%c0%ae/admin",
        "/public/%",
        "/public/%zz",
        "/public/a;x=y",
        "/public/\u{e9}",
    ] {
        let answer = world.ask(&format!("GET {path}"), &nurse.cookie).await;
        assert_eq!(answer.status, 400, "{path}");
    }
    assert!(world.upstream.seen().is_empty());
    for path in
        ["/public/a;jsessionid=1", "/public/%23", "/public/%e5%b1%b1", "/public/a?x=../../admin%2f", "/public/a?/admin"]
    {
        let answer = world.ask(&format!("GET {path}"), &nurse.cookie).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(world.upstream.seen().last().unwrap().line(), format!("GET {path} HTTP/1.1"));
    }
}

#[tokio::test]
async fn atk_a03_a05_a_path_in_the_query_or_elsewhere_matches_no_rule() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    for path in ["/admin?path=/page", "/admin?/static/x", "/other/static/x", "/admin;jsessionid=/page"] {
        assert_eq!(world.ask(&format!("GET {path}"), &nurse.cookie).await.status, 403, "{path}");
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn atk_a04_a_fragment_is_cut_before_anybody_decides() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    assert_eq!(world.ask("GET /admin#/page", &nurse.cookie).await.status, 403);
    assert_eq!(world.ask("GET /page#/admin", &nurse.cookie).await.status, 200);
    assert_eq!(world.upstream.only().line(), "GET /page HTTP/1.1");
    assert_eq!(world.ask("GET /admin%23/page", &nurse.cookie).await.status, 403);
}

#[tokio::test]
async fn req_h19_only_100_continue_is_expected() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let head = |expect: &str| {
        format!(
            "POST /patients/1/orders HTTP/1.1\r\nHost: {CHART}\r\nContent-Length: 2\r\nExpect: {expect}\r\n{}\r\n",
            nurse.cookie
        )
    };
    assert_eq!(world.connect().await.ask(head("the-best")).await.status, 417);
    assert!(world.upstream.seen().is_empty());
    let mut browser = world.connect().await;
    browser.send(head("100-continue")).await;
    let go_on = browser.exactly(25).await;
    assert_eq!(go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(browser.ask("hi").await.status, 200);
    let seen = world.upstream.only();
    assert!(seen.header("expect").is_empty());
    assert_eq!(seen.body, b"hi");
}

#[tokio::test]
async fn the_reserved_prefix_and_the_portals_host_are_never_forwarded() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let answer = world.ask("GET /.sekimori/state", &nurse.cookie).await;
    assert_eq!(answer.text(), format!("portal {CHART} /.sekimori/state"));
    assert_eq!(world.ask("GET /%2esekimori/state", &nurse.cookie).await.status, 404);
    let request = format!("GET /anything HTTP/1.1\r\nHost: {PORTAL}\r\n\r\n");
    assert_eq!(world.connect_to(PORTAL).await.ask(request).await.text(), format!("portal {PORTAL} /anything"));
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn pipelined_requests_are_each_decided() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|seen| ok(seen.line()));
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {CHART}\r\n{}\r\n", nurse.cookie);
    let mut browser = world.connect().await;
    browser.send(format!("{}{}{}", one("/patients/1"), one("/admin"), one("/patients/2"))).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(browser.answer().await.unwrap().status);
    }
    assert_eq!(statuses, [200, 403, 200]);
    assert_eq!(world.upstream.seen().len(), 2);
}

#[tokio::test]
async fn req_h06_a_body_without_a_length_reaches_the_upstream_whatever_the_method() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut browser = world.connect().await;
    let head = format!("GET /page HTTP/1.1\r\nHost: {CHART}\r\nTransfer-Encoding: chunked\r\n{}\r\n", nurse.cookie);
    browser.send(format!("{head}5\r\nhello\r\n0\r\n\r\n")).await;
    assert_eq!(browser.answer().await.unwrap().status, 200);
    let seen = world.upstream.only();
    assert_eq!(
        (seen.header("transfer-encoding"), seen.body.as_slice()),
        (vec!["chunked"], &b"5\r\nhello\r\n0\r\n\r\n"[..])
    );
}
