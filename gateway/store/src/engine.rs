//! The only module that names a database engine: SQLite, embedded, one file.
//!
//! A second engine becomes a variant beside each of the three types here. What the other modules see
//! is SQL that both speak, [`Value`]s in and `FromRow` rows out.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{FromRow, SqlStr, Sqlite, SqlitePool, Transaction};

use crate::StoreError;
use crate::statements::Statement;
use crate::value::Value;

/// How long a caller waits for the writer or a reader before [`StoreError::Busy`].
const PATIENCE: Duration = Duration::from_secs(5);
const READERS: u32 = 4;
/// All statements of the registry stay prepared.
const PREPARED: usize = 256;

/// A row that every engine can make.
pub(crate) trait Row: for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}

/// The open database: one writer, a few readers, and the lock that keeps a second process out.
#[derive(Debug)]
pub(crate) struct Engine {
    writer: SqlitePool,
    readers: SqlitePool,
    _lock: File,
}

impl Engine {
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        create_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .statement_cache_capacity(PREPARED)
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON");
        let writer = pool(1, options.clone()).await?;
        migrate(&writer).await?;
        let readers = pool(READERS, options.pragma("query_only", "ON")).await?;
        Ok(Self { writer, readers, _lock: lock })
    }

    /// Takes the writer; others wait their turn until this transaction is over.
    pub(crate) async fn write(&self) -> Result<Connection, StoreError> {
        begin(&self.writer, "BEGIN IMMEDIATE").await
    }

    /// One state of the database for several reads.
    pub(crate) async fn snapshot(&self) -> Result<Connection, StoreError> {
        begin(&self.readers, "BEGIN").await
    }

    pub(crate) async fn one<R: Row>(&self, statement: Statement, values: Vec<Value>) -> Result<Option<R>, StoreError> {
        let row = sqlx::query_as_with(statement.sql, bind(statement, values)?).fetch_optional(&self.readers).await;
        row.map_err(|e| StoreError::engine(statement.name, e))
    }

    pub(crate) async fn all<R: Row>(&self, statement: Statement, values: Vec<Value>) -> Result<Vec<R>, StoreError> {
        let rows = sqlx::query_as_with(statement.sql, bind(statement, values)?).fetch_all(&self.readers).await;
        rows.map_err(|e| StoreError::engine(statement.name, e))
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A transaction on one connection. Dropped, it rolls back.
#[derive(Debug)]
pub(crate) struct Connection(Transaction<'static, Sqlite>);

impl Connection {
    /// Runs a statement that returns no rows; how many rows it touched.
    pub(crate) async fn run(&mut self, statement: Statement, values: Vec<Value>) -> Result<u64, StoreError> {
        let done = sqlx::query_with(statement.sql, bind(statement, values)?).execute(&mut *self.0).await;
        done.map(|d| d.rows_affected()).map_err(|e| StoreError::engine(statement.name, e))
    }

    pub(crate) async fn one<R: Row>(
        &mut self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Option<R>, StoreError> {
        let row = sqlx::query_as_with(statement.sql, bind(statement, values)?).fetch_optional(&mut *self.0).await;
        row.map_err(|e| StoreError::engine(statement.name, e))
    }

    pub(crate) async fn all<R: Row>(&mut self, statement: Statement, values: Vec<Value>) -> Result<Vec<R>, StoreError> {
        let rows = sqlx::query_as_with(statement.sql, bind(statement, values)?).fetch_all(&mut *self.0).await;
        rows.map_err(|e| StoreError::engine(statement.name, e))
    }

    /// On return the change is on the disk.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.0.commit().await.map_err(|e| StoreError::engine("commit", e))
    }

    /// Has the engine read the statement without running it? For the registry's test.
    #[cfg(test)]
    pub(crate) async fn prepare(&mut self, statement: Statement) -> Result<(), StoreError> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        let read = (&mut *self.0).prepare(statement.sql.into_sql_str()).await;
        read.map(drop).map_err(|e| StoreError::engine(statement.name, e))
    }
}

async fn begin(pool: &SqlitePool, how: &'static str) -> Result<Connection, StoreError> {
    let begun = pool.begin_with(how).await;
    begun.map(Connection).map_err(|e| StoreError::engine("begin", e))
}

fn bind(statement: Statement, values: Vec<Value>) -> Result<SqliteArguments, StoreError> {
    use sqlx::Arguments as _;
    let mut arguments = SqliteArguments::default();
    for value in values {
        let bound = match value {
            Value::Bool(v) => arguments.add(v),
            Value::Small(v) => arguments.add(v),
            Value::Int(v) => arguments.add(v),
            Value::Text(v) => arguments.add(v),
            Value::Bytes(v) => arguments.add(v),
            Value::Id(v) => arguments.add(v),
        };
        bound.map_err(|e| StoreError::engine(statement.name, sqlx::Error::Encode(e)))?;
    }
    Ok(arguments)
}

async fn pool(size: u32, options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options);
    pool.await.map_err(|e| StoreError::engine("open", e))
}

async fn migrate(writer: &SqlitePool) -> Result<(), StoreError> {
    let schema = Migration::new(
        1,
        "schema".into(),
        MigrationType::Simple,
        SqlStr::from_static(include_str!("../migrations/sqlite/0001_schema.sql")),
        false,
    );
    Migrator::with_migrations(vec![schema]).run(writer).await.map_err(StoreError::Schema)
}

/// Takes `<path>.lock` for as long as the file handle lives; the system lets go when a process dies.
fn lock(path: &Path) -> Result<File, StoreError> {
    let beside = beside(path, ".lock");
    let file = private(&beside)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StoreError::Open { path: beside, source }),
    }
}

/// SQLite gives its helper files the mode of the database file.
fn create_private(path: &Path) -> Result<(), StoreError> {
    private(path).map(drop)
}

fn private(path: &Path) -> Result<File, StoreError> {
    let file: io::Result<File> =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    file.map_err(|source| StoreError::Open { path: path.to_owned(), source })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
