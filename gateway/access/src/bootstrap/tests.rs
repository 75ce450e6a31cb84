use super::*;
use crate::fixture::{Fixture, NOON, post, snapshot};
use crate::{Roles, Why as Ground};

#[tokio::test]
async fn a_first_registrar_gets_privileged_roles_once_however_often_it_is_asked() {
    let (fixture, rules) = (Fixture::new().await, snapshot(1, ""));
    let account = fixture.hire("000001", post("事務")).await.id;
    let roles = ["auditor".to_owned(), "lead".to_owned(), "auditor".to_owned()];
    for _ in 0..2 {
        bootstrap(&fixture.store, account, &roles, "root", &rules).await.unwrap();
    }
    let effective = Roles::new(fixture.store.clone()).of(account, &rules, NOON).await.unwrap();
    assert_eq!(*effective.names, ["lead".to_owned(), "auditor".to_owned()]);
    assert_eq!(effective.held.len(), 2);
    assert!(effective.held.iter().all(|held| matches!(held.why, Ground::Grant { kind: GrantKind::Bootstrap, .. })));
}

#[tokio::test]
async fn a_role_that_is_none_or_an_account_that_is_none_gives_nothing_at_all() {
    let (fixture, rules) = (Fixture::new().await, snapshot(1, ""));
    let account = fixture.hire("000001", post("事務")).await.id;
    let roles = ["auditor".to_owned(), "emperor".to_owned()];
    let refused = bootstrap(&fixture.store, account, &roles, "root", &rules).await;
    assert!(matches!(refused, Err(AccessError::NoRole { role }) if role == "emperor"));
    assert!(grants::of_account(&fixture.store, account, NOON).await.unwrap().is_empty());
    let nobody = bootstrap(&fixture.store, AccountId::generate(), &roles[..1], "root", &rules).await;
    assert!(matches!(nobody, Err(AccessError::NoAccount)));
}
