use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the journal did not take a record. Whoever gets one refuses what he was about to do (503):
/// nothing happens unrecorded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory can't be used at all.
    #[error("journal {}: {cause}", path.display())]
    Unusable {
        /// What was tried.
        path: PathBuf,
        /// What the system said.
        cause: Arc<io::Error>,
    },
    /// Another process writes to this directory.
    #[error("journal {}: in use by another process", .0.display())]
    InUse(PathBuf),
    /// A write or sync failed, or the segment is gone; the journal tries to go on in a new segment
    /// by itself, every `sync_every`.
    #[error("the journal can't be written: {0}")]
    Unwritable(Arc<str>),
    /// The record was written but is not known to be on disk.
    #[error("the record is not known to be on disk: {0}")]
    NotSynced(Arc<str>),
    /// Too many requests are open at once.
    #[error("too many open requests")]
    NoSlot,
    /// A record beyond the bound; parts are cut before it comes to this.
    #[error("the record is too long")]
    TooLong,
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// A key is missing, damaged or sealed under another master key.
    #[error("journal key {}: {what}", path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl JournalError {
    pub(crate) fn unusable(path: impl Into<PathBuf>, cause: io::Error) -> Self {
        Self::Unusable { path: path.into(), cause: Arc::new(cause) }
    }
}
