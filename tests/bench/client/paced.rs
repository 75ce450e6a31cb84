//! Requests at a fixed rate over kept HTTP/1.1 connections, whether the answers keep up or not (open loop).
//!
//! Each connection has a thread of its own and its own times at which a request is due. The wait is counted from that
//! time, not from when the request could be sent: a slow answer is also slow for those who come after it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::tls::{Peer, Stream};
use crate::{Options, Result, percentile, requests, tell, thread_time, wait_for_word};

const GROUP: &dyn rustls::crypto::SupportedKxGroup = rustls::crypto::aws_lc_rs::kx_group::X25519;

pub(crate) fn run(options: &Options) -> Result<()> {
    // Threads wake when they asked to, not up to 50 µs later; new ones inherit it.
    fs::write("/proc/self/timerslack_ns", "1")?;
    let peer = Peer::new(options, &[], GROUP)?;
    let texts = Arc::new(requests::texts(options.text("requests")?)?);
    let connections: u32 = options.number("connections")?;
    let (rate, least): (u32, usize) = (options.number("rate")?, options.number("body")?);
    let length = Duration::from_secs(options.number("seconds")?);
    let period = Duration::from_secs(1) * connections / rate;
    let mut streams = Vec::new();
    for at in 0..connections {
        let mut stream = peer.connect()?;
        // The first request of a connection is another matter.
        ask(&mut stream, texts.get(at as usize % texts.len()).ok_or("a request")?, least)?;
        streams.push(stream);
    }
    wait_for_word()?;
    let (used, begin) = (thread_time()?, Instant::now() + Duration::from_millis(10));
    let mut threads = Vec::new();
    for (stream, at) in streams.into_iter().zip(0..connections) {
        let texts = Arc::clone(&texts);
        let first = begin + period * at / connections;
        threads.push(thread::spawn(move || {
            let mine = texts.iter().skip(at as usize).step_by(connections as usize).cycle();
            let (waits, late) = keep_asking(stream, mine, least, (first, period, begin + length))?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((waits, late, thread_time()?))
        }));
    }
    let (mut waits, mut late) = (Vec::new(), Vec::new());
    let mut cpu = thread_time()?.saturating_sub(used);
    for thread in threads {
        let (waited, behind, its) = thread.join().map_err(|_| "a thread panicked")??;
        waits.extend(waited);
        late.extend(behind);
        cpu += its;
    }
    let seconds = begin.elapsed().max(length).as_secs_f64();
    waits.sort_unstable();
    late.sort_unstable();
    tell(&format!(
        r#"{{"requests":{},"seconds":{seconds},"cpu_ns":{cpu},"p50":{},"p99":{},"late_p99":{}}}"#,
        waits.len(),
        percentile(&waits, 0.5),
        percentile(&waits, 0.99),
        percentile(&late, 0.99)
    ))
}

/// The waits in nanoseconds, and by how much the thread itself woke too late where it had nothing else to wait for.
fn keep_asking<'a>(
    mut stream: Stream,
    mut texts: impl Iterator<Item = &'a Vec<u8>>,
    least: usize,
    (first, period, end): (Instant, Duration, Instant),
) -> Result<(Vec<u64>, Vec<u64>)> {
    let (mut waits, mut late, mut due) = (Vec::new(), Vec::new(), first);
    while due < end {
        if let Some(left) = due.checked_duration_since(Instant::now()) {
            thread::sleep(left);
            late.push(nanos(due.elapsed()));
        }
        ask(&mut stream, texts.next().ok_or("a request")?, least)?;
        waits.push(nanos(due.elapsed()));
        due += period;
    }
    Ok((waits, late))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Sends a request and takes its answer, which must be a good one with at least so long a body.
pub(crate) fn ask(stream: &mut Stream, text: &[u8], least: usize) -> Result<()> {
    stream.write_all(text)?;
    stream.flush()?;
    let (mut got, mut part) = (Vec::new(), vec![0; 16 * 1_024]);
    let whole = loop {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err("closed before the answer".into());
        }
        got.extend_from_slice(part.get(..read).unwrap_or_default());
        if let Some(at) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4 + length(std::str::from_utf8(got.get(..at).unwrap_or_default())?, least)?;
        }
    };
    while got.len() < whole {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err("closed within the answer".into());
        }
        got.extend_from_slice(part.get(..read).unwrap_or_default());
    }
    if got.len() == whole { Ok(()) } else { Err("more than the answer".into()) }
}

fn length(head: &str, least: usize) -> Result<usize> {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
    });
    match length {
        Some(length) if status == Some("200") && length >= least => Ok(length),
        _ => Err(format!("not the answer that was asked for: {head}").into()),
    }
}

#[test]
fn only_a_good_answer_of_full_length_counts() {
    let answer = |status: &str, length: &str| format!("HTTP/1.1 {status}\r\nServer: x\r\ncontent-length: {length}");
    assert_eq!(length(&answer("200 OK", "1024"), 1_024).unwrap(), 1_024);
    for (status, bytes) in [("302 Found", "1024"), ("200 OK", "1023"), ("200 OK", "x")] {
        assert!(length(&answer(status, bytes), 1_024).is_err(), "{status} {bytes}");
    }
}
