//! PostgreSQL: a database that several nodes share.

use std::time::Duration;

use model::{DatabaseHost, DatabaseServer, NodeId};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgSslMode};
use sqlx::{Connection as _, FromRow, Postgres, Transaction};
use tokio::sync::watch::Sender;

use super::watch::Watch;
use super::{Engines, Opened, PREPARED, answered, schema};
use crate::StoreError;

const READERS: u32 = 8;
/// The oldest release that is still maintained.
const OLDEST: i32 = 140_000;
/// What a connection that comes back is given to say that it is well.
const WELL: Duration = Duration::from_secs(2);

/// What each session asks of the server. A node that dies or hangs in the middle of a transaction loses the
/// writer's lock, and one whose host vanishes its connections, without anybody's help.
const SESSION: [(&str, &str); 6] = [
    ("statement_timeout", "15s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

/// Takes the lock that all nodes' writers share (its number: "sekimori" in ASCII). The snapshot of whatever
/// is read afterwards is of after that, so that it holds until the commit.
pub(super) const WRITE: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock(8315170387561247337)";
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What is committed is on the disk, whatever the server was told to do by default; a stricter default stays.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', FALSE) \
                       WHERE current_setting('synchronous_commit') = 'off'";
const KIND: &str = "SELECT current_setting('server_version_num')::INTEGER AS version, \
                    current_setting('server_encoding') AS encoding, \
                    current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS durable, \
                    pg_is_in_recovery() AS standby";

impl Engines for Postgres {
    /// The server itself gives a statement up after 15 s.
    const ANSWER: Duration = Duration::from_secs(20);
}

#[derive(FromRow)]
struct Kind {
    version: i32,
    encoding: String,
    durable: bool,
    standby: bool,
}

pub(super) async fn open(
    server: &DatabaseServer,
    node: &NodeId,
    changed: Sender<i64>,
) -> Result<Opened<Postgres, Watch>, StoreError> {
    let plain = options(server, node);
    bring_up_to_date(server, &plain).await?;
    let options = plain.options(SESSION);
    let guard = Watch::begin(server, node, options.clone(), changed).await?;
    let readers = pool(READERS).connect_lazy_with(options.clone().options([("default_transaction_read_only", "on")]));
    let writer = pool(1).connect_lazy_with(options);
    Ok(Opened { writer, readers, guard })
}

/// Is it a server that will do? Then its schema is made ours, by one node at a time.
async fn bring_up_to_date(server: &DatabaseServer, options: &PgConnectOptions) -> Result<(), StoreError> {
    let unreachable = |source| StoreError::Connect { place: server.to_string(), source };
    let connecting = tokio::time::timeout(super::PATIENCE, PgConnection::connect_with(options)).await;
    let connecting = connecting.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
    let mut connection = connecting.map_err(unreachable)?;
    let kind = sqlx::query_as::<_, Kind>(KIND).fetch_one(&mut connection);
    let kind = answered::<Postgres, _>("open", kind).await?;
    if let Some(why) = unfit(&kind) {
        return Err(StoreError::Unfit { place: server.to_string(), why });
    }
    if !kind.durable {
        tracing::warn!(%server, "the database server may lose what is committed: its fsync or full_page_writes is off");
    }
    schema::postgres().run(&mut connection).await.map_err(StoreError::Schema)?;
    // Whether the server hears the farewell changes nothing.
    let _ = connection.close().await;
    Ok(())
}

fn unfit(kind: &Kind) -> Option<&'static str> {
    if kind.version < OLDEST {
        return Some("PostgreSQL must be 14 or newer");
    }
    if kind.encoding != "UTF8" {
        return Some("the database's encoding must be UTF8");
    }
    kind.standby.then_some("this is a standby, which takes no changes")
}

pub(super) fn options(server: &DatabaseServer, node: &NodeId) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .port(server.port)
        .username(&server.user)
        .database(&server.database)
        .application_name(&format!("sekimori {}", node.as_str()))
        .statement_cache_capacity(PREPARED);
    let options = match &server.password {
        Some(password) => options.password(password.expose()),
        None => options,
    };
    match &server.host {
        DatabaseHost::Socket(folder) => options.host("localhost").socket(folder).ssl_mode(PgSslMode::Disable),
        DatabaseHost::Plain(name) => options.host(name).ssl_mode(PgSslMode::Disable),
        DatabaseHost::Tls { name, authorities } => {
            options.host(name).ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(authorities)
        }
    }
}

/// A connection that comes back is asked whether it is well, so that one whose query was given up, or whose
/// server has vanished, takes nobody's place.
fn pool(size: u32) -> PoolOptions<Postgres> {
    super::pool(size)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::query(DURABLE).execute(connection).await.map(drop) })
        })
        .after_release(|connection: &mut PgConnection, _| {
            Box::pin(async move {
                let well = tokio::time::timeout(WELL, connection.ping()).await;
                well.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))).map(|()| true)
            })
        })
}

/// Begins in a task of its own: a caller who leaves in the middle must not leave a connection with an open
/// transaction behind, which would go on with an old snapshot or hold the writer's lock.
pub(super) async fn begin(pool: &PgPool, how: &'static str) -> Result<Transaction<'static, Postgres>, StoreError> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { answered::<Postgres, _>("begin", pool.begin_with(how)).await });
    begun.await.unwrap_or(Err(StoreError::Busy))
}

#[cfg(test)]
mod tests;
