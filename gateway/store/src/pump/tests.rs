use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::fixture::{Fixture, node, on_both_engines, record};
use crate::statements::unlisted;
use crate::value::args;
use crate::{Facts, Reader};

unlisted! {
    ALL_MARKED = "SELECT COUNT(*) AS n FROM outbox WHERE journaled_at IS NULL";
    ALL = "SELECT COUNT(*) AS n FROM outbox";
    SPOIL = "UPDATE outbox SET record = 'spoilt' WHERE seq = (SELECT MIN(seq) FROM outbox)";
}

/// A journal in memory that survives its writer, and fails when told to.
#[derive(Clone, Default)]
struct Paper(Arc<Sheet>);

#[derive(Default)]
struct Sheet {
    lines: Mutex<Vec<(i64, String)>>,
    torn: AtomicBool,
    unsynced: AtomicBool,
    refused: AtomicU32,
}

impl Paper {
    fn marks(&self) -> Vec<String> {
        let lines = self.0.lines.lock().unwrap();
        lines
            .iter()
            .map(|(_, line)| line.split("\"mark\":\"").nth(1).unwrap().split('"').next().unwrap().into())
            .collect()
    }
}

impl Ledger for Paper {
    type Place = ();

    fn append(&self, row: &OutboxRow, record: &StoredRecord) -> Result<(), JournalError> {
        assert_eq!(row.node, node());
        if self.0.torn.load(Ordering::SeqCst) {
            self.0.refused.fetch_add(1, Ordering::SeqCst);
            return Err(JournalError::Closed);
        }
        let mut lines = self.0.lines.lock().unwrap();
        if lines.iter().all(|(seq, _)| *seq != row.id) {
            lines.push((row.id, record.as_str().to_owned()));
        }
        Ok(())
    }

    async fn synced(&self, (): ()) -> Result<(), JournalError> {
        if self.0.unsynced.load(Ordering::SeqCst) { Err(JournalError::NotSynced("no".into())) } else { Ok(()) }
    }
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn new(store: &Store, paper: &Paper) -> Self {
        let (stop, stopped) = oneshot::channel();
        let pump = Pump { store: store.clone(), ledger: paper.clone() };
        let task = tokio::spawn(pump.run(async {
            let _ = stopped.await;
        }));
        Self { stop, task }
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap();
    }

    /// As if the process died.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn commit(store: &Store, marks: &[&str]) -> crate::Committed {
    let (first, rest) = marks.split_first().unwrap();
    let facts = rest.iter().fold(Facts::recorded(record(first)), |facts, mark| facts.and(record(mark)));
    store.begin().await.unwrap().commit(facts).await.unwrap()
}

async fn count(store: &Store, what: crate::statements::Statement) -> i64 {
    #[derive(sqlx::FromRow)]
    struct Count {
        n: i64,
    }
    Reader::from(store).one::<Count>(what, args![]).await.unwrap().unwrap().n
}

async fn records_reach_the_journal_in_commit_order_and_their_committer_hears_of_it(fixture: Fixture) {
    let paper = Paper::default();
    let running = Running::new(&fixture.store, &paper);
    commit(&fixture.store, &["a", "b"]).await.journaled().await.unwrap();
    assert_eq!(paper.marks(), ["a", "b"]);
    let (c, d) = (commit(&fixture.store, &["c"]).await, commit(&fixture.store, &["d"]).await);
    d.journaled().await.unwrap();
    c.journaled().await.unwrap();
    assert_eq!(paper.marks(), ["a", "b", "c", "d"]);
    running.stop().await;
    assert_eq!(count(&fixture.store, ALL_MARKED).await, 0);
}

async fn atk_a50_a_crash_between_commit_and_journal_loses_no_record(fixture: Fixture) {
    let paper = Paper::default();
    let _ = commit(&fixture.store, &["before the crash"]).await;
    let fixture = fixture.crash().await;
    let running = Running::new(&fixture.store, &paper);
    commit(&fixture.store, &["after it"]).await.journaled().await.unwrap();
    running.stop().await;
    assert_eq!(paper.marks(), ["before the crash", "after it"]);
}

async fn atk_a50_a_crash_between_journal_and_mark_repeats_no_record(fixture: Fixture) {
    let paper = Paper::default();
    paper.0.unsynced.store(true, Ordering::SeqCst);
    let running = Running::new(&fixture.store, &paper);
    let committed = commit(&fixture.store, &["once"]).await;
    let waited = committed.journaled_within(Duration::from_millis(50)).await;
    assert!(waited.is_err(), "not synced is not journaled");
    assert_eq!(paper.marks(), ["once"]);
    running.kill().await;
    assert_eq!(count(&fixture.store, ALL_MARKED).await, 1);

    let fixture = fixture.crash().await;
    paper.0.unsynced.store(false, Ordering::SeqCst);
    let running = Running::new(&fixture.store, &paper);
    commit(&fixture.store, &["then"]).await.journaled().await.unwrap();
    running.stop().await;
    assert_eq!(paper.marks(), ["once", "then"]);
}

