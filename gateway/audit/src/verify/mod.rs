//! Is this the journal that was written? Answered from the files and the public key alone.

mod chain;
mod notes;
mod report;
#[cfg(test)]
mod script_tests;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use model::hex;
use serde::Deserialize;

use crate::checkpoint;
use crate::line::{self, Parsed};
use crate::scan::{self, Lines};
use crate::{JournalError, PublicKey, segment};

use chain::{Bad, Chain, Seen};
use notes::Stream;
pub use report::{Finding, Kind, Place, VerifyReport};

/// Checks the journal in `directory` with the public key, and against a checkpoint file kept elsewhere.
/// Reads every byte once; memory doesn't grow with the journal.
///
/// Without a checkpoint file from elsewhere it can't know of a journal that was put back whole to an older state.
///
/// # Errors
/// [`JournalError::Unusable`] when files can't be read. What the files say is in the report.
pub fn verify(directory: &Path, key: &PublicKey, checkpoints: Option<&Path>) -> Result<VerifyReport, JournalError> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| JournalError::unusable(path, error)
    };
    let segments = segment::list(directory).map_err(unusable(directory))?;
    let inside = directory.join(checkpoint::FILE);
    let mut streams = vec![Stream::open(&inside, *key, false).map_err(unusable(&inside))?];
    if let Some(path) = checkpoints {
        streams.push(Stream::open_existing(path, *key).map_err(unusable(path))?);
    }
    let mut chain = Chain::new(streams, checkpoints.is_some());
    for (number, path) in &segments {
        read(&mut chain, *number, path).map_err(unusable(path))?;
    }
    chain.finish().map_err(unusable(directory))
}

fn read(chain: &mut Chain, number: u32, path: &Path) -> io::Result<()> {
    chain.begin_segment();
    let mut lines = Lines::open(path)?;
    // Bad lines wait until it is known whether a good one follows in this file.
    let mut bad: Option<(Bad, u64)> = None;
    while let Some(piece) = lines.next()? {
        let parsed = line::parse(piece.bytes);
        match parsed.filter(|line| piece.complete && line.intact()) {
            Some(good) => {
                if let Some((bad, _)) = bad.take() {
                    chain.bad(bad);
                }
                look_inside(chain, number, piece.number, &good, piece.bytes);
                let seen =
                    Seen { segment: number, line: piece.number, seq: good.seq, prev: good.prev, hash: good.hash };
                chain.good(seen)?;
            }
            None => {
                let (run, _) = bad.get_or_insert_with(|| (Bad::at(number, piece.number), piece.start));
                run.last_line = piece.number;
                run.count += 1;
            }
        }
    }
    if let Some((mut run, start)) = bad {
        run.leftover = Some(scan::leftover(path, start)?);
        chain.bad(run);
    }
    Ok(())
}

/// What the journal says of itself: the number in a segment's first line, and what it found torn.
fn look_inside(chain: &mut Chain, number: u32, line: u64, parsed: &Parsed<'_>, bytes: &[u8]) {
    match parsed.event {
        "journal.segment" if line == 1 => {
            let says = serde_json::from_slice::<Header>(bytes).map_or(0, |header| header.detail.segment);
            if says != number {
                chain.misplaced(number, parsed.seq, says);
            }
        }
        "journal.recover" => {
            let Ok(recovery) = serde_json::from_slice::<Recovery>(bytes) else { return };
            for torn in recovery.detail.torn {
                if let Some(sha256) = hex::parse(torn.sha256.as_bytes()) {
                    chain.told_torn(torn.segment, torn.bytes, sha256);
                }
            }
        }
        _ => {}
    }
}

#[derive(Deserialize)]
struct Header {
    detail: Numbered,
}

#[derive(Deserialize)]
struct Numbered {
    segment: u32,
}

#[derive(Deserialize)]
struct Recovery {
    detail: Told,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    torn: Vec<Torn>,
}

#[derive(Deserialize)]
struct Torn {
    segment: u32,
    bytes: u64,
    sha256: String,
}
