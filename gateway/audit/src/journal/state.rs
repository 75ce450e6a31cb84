use std::io;
use std::sync::Arc;
use std::time::Instant;

use model::Timestamp;
use tokio::sync::oneshot;

use super::begin::{self, Start};
use super::outbox::{self, Memory};
use super::recover::{self, Broken};
use super::{Appended, Position, Setup, Standing};
use crate::checkpoint::{Checkpoint, time_text};
use crate::disk::{self, DirectoryLock, Presence};
use crate::line::{self, Chain, Content};
use crate::scan::Leftover;
use crate::segment::Segment;
use crate::{JournalError, OutboxRow, Record, StoredRecord, startup};

/// How many requests may be open at once.
const SLOTS: usize = 65_536;

/// What somebody who waits for the disk is told.
pub(super) type Settled = Result<(), JournalError>;

/// The end of the chain, and what belongs to it; behind the journal's one mutex.
pub(super) struct State {
    chain: Chain,
    segment: Segment,
    broken: Option<Broken>,
    end: End,
    /// On disk up to here.
    synced: u64,
    /// Since when something is not.
    unsynced_since: Option<Instant>,
    /// The newest range of records that a failed sync left in doubt.
    doubtful: Option<(u64, u64)>,
    waiters: Vec<(u64, oneshot::Sender<Settled>)>,
    slots: usize,
    kept: Vec<Record>,
    outbox: Memory,
    buffer: String,
    /// Up to where and when the last note was signed; no time: the next record is to be signed at once.
    signed: (u64, Option<Timestamp>),
    lock: DirectoryLock,
}

enum End {
    NotYet,
    Closing,
    Closed(Settled),
}

/// What one round of the sync thread takes with it.
pub(super) struct Round {
    pub(super) sink: Arc<dyn disk::Sink>,
    pub(super) seq: u64,
    pub(super) checkpoint: Option<Checkpoint>,
}

impl State {
    pub(super) fn open(setup: &Setup) -> Result<Self, JournalError> {
        let directory = &setup.options.directory;
        let unusable = |error| JournalError::unusable(directory, error);
        disk::make_directory(directory).map_err(unusable)?;
        let lock = DirectoryLock::take(directory)?;
        let mut found = startup::inspect(directory, outbox::ROWS).map_err(unusable)?;
        let newest = setup.shelf.newest(setup.key.public()).map_err(unusable)?;
        let outbox = std::mem::take(&mut found.outbox).into_iter().collect();
        let (segment, chain) = recover::resume(setup, found, newest.as_ref())?;
        let mut state = Self {
            chain,
            segment,
            broken: None,
            end: End::NotYet,
            synced: chain.seq,
            unsynced_since: None,
            doubtful: None,
            waiters: Vec::new(),
            slots: 0,
            kept: Vec::new(),
            outbox,
            buffer: String::with_capacity(4_096),
            signed: (0, None),
            lock,
        };
        state.sign_on(setup)?;
        Ok(state)
    }

    /// The first note of a run says *open*, so that lines behind a *closed* one are nobody's but a forger's.
    /// A share that is away doesn't keep the hospital from opening.
    fn sign_on(&mut self, setup: &Setup) -> Result<(), JournalError> {
        self.segment.sink.sync().map_err(|error| JournalError::unusable(&self.segment.path, error))?;
        let note = self.checkpoint(setup, false).note(&setup.key);
        setup.shelf.put_inside(&note)?;
        if let Err(error) = setup.shelf.put_outside(&note) {
            tracing::error!(%error, "checkpoints don't leave the host");
        }
        Ok(())
    }

    pub(super) fn append(&mut self, setup: &Setup, content: Content<'_>) -> Result<Position, JournalError> {
        self.admit()?;
        if self.segment.length >= setup.options.segment_bytes {
            self.rotate(setup)?;
        }
        let mut chain = self.chain;
        self.buffer.clear();
        line::compose(&mut self.buffer, &mut chain, &setup.options.node, setup.clock.now(), content)?;
        if let Err((written, error)) = begin::write_all(self.segment.sink.as_ref(), self.buffer.as_bytes()) {
            return Err(self.undo(written, &error));
        }
        self.segment.length += self.buffer.len() as u64;
        self.segment.tree.push(&chain.hash);
        self.chain = chain;
        if self.unsynced_since.is_none() {
            self.unsynced_since = Some(Instant::now());
        }
        Ok(Position(chain.seq))
    }

    pub(super) fn append_outbox(
        &mut self,
        setup: &Setup,
        row: &OutboxRow,
        record: &StoredRecord,
    ) -> Result<Appended, JournalError> {
        if let Some(seq) = self.outbox.place(&row.node, row.id) {
            return Ok(Appended::Already(Position(seq)));
        }
        let position = self.append(setup, Content::Outbox(row, record))?;
        self.outbox.remember(row.node.clone(), row.id, position.seq());
        Ok(Appended::New(position))
    }

