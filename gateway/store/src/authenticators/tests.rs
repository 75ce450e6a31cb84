use super::*;
use crate::fixture::{Fixture, facts};

#[tokio::test]
async fn req_c26_a_time_step_is_accepted_once_and_none_before_it_ever_after() {
    let fixture = Fixture::new().await;
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
