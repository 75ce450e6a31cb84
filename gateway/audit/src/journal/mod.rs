//! The journal that is being written: one mutex around the chain's end, one thread that syncs.

mod begin;
mod outbox;
mod recover;
mod slot;
mod state;
mod sync;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use model::{Clock, NodeId, Timestamp};
use tokio::sync::{oneshot, watch};

pub use slot::{Closing, Open, Reserved};

use crate::checkpoint::Shelf;
use crate::disk::{Disk, Files};
use crate::line::Content;
use crate::{JournalError, NodeKey, OutboxRow, PublicKey, Record, StoredRecord};
use state::State;

/// Where and how to write.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the segments are; made if missing.
    pub directory: PathBuf,
    /// Where the checkpoints go besides: another disk or a share, so that they leave the host.
    pub checkpoint_directory: PathBuf,
    /// This gateway.
    pub node: NodeId,
    /// When to begin a new segment, in bytes.
    pub segment_bytes: u64,
    /// How long a record may be in the kernel before it is synced; 50 ms.
    pub sync_every: Duration,
    /// How often the state is signed while records come; 60 s.
    pub checkpoint_every: Duration,
}

impl Options {
    /// The usual sizes and times: 64 MiB, 50 ms, 60 s.
    pub fn new(directory: impl Into<PathBuf>, checkpoint_directory: impl Into<PathBuf>, node: NodeId) -> Self {
        Self {
            directory: directory.into(),
            checkpoint_directory: checkpoint_directory.into(),
            node,
            segment_bytes: 64 * 1_024 * 1_024,
            sync_every: Duration::from_millis(50),
            checkpoint_every: Duration::from_secs(60),
        }
    }
}

/// A record's place: its sequence number, without gaps from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// The number: `seq` of the record.
    pub const fn seq(self) -> u64 {
        self.0
    }
}

/// What became of a row of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It was written now.
    New(Position),
    /// The journal had it already.
    Already(Position),
}

impl Appended {
    /// Where the record is.
    pub const fn position(self) -> Position {
        match self {
            Self::New(position) | Self::Already(position) => position,
        }
    }
}

/// How the journal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// May requests be let in?
    pub writable: bool,
    /// The newest record.
    pub seq: u64,
    /// The newest record that is on disk.
    pub synced: u64,
    /// How long the oldest record has been waiting for the disk.
    pub unsynced_for: Duration,
    /// Requests that are open, or whose end could not be written yet.
    pub open: usize,
}

/// The open journal of this node. Clones share it; when the last is dropped it closes itself.
#[derive(Clone)]
pub struct Journal(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    setup: Setup,
    state: Mutex<State>,
    /// Somebody waits for the disk, or the journal closes.
    wake: Condvar,
    synced: watch::Sender<u64>,
}

struct Setup {
    options: Options,
    key: NodeKey,
    clock: Clock,
    disk: Box<dyn Disk>,
    shelf: Shelf,
}

impl Journal {
    /// Opens or begins the journal of a directory and starts its sync thread, `sekimori-journal`.
    ///
    /// What an earlier run left unfinished or somebody changed is not repaired: writing goes on in a new
    /// segment whose `journal.recover` says what was found.
    ///
    /// # Errors
    /// [`JournalError::Unusable`], [`JournalError::InUse`].
    pub fn open(options: Options, key: NodeKey, clock: Clock) -> Result<Self, JournalError> {
        Self::open_on(Box::new(Files), options, key, clock)
    }

    pub(crate) fn open_on(
        disk: Box<dyn Disk>,
        options: Options,
        key: NodeKey,
        clock: Clock,
    ) -> Result<Self, JournalError> {
        let shelf = Shelf::new(&options.directory, &options.checkpoint_directory, &options.node);
        let setup = Setup { options, key, clock, disk, shelf };
        let state = State::open(&setup)?;
        let synced = watch::Sender::new(state.synced());
        let shared = Arc::new(Shared { setup, state: Mutex::new(state), wake: Condvar::new(), synced });
        let worker = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("sekimori-journal".to_owned())
            .spawn(move || sync::run(&worker))
            .map_err(|error| JournalError::unusable(&shared.setup.options.directory, error))?;
        Ok(Self(Arc::new(Handle { shared, thread: Mutex::new(Some(thread)) })))
    }

    /// Appends a record. It is in the kernel when this returns, on disk within `sync_every`.
    ///
    /// # Errors
    /// [`JournalError::Unwritable`] and the like: what was to be recorded must not happen.
    pub fn append(&self, record: &Record) -> Result<Position, JournalError> {
        let shared = &self.0.shared;
        shared.lock().append(&shared.setup, Content::Record(record))
    }

    /// Appends a record and returns when it is on disk.
    ///
    /// # Errors
    /// As [`Journal::append`], and [`JournalError::NotSynced`].
    pub async fn append_synced(&self, record: &Record) -> Result<Position, JournalError> {
        let position = self.append(record)?;
        self.synced(position).await?;
        Ok(position)
    }

