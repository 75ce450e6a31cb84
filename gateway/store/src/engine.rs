//! The only rooms that name a database engine: SQLite, embedded in one file, and PostgreSQL, which several
//! nodes may share.
//!
//! What the other modules see is SQL that both speak, [`Value`]s in and `FromRow` rows out, and on both the
//! same promise: **one writer at a time**. What a transaction has read holds until it commits, whoever else
//! writes. SQLite gives that by `BEGIN IMMEDIATE`; on PostgreSQL a transaction begins by taking a lock that
//! all nodes share, and reads what is newest once it has it.

mod postgres;
pub(crate) mod schema;
mod sqlite;
mod visit;
mod watch;

use std::time::Duration;

use model::{DatabaseServer, NodeId, StorePlace};
use sqlx::encode::Encode;
use sqlx::pool::PoolOptions;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Type;
use sqlx::{Arguments, Database, FromRow, Pool, Postgres, Sqlite, Transaction};
use tokio::sync::watch::Sender;
use uuid::Uuid;

use crate::StoreError;
use crate::statements::Statement;
use crate::value::Value;

pub(crate) use visit::Visit;

/// How long a caller waits for the writer or a reader before [`StoreError::Busy`].
const PATIENCE: Duration = Duration::from_secs(5);
/// All statements of the registry stay prepared.
const PREPARED: usize = 256;

/// A row that every engine can make.
pub(crate) trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// A database that the store knows to speak to.
trait Engines: Database {
    /// What is not answered by then has failed: the server is gone and has not said so.
    const ANSWER: Duration;
}

/// Runs the same words on whichever engine it is; `$db` names its type in them.
macro_rules! on {
    ($which:expr, $db:ident, $open:ident => $words:expr) => {
        match $which {
            Self::Sqlite($open) => {
                type $db = Sqlite;
                $words
            }
            Self::Postgres($open) => {
                type $db = Postgres;
                $words
            }
        }
    };
}

/// The open database.
#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite(Opened<Sqlite, sqlite::FileLock>),
    Postgres(Opened<Postgres, watch::Watch>),
}

/// One writer, a few readers, and what keeps a second process of this node out.
#[derive(Debug)]
pub(crate) struct Opened<DB: Database, G> {
    writer: Pool<DB>,
    readers: Pool<DB>,
    guard: G,
}

impl Engine {
    /// Opens the database at `place` and brings its schema up to date. The newest change that another
    /// node's commit announces goes to `changed`.
    pub(crate) async fn open(place: &StorePlace, node: &NodeId, changed: Sender<i64>) -> Result<Self, StoreError> {
        match place {
            StorePlace::File(path) => sqlite::open(path).await.map(Self::Sqlite),
            StorePlace::Server(server) => Self::server(server, node, changed).await,
        }
    }

    async fn server(server: &DatabaseServer, node: &NodeId, changed: Sender<i64>) -> Result<Self, StoreError> {
        postgres::open(server, node, changed).await.map(Self::Postgres)
    }

    /// Takes the writer; others wait their turn until this transaction is over.
    pub(crate) async fn write(&self) -> Result<Connection, StoreError> {
        let begun = match self {
            Self::Sqlite(open) => sqlite::begin(&open.writer, "BEGIN IMMEDIATE").await.map(Begun::Sqlite),
            Self::Postgres(open) => postgres::begin(&open.writer, postgres::WRITE).await.map(Begun::Postgres),
        };
        begun.map(Connection::new)
    }

    /// One state of the database for several reads.
    pub(crate) async fn snapshot(&self) -> Result<Connection, StoreError> {
        let begun = match self {
            Self::Sqlite(open) => sqlite::begin(&open.readers, "BEGIN").await.map(Begun::Sqlite),
            Self::Postgres(open) => postgres::begin(&open.readers, postgres::SNAPSHOT).await.map(Begun::Postgres),
        };
        begun.map(Connection::new)
    }

    pub(crate) async fn one<R: Row>(&self, statement: Statement, values: Vec<Value>) -> Result<Option<R>, StoreError> {
        on!(self, DB, open => {
            let query = sqlx::query_as_with(statement.sql, bind::<DB>(statement, values)?);
            answered::<DB, _>(statement.name, query.fetch_optional(&open.readers)).await
        })
    }

    pub(crate) async fn all<R: Row>(&self, statement: Statement, values: Vec<Value>) -> Result<Vec<R>, StoreError> {
        on!(self, DB, open => {
            let query = sqlx::query_as_with(statement.sql, bind::<DB>(statement, values)?);
            answered::<DB, _>(statement.name, query.fetch_all(&open.readers)).await
        })
    }

