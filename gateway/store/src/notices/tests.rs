use std::time::Duration;

use super::*;
use crate::fixture::{Fixture, facts, on_both_engines};

async fn told(fixture: &Fixture, account: AccountId, kind: &'static str) {
    let tx = fixture.store.begin().await.unwrap();
    let _ = tx.commit(facts().notice(Notice { account, kind, body: "{}".to_owned() })).await.unwrap();
    fixture.clock.advance(Duration::from_secs(1));
}

async fn a_person_finds_the_newest_first_and_what_is_seen_is_only_what_was_there(fixture: Fixture) {
    let (mine, hers) = (fixture.account("000123").await.id, fixture.account("000124").await.id);
    for kind in ["first", "second"] {
        told(&fixture, mine, kind).await;
    }
    told(&fixture, hers, "hers").await;
    let shown = of(&fixture.store, mine, 10).await.unwrap();
    assert_eq!(shown.iter().map(|told| told.kind.as_str()).collect::<Vec<_>>(), ["second", "first"]);
    told(&fixture, mine, "meanwhile").await;
    let mut tx = fixture.store.begin().await.unwrap();
    assert_eq!(see(&mut tx, mine, shown[0].at).await.unwrap(), 2);
    tx.commit_unrecorded(crate::Unrecorded::Seen).await.unwrap();
    assert_eq!(unseen(&fixture.store, mine).await.unwrap(), 1);
    assert_eq!(unseen(&fixture.store, hers).await.unwrap(), 1);
    let seen = of(&fixture.store, mine, 10).await.unwrap();
    assert_eq!(seen.iter().map(|told| told.seen_at.is_some()).collect::<Vec<_>>(), [false, true, true]);
    let mut tx = fixture.store.begin().await.unwrap();
    assert_eq!(purge(&mut tx, shown[1].at, 10).await.unwrap(), 1);
    assert_eq!(of(&mut tx, mine, 10).await.unwrap().len(), 2);
}

on_both_engines! {
    a_person_finds_the_newest_first_and_what_is_seen_is_only_what_was_there,
}
