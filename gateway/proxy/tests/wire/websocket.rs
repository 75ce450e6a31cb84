//! WebSockets through the whole proxy (A22, A52; H-24, H-25, H-27).

use std::time::{Duration, Instant};

use base64::Engine as _;
use identity::By;
use model::LockReason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::browser::Browser;
use crate::upstream::{Seen, with_connection};
use crate::world::{CHART, Staff, World};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const HELLO: &[u8] = &[0x81, 5, b'h', b'e', b'l', b'l', b'o'];
const MASKED: &[u8] = &[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];

/// The upstream accepts, says hello, and tells what it hears.
fn accepting(world: &World, accept: &'static str) -> mpsc::UnboundedReceiver<Vec<u8>> {
    let (tell, heard) = mpsc::unbounded_channel();
    let mut tell = Some(tell);
    world.upstream.answers(move |_: &Seen| {
        let tell = tell.take().expect("one request");
        with_connection(move |mut stream| async move {
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\nSet-Cookie: a=b\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(HELLO).await.unwrap();
            let mut buffer = [0; 1_024];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                let _ = tell.send(buffer[..read].to_vec());
            }
        })
    });
    heard
}

fn handshake(nurse: &Staff, origin: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {CHART}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {KEY}\r\nOrigin: {origin}\r\n{}\r\n",
        nurse.cookie
    )
}

fn own() -> String {
    format!("https://{CHART}")
}

async fn open(world: &World, nurse: &Staff) -> Browser {
    let mut browser = world.connect().await;
    let answer = browser.ask(handshake(nurse, &own())).await;
    assert_eq!(answer.status, 101, "{}", answer.head);
    assert_eq!(answer.header("sec-websocket-accept"), [ACCEPT]);
    assert_eq!(browser.exactly(HELLO.len()).await, HELLO);
    browser
}

#[tokio::test]
async fn req_h25_a_socket_is_on_record_before_it_opens_and_carries_frames_both_ways() {
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(KEY).unwrap().len(), 16);
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut heard = accepting(&world, ACCEPT);
    let mut browser = open(&world, &nurse).await;
    assert_eq!(world.records_of("request.open").len(), 1);
    let seen = world.upstream.only();
    assert_eq!((seen.header("upgrade"), seen.header("connection")), (vec!["websocket"], vec!["Upgrade"]));
    assert_eq!(seen.header("remote-user"), ["000101"]);
    browser.send(MASKED).await;
    assert_eq!(heard.recv().await.unwrap(), MASKED);
    drop(browser);
    let closed = world.await_records("request.close", 1).await;
    assert!(closed[0].contains("\"bytes_in\":8") && closed[0].contains("\"bytes_out\":7"), "{}", closed[0]);
}

#[tokio::test]
async fn req_h27_a_lock_closes_the_socket_with_1008_within_a_second() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut heard = accepting(&world, ACCEPT);
    let mut browser = open(&world, &nurse).await;
    let since = Instant::now();
    world.sessions.lock(nurse.live.id(), LockReason::User, By::Gateway).await.unwrap();
    let last = browser.rest().await;
    assert!(since.elapsed() < Duration::from_millis(1_100), "{:?}", since.elapsed());
    assert_eq!((last[0], &last[2..4]), (0x88, &1008_u16.to_be_bytes()[..]));
    // The upstream is told too, and hears nothing else.
    let told = heard.recv().await.unwrap();
    assert_eq!(told[0], 0x88);
    assert!(heard.recv().await.is_none());
}

#[tokio::test]
async fn atk_a52_what_is_sent_into_a_locked_session_never_arrives() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut heard = accepting(&world, ACCEPT);
    let mut browser = open(&world, &nurse).await;
    // Half a frame before the lock, the other half after it.
    browser.send(&MASKED[..7]).await;
    world.sessions.lock(nurse.live.id(), LockReason::User, By::Gateway).await.unwrap();
    let _ = browser.stream.write_all(&MASKED[7..]).await;
    let told = heard.recv().await.unwrap();
    assert_eq!(told[0], 0x88, "only the close frame");
    assert!(heard.recv().await.is_none());
}

#[tokio::test]
async fn atk_a22_a_foreign_page_can_not_open_a_socket() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    for origin in ["https://evil.example", "null", "http://chart.hospital.example", "https://pacs.hospital.example"] {
        assert_eq!(world.connect().await.ask(handshake(&nurse, origin)).await.status, 403, "{origin}");
    }
    let without = handshake(&nurse, "x").replace("Origin: x\r\n", "");
    assert_eq!(world.connect().await.ask(without).await.status, 403);
    assert!(world.upstream.seen().is_empty());
    let _heard = accepting(&world, ACCEPT);
    let listed = handshake(&nurse, "https://board.hospital.example");
    assert_eq!(world.connect().await.ask(listed).await.status, 101);
}

#[tokio::test]
async fn req_h25_a_wrong_handshake_of_either_side_opens_nothing() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    for (good, bad) in [("Version: 13", "Version: 8"), (KEY, "short"), ("Connection: Upgrade\r\n", "")] {
        let request = handshake(&nurse, &own()).replace(good, bad);
        assert_eq!(world.connect().await.ask(request).await.status, 400, "{bad}");
    }
    assert!(world.upstream.seen().is_empty());
    let _heard = accepting(&world, "wrong");
    assert_eq!(world.connect().await.ask(handshake(&nurse, &own())).await.status, 502);
}

#[tokio::test]
async fn a_socket_may_be_silent_for_longer_than_a_head_may_take() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let mut heard = accepting(&world, ACCEPT);
    let mut browser = open(&world, &nurse).await;
    browser.send(MASKED).await;
    assert_eq!(heard.recv().await.unwrap(), MASKED);
    // `header_timeout` is a second here.
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    browser.send(MASKED).await;
    assert_eq!(heard.recv().await.expect("the socket is open"), MASKED);
}

#[tokio::test]
async fn a_socket_without_a_session_or_a_right_is_refused() {
    let world = World::new().await;
    let clerk = world.login("000101", &[]).await;
    assert_eq!(world.connect().await.ask(handshake(&clerk, &own())).await.status, 403);
    let nobody = Staff { cookie: String::new(), ..clerk };
    assert_eq!(world.connect().await.ask(handshake(&nobody, &own())).await.status, 401);
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test]
async fn req_h24_h2c_is_never_forwarded() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n";
    assert_eq!(world.ask("GET /page", &format!("{h2c}{}", nurse.cookie)).await.status, 200);
    let seen = world.upstream.only();
    assert!(seen.header("upgrade").is_empty() && seen.header("http2-settings").is_empty(), "{}", seen.head);
}