    pub(super) fn turn(&mut self, setup: &Setup) -> Result<(), JournalError> {
        self.admit()?;
        self.rotate(setup)
    }

    fn admit(&mut self) -> Result<(), JournalError> {
        if !matches!(self.end, End::NotYet) {
            return Err(JournalError::Closed);
        }
        match &mut self.broken {
            Some(broken) => {
                broken.refused += 1;
                Err(JournalError::Unwritable(Arc::clone(&broken.cause)))
            }
            None => Ok(()),
        }
    }

    /// A line that went out in part must not be glued to the next: it is taken back, or the segment is left
    /// with it and the next one tells.
    fn undo(&mut self, written: usize, error: &io::Error) -> JournalError {
        let mut leftover = None;
        if written > 0 && self.segment.sink.set_len(self.segment.length).is_err() {
            let part = self.buffer.as_bytes().get(..written).unwrap_or_default();
            leftover = Some(Leftover { bytes: written as u64, sha256: line::sha256(part), torn: true });
        }
        let cause = self.give_up("write-failed", &error.to_string());
        if let Some(broken) = &mut self.broken {
            broken.leftovers.extend(leftover.map(|leftover| (self.segment.number, leftover)));
        }
        JournalError::Unwritable(cause)
    }

    /// Takes no more records until recovery.
    pub(super) fn give_up(&mut self, reason: &'static str, cause: &str) -> Arc<str> {
        if let Some(broken) = &self.broken {
            return Arc::clone(&broken.cause);
        }
        let broken = Broken::new(reason, format!("{reason}: {cause}"));
        let cause = Arc::clone(&broken.cause);
        tracing::error!(%cause, seq = self.chain.seq, "the journal can't be written; requests are refused until it can");
        self.broken = Some(broken);
        cause
    }

    fn rotate(&mut self, setup: &Setup) -> Result<(), JournalError> {
        if let Err(error) = self.segment.sink.sync() {
            return Err(self.doubt(&error));
        }
        let start = Start {
            after: self.segment.number,
            chain: self.chain,
            previous: Some(begin::previous(&self.segment, self.chain)),
            records: &[],
        };
        match begin::begin(setup, start) {
            Ok((segment, chain)) => {
                (self.segment, self.chain) = (segment, chain);
                self.settle(chain.seq);
                Ok(())
            }
            Err(error) => Err(JournalError::Unwritable(self.give_up("write-failed", &error.to_string()))),
        }
    }

    /// Everything written since the last sync may be lost: who waits is told so.
    pub(super) fn doubt(&mut self, error: &io::Error) -> JournalError {
        let cause = self.give_up(recover::SYNC_FAILED, &error.to_string());
        self.doubtful = Some((self.synced + 1, self.chain.seq));
        self.fail_waiters(&cause);
        JournalError::Unwritable(cause)
    }

    pub(super) fn fail_waiters(&mut self, cause: &Arc<str>) {
        for (_, waiter) in self.waiters.drain(..) {
            let _ = waiter.send(Err(JournalError::NotSynced(Arc::clone(cause))));
        }
    }

    /// Everything up to `seq` is on disk.
    pub(super) fn settle(&mut self, seq: u64) {
        self.synced = self.synced.max(seq);
        self.unsynced_since = (self.synced < self.chain.seq).then(Instant::now);
        for (_, waiter) in self.waiters.extract_if(.., |(wanted, _)| *wanted <= seq) {
            let _ = waiter.send(Ok(()));
        }
    }

    pub(super) fn wait_for(&mut self, position: Position) -> Result<oneshot::Receiver<Settled>, Settled> {
        let seq = position.seq();
        if self.doubtful.is_some_and(|(from, to)| (from..=to).contains(&seq)) {
            return Err(Err(JournalError::NotSynced("an earlier sync failed".into())));
        }
        if seq <= self.synced {
            return Err(Ok(()));
        }
        if matches!(self.end, End::Closed(_)) {
            return Err(Err(JournalError::Closed));
        }
        let (sender, receiver) = oneshot::channel();
        self.waiters.push((seq, sender));
        Ok(receiver)
    }

    /// Is there something to do before the next tick?
    pub(super) fn is_urgent(&self) -> bool {
        !self.waiters.is_empty() || self.is_closing()
    }

    pub(super) const fn is_closing(&self) -> bool {
        matches!(self.end, End::Closing)
    }

