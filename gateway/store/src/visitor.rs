//! What the command on the host needs of a store while the gateway has it open.

use std::path::Path;

use audit::Record;
use model::{Clock, NodeId, StorePlace};

use crate::StoreError;
use crate::engine::Visit;

/// A way into a store beside the gateway: it takes no lock and nobody's name, and changes nothing but that it
/// posts records.
#[derive(Debug)]
pub struct Visitor {
    visit: Visit,
    node: NodeId,
    clock: Clock,
}

impl Visitor {
    /// Comes to the store of `node` at `place`. The gateway must have made it.
    ///
    /// # Errors
    /// [`StoreError::Connect`], [`StoreError::Engine`].
    pub async fn open(place: &StorePlace, node: NodeId, clock: Clock) -> Result<Self, StoreError> {
        Ok(Self { visit: Visit::open(place, &node).await?, node, clock })
    }

    /// Copies one state of the store, whatever is written meanwhile, into the file `to`, which must be empty.
    /// `false`: the store is on a server, and is copied by that server's own means (`pg_dump`).
    ///
    /// # Errors
    /// [`StoreError::Engine`].
    pub async fn copy(&mut self, to: &Path) -> Result<bool, StoreError> {
        self.visit.copy(to).await
    }

    /// Posts a record for the journal: the gateway's pump carries it there, now or when it next runs.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Engine`], [`StoreError::InUse`] if the node is unknown.
    pub async fn post(&mut self, record: &Record) -> Result<(), StoreError> {
        self.visit.post(&self.node, record.store().into(), self.clock.now()).await
    }

    /// Leaves.
    pub async fn close(self) {
        self.visit.close().await;
    }
}

#[cfg(test)]
mod tests {
    use audit::{Event, Outcome};

    use super::*;
    use crate::fixture::{Fixture, on_both_engines};
    use crate::{Facts, Store, accounts, outbox};

    on_both_engines! {
        a_visitor_posts_records_in_line_with_those_of_the_gateway,
    }

    async fn visitor(fixture: &Fixture) -> Visitor {
        Visitor::open(&fixture.place(), fixture.store.node().clone(), fixture.clock.clone()).await.unwrap()
    }

    async fn a_visitor_posts_records_in_line_with_those_of_the_gateway(fixture: Fixture) {
        let store = &fixture.store;
        let mut visitor = visitor(&fixture).await;
        for reason in ["first", "second"] {
            let record = Record::new(Event::BackupMake, Outcome::Ok).detail("to", reason);
            visitor.post(&record).await.unwrap();
            let record = Record::new(Event::ProcessStart, Outcome::Ok).detail("version", reason);
            let _durable = store.begin().await.unwrap().commit(Facts::recorded(record)).await.unwrap();
        }
        visitor.close().await;
        let rows = outbox::unsent(store, store.node(), 10).await.unwrap();
        let events: Vec<bool> = rows.iter().map(|row| row.record.contains("backup.make")).collect();
        assert_eq!(events, [true, false, true, false]);
    }

    #[tokio::test]
    async fn a_copy_is_one_state_of_a_store_that_is_being_written() {
        let fixture = Fixture::on_sqlite().await;
        let before = fixture.account("000001").await;
        let mut visitor = visitor(&fixture).await;
        let to = fixture.folder.path().join("copy.db");
        let writing = fixture.store.begin().await.unwrap();
        assert!(visitor.copy(&to).await.unwrap());
        drop(writing);
        visitor.close().await;
        let after = fixture.account("000002").await;
        let copy = Store::open(&to, fixture.store.node().clone(), fixture.clock.clone()).await.unwrap();
        assert!(accounts::by_id(&copy, before.id).await.unwrap().is_some());
        assert!(accounts::by_id(&copy, after.id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_visitor_makes_no_store() {
        let folder = tempfile::tempdir().unwrap();
        let place = StorePlace::File(folder.path().join("none.db"));
        let node = NodeId::try_from("n1".to_owned()).unwrap();
        assert!(Visitor::open(&place, node, Clock::system()).await.is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
