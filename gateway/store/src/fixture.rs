//! A store in a folder of its own, with a clock that only the test moves, and somebody to act on.

use std::path::PathBuf;
use std::time::Duration;

use audit::{Event, Outcome, Record};
use model::{Clock, NodeId, PersonId, Timestamp};
use tempfile::TempDir;

use crate::accounts::{self, Account};
use crate::statements::unlisted;
use crate::value::args;
use crate::{Facts, Store, Tx};

unlisted! {
    PERSON = "INSERT INTO person (id, staff_no, name, employment, source, version, changed_at) \
              VALUES ($1, $2, '山田 花子', 'regular', 'test', 1, $3)";
}

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_seconds(1_795_000_000));
        let store = Store::open(&folder.path().join("store.db"), node(), clock.clone()).await.unwrap();
        Self { store, clock, folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// The same file after the process died: nothing is closed or flushed on purpose.
    pub(crate) async fn crash(self) -> Self {
        let Self { store, clock, folder } = self;
        drop(store);
        clock.advance(Duration::from_secs(1));
        let store = Store::open(&folder.path().join("store.db"), node(), clock.clone()).await.unwrap();
        Self { store, clock, folder }
    }

    /// An account committed without anybody being told.
    pub(crate) async fn account(&self, staff_no: &str) -> Account {
        let mut tx = self.store.begin().await.unwrap();
        let person = person(&mut tx, staff_no).await;
        let account = accounts::insert(&mut tx, person).await.unwrap();
        let _ = tx.commit(facts()).await.unwrap();
        account
    }
}

pub(crate) fn node() -> NodeId {
    "n1".to_owned().try_into().unwrap()
}

pub(crate) fn facts() -> Facts {
    Facts::recorded(record("made"))
}

/// A record that can be told from others by its mark.
pub(crate) fn record(mark: &str) -> Record {
    Record::new(Event::AccountCreate, Outcome::Ok).detail("mark", mark)
}

pub(crate) async fn person(tx: &mut Tx, staff_no: &str) -> PersonId {
    let (id, now) = (PersonId::generate(), tx.now());
    tx.run(PERSON, args![id, staff_no, now]).await.unwrap();
    id
}
