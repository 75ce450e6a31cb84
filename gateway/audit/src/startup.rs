//! What a directory holds when the journal is opened.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use model::NodeId;

use crate::line::{self, Chain};
use crate::merkle::Tree;
use crate::scan::{self, Leftover, Lines};
use crate::segment;

/// How many segments are looked at for rows of the outbox, newest first.
const LOOK_BACK: usize = 4;

/// The state that the files were left in.
#[derive(Debug, Default)]
pub(crate) struct Inspected {
    /// The last good line.
    pub(crate) chain: Chain,
    /// The newest segment's number; 0 without any.
    pub(crate) number: u32,
    /// The newest segment, if writing can go on in it.
    pub(crate) resumable: Option<Resumable>,
    /// What stands behind the last good line of a segment.
    pub(crate) leftovers: Vec<(u32, Leftover)>,
    /// A line before the last is not what was written.
    pub(crate) damaged: bool,
    /// The newest rows of the outbox, oldest first.
    pub(crate) outbox: VecDeque<(NodeId, i64, u64)>,
}

/// A segment whose every line is good.
#[derive(Debug)]
pub(crate) struct Resumable {
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
    pub(crate) tree: Tree,
}

/// Reads the newest segments: the last one whole, older ones as far as needed for the outbox.
pub(crate) fn inspect(directory: &Path, outbox: usize) -> io::Result<Inspected> {
    let mut found = Inspected::default();
    let segments = segment::list(directory)?;
    found.number = segments.last().map_or(0, |(number, _)| *number);
    for (looked, (number, path)) in segments.iter().rev().enumerate() {
        let one = read(path)?;
        if found.chain.seq == 0 {
            found.damaged |= one.damaged;
            if one.good_end < one.length || one.length == 0 {
                found.leftovers.push((*number, scan::leftover(path, one.good_end)?));
            }
            if let Some(chain) = one.chain {
                found.chain = chain;
                let whole = one.good_end == one.length && !one.damaged && *number == found.number;
                found.resumable =
                    whole.then(|| Resumable { path: path.clone(), length: one.length, tree: one.tree.clone() });
            }
        }
        one.outbox.into_iter().rev().for_each(|row| found.outbox.push_front(row));
        if found.chain.seq > 0 && (found.outbox.len() >= outbox || looked + 1 >= LOOK_BACK) {
            break;
        }
    }
    let excess = found.outbox.len().saturating_sub(outbox);
    found.outbox.drain(..excess);
    Ok(found)
}

#[derive(Default)]
struct Read {
    chain: Option<Chain>,
    tree: Tree,
    good_end: u64,
    length: u64,
    damaged: bool,
    outbox: Vec<(NodeId, i64, u64)>,
}

fn read(path: &Path) -> io::Result<Read> {
    let mut read = Read::default();
    let mut lines = Lines::open(path)?;
    let mut bad = false;
    while let Some(piece) = lines.next()? {
        read.length = piece.end;
        let good = line::parse(piece.bytes).filter(|line| piece.complete && line.intact());
        let Some(good) = good else {
            bad = true;
            continue;
        };
        let follows = read.chain.is_none_or(|chain| chain.hash == good.prev && chain.seq + 1 == good.seq);
        read.damaged |= bad || !follows;
        read.chain = Some(good.chain());
        read.tree.push(&good.hash);
        read.good_end = piece.end;
        if let Some((node, id)) = good.outbox() {
            read.outbox.push((node, id, good.seq));
        }
    }
    Ok(read)
}
