//! One connection that holds the node's name against a second process and hears other nodes' changes.

use std::time::Duration;

use model::{DatabaseServer, NodeId};
use sqlx::Postgres;
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool};
use tokio::sync::watch::Sender;
use tokio::task::JoinHandle;

use super::answered;
use crate::StoreError;

const CHANNEL: &str = "sekimori_change";
/// The lock of a node's name, beside which a session of the same name finds no place. It goes with the
/// connection; a process killed a moment ago may still have it. ("seki" in ASCII, and the name.)
const HOLD: &str = "SELECT pg_advisory_lock(1936026473, hashtext($1))";
/// How long such a process is waited for.
const HOLD_PATIENCE: (&str, &str) = ("lock_timeout", "3s");
/// How often a silent connection is asked whether it is there.
const PULSE: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(2);
/// After this long a lost connection is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The node's hold on its name, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Watch(JoinHandle<()>);

impl Watch {
    pub(super) async fn begin(
        server: &DatabaseServer,
        node: &NodeId,
        options: PgConnectOptions,
        changed: Sender<i64>,
    ) -> Result<Self, StoreError> {
        let place = format!("node {} of {server}", node.as_str());
        let post = Post { place, node: node.clone(), options: options.options([HOLD_PATIENCE]), changed };
        let listener = post.hold().await?;
        Ok(Self(tokio::spawn(post.keep(listener))))
    }

    pub(super) fn close(&self) {
        self.0.abort();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.close();
    }
}

struct Post {
    place: String,
    node: NodeId,
    options: PgConnectOptions,
    changed: Sender<i64>,
}

impl Post {
    /// Hears until the connection is lost, and takes it up again, for ever. The server may not have noticed
    /// the loss yet and hold the name for the former connection; if it is another process that has it, the
    /// commits find out ([`outbox`](crate::outbox)).
    async fn keep(self, first: PgListener) {
        let mut listener = Some(first);
        loop {
            if let Some(listener) = listener.take() {
                self.hear(listener).await;
                tracing::warn!(place = %self.place, "the connection for changes of other nodes is lost");
            }
            tokio::time::sleep(AGAIN).await;
            match self.hold().await {
                Ok(again) => listener = Some(again),
                Err(error) => tracing::warn!(%error, place = %self.place, "that connection is not there yet"),
            }
        }
    }

    async fn hear(&self, mut listener: PgListener) {
        loop {
            match tokio::time::timeout(PULSE, listener.try_recv()).await {
                Ok(Ok(Some(told))) => {
                    if let Ok(seq) = told.payload().parse::<i64>() {
                        self.changed.send_if_modified(|newest| std::mem::replace(newest, seq.max(*newest)) < seq);
                    }
                }
                Ok(Ok(None) | Err(_)) => return,
                Err(_silence) => {
                    let pulse = sqlx::query("SELECT 1").execute(&mut listener);
                    if !matches!(tokio::time::timeout(ANSWER, pulse).await, Ok(Ok(_))) {
                        return;
                    }
                }
            }
        }
    }

    /// A connection that has the name and listens.
    async fn hold(&self) -> Result<PgListener, StoreError> {
        let pool = PoolOptions::<Postgres>::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool: PgPool = pool.acquire_timeout(super::PATIENCE).connect_lazy_with(self.options.clone());
        let mut listener = answered::<Postgres, _>("hold", PgListener::connect_with(&pool)).await?;
        listener.eager_reconnect(false);
        listener.ignore_pool_close_event(true);
        let held = sqlx::query(HOLD).bind(self.node.as_str()).execute(&mut listener);
        answered::<Postgres, _>("hold", held).await.map_err(|error| match error {
            // The lock did not become free.
            StoreError::Busy => StoreError::InUse { place: self.place.clone() },
            error => error,
        })?;
        answered::<Postgres, _>("listen", listener.listen(CHANNEL)).await?;
        Ok(listener)
    }
}
