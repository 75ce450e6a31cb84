//! Lines of a file one at a time, with bounded memory whatever the file holds.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use aws_lc_rs::digest;

use crate::line::{Hash, MAX};

/// Reads lines of at most [`MAX`] bytes.
pub(crate) struct Lines {
    file: BufReader<File>,
    line: Vec<u8>,
    number: u64,
    offset: u64,
}

/// A line, or what stands in a line's place.
pub(crate) struct Piece<'a> {
    /// From 1.
    pub(crate) number: u64,
    /// Where it begins in the file.
    pub(crate) start: u64,
    /// Where the next one begins.
    pub(crate) end: u64,
    /// Without the newline; empty when it was too long to keep.
    pub(crate) bytes: &'a [u8],
    /// It ended with a newline.
    pub(crate) complete: bool,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::open_last(path, u64::MAX)
    }

    /// Only the last bytes of a file; the first piece may be the rest of a line. Offsets count from there.
    pub(crate) fn open_last(path: &Path, last: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(last)))?;
        Ok(Self { file: BufReader::with_capacity(64 * 1_024, file), line: Vec::new(), number: 0, offset: 0 })
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.line.clear();
        let start = self.offset;
        let mut overlong = false;
        loop {
            let available = match self.file.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let newline = available.iter().position(|b| *b == b'\n');
            let part = available.get(..newline.unwrap_or(available.len())).unwrap_or_default();
            overlong |= self.line.len() + part.len() > MAX;
            if !overlong {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(newline.is_some());
            self.file.consume(used);
            self.offset += used as u64;
            if newline.is_some() || used == 0 {
                if newline.is_none() && self.offset == start {
                    return Ok(None);
                }
                if overlong {
                    self.line.clear();
                }
                self.number += 1;
                return Ok(Some(Piece {
                    number: self.number,
                    start,
                    end: self.offset,
                    bytes: &self.line,
                    complete: newline.is_some(),
                }));
            }
        }
    }
}

/// What stands at the end of a file behind its last good line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leftover {
    pub(crate) bytes: u64,
    pub(crate) sha256: Hash,
    /// As a power cut leaves it: no newline at the end, or blocks of zeros that were never written.
    pub(crate) torn: bool,
}

/// Looks at a file from `start` to its end.
pub(crate) fn leftover(path: &Path, start: u64) -> io::Result<Leftover> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut context = digest::Context::new(&digest::SHA256);
    let (mut bytes, mut zeros, mut last) = (0_u64, false, b'\n');
    let mut buffer = vec![0; 64 * 1_024];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        context.update(part);
        bytes += read as u64;
        zeros |= part.contains(&0);
        last = part.last().copied().unwrap_or(last);
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(context.finish().as_ref());
    Ok(Leftover { bytes, sha256, torn: zeros || last != b'\n' })
}
