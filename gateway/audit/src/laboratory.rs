//! What the tests share: a journal in a temporary folder, a disk that can fail, and hands that change files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::{Clock, MasterKey, NodeId, Timestamp};
use tempfile::TempDir;

use crate::disk::{Disk, Files, Presence, Sink};
use crate::{Event, Journal, NodeKey, Options, Outcome, Record, VerifyReport, What, segment, verify};

pub(crate) struct Laboratory {
    folder: TempDir,
    master: Arc<MasterKey>,
    pub(crate) clock: Clock,
    pub(crate) options: Options,
    pub(crate) faults: Arc<Faults>,
}

pub(crate) fn node() -> NodeId {
    NodeId::try_from("n1".to_owned()).unwrap()
}

pub(crate) fn record(text: &str) -> Record {
    Record::new(Event::SessionLock, Outcome::Ok).what(What::thing("session", "s1")).detail("text", text)
}

/// In memory, where the machine has a place for that: thousands of syncs are no part of what is tested.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl Laboratory {
    /// The sync thread does nothing unless somebody waits: no test depends on the passing of time.
    pub(crate) fn new() -> Self {
        let folder = folder();
        let mut options = Options::new(folder.path().join("journal"), folder.path().join("elsewhere"), node());
        options.sync_every = Duration::from_secs(86_400);
        let clock = Clock::manual(Timestamp::from_seconds(1_795_239_900));
        Self { folder, master: Arc::new(MasterKey::generate().unwrap()), clock, options, faults: Arc::default() }
    }

    pub(crate) fn key(&self) -> NodeKey {
        NodeKey::load_or_create(&self.folder.path().join("journal.key"), &self.master).unwrap()
    }

    pub(crate) fn open(&self) -> Journal {
        let disk = Box::new(FaultyDisk(Arc::clone(&self.faults)));
        Journal::open_on(disk, self.options.clone(), self.key(), self.clock.clone()).unwrap()
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.options.directory
    }

    pub(crate) fn elsewhere(&self) -> PathBuf {
        self.options.checkpoint_directory.join("n1.checkpoints")
    }

    pub(crate) fn verify(&self) -> VerifyReport {
        verify(self.directory(), &self.key().public(), None).unwrap()
    }

    pub(crate) fn verify_elsewhere(&self) -> VerifyReport {
        verify(self.directory(), &self.key().public(), Some(&self.elsewhere())).unwrap()
    }

    /// Everything as it stands on the disk now, as a machine finds it that lost its power.
    pub(crate) fn after_a_crash(&self) -> Self {
        let folder = folder();
        copy(self.folder.path(), folder.path());
        let options = Options {
            directory: folder.path().join("journal"),
            checkpoint_directory: folder.path().join("elsewhere"),
            ..self.options.clone()
        };
        Self { folder, master: Arc::clone(&self.master), clock: self.clock.clone(), options, faults: Arc::default() }
    }

    /// The lines of every segment, without newlines.
    pub(crate) fn lines(&self) -> Vec<Vec<String>> {
        let segments = segment::list(self.directory()).unwrap();
        let read = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
        segments.iter().map(|(_, path)| read(path)).collect()
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.lines().concat()
    }

    pub(crate) fn write_lines(&self, segments: &[Vec<String>]) {
        for ((_, path), lines) in segment::list(self.directory()).unwrap().iter().zip(segments) {
            fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        }
    }

    pub(crate) fn path(&self, number: u32) -> PathBuf {
        segment::path(self.directory(), number)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What is wrong with the disk.
#[derive(Default)]
pub(crate) struct Faults {
    room: RwLock<Option<Arc<AtomicU64>>>,
    pub(crate) read_only: AtomicBool,
    pub(crate) no_truncation: AtomicBool,
    pub(crate) no_sync: AtomicBool,
}

impl Faults {
    /// The disk takes this many bytes more; `None`: as many as there are.
    pub(crate) fn room(&self, bytes: Option<u64>) {
        *self.room.write().unwrap() = bytes.map(|bytes| Arc::new(AtomicU64::new(bytes)));
    }

    fn take(&self, wanted: usize) -> io::Result<usize> {
        if self.read_only.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let room = self.room.read().unwrap_or_else(PoisonError::into_inner);
        let Some(room) = room.as_ref() else { return Ok(wanted) };
        let taken = wanted.min(usize::try_from(room.load(Ordering::SeqCst)).unwrap());
        room.fetch_sub(taken as u64, Ordering::SeqCst);
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }
}

struct FaultyDisk(Arc<Faults>);

struct FaultySink(Arc<dyn Sink>, Arc<Faults>);

impl FaultyDisk {
    fn wrap(&self, sink: Arc<dyn Sink>) -> Arc<dyn Sink> {
        Arc::new(FaultySink(sink, Arc::clone(&self.0)))
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Sink>> {
        if self.0.read_only.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Files.create(path).map(|sink| self.wrap(sink))
    }

    fn resume(&self, path: &Path) -> io::Result<Arc<dyn Sink>> {
        Files.resume(path).map(|sink| self.wrap(sink))
    }
}

impl Sink for FaultySink {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.1.take(bytes.len())?;
        self.0.write(&bytes[..taken])
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if self.1.no_truncation.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::Other.into());
        }
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        if self.1.no_sync.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::Other.into());
        }
        self.0.sync()
    }

    fn presence(&self, path: &Path) -> io::Result<Presence> {
        self.0.presence(path)
    }
}
