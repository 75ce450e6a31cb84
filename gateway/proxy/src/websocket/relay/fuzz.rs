//! Fuzz target (`tests/fuzz`): whatever bytes come, in whatever pieces, and whenever it ends.
//!
//! The first three bytes of an input say in what pieces it is read and written and after how many reads the other
//! side falls silent; the rest is what is read.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

use super::*;

/// Reads in pieces, and then there is nothing for ever, or the end.
struct Reads<'b> {
    bytes: &'b [u8],
    piece: usize,
    times: usize,
}

impl AsyncRead for Reads<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.times == 0 {
            return Poll::Pending;
        }
        self.times -= 1;
        let (now, later) = self.bytes.split_at(self.bytes.len().min(self.piece).min(to.remaining()));
        to.put_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(()))
    }
}

/// Takes so many bytes at a time.
struct Writes {
    taken: Vec<u8>,
    piece: usize,
}

impl AsyncWrite for Writes {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = bytes.len().min(self.piece);
        self.taken.extend(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Where frames end (RFC 6455 5.2), read once from the beginning, and whether what follows the last is no frame.
fn ends(bytes: &[u8], masked: bool) -> (Vec<usize>, bool) {
    let mut ends = vec![0];
    loop {
        let start = *ends.last().unwrap();
        let frame = &bytes[start..];
        let (opcode, second) = (frame.first().map_or(0, |b| b & 0x0f), frame.get(1).copied());
        let short = second.map_or(0, |b| b & 0x7f);
        let control = opcode >= 8 && second.is_some() && (short > 125 || frame[0] & 0x80 == 0);
        if matches!(opcode, 3..=7 | 11..) || second.is_some_and(|b| (b >= 0x80) != masked) || control {
            return (ends, true);
        }
        let wide = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if second.is_none() || frame.len() < 2 + wide {
            return (ends, false);
        }
        let length = frame[2..2 + wide].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let length = if wide == 0 { u64::from(short) } else { length };
        if (wide == 2 && length < 126) || (wide == 8 && (length <= 0xffff || length >= 1 << 63)) {
            return (ends, true);
        }
        let head = 2 + wide + if masked { 4 } else { 0 };
        match usize::try_from(length).ok().and_then(|length| length.checked_add(head)) {
            Some(whole) if whole <= frame.len() => ends.push(start + whole),
            _ => return (ends, false),
        }
    }
}

/// The tracker says the same of the whole as of its pieces, and what is true.
fn tracked(bytes: &[u8], piece: usize, masked: bool) {
    let (ends, broken) = ends(bytes, masked);
    let fresh = || if masked { Tracker::of_client() } else { Tracker::of_server() };
    let whole = fresh().advance(bytes);
    assert_eq!(whole.is_err(), broken);
    let (mut pieces, mut at, mut end, mut missing) = (fresh(), 0, 0, 0);
    for chunk in bytes.chunks(piece) {
        match pieces.advance(chunk) {
            Err(violation) => return assert_eq!(whole, Err(violation)),
            Ok(advance) => {
                assert!(advance.complete <= chunk.len());
                end = if advance.complete > 0 { at + advance.complete } else { end };
                missing = advance.missing;
                at += chunk.len();
                assert_eq!(pieces.at_boundary(), ends.contains(&at));
            }
        }
    }
    assert!(!broken);
    assert_eq!(Some(&end), ends.last());
    assert_eq!(whole.map(|whole| whole.missing), Ok(missing));
}

/// One direction of a relay, cut when the reads fall silent.
fn relayed(bytes: &[u8], [read, write, times]: [usize; 3], masked: bool) {
    let tracker = if masked { Tracker::of_client() } else { Tracker::of_server() };
    let mut direction = Direction::new(tracker);
    let mut reads = Reads { bytes, piece: read, times };
    let mut writes = Writes { taken: Vec::new(), piece: write };
    let ended = pin!(direction.run(&mut reads, &mut writes)).poll(&mut Context::from_waker(Waker::noop()));
    let (ends, broken) = ends(bytes, masked);
    let out = writes.taken;
    assert!(bytes.starts_with(&out) && direction.carried == out.len() as u64);
    assert!(direction.held.len() <= 2 * BUFFER && direction.ready.len() <= 2 * BUFFER);
    match ended {
        Poll::Ready(Ok(())) => {
            assert!(!broken && out.len() >= *ends.last().unwrap(), "whole frames go out");
            assert!(bytes.len() - out.len() <= BUFFER);
        }
        Poll::Ready(Err(Broken::Violation)) => assert!(broken && out.len() <= *ends.last().unwrap()),
        Poll::Ready(Err(_)) => panic!("nothing failed"),
        Poll::Pending => {}
    }
    let rest = direction.ready.to_vec();
    if direction.cut_off() {
        let rest = if direction.ready.is_empty() { &[][..] } else { &rest };
        assert!(ends.contains(&(out.len() + rest.len())), "a close frame stands between frames");
    }
    if direction.cut_short() {
        assert!(ends.contains(&out.len()) && direction.ready.is_empty());
    }
}

#[test]
fn req_h27_pieces_are_read_as_the_whole_and_a_close_frame_never_stands_in_a_frame() {
    ::fuzz::run("websocket", |input| {
        let Some((&[read, write, times], bytes)) = input.split_first_chunk::<3>() else { return };
        let piece = |byte: u8| 1 + usize::from(byte) * usize::from(byte);
        for masked in [true, false] {
            tracked(bytes, piece(read), masked);
            relayed(bytes, [piece(read), piece(write), usize::from(times)], masked);
        }
    });
}
