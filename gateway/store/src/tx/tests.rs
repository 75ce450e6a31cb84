use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use crate::fixture::{Fixture, facts, node, on_both_engines, person, record};
use crate::statements::unlisted;
use crate::value::args;
use crate::{Change, ChangeKind, Changed, Facts, Notice, Reader, Store, StoreError, Unrecorded, accounts};

unlisted! {
    COUNT_PEOPLE = "SELECT COUNT(*) AS n FROM person";
    COUNT_OUTBOX = "SELECT COUNT(*) AS n FROM outbox";
    COUNT_NOTICES = "SELECT COUNT(*) AS n FROM notice WHERE seen_at IS NULL";
    PROOF = "INSERT INTO proofing (id, account, officer, method, evidence, at) VALUES ($1, $2, 'o', 'm', 'e', 1)";
    UNPROOF = "DELETE FROM proofing WHERE id = $1";
    BIND = "INSERT INTO authenticator (id, account, kind, label, data, failures, state, bound_at, bound_by) \
            VALUES ($1, $2, 'totp', '', $3, 0, 'active', 1, 'x')";
    UNBIND = "DELETE FROM authenticator WHERE id = $1";
    SESSION = "INSERT INTO session (id, account, slot, state, station, zone, address, user_agent, methods, aal, \
               authenticated_at, started_at, last_act, absolute_until, version) \
               VALUES ($1, $2, 0, $3, '', '', '', '', '', 'aal2', 1, 1, 1, 1, 1)";
    WRITE_BY_READING = "UPDATE change_head SET seq = seq + 1 RETURNING seq AS n";
    NEWER_SCHEMA = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                    VALUES (99, 'tomorrow', TRUE, $1, 0)";
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

async fn count(store: &Store, what: crate::statements::Statement) -> i64 {
    Reader::from(store).one::<Count>(what, args![]).await.unwrap().unwrap().n
}

async fn a_dropped_transaction_leaves_nothing(fixture: Fixture) {
    let mut tx = fixture.store.begin().await.unwrap();
    person(&mut tx, "000001").await;
    drop(tx);
    let mut tx = fixture.store.begin().await.unwrap();
    assert_eq!(tx.all::<Count>(COUNT_PEOPLE, args![]).await.unwrap()[0].n, 0);
}

async fn rows_records_changes_and_notices_commit_together(fixture: Fixture) {
    let mut feed = fixture.store.feed().await.unwrap();
    let mut tx = fixture.store.begin().await.unwrap();
    let person = person(&mut tx, "000001").await;
    let account = accounts::insert(&mut tx, person).await.unwrap().id;
    assert_eq!(count(&fixture.store, COUNT_PEOPLE).await, 0, "readers see nothing before the commit");
    let facts = Facts::recorded(record("a")).and(record("b")).changed(Changed::account(account)).notice(Notice {
        account,
        kind: "welcome",
        body: "{}".into(),
    });
    let _ = tx.commit(facts).await.unwrap();
    assert_eq!(count(&fixture.store, COUNT_PEOPLE).await, 1);
    assert_eq!(count(&fixture.store, COUNT_OUTBOX).await, 2);
    assert_eq!(count(&fixture.store, COUNT_NOTICES).await, 1);
    let key = account.uuid();
    assert_eq!(feed.next().await, Change::One { seq: 1, kind: ChangeKind::Account, key });
    assert_eq!(feed.next().await, Change::One { seq: 2, kind: ChangeKind::Notice, key });
}

async fn a_notice_for_nobody_takes_its_whole_commit_back(fixture: Fixture) {
    let mut tx = fixture.store.begin().await.unwrap();
    person(&mut tx, "000001").await;
    let notice = Notice { account: model::AccountId::generate(), kind: "welcome", body: "{}".into() };
    let refused = tx.commit(facts().notice(notice)).await;
    assert!(matches!(refused, Err(StoreError::Engine { .. })), "{refused:?}");
    assert_eq!(count(&fixture.store, COUNT_PEOPLE).await, 0);
    assert_eq!(count(&fixture.store, COUNT_OUTBOX).await, 0);
}

async fn a_later_transaction_waits_for_an_earlier_one_and_comes_after_it(fixture: Fixture) {
    let mut feed = fixture.store.feed().await.unwrap();
    let (early, late) = (Uuid::now_v7(), Uuid::now_v7());
    let changed = |key| facts().changed(Changed { kind: ChangeKind::Account, key });

    let tx = fixture.store.begin().await.unwrap();
    let mut second = pin!(async {
        let tx = fixture.store.begin().await.unwrap();
        tx.commit(changed(late)).await.unwrap()
    });
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(second.as_mut().poll(&mut context), Poll::Pending), "two writers at once");
    let _ = tx.commit(changed(early)).await.unwrap();
    let _ = second.await;

    assert_eq!(feed.next().await, Change::One { seq: 1, kind: ChangeKind::Account, key: early });
    assert_eq!(feed.next().await, Change::One { seq: 2, kind: ChangeKind::Account, key: late });
}

