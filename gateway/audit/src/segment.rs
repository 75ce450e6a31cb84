//! Segment files: `segment-00000001.jsonl` and so on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Sink;
use crate::merkle::Tree;

/// The segment that is being written.
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
    pub(crate) sink: Arc<dyn Sink>,
    /// How long the file is as far as we wrote it: always the end of a line.
    pub(crate) length: u64,
    pub(crate) tree: Tree,
}

/// The file of a segment.
pub(crate) fn path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("segment-{number:08}.jsonl"))
}

/// The segments of a directory by number. A directory that doesn't exist has none.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("segment-")?.strip_suffix(".jsonl")?.parse().ok());
        if let Some(number) = number
            && path(Path::new(""), number).as_os_str() == name
        {
            found.push((number, directory.join(name)));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The name of a segment's file, for messages.
pub(crate) fn name(number: u32) -> String {
    path(Path::new(""), number).display().to_string()
}
