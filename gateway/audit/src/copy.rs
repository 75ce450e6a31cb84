//! A copy of a journal for a backup, while it is being written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::checkpoint::{self, SIGNED_BY};
use crate::scan::Lines;
use crate::{JournalError, disk, segment};

/// Copies the files of the journal in `directory` into the empty directory `to`, each cut behind its last whole
/// line or note. The notes are copied first, so that they know of nothing that the copied records lack. Gives the
/// copies' paths.
///
/// # Errors
/// [`JournalError::Unusable`].
pub fn copy(directory: &Path, to: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut copied = Vec::new();
    let mut take = |from: &Path, end: fn(&Path) -> io::Result<u64>| {
        let name = from.file_name().unwrap_or_default();
        let copy = to.join(name);
        copy_up_to(from, &copy, end).map_err(|error| JournalError::unusable(from, error))?;
        copied.push(copy);
        Ok(())
    };
    let notes = directory.join(checkpoint::FILE);
    if notes.exists() {
        take(&notes, last_note)?;
    }
    for (_, path) in segment::list(directory).map_err(|error| JournalError::unusable(directory, error))? {
        take(&path, last_line)?;
    }
    disk::sync_directory(to).map_err(|error| JournalError::unusable(to, error))?;
    Ok(copied)
}

fn copy_up_to(from: &Path, to: &Path, end: fn(&Path) -> io::Result<u64>) -> io::Result<()> {
    let length = fs::metadata(from)?.len();
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut File::open(from)?.take(length), &mut copy)?;
    copy.set_len(end(to)?)?;
    copy.sync_all()
}

fn last_line(path: &Path) -> io::Result<u64> {
    end_of_last(path, |_| true)
}

fn last_note(path: &Path) -> io::Result<u64> {
    end_of_last(path, |line| line.starts_with(SIGNED_BY.as_bytes()))
}

/// Where the last whole line that `counts` ends.
fn end_of_last(path: &Path, counts: fn(&[u8]) -> bool) -> io::Result<u64> {
    let (mut lines, mut end) = (Lines::open(path)?, 0);
    while let Some(piece) = lines.next()? {
        if piece.complete && counts(piece.bytes) {
            end = piece.end;
        }
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laboratory::{Laboratory, record};
    use crate::verify;

    #[test]
    fn a_copy_made_in_the_middle_of_a_line_and_of_a_note_verifies() {
        let laboratory = Laboratory::new();
        let journal = laboratory.open();
        for text in ["one", "two", "three"] {
            journal.append(&record(text)).unwrap();
        }
        journal.close().unwrap();
        let directory = laboratory.directory();
        for (file, rest) in [("segment-00000001.jsonl", "{\"v\":1,\"t\":"), ("checkpoints", "sekimori.journal/n1\n7\n")]
        {
            let path = directory.join(file);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{text}{rest}")).unwrap();
        }
        let to = tempfile::tempdir().unwrap();
        let copied = copy(directory, to.path()).unwrap();
        assert_eq!(copied.len(), 2);
        let report = verify(to.path(), &journal.public_key(), None).unwrap();
        assert!(report.is_sound() && report.findings.is_empty(), "{report}");
    }
}