async fn changes_of_many_writers_are_seen_in_commit_order_without_a_gap(fixture: Fixture) {
    let mut feed = fixture.store.feed().await.unwrap();
    let writers: Vec<_> = (0..40)
        .map(|_| {
            let store = fixture.store.clone();
            tokio::spawn(async move {
                let tx = store.begin().await.unwrap();
                let _ = tx
                    .commit(facts().changed(Changed { kind: ChangeKind::Person, key: Uuid::now_v7() }))
                    .await
                    .unwrap();
            })
        })
        .collect();
    for expected in 1..=40 {
        assert!(matches!(feed.next().await, Change::One { seq, .. } if seq == expected));
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn a_transaction_in_which_a_statement_failed_commits_nothing(fixture: Fixture) {
    let mut tx = fixture.store.begin().await.unwrap();
    let person = person(&mut tx, "000001").await;
    accounts::insert(&mut tx, person).await.unwrap();
    let again = accounts::insert(&mut tx, person).await;
    assert!(matches!(again, Err(StoreError::Duplicate { .. })), "{again:?}");
    let committed = tx.commit_unrecorded(Unrecorded::Housekeeping).await;
    assert!(matches!(committed, Err(StoreError::Spoilt)), "{committed:?}");
    assert_eq!(count(&fixture.store, COUNT_PEOPLE).await, 0);
}

async fn a_view_sees_one_state_throughout(fixture: Fixture) {
    let mut view = fixture.store.view().await.unwrap();
    let number = "000001".parse().unwrap();
    assert!(accounts::by_staff_no(&mut view, &number).await.unwrap().is_none());
    fixture.account("000001").await;
    assert!(accounts::by_staff_no(&mut view, &number).await.unwrap().is_none(), "the view moved");
    assert!(accounts::by_staff_no(&fixture.store, &number).await.unwrap().is_some());
}

async fn a_reader_cannot_write(fixture: Fixture) {
    assert!(Reader::from(&fixture.store).all::<Count>(WRITE_BY_READING, args![]).await.is_err());
    let mut view = fixture.store.view().await.unwrap();
    assert!(Reader::from(&mut view).all::<Count>(WRITE_BY_READING, args![]).await.is_err());
}

async fn a_second_process_is_kept_out_until_the_first_is_gone(fixture: Fixture) {
    let again = Store::open(fixture.place(), node(), fixture.clock.clone()).await;
    assert!(matches!(again, Err(StoreError::InUse { .. })), "{again:?}");
    let fixture = fixture.crash().await;
    fixture.store.begin().await.unwrap();
}

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    let fixture = Fixture::on_sqlite().await;
    fixture.account("000001").await;
    let mut seen = 0;
    for entry in std::fs::read_dir(fixture.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    assert!(seen >= 3, "database, write-ahead log and lock file");
}

async fn a_schema_from_tomorrow_is_refused(fixture: Fixture) {
    let mut tx = fixture.store.begin().await.unwrap();
    tx.run(NEWER_SCHEMA, args![vec![0_u8]]).await.unwrap();
    tx.commit_unrecorded(Unrecorded::Housekeeping).await.unwrap();
    fixture.store.close().await;
    let (place, clock, ground) = fixture.abandoned();
    let opened = Store::open(place, node(), clock).await;
    assert!(matches!(opened, Err(StoreError::Schema(_))), "{opened:?}");
    drop(ground);
}

async fn a_record_waits_for_the_journal_in_vain_without_a_pump(fixture: Fixture) {
    let committed = fixture.store.begin().await.unwrap().commit(facts()).await.unwrap();
    let waited = committed.journaled_within(Duration::from_millis(5)).await;
    assert!(matches!(waited, Err(StoreError::NotJournaled { .. })), "{waited:?}");
}

async fn req_c34_authenticators_and_proofs_cannot_be_deleted(fixture: Fixture) {
    let account = fixture.account("000001").await.id;
    let (bound, proof) = (Uuid::now_v7(), Uuid::now_v7());
    let mut tx = fixture.store.begin().await.unwrap();
    tx.run(BIND, args![bound, account, vec![1_u8]]).await.unwrap();
    tx.run(PROOF, args![proof, account]).await.unwrap();
    let _ = tx.commit(facts()).await.unwrap();
    for (statement, id) in [(UNBIND, bound), (UNPROOF, proof)] {
        let mut tx = fixture.store.begin().await.unwrap();
        assert!(tx.run(statement, args![id]).await.is_err());
        assert!(matches!(tx.commit(facts()).await, Err(StoreError::Spoilt)));
    }
}

async fn an_account_has_one_active_session_to_a_slot(fixture: Fixture) {
    let account = fixture.account("000001").await.id;
    let mut tx = fixture.store.begin().await.unwrap();
    for state in ["active", "locked", "locked", "ended"] {
        tx.run(SESSION, args![Uuid::now_v7(), account, state]).await.unwrap();
    }
    let second = tx.run(SESSION, args![Uuid::now_v7(), account, "active"]).await;
    assert!(matches!(second, Err(StoreError::Duplicate { .. })), "{second:?}");
}

on_both_engines! {
    a_dropped_transaction_leaves_nothing,
    rows_records_changes_and_notices_commit_together,
    a_notice_for_nobody_takes_its_whole_commit_back,
    a_later_transaction_waits_for_an_earlier_one_and_comes_after_it,
    changes_of_many_writers_are_seen_in_commit_order_without_a_gap,
    a_transaction_in_which_a_statement_failed_commits_nothing,
    a_view_sees_one_state_throughout,
    a_reader_cannot_write,
    a_second_process_is_kept_out_until_the_first_is_gone,
    a_schema_from_tomorrow_is_refused,
    a_record_waits_for_the_journal_in_vain_without_a_pump,
    req_c34_authenticators_and_proofs_cannot_be_deleted,
    an_account_has_one_active_session_to_a_slot,
}
