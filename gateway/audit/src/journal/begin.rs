//! The first lines of a segment, written and synced as one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::hex;
use serde_json::{Value, json};

use super::Setup;
use crate::disk::{self, Sink};
use crate::line::{self, Chain, Content};
use crate::merkle::Tree;
use crate::segment::{self, Segment};
use crate::{Event, JournalError, Outcome, Record, Who};

/// The version of the format that docs/journal.md describes.
const FORMAT: u32 = 1;
/// How many numbers are tried for a file that does not exist yet.
const NUMBERS: u32 = 1_000;

/// What a new segment goes on from.
pub(super) struct Start<'a> {
    /// Its number is the next free one after this.
    pub(super) after: u32,
    pub(super) chain: Chain,
    /// The segment before it, as this process knew it.
    pub(super) previous: Option<Value>,
    /// Lines to write behind the first one: a `journal.recover`, and what had to wait.
    pub(super) records: &'a [Record],
}

/// Begins a segment. It is on disk on return, or as if nothing had been tried.
pub(super) fn begin(setup: &Setup, start: Start<'_>) -> Result<(Segment, Chain), JournalError> {
    let directory = &setup.options.directory;
    let (number, path, sink) =
        create(setup, start.after).map_err(|(path, error)| JournalError::unusable(path, error))?;
    let written = fill(setup, &start, number, sink.as_ref())
        .and_then(|filled| disk::sync_directory(directory).map(|()| filled))
        .map_err(|error| JournalError::unusable(&path, error));
    match written {
        Ok((length, tree, chain)) => Ok((Segment { number, path, sink, length, tree }, chain)),
        Err(error) => {
            // Should this fail too, the next segment takes the next number and tells of this one's leftover.
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

/// What a segment's first line says of the one before.
pub(super) fn previous(segment: &Segment, chain: Chain) -> Value {
    json!({
        "segment": segment.number,
        "records": segment.tree.leaves(),
        "seq": chain.seq,
        "hash": hex::of(&chain.hash),
        "root": hex::of(&segment.tree.root()),
    })
}

type Created = (u32, PathBuf, Arc<dyn Sink>);

fn create(setup: &Setup, after: u32) -> Result<Created, (PathBuf, io::Error)> {
    let mut number = after;
    loop {
        number = number.saturating_add(1);
        let path = segment::path(&setup.options.directory, number);
        match setup.disk.create(&path) {
            Ok(sink) => return Ok((number, path, sink)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number - after < NUMBERS => {}
            Err(error) => return Err((path, error)),
        }
    }
}

fn fill(setup: &Setup, start: &Start<'_>, number: u32, sink: &dyn Sink) -> io::Result<(u64, Tree, Chain)> {
    let header = Record::new(Event::JournalSegment, Outcome::Ok)
        .who(Who::system("journal"))
        .detail("format", FORMAT)
        .detail("segment", number)
        .detail("key", &setup.key.public().text())
        .detail("previous", start.previous.as_ref().unwrap_or(&Value::Null));
    let (mut text, mut tree, mut chain) = (String::new(), Tree::default(), start.chain);
    for record in std::iter::once(&header).chain(start.records) {
        let now = setup.clock.now();
        line::compose(&mut text, &mut chain, &setup.options.node, now, Content::Record(record))
            .map_err(io::Error::other)?;
        tree.push(&chain.hash);
    }
    write_all(sink, text.as_bytes()).map_err(|(_, error)| error)?;
    sink.sync()?;
    Ok((text.len() as u64, tree, chain))
}

/// Writes everything, or says how much went out before the failure.
pub(super) fn write_all(sink: &dyn Sink, mut bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let whole = bytes.len();
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(0) => return Err((whole - bytes.len(), io::ErrorKind::WriteZero.into())),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((whole - bytes.len(), error)),
        }
    }
    Ok(())
}

/// Has the file of a segment that is gone or replaced written again from the handle that is still open.
pub(super) fn restore(segment: &Segment) -> io::Result<u64> {
    put_aside(&segment.path)?;
    let fresh = crate::disk::Files;
    let copy = crate::disk::Disk::create(&fresh, &segment.path)?;
    let mut buffer = vec![0; 64 * 1_024];
    let mut offset = 0;
    while offset < segment.length {
        let wanted = usize::try_from(segment.length - offset).unwrap_or(usize::MAX).min(buffer.len());
        let read = segment.sink.read_at(buffer.get_mut(..wanted).unwrap_or_default(), offset)?;
        if read == 0 {
            break;
        }
        write_all(copy.as_ref(), buffer.get(..read).unwrap_or_default()).map_err(|(_, error)| error)?;
        offset += read as u64;
    }
    copy.sync()?;
    Ok(offset)
}

/// What stands in the segment's place is evidence: it keeps its bytes under another name.
fn put_aside(path: &Path) -> io::Result<()> {
    if !path.try_exists()? {
        return Ok(());
    }
    for number in 1..NUMBERS {
        let aside = path.with_added_extension(format!("displaced-{number}"));
        if !aside.try_exists()? {
            return std::fs::rename(path, aside);
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
