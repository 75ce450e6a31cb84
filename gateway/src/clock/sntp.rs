//! One question to one time server (RFC 5905 section 14, the simple client).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use config::TimeServer;
use model::{Clock, Timestamp};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

/// How long a server has for its answer.
const PATIENCE: Duration = Duration::from_secs(2);
const PACKET: usize = 48;
/// No leap warning, version 4, client.
const QUESTION: u8 = 0x23;
const SERVER: u8 = 4;
/// Its own clock is not set.
const UNSYNCHRONISED: u8 = 3;
/// From 1900 to 1970.
const EPOCH: u64 = 2_208_988_800;
/// Further from the reference than this, nobody's time is worth comparing with (RFC 5905 MAXDIST).
const FARTHEST: Duration = Duration::from_millis(1_500);

/// How the clock compares with a server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    /// How far the server is ahead, in microseconds; half the delay is its uncertainty.
    pub(crate) offset: i64,
    /// There and back.
    pub(crate) delay: Duration,
    /// How many servers stand between it and a reference clock.
    pub(crate) stratum: u8,
}

/// Why a server is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SntpError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no address")]
    Unknown,
    #[error("no answer in time")]
    Silent,
    #[error("what came is no answer to the question")]
    Foreign,
    #[error("its own clock is not set")]
    Unsynchronised,
    #[error("no randomness")]
    Randomness,
}

/// Asks `server` once.
pub(crate) async fn ask(server: &TimeServer, clock: &Clock) -> Result<Compared, SntpError> {
    timeout(PATIENCE, exchange(server, clock)).await.unwrap_or(Err(SntpError::Silent))
}

async fn exchange(server: &TimeServer, clock: &Clock) -> Result<Compared, SntpError> {
    let address = lookup_host((server.host.as_str(), server.port)).await?.next().ok_or(SntpError::Unknown)?;
    let local: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(local).await?;
    // A connected socket hears nobody else.
    socket.connect(address).await?;
    let mut nonce = [0; 8];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| SntpError::Randomness)?;
    let (asked_at, since) = (clock.now(), Instant::now());
    socket.send(&question(nonce)).await?;
    let mut buffer = [0; 512];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Wall clock at the question, monotonic from there on: a clock that is set meanwhile spoils nothing.
        let heard_at = asked_at.after(since.elapsed());
        match read(buffer.get(..length).unwrap_or_default(), nonce, asked_at, heard_at) {
            // Whoever can't have seen the question is passed over, so that he can't spoil the answer.
            Err(SntpError::Foreign) => {}
            compared => return compared,
        }
    }
}

/// The time of sending is a random number: it says nothing of this host, and who doesn't see it can't answer.
fn question(nonce: [u8; 8]) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    if let Some(first) = packet.first_mut() {
        *first = QUESTION;
    }
    if let Some(transmit) = packet.get_mut(40..) {
        transmit.copy_from_slice(&nonce);
    }
    packet
}

fn read(packet: &[u8], nonce: [u8; 8], asked_at: Timestamp, heard_at: Timestamp) -> Result<Compared, SntpError> {
    let packet: &[u8; PACKET] = packet.first_chunk().ok_or(SntpError::Foreign)?;
    let [head, stratum, _poll, _precision, ..] = *packet;
    let word = |at: usize| packet.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
    if head & 7 != SERVER || word(24) != u64::from_be_bytes(nonce) {
        return Err(SntpError::Foreign);
    }
    let (received, sent) = (word(32), word(40));
    let synchronised = head >> 6 != UNSYNCHRONISED && (1..=15).contains(&stratum) && received != 0 && sent != 0;
    if !synchronised || distance(packet) > FARTHEST {
        return Err(SntpError::Unsynchronised);
    }
    let (there, back) = (apart(received, asked_at), apart(sent, heard_at));
    let at_server = i64::try_from((i128::from(sent.wrapping_sub(received) as i64) * 1_000_000) >> 32).unwrap_or(0);
    let whole = micros(heard_at.since(asked_at));
    let delay = u64::try_from(whole.saturating_sub(at_server)).unwrap_or(0);
    Ok(Compared { offset: there.midpoint(back), delay: Duration::from_micros(delay), stratum })
}

