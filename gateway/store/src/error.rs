use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its lock file can't be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the store. Stop it first: two writers would not hear each other.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
    /// The schema is newer than this program, was altered, or could not be brought up to date.
    #[error("the store's schema does not fit this program")]
    Schema(#[source] sqlx::migrate::MigrateError),
    /// No connection became free in time. Nothing was written; try again later (503).
    #[error("the store is busy")]
    Busy,
    /// A row with the same unique value is already there.
    #[error("{statement}: already there")]
    Duplicate {
        /// The statement that was refused.
        statement: &'static str,
    },
    /// The row is not in the version or state the caller saw. Read again and decide again.
    #[error("{what} has changed meanwhile")]
    Conflict {
        /// The kind of row.
        what: &'static str,
    },
    /// One state doesn't follow the other.
    #[error("{what} cannot go from {from} to {to}")]
    Transition {
        /// The kind of thing.
        what: &'static str,
        /// The state it is in.
        from: &'static str,
        /// The state it was to have.
        to: &'static str,
    },
    /// The engine failed: disk full, file damaged, connection lost (503).
    #[error("{statement} failed")]
    Engine {
        /// The statement or step.
        statement: &'static str,
        /// What the engine said.
        #[source]
        source: sqlx::Error,
    },
    /// A stored value is none that this program writes.
    #[error("the store holds an unreadable {what}")]
    Corrupt {
        /// The column.
        what: &'static str,
    },
    /// More than a single commit may hold.
    #[error("{what} beyond the bound of {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// Committed, but the records did not reach the journal in time. They are kept and sent as soon as
    /// the journal can be written; the caller must not answer as if all were well (503).
    #[error("committed, but not in the journal after {waited:?}")]
    NotJournaled {
        /// How long was waited.
        waited: Duration,
    },
}

impl StoreError {
    /// Sorts an engine's error: busy and duplicate are the caller's business, the rest is a failure.
    pub(crate) fn engine(statement: &'static str, source: sqlx::Error) -> Self {
        match source {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Database(ref error) if error.is_unique_violation() => Self::Duplicate { statement },
            source => Self::Engine { statement, source },
        }
    }
}
