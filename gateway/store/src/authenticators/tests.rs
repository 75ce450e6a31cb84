use super::*;
use crate::fixture::{Fixture, facts, on_both_engines};

async fn req_c26_a_time_step_is_accepted_once_and_none_before_it_ever_after(fixture: Fixture) {
    let account = fixture.account("000123").await.id;
    let id = AuthenticatorId::generate();
    let mut tx = fixture.store.begin().await.unwrap();
    let new = NewAuthenticator {
        id,
        account,
        kind: AuthenticatorKind::Totp,
        label: "app",
        data: b"seed",
        credential_id: None,
        last_step: None,
        bound_by: "test",
    };
    insert(&mut tx, &new).await.unwrap();
    for (step, accepted) in [(7, true), (7, false), (6, false), (8, true), (8, false)] {
        assert_eq!(advance(&mut tx, id, step).await.unwrap(), accepted, "{step}");
    }
    let _ = tx.commit(facts()).await.unwrap();
    assert_eq!(active(&fixture.store, account).await.unwrap()[0].last_step, Some(8));
}

async fn an_owner_sees_what_there_was_and_changes_only_what_is_his(fixture: Fixture) {
    let (mine, hers) = (fixture.account("000123").await.id, fixture.account("000124").await.id);
    let mut tx = fixture.store.begin().await.unwrap();
    let ids = [AuthenticatorId::generate(), AuthenticatorId::generate(), AuthenticatorId::generate()];
    for (n, id) in ids.into_iter().enumerate() {
        let new = NewAuthenticator {
            id,
            account: mine,
            kind: AuthenticatorKind::SecurityKey,
            label: "key",
            data: b"{}",
            credential_id: Some(&[u8::try_from(n).unwrap()]),
            last_step: None,
            bound_by: "test",
        };
        insert(&mut tx, &new).await.unwrap();
        fixture.clock.advance(std::time::Duration::from_secs(1));
    }
    let [first, second, third] = ids;
    assert!(!rename(&mut tx, hers, first, "stolen").await.unwrap() && !end(&mut tx, hers, first).await.unwrap());
    assert!(rename(&mut tx, mine, first, "青い鍵").await.unwrap());
    assert!(end(&mut tx, mine, second).await.unwrap() && !end(&mut tx, mine, second).await.unwrap());
    assert!(!rename(&mut tx, mine, second, "gone").await.unwrap());
    assert!(turn_off(&mut tx, third).await.unwrap());
    let shown = of(&mut tx, mine, 10).await.unwrap();
    let told: Vec<_> = shown.iter().map(|one| (one.id, one.label.as_str(), one.standing)).collect();
    let expected =
        [(first, "青い鍵", Standing::Active), (third, "key", Standing::Off), (second, "key", Standing::Ended)];
    assert_eq!(told, expected);
    assert!(shown[2].ended_at.is_some() && shown[0].ended_at.is_none());
    assert_eq!(of(&mut tx, mine, 2).await.unwrap().len(), 2);
    assert!(of(&mut tx, hers, 10).await.unwrap().is_empty());
}

on_both_engines! {
    an_owner_sees_what_there_was_and_changes_only_what_is_his,
    req_c26_a_time_step_is_accepted_once_and_none_before_it_ever_after,
}
