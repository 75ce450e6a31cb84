//! One connection beside the gateway's, without its lock.

use std::path::Path;

use model::{NodeId, StorePlace, Timestamp};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Postgres, Sqlite};

use super::{PATIENCE, answered, postgres};
use crate::{StoreError, outbox};

/// Whole, consistent and compact, and without stopping anybody (SQLite, VACUUM section 3).
const COPY: &str = "VACUUM INTO $1";
const NODE: &str = "SELECT started_at FROM node WHERE name = $1";

#[derive(Debug)]
pub(crate) enum Visit {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Posts `$record` within one transaction of `$db`, which begins by `$begin`.
macro_rules! post {
    ($db:ident, $connection:expr, $begin:expr, $node:expr, $record:expr, $now:expr) => {{
        let [number, insert] = outbox::POSTING;
        let mut tx = answered::<$db, _>("begin", $connection.begin_with($begin)).await?;
        let name = $node.as_str();
        let taken = sqlx::query_scalar::<$db, i64>(NODE).bind(name).fetch_optional(&mut *tx);
        let taken = answered::<$db, _>("visit", taken).await?;
        let taken = taken.ok_or_else(|| StoreError::InUse { place: format!("node {name}") })?;
        let number = sqlx::query_scalar::<$db, i64>(number.sql).bind(name).bind($now).bind(1_i64).bind(taken);
        let number = answered::<$db, _>("visit", number.fetch_one(&mut *tx)).await?;
        let insert = sqlx::query::<$db>(insert.sql).bind(name).bind(number).bind($record).bind($now);
        answered::<$db, _>("visit", insert.execute(&mut *tx)).await?;
        answered::<$db, _>("commit", tx.commit()).await
    }};
}

impl Visit {
    pub(crate) async fn open(place: &StorePlace, node: &NodeId) -> Result<Self, StoreError> {
        match place {
            StorePlace::File(path) => {
                let options =
                    SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(PATIENCE);
                let connected = SqliteConnection::connect_with(&options);
                answered::<Sqlite, _>("open", connected).await.map(Self::Sqlite)
            }
            StorePlace::Server(server) => {
                let options = postgres::options(server, node);
                let connected = PgConnection::connect_with(&options);
                answered::<Postgres, _>("open", connected).await.map(Self::Postgres)
            }
        }
    }

    pub(crate) async fn copy(&mut self, to: &Path) -> Result<bool, StoreError> {
        let Self::Sqlite(connection) = self else { return Ok(false) };
        let to = to.to_string_lossy();
        answered::<Sqlite, _>("copy", sqlx::query(COPY).bind(&*to).execute(connection)).await.map(|_| true)
    }

    pub(crate) async fn post(&mut self, node: &NodeId, record: String, now: Timestamp) -> Result<(), StoreError> {
        let now = now.micros();
        match self {
            Self::Sqlite(connection) => post!(Sqlite, connection, "BEGIN IMMEDIATE", node, record, now),
            Self::Postgres(connection) => post!(Postgres, connection, postgres::WRITE, node, record, now),
        }
    }

    pub(crate) async fn close(self) {
        // Whether the other side hears the farewell changes nothing.
        let _ = match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        };
    }
}
