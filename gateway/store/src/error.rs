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
    /// The database server can't be reached, or doesn't let us in.
    #[error("cannot connect to {place}: {}", said(source))]
    Connect {
        /// The server and database.
        place: String,
        /// What it said.
        source: sqlx::Error,
    },
    /// The database server or database is none that the store can use.
    #[error("{place}: {why}")]
    Unfit {
        /// The server and database.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another process holds the store, or runs under this node's name. Stop it first: two of one name
    /// would not hear each other.
    #[error("{place} is in use by another process")]
    InUse {
        /// The store, or the node in it.
        place: String,
    },
    /// The schema is newer than this program, was altered, or could not be brought up to date.
    #[error("the store's schema does not fit this program: {0}")]
    Schema(#[source] sqlx::migrate::MigrateError),
    /// No connection or lock became free in time, or the engine gave this transaction up for another's
    /// sake. Nothing was written; try again later (503).
    #[error("the store is busy")]
    Busy,
    /// A statement of this transaction failed before; it can only be begun anew. Nothing was written.
    #[error("a statement of this transaction failed before")]
    Spoilt,
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
    /// The engine failed: disk full, file damaged, connection lost (503). A connection lost while it
    /// commits leaves open whether it did; the change feed and the journal tell if so.
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
            sqlx::Error::Database(ref error) if gave_way(error.code().as_deref()) => Self::Busy,
            source => Self::Engine { statement, source },
        }
    }
}

/// The server's own words, where it had any.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    }
}

/// PostgreSQL's SQLSTATEs of a transaction that another one stood in the way of: serialization failure,
/// deadlock, a lock not had in time, a statement that took too long, no connection left, starting up.
fn gave_way(state: Option<&str>) -> bool {
    matches!(state, Some("40001" | "40P01" | "55P03" | "57014" | "53300" | "57P03"))
}
