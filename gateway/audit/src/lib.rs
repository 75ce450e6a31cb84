//! The journal: what happened, in lines that nobody can change unseen.
//!
//! [`Record`] says what happened, [`Journal`] writes it into segment files with a hash chain, a Merkle
//! tree and signed checkpoints, [`verify`](verify()) finds what was changed with the files and the public
//! key alone, [`read`] shows it. The format is in docs/journal.md, the events in docs/audit-events.md.
//!
//! The crate knows no SQL and no HTTP, and never decides anything. Every crate above may append; only the
//! admin API and the command on the host read.

mod catalogue;
mod checkpoint;
mod copy;
mod counted;
mod disk;
mod error;
#[cfg(test)]
mod fuzz;
mod journal;
mod json;
mod key;
#[cfg(test)]
mod laboratory;
mod line;
mod merkle;
pub mod read;
mod record;
mod scan;
mod segment;
mod startup;
mod verify;
mod what;
mod who;

pub use catalogue::{Event, Outcome, catalogue_page};
pub use copy::copy;
pub use counted::Counted;
pub use error::JournalError;
pub use journal::{Appended, Closing, Journal, Open, Options, Position, Reserved, Standing};
pub use key::{NodeKey, PublicKey};
pub use record::{Detail, OutboxRow, Record, StoredRecord, StoredRecordError};
pub use verify::{Finding, Kind, Place, VerifyReport, verify};
pub use what::{Patient, What, Why};
pub use who::Who;
