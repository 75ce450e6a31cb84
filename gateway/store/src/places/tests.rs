use std::time::Duration;

use super::*;
use crate::authenticators::{self, AuthenticatorKind, NewAuthenticator};
use crate::fixture::{Fixture, facts, on_both_engines};

async fn password(fixture: &Fixture) -> (AccountId, AuthenticatorId) {
    let account = fixture.account("000123").await.id;
    let id = AuthenticatorId::generate();
    let mut tx = fixture.store.begin().await.unwrap();
    let new = NewAuthenticator {
        id,
        account,
        kind: AuthenticatorKind::Password,
        label: "Password",
        data: b"hash",
        credential_id: None,
        last_step: None,
        bound_by: "test",
    };
    authenticators::insert(&mut tx, &new).await.unwrap();
    let _ = tx.commit(facts()).await.unwrap();
    (account, id)
}

async fn atk_a47_each_known_place_has_its_own_count_and_all_others_share_one(fixture: Fixture) {
    let (_, id) = password(&fixture).await;
    let mut tx = fixture.store.begin().await.unwrap();
    let now = tx.now();
    let (mine, hers) = (Place::Known([1; 32]), Place::Known([2; 32]));
    for (place, here, everywhere) in
        [(Place::Elsewhere, 1, 1), (mine, 1, 2), (Place::Elsewhere, 2, 3), (hers, 1, 4), (mine, 2, 5)]
    {
        let counted = count(&mut tx, id, place, 100, now).await.unwrap();
        assert_eq!(counted, Some(Counted { here, everywhere }), "{place:?}");
    }
    let later = now.after(Duration::from_secs(60));
    close(&mut tx, id, Place::Elsewhere, later).await.unwrap();
    assert_eq!(count(&mut tx, id, Place::Elsewhere, 100, now).await.unwrap(), None);
    assert!(closed(&mut tx, id, Place::Elsewhere, now).await.unwrap());
    assert!(!closed(&mut tx, id, mine, now).await.unwrap());
    assert_eq!(count(&mut tx, id, mine, 100, now).await.unwrap(), Some(Counted { here: 3, everywhere: 6 }));
    // Success takes back what was counted there, and the sum; the others' closing stays.
    clear(&mut tx, id, mine).await.unwrap();
    assert!(authenticators::refund(&mut tx, id, now).await.unwrap());
    assert_eq!(count(&mut tx, id, mine, 100, now).await.unwrap(), Some(Counted { here: 1, everywhere: 1 }));
    assert_eq!(count(&mut tx, id, Place::Elsewhere, 100, now).await.unwrap(), None);
    let counted = count(&mut tx, id, Place::Elsewhere, 100, later).await.unwrap();
    assert_eq!(counted, Some(Counted { here: 3, everywhere: 2 }));
}

async fn req_c22_the_sum_over_all_places_is_what_ends_an_authenticator(fixture: Fixture) {
    let (_, id) = password(&fixture).await;
    let mut tx = fixture.store.begin().await.unwrap();
    let now = tx.now();
    for n in 1..=7_u8 {
        let counted = count(&mut tx, id, Place::Known([n; 32]), 7, now).await.unwrap();
        assert_eq!(counted, Some(Counted { here: 1, everywhere: i64::from(n) }));
    }
    for place in [Place::Known([1; 32]), Place::Known([9; 32]), Place::Elsewhere] {
        assert_eq!(count(&mut tx, id, place, 7, now).await.unwrap(), None, "{place:?}");
    }
    let nobody = AuthenticatorId::from(uuid::Uuid::nil());
    assert_eq!(count(&mut tx, nobody, Place::Elsewhere, 7, now).await.unwrap(), None);
}

async fn a_browser_counts_before_its_address_and_the_oldest_places_are_forgotten_with_their_failures(fixture: Fixture) {
    let (account, id) = password(&fixture).await;
    let (browser, address) = ([1; 32], [2; 32]);
    let mut tx = fixture.store.begin().await.unwrap();
    assert!(!any(&mut tx, account).await.unwrap());
    assert_eq!(of(&mut tx, account, &browser, &address).await.unwrap(), Place::Elsewhere);
    seen(&mut tx, account, &[address], 3).await.unwrap();
    assert_eq!(of(&mut tx, account, &browser, &address).await.unwrap(), Place::Known(address));
    fixture.clock.advance(Duration::from_secs(1));
    seen(&mut tx, account, &[browser, address], 3).await.unwrap();
    assert_eq!(of(&mut tx, account, &browser, &address).await.unwrap(), Place::Known(browser));
    assert!(any(&mut tx, account).await.unwrap());

    let now = tx.now();
    for place in [Place::Known(browser), Place::Elsewhere] {
        count(&mut tx, id, place, 100, now).await.unwrap().unwrap();
    }
    for mark in [3, 4_u8] {
        fixture.clock.advance(Duration::from_secs(1));
        seen(&mut tx, account, &[[mark; 32], address], 3).await.unwrap();
    }
    assert_eq!(of(&mut tx, account, &browser, &[9; 32]).await.unwrap(), Place::Elsewhere, "the oldest of four");
    assert_eq!(of(&mut tx, account, &[4; 32], &address).await.unwrap(), Place::Known([4; 32]));
    let again = count(&mut tx, id, Place::Known(browser), 100, now).await.unwrap().unwrap();
    assert_eq!(again.here, 1, "its failures went with it");
    assert_eq!(count(&mut tx, id, Place::Elsewhere, 100, now).await.unwrap().unwrap().here, 2);
}

on_both_engines! {
    atk_a47_each_known_place_has_its_own_count_and_all_others_share_one,
    req_c22_the_sum_over_all_places_is_what_ends_an_authenticator,
    a_browser_counts_before_its_address_and_the_oldest_places_are_forgotten_with_their_failures,
}
