//! The server's half of RFC 6455, as much as the ward's feed needs: no extensions, messages of at most 4 KiB.

use std::io;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, Method};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Largest message that is read.
const MESSAGE_BOUND: usize = 4 * 1024;

/// What the other side sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Text(String),
    Ping(Vec<u8>),
    Pong,
    /// A close frame with its code, if it had one.
    Close(Option<u16>),
    /// Not allowed; answer with this close code.
    Violation(u16),
}

/// The `Sec-WebSocket-Accept` for a handshake, `None` if the request is none.
pub(super) fn accept(method: &Method, headers: &HeaderMap) -> Option<String> {
    let has = |name, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|v| v.trim().eq_ignore_ascii_case(word))
    };
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?.trim();
    let fits = method == Method::GET
        && has(CONNECTION, "upgrade")
        && has(UPGRADE, "websocket")
        && has(SEC_WEBSOCKET_VERSION, "13")
        && STANDARD.decode(key).is_ok_and(|k| k.len() == 16);
    fits.then(|| accept_of(key))
}

fn accept_of(key: &str) -> String {
    let mut sha = digest::Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    sha.update(key.as_bytes());
    sha.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(sha.finish())
}

/// A text frame.
pub(super) fn text(payload: &str) -> Vec<u8> {
    frame(0x1, payload.as_bytes())
}

/// A ping.
pub(super) fn ping() -> Vec<u8> {
    frame(0x9, b"")
}

/// The answer to a ping.
pub(super) fn pong(payload: &[u8]) -> Vec<u8> {
    frame(0xA, payload)
}

/// A close frame.
pub(super) fn close(code: u16) -> Vec<u8> {
    frame(0x8, &code.to_be_bytes())
}

fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..=125), _) => out.push(short),
        (_, Ok(medium)) => {
            out.push(126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

/// Reads one side's frames into messages.
#[derive(Debug)]
pub(super) struct Reader<R> {
    from: R,
    /// The fragments of a text message so far.
    begun: Option<Vec<u8>>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, begun: None }
    }

    /// The next message or control frame. Not cancel-safe: keep it in a task of its own.
    ///
    /// # Errors
    /// When the connection ends or breaks.
    pub(super) async fn hear(&mut self) -> io::Result<Heard> {
        loop {
            let [first, second] = self.bytes::<2>().await?;
            let (fin, opcode, masked) = (first & 0x80 != 0, first & 0x0F, second & 0x80 != 0);
            let control = opcode & 0x8 != 0;
            let length = match second & 0x7F {
                126 => u16::from_be_bytes(self.bytes().await?).into(),
                127 => return Ok(Heard::Violation(1009)),
                short => usize::from(short),
            };
            if first & 0x70 != 0 || !masked || (control && (!fin || length > 125)) {
                return Ok(Heard::Violation(1002));
            }
            if length + self.begun.as_ref().map_or(0, Vec::len) > MESSAGE_BOUND {
                return Ok(Heard::Violation(1009));
            }
            let payload = self.payload(length).await?;
            match (opcode, self.begun.take()) {
                (0x8, _) => return Ok(Heard::Close(payload.first_chunk().map(|c| u16::from_be_bytes(*c)))),
                (0x9, begun) => {
                    self.begun = begun;
                    return Ok(Heard::Ping(payload));
                }
                (0xA, begun) => {
                    self.begun = begun;
                    return Ok(Heard::Pong);
                }
                (0x1, None) | (0x0, Some(_)) if !fin && opcode == 0x1 => self.begun = Some(payload),
                (0x1, None) => return Ok(message(payload)),
                (0x0, Some(mut begun)) => {
                    begun.extend_from_slice(&payload);
                    if fin {
                        return Ok(message(begun));
                    }
                    self.begun = Some(begun);
                }
                (0x2, None) => return Ok(Heard::Violation(1003)),
                _ => return Ok(Heard::Violation(1002)),
            }
        }
    }

    async fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    async fn payload(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mask = self.bytes::<4>().await?;
        let mut payload = vec![0; length];
        self.from.read_exact(&mut payload).await?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok(payload)
    }
}

fn message(bytes: Vec<u8>) -> Heard {
    String::from_utf8(bytes).map_or(Heard::Violation(1007), Heard::Text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = frame(0, payload);
        out[0] = first;
        out[1] |= 0x80;
        let at = out.len() - payload.len();
        let mask = [1, 2, 3, 4];
        out.splice(at..at, mask);
        out[at + 4..].iter_mut().zip(mask.iter().cycle()).for_each(|(b, m)| *b ^= m);
        out
    }

    async fn hear_all(bytes: &[u8]) -> Vec<Heard> {
        let mut reader = Reader::new(bytes);
        let mut all = Vec::new();
        while let Ok(heard) = reader.hear().await {
            all.push(heard);
            if matches!(all.last(), Some(Heard::Violation(_) | Heard::Close(_))) {
                break;
            }
        }
        all
    }

    #[test]
    fn the_accept_value_is_rfc_6455_s_example() {
        assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[tokio::test]
    async fn texts_fragments_and_control_frames_are_understood() {
        let mut bytes = masked(0x81, "病棟".as_bytes());
        bytes.extend(masked(0x01, b"he"));
        bytes.extend(masked(0x89, b"p"));
        bytes.extend(masked(0x80, b"llo"));
        bytes.extend(masked(0x81, &[b'a'; 300]));
        bytes.extend(masked(0x88, &1001_u16.to_be_bytes()));
        let expected = [
            Heard::Text("病棟".into()),
            Heard::Ping(b"p".to_vec()),
            Heard::Text("hello".into()),
            Heard::Text("a".repeat(300)),
            Heard::Close(Some(1001)),
        ];
        assert_eq!(hear_all(&bytes).await, expected);
    }

    #[tokio::test]
    async fn what_rfc_6455_forbids_is_answered_with_its_code() {
        for (bytes, code) in [
            (frame(0x1, b"unmasked"), 1002),
            (masked(0xC1, b"reserved bit"), 1002),
            (masked(0x09, b"fragmented ping"), 1002),
            (masked(0x80, b"continues nothing"), 1002),
            (masked(0x83, b"opcode 3"), 1002),
            (masked(0x82, b"binary"), 1003),
            (masked(0x81, &[0xFF]), 1007),
            (masked(0x81, &[b'a'; MESSAGE_BOUND + 1]), 1009),
            (masked(0x81, &vec![b'a'; 70_000]), 1009),
        ] {
            assert_eq!(hear_all(&bytes).await, [Heard::Violation(code)], "{code}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(hear_all(&bytes));
        }
    }
}
