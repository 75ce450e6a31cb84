//! What the benchmark asks of a server and wrk can't: HTTP/2 with a session to each connection, a fixed rate,
//! full handshakes, connections that are held open; and the bare argon2id that a pool of it is compared with.
//!
//! `bench_client MODE name=value …`, started by `tests/bench/client.py`. A mode gets ready, says `ready`, begins when
//! it is sent a line, and prints what it found as one line of JSON. An answer that isn't a good one ends it.

mod handshakes;
mod hash;
mod hold;
mod http2;
mod paced;
mod requests;
mod tls;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut given = std::env::args().skip(1);
    let mode = given.next().ok_or("which mode?")?;
    let pairs = given.map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
    let options = Options(pairs.collect::<Option<_>>().ok_or("options are name=value")?);
    match mode.as_str() {
        "http2" => http2::run(&options),
        "paced" => paced::run(&options),
        "handshakes" => handshakes::run(&options),
        "hold" => hold::run(&options),
        "hash" => hash::run(&options),
        _ => Err(format!("no such mode: {mode}").into()),
    }
}

/// What the command line said.
struct Options(BTreeMap<String, String>);

impl Options {
    fn text(&self, name: &str) -> Result<&str> {
        Ok(self.0.get(name).ok_or_else(|| format!("{name}= is missing"))?)
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<T> {
        self.text(name)?.parse().map_err(|_| format!("{name}= is no number").into())
    }
}

/// Says that all is ready, and waits for the word to go on.
fn wait_for_word() -> Result<()> {
    tell("ready")?;
    match io::stdin().read_line(&mut String::new())? {
        0 => Err("nobody said to go on".into()),
        _ => Ok(()),
    }
}

fn tell(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Nanoseconds that this process and its living threads had of their core, by the scheduler's account.
fn processor_time() -> Result<u64> {
    fs::read_dir("/proc/self/task")?.map(|task| account(&task?.path())).sum()
}

/// The same of this thread alone: what has ended is in nobody's account.
fn thread_time() -> Result<u64> {
    account(Path::new("/proc/thread-self"))
}

fn account(task: &Path) -> Result<u64> {
    let text = fs::read_to_string(task.join("schedstat"))?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// The value below which `share` of the sorted values are; 0 without any.
fn percentile(sorted: &[u64], share: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = (share * sorted.len() as f64) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

#[test]
fn the_median_is_in_the_middle_and_the_99th_percentile_near_the_end() {
    let values: Vec<u64> = (0..1_000).collect();
    assert_eq!((percentile(&values, 0.5), percentile(&values, 0.99), percentile(&[], 0.5)), (500, 990, 0));
}
