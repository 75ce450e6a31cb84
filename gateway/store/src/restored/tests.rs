use std::collections::BTreeSet;
use std::time::Duration;

use model::{Aal, AccountId, Method, SessionId, SessionState, TokenHash, TokenKind};

use super::*;
use crate::authenticators::{self, AuthenticatorKind, NewAuthenticator};
use crate::fixture::{Fixture, facts, on_both_engines};
use crate::sessions::{self, CliToken, Handshake, Session};

fn hash(mark: u8) -> TokenHash {
    TokenHash::from_stored(&[mark; 32]).unwrap()
}

/// A session with a token, a handshake code under way and a bearer.
async fn session(fixture: &Fixture, account: AccountId) -> SessionId {
    let now = fixture.clock.now();
    let until = now.after(Duration::from_secs(3_600));
    let session = Session {
        id: SessionId::generate(),
        account,
        state: SessionState::Active,
        station: "s".into(),
        zone: "ward".into(),
        address: "127.0.0.1".into(),
        user_agent: String::new(),
        methods: BTreeSet::from([Method::PasskeyVerified]),
        aal: Aal::Aal2,
        authenticated_at: now,
        started_at: now,
        last_act: now,
        locked_at: None,
        lock_reason: None,
        absolute_until: until,
    };
    let mut tx = fixture.store.begin().await.unwrap();
    sessions::insert(&mut tx, &session).await.unwrap();
    sessions::insert_token(&mut tx, session.id, &hash(1), TokenKind::AppSession, "chart", now).await.unwrap();
    let handshake =
        Handshake { session: session.id, host: "h".into(), binder: hash(2), target: "/".into(), expires_at: until };
    sessions::insert_handshake(&mut tx, &hash(3), &handshake).await.unwrap();
    let bearer = CliToken { session: session.id, authenticated_at: now, expires_at: until };
    sessions::insert_cli_code(&mut tx, &hash(4), &bearer).await.unwrap();
    let _ = tx.commit(facts()).await.unwrap();
    session.id
}

async fn authenticator(fixture: &Fixture, account: AccountId, kind: AuthenticatorKind) -> AuthenticatorId {
    let id = AuthenticatorId::generate();
    let new = NewAuthenticator {
        id,
        account,
        kind,
        label: "",
        data: b"x",
        credential_id: None,
        last_step: Some(5),
        bound_by: "test",
    };
    let mut tx = fixture.store.begin().await.unwrap();
    authenticators::insert(&mut tx, &new).await.unwrap();
    let _ = tx.commit(facts()).await.unwrap();
    id
}

async fn atk_a54_no_session_code_or_token_of_a_backup_is_good_for_anything(fixture: Fixture) {
    let account = fixture.account("000123").await.id;
    let id = session(&fixture, account).await;
    authenticator(&fixture, account, AuthenticatorKind::Totp).await;
    let mut tx = fixture.store.begin().await.unwrap();
    let ended = end_all(&mut tx, 9).await.unwrap();
    assert_eq!(ended, Ended { sessions: 1, ceremonies: 1, codes: 0, seeds: 1 });
    let _ = tx.commit(facts()).await.unwrap();
    let store = &fixture.store;
    assert_eq!(sessions::by_id(store, id).await.unwrap().unwrap().state, SessionState::Ended);
    assert_eq!(sessions::by_token(store, &hash(1), TokenKind::AppSession, "chart").await.unwrap(), None);
    assert!(!sessions::handshake_waits(store, &hash(3)).await.unwrap());
    let mut tx = store.begin().await.unwrap();
    assert!(sessions::take_cli_code(&mut tx, &hash(4)).await.unwrap().is_none());
    let seed = authenticators::active(store, account).await.unwrap().pop().unwrap();
    assert_eq!(seed.last_step, Some(9), "a code that was used after the backup is not good again");
}

async fn atk_a54_what_ended_after_the_backup_ends_again_once(fixture: Fixture) {
    let account = fixture.account("000123").await.id;
    let lost = authenticator(&fixture, account, AuthenticatorKind::Passkey).await;
    let tried = authenticator(&fixture, account, AuthenticatorKind::Password).await;
    let mut tx = fixture.store.begin().await.unwrap();
    assert!(end_authenticator(&mut tx, lost).await.unwrap());
    assert!(!end_authenticator(&mut tx, lost).await.unwrap());
    assert!(!end_authenticator(&mut tx, AuthenticatorId::generate()).await.unwrap());
    assert!(count_failures(&mut tx, tried, 40).await.unwrap());
    assert!(!count_failures(&mut tx, tried, 3).await.unwrap(), "failures are never taken back");
    let _ = tx.commit(facts()).await.unwrap();
    let left = authenticators::active(&fixture.store, account).await.unwrap();
    assert_eq!(left.iter().map(|a| (a.id, a.failures)).collect::<Vec<_>>(), [(tried, 40)]);
    let mut tx = fixture.store.begin().await.unwrap();
    assert!(switch_off(&mut tx, tried).await.unwrap());
}

on_both_engines! {
    atk_a54_no_session_code_or_token_of_a_backup_is_good_for_anything,
    atk_a54_what_ended_after_the_backup_ends_again_once,
}