async fn while_the_journal_fails_nobody_is_told_all_is_well_and_nothing_is_lost(fixture: Fixture) {
    let paper = Paper::default();
    paper.0.torn.store(true, Ordering::SeqCst);
    let running = Running::new(&fixture.store, &paper);
    let waited = commit(&fixture.store, &["a"]).await.journaled_within(Duration::from_millis(20)).await;
    assert!(matches!(waited, Err(StoreError::NotJournaled { .. })), "{waited:?}");
    let second = commit(&fixture.store, &["b"]).await;
    assert!(paper.0.refused.load(Ordering::SeqCst) > 0);
    paper.0.torn.store(false, Ordering::SeqCst);
    second.journaled().await.unwrap();
    running.stop().await;
    assert_eq!(paper.marks(), ["a", "b"]);
}

async fn what_is_committed_before_the_stop_is_carried_before_the_pump_ends(fixture: Fixture) {
    let paper = Paper::default();
    for mark in ["a", "b", "c"] {
        let _ = commit(&fixture.store, &[mark]).await;
    }
    Running::new(&fixture.store, &paper).stop().await;
    assert_eq!(paper.marks(), ["a", "b", "c"]);
}

async fn more_records_than_one_batch_are_carried_in_order(fixture: Fixture) {
    let paper = Paper::default();
    let marks: Vec<String> = (0..600).map(|n| n.to_string()).collect();
    let committed = commit(&fixture.store, &marks.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let running = Running::new(&fixture.store, &paper);
    committed.journaled().await.unwrap();
    running.stop().await;
    assert_eq!(paper.marks(), marks);
}

async fn nothing_overtakes_a_row_that_is_no_record(fixture: Fixture) {
    let paper = Paper::default();
    let _ = commit(&fixture.store, &["a"]).await;
    let mut tx = fixture.store.begin().await.unwrap();
    tx.run(SPOIL, args![]).await.unwrap();
    tx.commit_unrecorded(Unrecorded::Housekeeping).await.unwrap();
    let running = Running::new(&fixture.store, &paper);
    let waited = commit(&fixture.store, &["b"]).await.journaled_within(Duration::from_millis(50)).await;
    assert!(waited.is_err());
    running.stop().await;
    assert!(paper.marks().is_empty());
}

async fn a_store_restored_from_a_backup_gives_no_record_the_number_of_an_old_one(fixture: Fixture) {
    let paper = Paper::default();
    let running = Running::new(&fixture.store, &paper);
    commit(&fixture.store, &["kept"]).await.journaled().await.unwrap();
    running.stop().await;
    fixture.back_up().await;

    let fixture = fixture.crash().await;
    let running = Running::new(&fixture.store, &paper);
    for mark in ["x", "y", "z"] {
        commit(&fixture.store, &[mark]).await.journaled().await.unwrap();
    }
    running.stop().await;
    fixture.restore().await;

    let fixture = fixture.crash().await;
    let running = Running::new(&fixture.store, &paper);
    commit(&fixture.store, &["new"]).await.journaled().await.unwrap();
    running.stop().await;
    assert_eq!(paper.marks(), ["kept", "x", "y", "z", "new"]);
}

async fn what_was_journaled_a_day_ago_is_swept_and_the_rest_stays(fixture: Fixture) {
    let paper = Paper::default();
    let running = Running::new(&fixture.store, &paper);
    commit(&fixture.store, &["old"]).await.journaled().await.unwrap();
    running.stop().await;
    let _ = commit(&fixture.store, &["unsent"]).await;
    fixture.clock.advance(KEEP + Duration::from_secs(1));
    let pump = Pump { store: fixture.store.clone(), ledger: paper };
    pump.try_sweep().await.unwrap();
    assert_eq!((count(&fixture.store, ALL).await, count(&fixture.store, ALL_MARKED).await), (1, 1));
}

on_both_engines! {
    records_reach_the_journal_in_commit_order_and_their_committer_hears_of_it,
    atk_a50_a_crash_between_commit_and_journal_loses_no_record,
    atk_a50_a_crash_between_journal_and_mark_repeats_no_record,
    while_the_journal_fails_nobody_is_told_all_is_well_and_nothing_is_lost,
    what_is_committed_before_the_stop_is_carried_before_the_pump_ends,
    more_records_than_one_batch_are_carried_in_order,
    nothing_overtakes_a_row_that_is_no_record,
    a_store_restored_from_a_backup_gives_no_record_the_number_of_an_old_one,
    what_was_journaled_a_day_ago_is_swept_and_the_rest_stays,
}
