use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

const LOCKED: Cut = Cut { code: 1008, reason: "locked" };

struct Ends {
    client: DuplexStream,
    upstream: DuplexStream,
    stop: oneshot::Sender<Cut>,
    relay: JoinHandle<Ended>,
}

fn start() -> Ends {
    let (client, ours) = duplex(64 * 1_024);
    let (upstream, theirs) = duplex(64 * 1_024);
    let (stop, stopped) = oneshot::channel();
    let relay = tokio::spawn(relay(ours, theirs, async { stopped.await.unwrap_or(LOCKED) }));
    Ends { client, upstream, stop, relay }
}

async fn read(stream: &mut DuplexStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

async fn rest(stream: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

const HELLO: &[u8] = &[0x81, 5, b'h', b'e', b'l', b'l', b'o'];
const MASKED: &[u8] = &[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];

#[tokio::test]
async fn frames_pass_unchanged_both_ways() {
    let mut ends = start();
    ends.upstream.write_all(HELLO).await.unwrap();
    assert_eq!(read(&mut ends.client, HELLO.len()).await, HELLO);
    ends.client.write_all(MASKED).await.unwrap();
    assert_eq!(read(&mut ends.upstream, MASKED.len()).await, MASKED);
    drop(ends.upstream);
    assert_eq!(rest(&mut ends.client).await, b"");
    let ended = ends.relay.await.unwrap();
    assert_eq!((ended.cut, ended.bytes_in, ended.bytes_out), (None, 8, 7));
}

#[tokio::test]
async fn req_h27_a_close_1008_follows_the_last_whole_frame() {
    let mut ends = start();
    ends.upstream.write_all(HELLO).await.unwrap();
    ends.upstream.write_all(&HELLO[..4]).await.unwrap();
    assert_eq!(read(&mut ends.client, HELLO.len()).await, HELLO);
    ends.stop.send(LOCKED).unwrap();
    assert_eq!(rest(&mut ends.client).await, close(1008, "locked", None));
    let to_upstream = rest(&mut ends.upstream).await;
    assert_eq!(to_upstream[..2], [0x88, 0x80 | 8]);
    let payload: Vec<u8> = to_upstream[6..].iter().zip(to_upstream[2..6].iter().cycle()).map(|(b, k)| b ^ k).collect();
    assert_eq!(payload, b"\x03\xf0locked");
    assert_eq!(ends.relay.await.unwrap().cut, Some(LOCKED));
}

#[tokio::test]
async fn a_frame_too_large_to_hold_is_streamed_and_never_gets_a_close_inside() {
    let mut ends = start();
    let mut large = vec![0x82, 127];
    large.extend(80_000_u64.to_be_bytes());
    large.extend(vec![7; 20_000]);
    ends.upstream.write_all(&large).await.unwrap();
    assert_eq!(read(&mut ends.client, large.len()).await, large);
    ends.stop.send(LOCKED).unwrap();
    assert_eq!(rest(&mut ends.client).await, b"");
}

#[tokio::test]
async fn after_a_large_frame_has_ended_a_close_can_follow() {
    let mut ends = start();
    let mut large = vec![0x82, 127];
    large.extend(80_000_u64.to_be_bytes());
    large.extend(vec![7; 80_000]);
    ends.upstream.write_all(&large).await.unwrap();
    ends.upstream.write_all(&HELLO[..2]).await.unwrap();
    assert_eq!(read(&mut ends.client, large.len()).await, large);
    ends.stop.send(LOCKED).unwrap();
    assert_eq!(rest(&mut ends.client).await, close(1008, "locked", None));
}

#[tokio::test]
async fn atk_a52_a_frame_held_when_the_session_locks_never_reaches_the_upstream() {
    let mut ends = start();
    ends.client.write_all(MASKED).await.unwrap();
    assert_eq!(read(&mut ends.upstream, MASKED.len()).await, MASKED);
    ends.client.write_all(&MASKED[..7]).await.unwrap();
    ends.stop.send(LOCKED).unwrap();
    let to_upstream = rest(&mut ends.upstream).await;
    assert_eq!(to_upstream[0], 0x88);
    assert_eq!(to_upstream.len(), 6 + 8);
}

#[tokio::test]
async fn what_is_no_frame_is_closed_with_1002() {
    let mut ends = start();
    ends.client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut ends.client).await[..4], [0x88, 16, 0x03, 0xea]);
    assert_eq!(ends.relay.await.unwrap().cut.unwrap().code, 1002);
    assert_eq!(rest(&mut ends.upstream).await.first(), Some(&0x88));
}