    /// Returns when everything up to `position` is on disk.
    ///
    /// # Errors
    /// [`JournalError::NotSynced`].
    pub async fn synced(&self, position: Position) -> Result<(), JournalError> {
        match self.wait_for(position) {
            Err(settled) => settled,
            Ok(waiter) => waiter.await.unwrap_or(Err(JournalError::Closed)),
        }
    }

    fn wait_for(&self, position: Position) -> Result<oneshot::Receiver<state::Settled>, state::Settled> {
        let waiter = self.0.shared.lock().wait_for(position)?;
        self.0.shared.wake.notify_one();
        Ok(waiter)
    }

    /// Appends a row of the outbox unless the journal has it already. It knows the newest 4,096 rows, also after
    /// a restart: mark rows as written in batches smaller than that.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_outbox(&self, row: &OutboxRow, record: &StoredRecord) -> Result<Appended, JournalError> {
        let shared = &self.0.shared;
        shared.lock().append_outbox(&shared.setup, row, record)
    }

    /// Takes a slot and writes `record` (a `request.open`) before anything goes upstream.
    ///
    /// # Errors
    /// As [`Journal::append`], and [`JournalError::NoSlot`].
    pub fn begin(&self, record: Record) -> Result<Open, JournalError> {
        self.0.shared.lock().take_slot()?;
        Open::new(self.clone(), record)
    }

    /// As [`Journal::begin`], and the record is on disk on return: privileged, maintenance and break-glass acts.
    ///
    /// # Errors
    /// As [`Journal::append_synced`], and [`JournalError::NoSlot`].
    pub async fn begin_synced(&self, record: Record) -> Result<Open, JournalError> {
        let open = self.begin(record)?;
        self.synced(open.position()).await?;
        Ok(open)
    }

    /// Takes a slot for a read whose one record is written before its head is released.
    ///
    /// # Errors
    /// [`JournalError::NoSlot`], or why the journal can't be written.
    pub fn reserve(&self, record: Record) -> Result<Reserved, JournalError> {
        self.0.shared.lock().take_slot()?;
        Ok(Reserved::new(self.clone(), record))
    }

    /// Begins a new segment, whatever room the one before has: what follows is set apart from it.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn turn(&self) -> Result<(), JournalError> {
        let shared = &self.0.shared;
        shared.lock().turn(&shared.setup)
    }

    /// Has a checkpoint signed within `sync_every`, and not only when its time has come: after a record that
    /// must not stay unproven for a minute, such as a start's.
    pub fn sign_soon(&self) {
        self.0.shared.lock().sign_soon();
    }

    /// The newest sequence number that is on disk, as it moves.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.shared.synced.subscribe()
    }

    /// May requests be let in? `false` from the first failure until recovery.
    pub fn is_writable(&self) -> bool {
        self.0.shared.lock().is_writable()
    }

    /// How the journal stands, for readiness and metrics.
    pub fn standing(&self) -> Standing {
        self.0.shared.lock().standing()
    }

    /// The key that checkpoints are verified by.
    pub fn public_key(&self) -> PublicKey {
        self.0.shared.setup.key.public()
    }

    /// Where the segments are, for readers.
    pub fn directory(&self) -> &Path {
        &self.0.shared.setup.options.directory
    }

    /// Syncs, writes the last checkpoint and stops the thread; blocks for as long as the disk takes. Later
    /// appends fail; a second close says what the first did.
    ///
    /// # Errors
    /// When the last records could not be synced or the checkpoint not written.
    pub fn close(&self) -> Result<(), JournalError> {
        self.0.close()
    }

    fn now(&self) -> Timestamp {
        self.0.shared.setup.clock.now()
    }

    fn write_slot(&self, record: &Record) -> Result<Position, JournalError> {
        let shared = &self.0.shared;
        let mut state = shared.lock();
        let position = state.append(&shared.setup, Content::Record(record))?;
        state.release_slot();
        Ok(position)
    }

    /// Keeps the record of a slot that could not be written, unless it can be by now.
    fn keep_slot(&self, record: Record) {
        let shared = &self.0.shared;
        shared.lock().keep(&shared.setup, record);
    }

    fn release_slot(&self) {
        self.0.shared.lock().release_slot();
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Journal(…)")
    }
}

impl Handle {
    fn close(&self) -> Result<(), JournalError> {
        self.shared.lock().begin_to_close();
        self.shared.wake.notify_one();
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.shared.lock().closed()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the journal did not close in good order");
        }
    }
}

impl Shared {
    /// A panic while the lock was held may have left half a line: the segment is given up, not trusted.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            self.state.clear_poison();
            let mut state = poisoned.into_inner();
            state.give_up("panicked", "a writer panicked");
            state
        })
    }
}