/// How far the server is from its reference: half the root delay and the root dispersion.
fn distance(packet: &[u8; PACKET]) -> Duration {
    let short =
        |at: usize| packet.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    let micros = |short: u32| (u64::from(short) * 1_000_000) >> 16;
    Duration::from_micros(micros(short(4)) / 2 + micros(short(8)))
}

/// How far a time in NTP's form is ahead of `ours`, in microseconds. The form has no era: the difference is the
/// nearest one, right for 68 years in either direction.
fn apart(theirs: u64, ours: Timestamp) -> i64 {
    let ahead = theirs.wrapping_sub(ntp(ours)) as i64;
    i64::try_from((i128::from(ahead) * 1_000_000) >> 32).unwrap_or(0)
}

/// A moment in NTP's form: seconds since 1900 and a binary fraction, in an era of 136 years.
fn ntp(at: Timestamp) -> u64 {
    let micros = u64::try_from(at.micros()).unwrap_or(0);
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    (seconds.wrapping_add(EPOCH) << 32) | ((rest << 32) / 1_000_000)
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; 8] = *b"12345678";

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(1_795_230_000_000_000 + micros)
    }

    fn answer(received: Timestamp, sent: Timestamp) -> [u8; PACKET] {
        let mut packet = [0; PACKET];
        (packet[0], packet[1]) = (0x24, 2);
        packet[24..32].copy_from_slice(&NONCE);
        packet[32..40].copy_from_slice(&ntp(received).to_be_bytes());
        packet[40..].copy_from_slice(&ntp(sent).to_be_bytes());
        packet
    }

    fn close(got: i64, wanted: i64) -> bool {
        (got - wanted).abs() <= 2
    }

    #[test]
    fn req_a17_3_offset_and_delay_are_those_of_rfc_5905() {
        // Two seconds ahead; 30 ms there, 10 ms at the server, 30 ms back.
        let packet = answer(at(2_030_000), at(2_040_000));
        let compared = read(&packet, NONCE, at(0), at(70_000)).unwrap();
        assert!(close(compared.offset, 2_000_000), "{compared:?}");
        assert!(close(compared.delay.as_micros() as i64, 60_000) && compared.stratum == 2, "{compared:?}");
        let behind = read(&answer(at(-5_000_000), at(-5_000_000)), NONCE, at(0), at(0)).unwrap();
        assert!(close(behind.offset, -5_000_000), "{behind:?}");
    }

    #[test]
    fn a_difference_is_right_across_the_end_of_ntps_era() {
        let end = Timestamp::from_seconds(2_085_978_496);
        assert!(close(apart(ntp(end.after(Duration::from_secs(3))), end.before(Duration::from_secs(4))), 7_000_000));
    }

    #[test]
    fn whoever_did_not_see_the_question_is_not_heard() {
        let good = answer(at(0), at(0));
        assert!(read(&good, NONCE, at(0), at(0)).is_ok());
        assert!(matches!(read(&good, *b"87654321", at(0), at(0)), Err(SntpError::Foreign)));
        assert!(matches!(read(&good[..47], NONCE, at(0), at(0)), Err(SntpError::Foreign)));
        let mut asked_back = good;
        asked_back[0] = QUESTION;
        assert!(matches!(read(&asked_back, NONCE, at(0), at(0)), Err(SntpError::Foreign)));
    }

    #[test]
    fn a_server_that_does_not_know_the_time_is_not_believed() {
        let edits: [fn(&mut [u8; PACKET]); 5] = [
            |packet| packet[0] = 0xe4,
            |packet| packet[1] = 0,
            |packet| packet[1] = 16,
            |packet| packet[40..].fill(0),
            |packet| packet[9] = 2,
        ];
        for edit in edits {
            let mut packet = answer(at(0), at(0));
            edit(&mut packet);
            assert!(matches!(read(&packet, NONCE, at(0), at(0)), Err(SntpError::Unsynchronised)), "{packet:?}");
        }
    }
}