    /// What to sync, if anything, and what to sign afterwards.
    pub(super) fn round(&mut self, setup: &Setup) -> Option<Round> {
        let (signed, at) = self.signed;
        let time = at.is_none_or(|at| setup.clock.now().since(at) >= setup.options.checkpoint_every);
        let due = time && self.chain.seq > signed;
        let checkpoint = due.then(|| self.checkpoint(setup, false));
        let work = self.chain.seq > self.synced || checkpoint.is_some();
        work.then(|| Round { sink: Arc::clone(&self.segment.sink), seq: self.chain.seq, checkpoint })
    }

    /// The next round signs what there is.
    pub(super) const fn sign_soon(&mut self) {
        self.signed.1 = None;
    }

    pub(super) fn checkpoint(&mut self, setup: &Setup, closed: bool) -> Checkpoint {
        let now = setup.clock.now();
        self.signed = (self.chain.seq, Some(now));
        Checkpoint {
            node: setup.options.node.clone(),
            chain: self.chain,
            root: self.segment.tree.root(),
            segment: self.segment.number,
            leaves: self.segment.tree.leaves(),
            at: time_text(now),
            closed,
        }
    }

    /// Does the segment stand where it should, as long as it should be?
    pub(super) fn check_presence(&mut self) {
        if self.broken.is_some() {
            return;
        }
        let length = self.segment.length;
        let trouble = match self.segment.sink.presence(&self.segment.path) {
            Ok(Presence::There(there)) if there == length => return,
            Ok(Presence::There(there)) if there > length => {
                ("foreign-bytes", format!("{} bytes that we did not write", there - length))
            }
            Ok(Presence::There(there)) => ("segment-cut", format!("{} bytes are missing", length - there)),
            Ok(Presence::Replaced) => ("segment-replaced", "another file stands in its place".to_owned()),
            Ok(Presence::Gone) => ("segment-gone", "the file or its directory was deleted".to_owned()),
            Err(error) => ("segment-gone", error.to_string()),
        };
        self.give_up(trouble.0, &trouble.1);
    }

    /// Goes on in a new segment after [`State::give_up`].
    pub(super) fn recover(&mut self, setup: &Setup) -> Result<(), JournalError> {
        let Some(broken) = self.broken.take() else { return Ok(()) };
        let unsynced = (self.synced + 1, self.chain.seq);
        let result = self
            .lock_again(setup)
            .and_then(|()| recover::go_on(setup, &self.segment, self.chain, &broken, unsynced, &self.kept));
        match result {
            Ok(next) => {
                if next.in_doubt {
                    self.doubtful = Some(unsynced);
                    self.fail_waiters(&broken.cause);
                }
                tracing::warn!(segment = next.segment.number, refused = broken.refused, "the journal goes on");
                self.slots = self.slots.saturating_sub(self.kept.len());
                self.kept.clear();
                (self.segment, self.chain) = (next.segment, next.chain);
                self.settle(next.chain.seq);
                Ok(())
            }
            Err(error) => {
                self.fail_waiters(&broken.cause);
                self.broken = Some(broken);
                Err(error)
            }
        }
    }

    fn lock_again(&mut self, setup: &Setup) -> Result<(), JournalError> {
        let directory = &setup.options.directory;
        disk::make_directory(directory).map_err(|error| JournalError::unusable(directory, error))?;
        self.lock.renew(directory)
    }

    pub(super) fn take_slot(&mut self) -> Result<(), JournalError> {
        self.admit()?;
        if self.slots >= SLOTS {
            return Err(JournalError::NoSlot);
        }
        self.slots += 1;
        Ok(())
    }

    pub(super) const fn release_slot(&mut self) {
        self.slots = self.slots.saturating_sub(1);
    }

    pub(super) fn keep(&mut self, setup: &Setup, record: Record) {
        match self.append(setup, Content::Record(&record)) {
            Ok(_) => self.release_slot(),
            Err(JournalError::Closed) => {
                tracing::error!(event = record.event().name(), "a record came after the journal was closed");
                self.release_slot();
            }
            Err(_) => self.kept.push(record),
        }
    }

    pub(super) const fn is_writable(&self) -> bool {
        self.broken.is_none() && matches!(self.end, End::NotYet)
    }

    pub(super) const fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            writable: self.is_writable(),
            seq: self.chain.seq,
            synced: self.synced,
            unsynced_for: self.unsynced_since.map_or_else(Default::default, |since| since.elapsed()),
            open: self.slots,
        }
    }

    pub(super) const fn synced(&self) -> u64 {
        self.synced
    }

    pub(super) fn begin_to_close(&mut self) {
        if matches!(self.end, End::NotYet) {
            self.end = End::Closing;
        }
    }

    /// The thread's last word.
    pub(super) fn end(&mut self, result: Settled) {
        self.fail_waiters(&"closed".into());
        self.end = End::Closed(result);
    }

    pub(super) fn closed(&self) -> Settled {
        match &self.end {
            End::Closed(result) => result.clone(),
            End::NotYet | End::Closing => Err(JournalError::Closed),
        }
    }
}
