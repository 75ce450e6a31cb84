use std::sync::Arc;

use model::{Clock, NodeId, StorePlace, Timestamp};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::engine::{Connection, Engine, Row};
use crate::statements::Statement;
use crate::value::Value;
use crate::{Feed, StoreError, Tx, change, outbox};

/// The open store. Clones share it; the last one dropped lets go of file and connections.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) node: NodeId,
    /// When this process took the node's name: who takes it later has another moment there.
    pub(crate) started_at: Timestamp,
    pub(crate) clock: Clock,
    /// The newest change known to be committed: a hint for feeds, which poll all the same.
    pub(crate) changed: watch::Sender<i64>,
    /// Rings when this process committed outbox rows.
    pub(crate) posted: Notify,
    /// The newest outbox row that is durable in the journal.
    pub(crate) journaled: watch::Sender<i64>,
}

impl Store {
    /// Opens the store at `place` for the node `node`, makes its tables if there are none, and brings its
    /// schema up to date. A file's directory, or a server's database, must exist.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another process holds it (a file) or runs as this node (a server),
    /// [`StoreError::Schema`] if it is newer than this program, [`StoreError::Open`],
    /// [`StoreError::Connect`], [`StoreError::Unfit`] and [`StoreError::Engine`] if it can't be used.
    pub async fn open(place: impl Into<StorePlace>, node: NodeId, clock: Clock) -> Result<Self, StoreError> {
        let (changed, journaled) = (watch::Sender::new(0), watch::Sender::new(0));
        let engine = Engine::open(&place.into(), &node, changed.clone()).await?;
        let started_at = clock.now();
        let mut tx = engine.write().await?;
        outbox::register(&mut tx, Uuid::now_v7(), &node, started_at).await?;
        tx.commit().await?;
        let shared = Shared { engine, node, started_at, clock, changed, posted: Notify::new(), journaled };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Begins a transaction as the one writer of the store, on whichever engine and of however many nodes:
    /// what it reads holds until it commits. It waits for the one before it, for at most five seconds.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Engine`].
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let connection = self.shared.engine.write().await?;
        Ok(Tx::new(connection, Arc::clone(&self.shared)))
    }

    /// One state of the store for several reads that must agree with each other. Short work only: a
    /// view takes one of a few readers.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Engine`].
    pub async fn view(&self) -> Result<View, StoreError> {
        Ok(View(self.shared.engine.snapshot().await?))
    }

    /// The changes committed from now on, by whichever node.
    ///
    /// # Errors
    /// [`StoreError::Engine`] if the head can't be read.
    pub async fn feed(&self) -> Result<Feed, StoreError> {
        let head = change::head(self).await?;
        Ok(Feed::new(self.clone(), self.shared.changed.subscribe(), head))
    }

    /// The records of this node that are not in the journal yet: an answer also says that the store answers.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Engine`].
    pub async fn backlog(&self) -> Result<outbox::Backlog, StoreError> {
        outbox::backlog(self, &self.shared.node).await
    }

    /// The node this process runs as.
    pub fn node(&self) -> &NodeId {
        &self.shared.node
    }

    /// What time it is by the clock the store was opened with.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Waits for readers and writer to finish and closes it. Whatever is asked afterwards fails.
    pub async fn close(&self) {
        self.shared.engine.close().await;
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// One unchanging state of the store. Dropped, it is given back.
#[derive(Debug)]
pub struct View(Connection);

/// Whatever can be read from: `&Store` (each read sees the newest state), `&mut View` (all reads see
/// one state) or `&mut Tx` (reads see what the transaction wrote).
///
/// Reading functions take `impl Into<Reader<'_>>`.
#[derive(Debug)]
pub struct Reader<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    Newest(&'a Engine),
    Fixed(&'a mut Connection),
}

impl Reader<'_> {
    /// The one row of a statement that yields at most one.
    pub(crate) async fn one<R: Row>(
        &mut self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Option<R>, StoreError> {
        match &mut self.0 {
            Source::Newest(engine) => engine.one(statement, values).await,
            Source::Fixed(connection) => connection.one(statement, values).await,
        }
    }

    /// All rows of a statement that bounds them itself.
    pub(crate) async fn all<R: Row>(&mut self, statement: Statement, values: Vec<Value>) -> Result<Vec<R>, StoreError> {
        match &mut self.0 {
            Source::Newest(engine) => engine.all(statement, values).await,
            Source::Fixed(connection) => connection.all(statement, values).await,
        }
    }
}

impl<'a> From<&'a Store> for Reader<'a> {
    fn from(store: &'a Store) -> Self {
        Self(Source::Newest(&store.shared.engine))
    }
}

impl<'a> From<&'a mut View> for Reader<'a> {
    fn from(view: &'a mut View) -> Self {
        Self(Source::Fixed(&mut view.0))
    }
}

impl<'a> From<&'a mut Tx> for Reader<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self(Source::Fixed(tx.connection()))
    }
}
