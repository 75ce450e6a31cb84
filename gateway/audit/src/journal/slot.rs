use model::Timestamp;

use super::{Journal, Position};
use crate::{Event, JournalError, Outcome, Patient, Record};

/// How a request came out.
#[derive(Clone, Copy, Debug)]
pub struct Closing<'a> {
    /// Ok, failed (the upstream didn't answer) or aborted.
    pub outcome: Outcome,
    /// The status that the client got, if any.
    pub status: Option<u16>,
    /// Bytes of request body.
    pub bytes_in: u64,
    /// Bytes of response body (or, of a WebSocket, to the client).
    pub bytes_out: u64,
    /// Whose chart, if the response told; `None` keeps what the request told.
    pub patient: Patient<'a>,
    /// What went wrong, in a word of the catalogue.
    pub fault: Option<&'a str>,
    /// The answer was carried out of the system (S-22): SHA-256, in hexadecimal, of the bytes that went out.
    pub exported: Option<&'a str>,
}

impl Closing<'_> {
    /// The end of a request whose client left.
    pub const ABORTED: Self = Self {
        outcome: Outcome::Aborted,
        status: None,
        bytes_in: 0,
        bytes_out: 0,
        patient: Patient::None,
        fault: None,
        exported: None,
    };
}

/// A slot of the journal and what will be written in it.
#[derive(Debug)]
struct Slot {
    journal: Journal,
    record: Record,
    since: Timestamp,
}

impl Slot {
    fn begin(self) -> Result<Open, Box<(Self, JournalError)>> {
        let opening = self.record.turned(Event::RequestOpen, Outcome::Pending);
        let appended = self.journal.append(&opening);
        let slot = Self { record: opening, ..self };
        match appended {
            Ok(position) => {
                let slot = Self { record: slot.record.without_reasons(), ..slot };
                Ok(Open { slot: Some(slot), position })
            }
            Err(error) => Err(Box::new((slot, error))),
        }
    }

    fn ended(self, event: Event, closing: Closing<'_>) -> (Journal, Record) {
        let took = self.journal.now().since(self.since).as_millis();
        let mut record = self.record.turned(event, closing.outcome);
        if closing.patient != Patient::None {
            record = record.patient(closing.patient);
        }
        if let Some(status) = closing.status {
            record = record.detail("status", status);
        }
        record = record
            .detail("bytes_in", closing.bytes_in)
            .detail("bytes_out", closing.bytes_out)
            .detail("ms", u64::try_from(took).unwrap_or(u64::MAX));
        if let Some(fault) = closing.fault {
            record = record.detail("fault", fault);
        }
        if let Some(sha256) = closing.exported {
            record = record.detail("export", true).detail("sha256", sha256);
        }
        (self.journal, record)
    }
}

/// A request that is on record as begun. [`Open::close`] writes how it ended; dropped without, it
/// writes `request.close` with the outcome `aborted`.
#[derive(Debug)]
pub struct Open {
    slot: Option<Slot>,
    position: Position,
}

impl Open {
    /// The slot has been taken by the caller; a failure gives it back, since nothing has happened yet.
    pub(super) fn new(journal: Journal, record: Record) -> Result<Self, JournalError> {
        let since = journal.now();
        Slot { journal, record, since }.begin().map_err(|failed| {
            let (slot, error) = *failed;
            slot.journal.release_slot();
            error
        })
    }

    /// Writes the end. If the journal can't be written just then, the record is kept and written at recovery.
    ///
    /// # Errors
    /// As [`crate::Journal::append`]; the record is not lost.
    pub fn close(mut self, closing: Closing<'_>) -> Result<Position, JournalError> {
        self.end(closing)
    }

    /// Where `request.open` is.
    pub const fn position(&self) -> Position {
        self.position
    }

    fn end(&mut self, closing: Closing<'_>) -> Result<Position, JournalError> {
        let Some(slot) = self.slot.take() else { return Err(JournalError::Closed) };
        let (journal, record) = slot.ended(Event::RequestClose, closing);
        let record = record.detail("opened", self.position.seq());
        journal.write_slot(&record).inspect_err(|_| journal.keep_slot(record))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.slot.is_some() {
            // Kept and written later if the journal can't be written now.
            let _ = self.end(Closing::ABORTED);
        }
    }
}

/// A slot for a read: no response head without [`Reserved::redeem`] or [`Reserved::begin`].
/// Dropped without either, it writes the record with the outcome `aborted`.
#[derive(Debug)]
pub struct Reserved(Option<Slot>);

impl Reserved {
    pub(super) fn new(journal: Journal, record: Record) -> Self {
        let since = journal.now();
        Self(Some(Slot { journal, record, since }))
    }

    /// Writes the one record of the read; it is in the kernel on return.
    ///
    /// # Errors
    /// As [`crate::Journal::append`]: the head must not be released. That the read took place is written at
    /// recovery, as `failed` with `detail.released` `false`.
    pub fn redeem(mut self, closing: Closing<'_>) -> Result<Position, JournalError> {
        self.end(closing)
    }

    /// Writes `request.open` instead, for a response whose end comes later (a stream, a large body).
    ///
    /// # Errors
    /// As [`Reserved::redeem`].
    pub fn begin(mut self) -> Result<Open, JournalError> {
        let Some(slot) = self.0.take() else { return Err(JournalError::Closed) };
        let event = slot.record.event();
        slot.begin().map_err(|failed| {
            let (slot, error) = *failed;
            unreleased(&slot.journal, slot.record, event);
            error
        })
    }

    fn end(&mut self, closing: Closing<'_>) -> Result<Position, JournalError> {
        let Some(slot) = self.0.take() else { return Err(JournalError::Closed) };
        let event = slot.record.event();
        let (journal, record) = slot.ended(event, closing);
        journal.write_slot(&record).inspect_err(|_| unreleased(&journal, record, event))
    }
}

/// The upstream has answered, the client gets nothing of it, and the record has to wait.
fn unreleased(journal: &Journal, record: Record, event: Event) {
    journal.keep_slot(record.turned(event, Outcome::Failed).detail("released", false));
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.0.is_some() {
            let _ = self.end(Closing::ABORTED);
        }
    }
}