    pub(crate) async fn close(&self) {
        on!(self, DB, open => {
            Pool::<DB>::close(&open.readers).await;
            Pool::<DB>::close(&open.writer).await;
        });
        if let Self::Postgres(open) = self {
            open.guard.close();
        }
    }
}

/// A transaction on one connection. Dropped, it rolls back.
#[derive(Debug)]
pub(crate) struct Connection {
    begun: Begun,
    /// PostgreSQL gives a transaction up at its first error, and answers COMMIT with a quiet rollback. So
    /// nothing goes on after an error, on either engine, and a commit is one.
    spoilt: bool,
}

#[derive(Debug)]
enum Begun {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Connection {
    fn new(begun: Begun) -> Self {
        Self { begun, spoilt: false }
    }

    /// Runs a statement that returns no rows; how many rows it touched.
    pub(crate) async fn run(&mut self, statement: Statement, values: Vec<Value>) -> Result<u64, StoreError> {
        self.sound()?;
        let ran = self.begun.run(statement, values).await;
        self.marked(ran)
    }

    pub(crate) async fn one<R: Row>(
        &mut self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Option<R>, StoreError> {
        self.sound()?;
        let row = self.begun.one(statement, values).await;
        self.marked(row)
    }

    pub(crate) async fn all<R: Row>(&mut self, statement: Statement, values: Vec<Value>) -> Result<Vec<R>, StoreError> {
        self.sound()?;
        let rows = self.begun.all(statement, values).await;
        self.marked(rows)
    }

    fn sound(&self) -> Result<(), StoreError> {
        if self.spoilt { Err(StoreError::Spoilt) } else { Ok(()) }
    }

    fn marked<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        self.spoilt |= done.is_err();
        done
    }

    /// On return the change is on the disk.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.sound()?;
        self.begun.commit().await
    }

    /// Has the engine read the statement without running it? For the registry's test.
    #[cfg(test)]
    pub(crate) async fn prepare(&mut self, statement: Statement) -> Result<(), StoreError> {
        self.begun.prepare(statement).await
    }
}

impl Begun {
    async fn run(&mut self, statement: Statement, values: Vec<Value>) -> Result<u64, StoreError> {
        on!(self, DB, tx => {
            let query = sqlx::query_with(statement.sql, bind::<DB>(statement, values)?);
            let done = answered::<DB, _>(statement.name, query.execute(&mut **tx)).await?;
            Ok(done.rows_affected())
        })
    }

    async fn one<R: Row>(&mut self, statement: Statement, values: Vec<Value>) -> Result<Option<R>, StoreError> {
        on!(self, DB, tx => {
            let query = sqlx::query_as_with(statement.sql, bind::<DB>(statement, values)?);
            answered::<DB, _>(statement.name, query.fetch_optional(&mut **tx)).await
        })
    }

    async fn all<R: Row>(&mut self, statement: Statement, values: Vec<Value>) -> Result<Vec<R>, StoreError> {
        on!(self, DB, tx => {
            let query = sqlx::query_as_with(statement.sql, bind::<DB>(statement, values)?);
            answered::<DB, _>(statement.name, query.fetch_all(&mut **tx)).await
        })
    }

    async fn commit(self) -> Result<(), StoreError> {
        on!(self, DB, tx => answered::<DB, _>("commit", tx.commit()).await)
    }

    #[cfg(test)]
    async fn prepare(&mut self, statement: Statement) -> Result<(), StoreError> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        on!(self, DB, tx => {
            let read = (&mut **tx).prepare(statement.sql.into_sql_str());
            answered::<DB, _>(statement.name, read).await.map(drop)
        })
    }
}

/// Waits for the engine's answer, and sorts its errors.
async fn answered<DB: Engines, T>(
    what: &'static str,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let answer = tokio::time::timeout(DB::ANSWER, asked).await;
    let answer = answer.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
    answer.map_err(|error| StoreError::engine(what, error))
}

fn bind<DB>(statement: Statement, values: Vec<Value>) -> Result<DB::Arguments, StoreError>
where
    DB: Database,
    bool: for<'q> Encode<'q, DB> + Type<DB>,
    Option<i32>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<i64>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<String>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<Vec<u8>>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<Uuid>: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut arguments = DB::Arguments::default();
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

fn pool<DB: Database>(size: u32) -> PoolOptions<DB> {
    PoolOptions::new().max_connections(size).acquire_timeout(PATIENCE)
}
