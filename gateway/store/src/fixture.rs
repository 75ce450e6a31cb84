//! A store of its own on either engine, with a clock that only the test moves, and somebody to act on.

mod postgres;

use std::path::PathBuf;
use std::time::Duration;

use audit::{Event, Outcome, Record};
use model::{Clock, NodeId, PersonId, StorePlace, Timestamp};
use tempfile::TempDir;

use crate::accounts::{self, Account};
use crate::statements::unlisted;
use crate::value::args;
use crate::{Facts, Store, Tx};

pub(crate) use postgres::{Database, administer};

unlisted! {
    PERSON = "INSERT INTO person (id, staff_no, name, employment, source, version, changed_at) \
              VALUES ($1, $2, '山田 花子', 'regular', 'test', 1, $3)";
}

/// Makes of each `async fn(Fixture)` two tests: one on each engine.
macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::fixture::Fixture::on_sqlite().await).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::fixture::Fixture::on_postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both_engines;

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) folder: TempDir,
    ground: Ground,
}

/// What the store stands on.
enum Ground {
    File(PathBuf),
    Database(Database),
}

impl Fixture {
    pub(crate) async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.db");
        Self::on(Ground::File(file), folder).await
    }

    pub(crate) async fn on_postgres() -> Self {
        Self::on(Ground::Database(Database::new().await), tempfile::tempdir().unwrap()).await
    }

    async fn on(ground: Ground, folder: TempDir) -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_795_000_000));
        let store = Store::open(ground.place(), node(), clock.clone()).await.unwrap();
        Self { store, clock, folder, ground }
    }

    pub(crate) fn place(&self) -> StorePlace {
        self.ground.place()
    }

    /// The database, where it is PostgreSQL.
    pub(crate) fn database(&self) -> &Database {
        match &self.ground {
            Ground::Database(database) => database,
            Ground::File(_) => panic!("there is no server"),
        }
    }

    /// The same store after the process died: nothing is closed or flushed on purpose.
    pub(crate) async fn crash(self) -> Self {
        let Self { store, clock, folder, ground } = self;
        drop(store);
        clock.advance(Duration::from_secs(1));
        let store = Store::open(ground.place(), node(), clock.clone()).await.unwrap();
        Self { store, clock, folder, ground }
    }

    /// Where it was, after it is gone; what must be kept while it is used.
    pub(crate) fn abandoned(self) -> (StorePlace, Clock, impl Sized) {
        let Self { store, clock, folder, ground } = self;
        drop(store);
        (ground.place(), clock, (folder, ground))
    }

    /// Keeps a copy of the closed store.
    pub(crate) async fn back_up(&self) {
        self.store.close().await;
        match &self.ground {
            Ground::File(file) => drop(std::fs::copy(file, file.with_extension("backup")).unwrap()),
            Ground::Database(database) => database.back_up().await,
        }
    }

    /// Puts the copy in the closed store's place.
    pub(crate) async fn restore(&self) {
        self.store.close().await;
        match &self.ground {
            Ground::File(file) => drop(std::fs::copy(file.with_extension("backup"), file).unwrap()),
            Ground::Database(database) => database.restore().await,
        }
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

impl Ground {
    fn place(&self) -> StorePlace {
        match self {
            Self::File(file) => file.into(),
            Self::Database(database) => StorePlace::Server(database.server()),
        }
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
