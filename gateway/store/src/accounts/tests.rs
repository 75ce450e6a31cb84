use super::AccountState::{Active, Disabled, Pending, Suspended};
use super::*;
use crate::fixture::{Fixture, facts, on_both_engines, person};

#[test]
fn nothing_leaves_disabled_and_nothing_returns_to_pending() {
    for state in AccountState::ALL {
        assert!(!Disabled.may_become(state));
        assert!(!state.may_become(Pending));
        assert!(!state.may_become(state));
    }
    assert!(Pending.may_become(Active) && Active.may_become(Suspended) && Suspended.may_become(Active));
}

async fn an_account_is_found_by_id_person_and_staff_number_as_it_was_made(fixture: Fixture) {
    let made = fixture.account("000123").await;
    let store = &fixture.store;
    assert_eq!(made.state, Pending);
    assert_eq!(by_id(store, made.id).await.unwrap().as_ref(), Some(&made));
    assert_eq!(by_person(store, made.person).await.unwrap().as_ref(), Some(&made));
    assert_eq!(by_staff_no(store, &"000123".parse().unwrap()).await.unwrap(), Some(made));
    assert_eq!(by_staff_no(store, &"123".parse().unwrap()).await.unwrap(), None);
}

async fn a_person_has_one_account(fixture: Fixture) {
    let mut tx = fixture.store.begin().await.unwrap();
    let person = person(&mut tx, "000001").await;
    insert(&mut tx, person).await.unwrap();
    assert!(matches!(insert(&mut tx, person).await, Err(StoreError::Duplicate { .. })));
}

async fn of_two_who_saw_the_same_version_one_wins(fixture: Fixture) {
    let seen = fixture.account("000001").await;
    let mut tx = fixture.store.begin().await.unwrap();
    let active = set_state(&mut tx, &seen, Active).await.unwrap();
    assert!(active.change_no > seen.change_no);
    assert_eq!(by_id(&mut tx, seen.id).await.unwrap().as_ref(), Some(&active));
    let late = set_state(&mut tx, &seen, Disabled).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    set_state(&mut tx, &active, Disabled).await.unwrap();
}

async fn a_transition_that_is_none_is_refused(fixture: Fixture) {
    let seen = fixture.account("000001").await;
    let mut tx = fixture.store.begin().await.unwrap();
    let refused = set_state(&mut tx, &seen, Suspended).await;
    assert!(matches!(refused, Err(StoreError::Transition { from: "pending", to: "suspended", .. })));
}

async fn the_change_number_grows_with_each_bump(fixture: Fixture) {
    let account = fixture.account("000001").await;
    let mut tx = fixture.store.begin().await.unwrap();
    bump(&mut tx, account.id).await.unwrap();
    bump(&mut tx, account.id).await.unwrap();
    assert!(matches!(bump(&mut tx, AccountId::generate()).await, Err(StoreError::Conflict { .. })));
    let _ = tx.commit(facts()).await.unwrap();
    let after = by_id(&fixture.store, account.id).await.unwrap().unwrap();
    assert_eq!((after.change_no, after.version), (account.change_no + 2, account.version));
}

on_both_engines! {
    an_account_is_found_by_id_person_and_staff_number_as_it_was_made,
    a_person_has_one_account,
    of_two_who_saw_the_same_version_one_wins,
    a_transition_that_is_none_is_refused,
    the_change_number_grows_with_each_bump,
}
