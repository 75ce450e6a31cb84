use std::time::Duration;

use uuid::Uuid;

use crate::fixture::{Fixture, facts, on_both_engines};
use crate::statements::unlisted;
use crate::value::args;
use crate::{Change, ChangeKind, Changed, Facts, Store, Unrecorded, change};

unlisted! {
    HEAD_FAR_AHEAD = "UPDATE change_head SET seq = seq + $1 WHERE id = 1";
    STRANGE_KIND = "UPDATE change SET kind = 'robot' WHERE seq = $1";
}

fn changed(kind: ChangeKind) -> Facts {
    facts().changed(Changed { kind, key: Uuid::now_v7() })
}

async fn commit(store: &Store, facts: Facts) {
    let _ = store.begin().await.unwrap().commit(facts).await.unwrap();
}

async fn atk_a19_every_kind_of_change_is_heard_by_every_listener(fixture: Fixture) {
    let mut feeds = [fixture.store.feed().await.unwrap(), fixture.store.feed().await.unwrap()];
    for kind in ChangeKind::ALL {
        commit(&fixture.store, changed(kind)).await;
    }
    for feed in &mut feeds {
        for expected in ChangeKind::ALL {
            assert!(matches!(feed.next().await, Change::One { kind, .. } if kind == expected));
        }
    }
}

async fn a_change_of_another_node_is_heard_without_a_hint(fixture: Fixture) {
    let mut feed = fixture.store.feed().await.unwrap();
    let mut tx = fixture.store.begin().await.unwrap();
    let now = tx.now();
    let theirs = Changed { kind: ChangeKind::Session, key: Uuid::now_v7() };
    change::append(&mut tx, vec![theirs], now).await.unwrap();
    tx.commit_unrecorded(Unrecorded::Housekeeping).await.unwrap();
    assert_eq!(feed.next().await, Change::One { seq: 1, kind: theirs.kind, key: theirs.key });
}

async fn a_feed_hears_nothing_from_before_it_began(fixture: Fixture) {
    commit(&fixture.store, changed(ChangeKind::Person)).await;
    let mut feed = fixture.store.feed().await.unwrap();
    commit(&fixture.store, changed(ChangeKind::Account)).await;
    assert!(matches!(feed.next().await, Change::One { seq: 2, kind: ChangeKind::Account, .. }));
}

async fn a_listener_that_dropped_its_wait_misses_nothing(fixture: Fixture) {
    let mut feed = fixture.store.feed().await.unwrap();
    for _ in 0..3 {
        let _ = tokio::time::timeout(Duration::from_micros(50), feed.next()).await;
    }
    commit(&fixture.store, changed(ChangeKind::Person)).await;
    assert!(matches!(feed.next().await, Change::One { seq: 1, .. }));
}

async fn more_changes_than_can_be_told_flush(fixture: Fixture) {
    let mut feed = fixture.store.feed().await.unwrap();
    let many = (0..=change::TELLABLE).map(|_| Changed { kind: ChangeKind::Person, key: Uuid::now_v7() });
    commit(&fixture.store, facts().all_changed(many)).await;
    assert_eq!(feed.next().await, Change::Flush);
    commit(&fixture.store, changed(ChangeKind::Account)).await;
    assert!(matches!(feed.next().await, Change::One { seq: 2, .. }));
}

async fn a_kind_of_change_this_program_does_not_know_flushes(fixture: Fixture) {
    let mut feed = fixture.store.feed().await.unwrap();
    let mut tx = fixture.store.begin().await.unwrap();
    let now = tx.now();
    let seq = change::append(&mut tx, vec![Changed { kind: ChangeKind::Person, key: Uuid::nil() }], now).await.unwrap();
    tx.run(STRANGE_KIND, args![seq]).await.unwrap();
    tx.commit_unrecorded(Unrecorded::Housekeeping).await.unwrap();
    assert_eq!(feed.next().await, Change::Flush);
}

async fn a_listener_that_slept_through_the_purge_flushes(fixture: Fixture) {
    let mut feed = fixture.store.feed().await.unwrap();
    for _ in 0..3 {
        commit(&fixture.store, changed(ChangeKind::Person)).await;
    }
    fixture.clock.advance(Duration::from_secs(60));
    let mut tx = fixture.store.begin().await.unwrap();
    let now = tx.now();
    assert_eq!(change::purge(&mut tx, now, 100).await.unwrap(), 2, "the newest change stays");
    tx.commit_unrecorded(Unrecorded::Housekeeping).await.unwrap();
    assert_eq!(feed.next().await, Change::Flush);
    commit(&fixture.store, changed(ChangeKind::Account)).await;
    assert!(matches!(feed.next().await, Change::One { seq: 4, .. }));
}

async fn a_listener_too_far_behind_flushes_once_and_goes_on_from_the_head(fixture: Fixture) {
    let mut feed = fixture.store.feed().await.unwrap();
    commit(&fixture.store, changed(ChangeKind::Person)).await;
    let mut tx = fixture.store.begin().await.unwrap();
    tx.run(HEAD_FAR_AHEAD, args![super::MAX_LAG]).await.unwrap();
    tx.commit_unrecorded(Unrecorded::Housekeeping).await.unwrap();
    assert_eq!(feed.next().await, Change::Flush);
    commit(&fixture.store, changed(ChangeKind::Account)).await;
    assert!(matches!(feed.next().await, Change::One { kind: ChangeKind::Account, .. }));
}

async fn a_feed_that_cannot_read_for_a_second_says_flush_and_says_it_again(fixture: Fixture) {
    let mut feed = fixture.store.feed().await.unwrap();
    fixture.store.close().await;
    assert_eq!(feed.next().await, Change::Flush);
    assert_eq!(feed.next().await, Change::Flush);
}

on_both_engines! {
    atk_a19_every_kind_of_change_is_heard_by_every_listener,
    a_change_of_another_node_is_heard_without_a_hint,
    a_feed_hears_nothing_from_before_it_began,
    a_listener_that_dropped_its_wait_misses_nothing,
    more_changes_than_can_be_told_flush,
    a_kind_of_change_this_program_does_not_know_flushes,
    a_listener_that_slept_through_the_purge_flushes,
    a_listener_too_far_behind_flushes_once_and_goes_on_from_the_head,
    a_feed_that_cannot_read_for_a_second_says_flush_and_says_it_again,
}
