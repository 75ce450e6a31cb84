use std::time::Duration;

use super::*;
use crate::fixture::{Fixture, on_both_engines};

const HOUR: Duration = Duration::from_secs(3_600);

fn grant(account: AccountId, role: &str, from: Timestamp, until: Option<Timestamp>) -> NewGrant {
    NewGrant {
        account,
        role: role.into(),
        kind: GrantKind::Request,
        reason: "当直".into(),
        paper: Some("R-1".into()),
        valid_from: from,
        valid_until: until,
    }
}

async fn roles(tx: &mut Tx, account: AccountId, now: Timestamp) -> Vec<String> {
    of_account(tx, account, now).await.unwrap().into_iter().map(|g| g.role).collect()
}

async fn grants_that_hold_now_or_later_are_read_and_those_that_are_over_are_not(fixture: Fixture) {
    let (a, b) = (fixture.account("000001").await.id, fixture.account("000002").await.id);
    let mut tx = fixture.store.begin().await.unwrap();
    let now = tx.now();
    insert(&mut tx, &grant(a, "now", now, Some(now.after(HOUR)))).await.unwrap();
    insert(&mut tx, &grant(a, "later", now.after(HOUR), None)).await.unwrap();
    insert(&mut tx, &grant(a, "over", now.before(HOUR), Some(now))).await.unwrap();
    insert(&mut tx, &grant(b, "theirs", now, None)).await.unwrap();
    assert_eq!(roles(&mut tx, a, now).await, ["now", "later"]);
    assert_eq!(roles(&mut tx, a, now.after(HOUR)).await, ["later"]);
    assert_eq!(roles(&mut tx, b, now).await, ["theirs"]);
}

async fn a_grant_is_read_as_it_was_given_and_ends_once(fixture: Fixture) {
    let account = fixture.account("000001").await;
    let mut tx = fixture.store.begin().await.unwrap();
    let now = tx.now();
    let given = grant(account.id, "auditor", now, Some(now.after(HOUR)));
    let id = insert(&mut tx, &given).await.unwrap();
    let read = of_account(&mut tx, account.id, now).await.unwrap().remove(0);
    assert_eq!((read.id, read.account, read.kind), (id, account.id, GrantKind::Request));
    assert_eq!((&read.reason, &read.paper, read.valid_until), (&given.reason, &given.paper, given.valid_until));
    assert_eq!(end(&mut tx, id).await.unwrap(), account.id);
    assert!(matches!(end(&mut tx, id).await, Err(StoreError::Conflict { .. })));
    assert!(roles(&mut tx, account.id, now).await.is_empty());
    let after = accounts::by_id(&mut tx, account.id).await.unwrap().unwrap();
    assert_eq!(after.change_no, account.change_no + 2, "giving and ending both count");
}

async fn a_grant_holds_from_its_first_moment_until_before_its_last(fixture: Fixture) {
    let account = fixture.account("000001").await.id;
    let mut tx = fixture.store.begin().await.unwrap();
    let now = tx.now();
    insert(&mut tx, &grant(account, "x", now, Some(now.after(HOUR)))).await.unwrap();
    let held = of_account(&mut tx, account, now).await.unwrap().remove(0);
    let tick = Duration::from_micros(1);
    assert!(!held.holds(now.before(tick)) && held.holds(now));
    assert!(held.holds(now.after(HOUR).before(tick)) && !held.holds(now.after(HOUR)));
}

#[test]
fn kinds_of_grants_have_names_that_read_back() {
    for kind in GrantKind::ALL {
        assert_eq!(GrantKind::from_name(kind.name()), Some(kind));
    }
}

async fn a_grant_needs_an_account(fixture: Fixture) {
    let mut tx = fixture.store.begin().await.unwrap();
    let now = tx.now();
    let refused = insert(&mut tx, &grant(AccountId::generate(), "x", now, None)).await;
    assert!(matches!(refused, Err(StoreError::Conflict { what: "account" })));
}

on_both_engines! {
    grants_that_hold_now_or_later_are_read_and_those_that_are_over_are_not,
    a_grant_is_read_as_it_was_given_and_ends_once,
    a_grant_holds_from_its_first_moment_until_before_its_last,
    a_grant_needs_an_account,
}
