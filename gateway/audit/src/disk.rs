//! The file system as the journal uses it, behind a trait so that tests can fill, break and cut it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::JournalError;

/// Makes and reopens segments.
pub(crate) trait Disk: Send + Sync {
    /// A new file that did not exist.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Sink>>;
    /// An existing file, to go on at its end.
    fn resume(&self, path: &Path) -> io::Result<Arc<dyn Sink>>;
}

/// One segment file, opened for appending.
pub(crate) trait Sink: Send + Sync {
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn set_len(&self, length: u64) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
    /// Its length, and whether `path` still leads to it.
    fn presence(&self, path: &Path) -> io::Result<Presence>;
}

/// Where a segment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// At its path, with this length.
    There(u64),
    /// Another file stands at its path.
    Replaced,
    /// Nothing stands at its path.
    Gone,
}

/// The real one.
pub(crate) struct Files;

impl Disk for Files {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Sink>> {
        Ok(Arc::new(OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(path)?))
    }

    fn resume(&self, path: &Path) -> io::Result<Arc<dyn Sink>> {
        Ok(Arc::new(OpenOptions::new().read(true).append(true).open(path)?))
    }
}

impl Sink for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn presence(&self, path: &Path) -> io::Result<Presence> {
        let own = self.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (own.dev(), own.ino()) => Ok(Presence::There(own.len())),
            Ok(_) => Ok(Presence::Replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Presence::Gone),
            Err(error) => Err(error),
        }
    }
}

/// Makes a directory that only its owner enters, with those above it.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes names that were created or renamed in a directory survive a power cut.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces a small file as a whole, or leaves the old one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_added_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Keeps a second process out of a directory.
pub(crate) struct DirectoryLock {
    file: File,
    path: PathBuf,
}

impl DirectoryLock {
    pub(crate) fn take(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| JournalError::unusable(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path }),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse(directory.to_owned())),
            Err(TryLockError::Error(error)) => Err(JournalError::unusable(path, error)),
        }
    }

    /// Takes it again if the directory was deleted or replaced under us.
    pub(crate) fn renew(&mut self, directory: &Path) -> Result<(), JournalError> {
        match self.file.presence(&self.path) {
            Ok(Presence::There(_)) => Ok(()),
            _ => Self::take(directory).map(|fresh| *self = fresh),
        }
    }
}
