//! SQLite: one file, one process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};

use super::{Engines, Opened, PATIENCE, PREPARED, answered, schema};
use crate::StoreError;

const READERS: u32 = 4;

impl Engines for Sqlite {
    /// A slow disk is waited for: what it was given to write, it may yet have written.
    const ANSWER: Duration = Duration::MAX;
}

/// The lock on `<path>.lock`, for as long as it lives; the system lets go when a process dies.
#[derive(Debug)]
pub(crate) struct FileLock(#[expect(dead_code, reason = "held, not read")] File);

pub(super) async fn open(path: &Path) -> Result<Opened<Sqlite, FileLock>, StoreError> {
    let guard = FileLock(lock(path)?);
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
    schema::sqlite().run(&writer).await.map_err(StoreError::Schema)?;
    let readers = pool(READERS, options.pragma("query_only", "ON")).await?;
    Ok(Opened { writer, readers, guard })
}

pub(super) async fn begin(pool: &SqlitePool, how: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
    answered::<Sqlite, _>("begin", pool.begin_with(how)).await
}

async fn pool(size: u32, options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let pool = super::pool(size).idle_timeout(None).max_lifetime(None);
    answered::<Sqlite, _>("open", pool.connect_with(options)).await
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let beside = beside(path, ".lock");
    let file = private(&beside)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { place: path.display().to_string() }),
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
