//! Full handshakes: connect, agree on a key, prove, part. Nothing is resumed and nothing is asked.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group;

use crate::tls::Peer;
use crate::{Options, Result, tell, thread_time, wait_for_word};

/// Under way at once: enough that the candidate never waits for us.
const AT_ONCE: usize = 8;

pub(crate) fn run(options: &Options) -> Result<()> {
    let group: &'static dyn SupportedKxGroup = match options.text("group")? {
        "X25519" => kx_group::X25519,
        "X25519MLKEM768" => kx_group::X25519MLKEM768,
        other => return Err(format!("no such group: {other}").into()),
    };
    let peer = Peer::new(options, &[], group)?;
    let length = Duration::from_secs(options.number("seconds")?);
    one(&peer, group)?;
    wait_for_word()?;
    let (used, begin) = (thread_time()?, Instant::now());
    let (count, stop, first) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(Ok(())));
    let (count, stop, first) = (Arc::new(count), Arc::new(stop), Arc::new(first));
    let threads: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (peer, count, stop, first) = (peer.clone(), Arc::clone(&count), Arc::clone(&stop), Arc::clone(&first));
            thread::spawn(move || {
                while begin.elapsed() < length && !stop.load(Ordering::Relaxed) {
                    match one(&peer, group) {
                        Ok(()) => {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => {
                            stop.store(true, Ordering::Relaxed);
                            *first.lock().unwrap_or_else(PoisonError::into_inner) = Err(error);
                        }
                    }
                }
                thread_time()
            })
        })
        .collect();
    let mut cpu = thread_time()?.saturating_sub(used);
    for thread in threads {
        cpu += thread.join().map_err(|_| "a thread panicked")??;
    }
    std::mem::replace(&mut *first.lock().unwrap_or_else(PoisonError::into_inner), Ok(()))?;
    let seconds = begin.elapsed().as_secs_f64();
    tell(&format!(r#"{{"handshakes":{},"seconds":{seconds},"cpu_ns":{cpu}}}"#, count.load(Ordering::Relaxed)))
}

/// From connecting until the server has closed: then it has read our proof too.
fn one(peer: &Peer, group: &'static dyn SupportedKxGroup) -> Result<()> {
    let mut stream = peer.connect()?;
    let agreed = stream.conn.negotiated_key_exchange_group().map(SupportedKxGroup::name);
    if agreed != Some(group.name()) {
        return Err(format!("{agreed:?} instead of {:?}", group.name()).into());
    }
    stream.conn.send_close_notify();
    stream.conn.complete_io(&mut stream.sock)?;
    let mut rest = [0; 4_096];
    while stream.sock.read(&mut rest).is_ok_and(|read| read > 0) {}
    Ok(())
}
