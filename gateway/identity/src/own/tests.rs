use std::sync::Arc;

use model::{LockReason, Secret, SessionState};

use super::*;
use crate::testing::{Browser, Enrolled, Forgery, PASSWORD, PORTAL, SoftKey, World};
use crate::{By, Completed, EnrolmentError, Outcome as Step};

const NEW: &str = "Hotaru 58 Minawa kumo";

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn own(world: &World) -> Own {
    Own::new(world.logins.clone(), world.enrolment.clone())
}

async fn person() -> (World, Enrolled, Browser, Completed) {
    let world = World::new().await;
    let mut who = world.enrol("000123").await;
    let browser = Browser::new(PORTAL);
    let done = world.log_in(&mut who, &browser, None).await;
    (world, who, browser, done)
}

/// Changes the password; how many other sessions that has ended.
async fn change(world: &World, browser: &Browser, live: &Live, current: &str, new: &str) -> Result<usize, OwnError> {
    own(world).change_password(live, &browser.edge, &browser.binder, secret(current), secret(new)).await
}

/// Does this password open the second step of a login?
async fn opens(world: &World, browser: &Browser, password: &str) -> bool {
    let token = world.interaction(browser).await;
    let entry = browser.entry(&token, None);
    world.logins.name(entry, "000123").await.unwrap();
    matches!(world.logins.password(entry, secret(password)).await, Ok(Step::More(_)))
}

async fn told(world: &World, live: &Live) -> Vec<String> {
    own(world).notices(live, 100).await.unwrap().into_iter().map(|notice| notice.kind).collect()
}

#[tokio::test]
async fn req_c34_a_person_sees_what_is_bound_by_whom_and_when_it_was_used() {
    let (world, who, _, _) = person().await;
    let all = own(&world).list(who.account).await.unwrap();
    let kinds: Vec<_> = all.iter().map(|one| (one.kind, one.usable, one.last_used_at.is_some())).collect();
    let expected = [("password", Use::Spare, false), ("passkey", Use::Spare, true), ("totp", Use::Spare, false)];
    for one in expected {
        assert!(kinds.contains(&one), "{one:?} {kinds:?}");
    }
    assert!(all.iter().all(|one| one.bound_by == BoundBy::Desk("operating system user test".to_owned())));
    assert!(own(&world).list(model::AccountId::generate()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_new_label_is_on_record_and_nobody_names_what_is_not_his() {
    let (world, who, browser, done) = person().await;
    let mut other = world.enrol("000124").await;
    let theirs = world.log_in(&mut other, &Browser::elsewhere(), None).await;
    let passkey = own(&world).list(who.account).await.unwrap().into_iter().find(|one| one.kind == "passkey").unwrap();
    let renamed = own(&world).rename(&theirs.live, &browser.edge, passkey.id, "mine").await;
    assert!(matches!(renamed, Err(OwnError::Unknown)));
    for label in [" 青い\u{7}鍵 ", "", "青い鍵"] {
        own(&world).rename(&done.live, &browser.edge, passkey.id, label).await.unwrap();
    }
    let labels: Vec<_> = own(&world).list(who.account).await.unwrap().into_iter().map(|one| one.label).collect();
    assert!(labels.contains(&"青い鍵".to_owned()), "{labels:?}");
    assert_eq!(world.recorded("authenticator.rename", None).await, 1);
}

#[tokio::test]
async fn atk_a28_an_authenticator_is_ended_by_a_fresh_login_only_and_never_the_last_one() {
    let (world, mut who, browser, done) = person().await;
    let elsewhere = world.log_in(&mut who, &Browser::elsewhere(), None).await;
    let live = &elsewhere.live;
    let account = who.account;
    let find =
        async |kind: &str| own(&world).list(account).await.unwrap().into_iter().find(|one| one.kind == kind).unwrap();
    let passkey = find("passkey").await;
    assert_eq!(done.live.state(world.now()), SessionState::Locked);
    let ended = own(&world).end(&done.live, &browser.edge, passkey.id).await;
    assert!(matches!(ended, Err(OwnError::Stale)), "not from a locked session");
    world.pass(299);
    live.touch(world.now());
    world.pass(2);
    assert!(matches!(own(&world).end(live, &browser.edge, passkey.id).await, Err(OwnError::Stale)), "five minutes");

    let again = world.log_in(&mut who, &Browser::elsewhere(), Some(live)).await;
    assert_eq!(own(&world).end(&again.live, &browser.edge, passkey.id).await.unwrap(), 1, "the other session");
    assert_eq!(done.live.state(world.now()), SessionState::Ended, "whoever had the key may have used it");
    assert_eq!(again.live.state(world.now()), SessionState::Active);
    assert!(matches!(find("passkey").await.usable, Use::Ended(at) if at == world.now()));
    assert_eq!(find("totp").await.usable, Use::Needed);
    for kind in ["totp", "password"] {
        let ended = own(&world).end(&again.live, &browser.edge, find(kind).await.id).await;
        assert!(matches!(ended, Err(OwnError::Needed)), "{kind}");
    }
    let twice = own(&world).end(&again.live, &browser.edge, passkey.id).await;
    assert!(matches!(twice, Err(OwnError::Unknown)));
    assert_eq!(world.recorded("authenticator.off", Some("owner")).await, 1);
    assert!(told(&world, &again.live).await.contains(&"authenticator-ended".to_owned()));
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    let next = world.logins.name(entry, "000123").await.unwrap();
    let answer = who.key.get(&next.passkey, &Forgery::default());
    assert!(matches!(world.logins.passkey(entry, &answer).await, Err(LoginError::Refused)));
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_and_the_old_one_opens_nothing() {
    let (world, mut who, browser, done) = person().await;
    let here = Browser::elsewhere();
    let now = world.log_in(&mut who, &here, None).await;
    assert!(matches!(change(&world, &here, &now.live, PASSWORD, PASSWORD).await, Err(OwnError::Same)));
    for poor in ["short 1", "umi 000123 hanako", "password1234567"] {
        let changed = change(&world, &here, &now.live, PASSWORD, poor).await;
        assert!(matches!(changed, Err(OwnError::Password(_))), "{poor}");
    }
    assert!(opens(&world, &browser, PASSWORD).await, "nothing has changed yet");
    assert_eq!(change(&world, &here, &now.live, PASSWORD, NEW).await.unwrap(), 1);
    assert_eq!(done.live.state(world.now()), SessionState::Ended);
    assert_eq!(now.live.state(world.now()), SessionState::Active);
    assert!(!opens(&world, &browser, PASSWORD).await);
    assert!(opens(&world, &browser, NEW).await);
    assert_eq!(world.recorded("session.end", Some("revoked")).await, 1);
    assert_eq!(world.recorded("authenticator.off", Some("replaced")).await, 1);
    assert!(told(&world, &now.live).await.contains(&"password-changed".to_owned()));
    let kinds: Vec<_> = own(&world).list(who.account).await.unwrap().into_iter().map(|one| one.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "password").count(), 2, "the old one stays on record (C-34)");
}

#[tokio::test]
async fn atk_a23_the_current_password_is_guessed_at_no_better_here_than_at_the_login() {
    let (world, _, browser, done) = person().await;
    for _ in 0..3 {
        assert!(!opens(&world, &browser, "wrong").await);
    }
    for _ in 0..2 {
        assert!(matches!(change(&world, &browser, &done.live, "wrong", NEW).await, Err(OwnError::Refused)));
    }
    let barred = change(&world, &browser, &done.live, PASSWORD, NEW).await;
    assert!(matches!(barred, Err(OwnError::Refused)), "five in all");
    assert_eq!(world.recorded("authenticator.bind", Some("closed")).await, 1);
    world.pass(5);
    change(&world, &browser, &done.live, PASSWORD, NEW).await.unwrap();
}

#[tokio::test]
async fn atk_a28_a_password_is_changed_by_a_fresh_login_only() {
    let (world, _, browser, done) = person().await;
    world.pass(299);
    done.live.touch(world.now());
    world.pass(2);
    assert!(matches!(change(&world, &browser, &done.live, PASSWORD, NEW).await, Err(OwnError::Stale)));
    assert!(opens(&world, &browser, PASSWORD).await);
}

#[tokio::test]
async fn atk_a28_what_a_fresh_login_has_begun_is_over_when_one_factor_has_opened_the_session_again() {
    let (world, _, browser, done) = person().await;
    let begin = async || {
        let started = world.enrolment.begin(&browser.binder, &done.live).await.unwrap();
        let entry = browser.entry(&started.token, Some(&done.live));
        let options = world.enrolment.passkey_options(entry).await.unwrap();
        (started.token, SoftKey::new().create(&options, &Forgery::default()))
    };
    let (token, answer) = begin().await;
    let entry = browser.entry(&token, Some(&done.live));
    let replaced = world.enrolment.password(entry, secret(NEW)).await;
    assert!(matches!(replaced, Err(EnrolmentError::OutOfOrder)), "a password is changed by who knows it");
    let progress = world.enrolment.passkey(entry, &answer, "").await.unwrap();
    assert!(progress.own && progress.added);

    let (token, answer) = begin().await;
    world.sessions.lock(done.live.id(), LockReason::User, By::Holder(&browser.edge)).await.unwrap();
    let lock = world.interaction(&browser).await;
    let at_lock = browser.entry(&lock, Some(&done.live));
    world.logins.unlock_password(at_lock, &done.live, secret(PASSWORD)).await.unwrap();
    let entry = browser.entry(&token, Some(&done.live));
    let bound = world.enrolment.passkey(entry, &answer, "").await;
    assert!(matches!(bound, Err(EnrolmentError::Stale)), "{bound:?}");
}

#[tokio::test]
async fn somebody_whose_password_is_off_binds_a_new_one_by_a_fresh_login() {
    let (world, who, browser, done) = person().await;
    let live: &Arc<Live> = &done.live;
    let mut tx = world.store.begin().await.unwrap();
    let bound = authenticators::active(&mut tx, who.account).await.unwrap();
    let password = bound.iter().find(|one| one.kind == AuthenticatorKind::Password).unwrap().id;
    authenticators::turn_off(&mut tx, password).await.unwrap();
    let _ = tx.commit(Facts::recorded(Record::new(Event::AuthenticatorOff, Outcome::Ok))).await.unwrap();
    assert!(matches!(change(&world, &browser, live, PASSWORD, NEW).await, Err(OwnError::Refused)));
    let started = world.enrolment.begin(&browser.binder, live).await.unwrap();
    let entry = browser.entry(&started.token, Some(live));
    world.enrolment.password(entry, secret(NEW)).await.unwrap();
    assert!(opens(&world, &browser, NEW).await);
    let standing = own(&world).list(who.account).await.unwrap();
    assert!(standing.iter().any(|one| one.id == password && matches!(one.usable, Use::Ended(_))), "replaced");
    assert!(standing.iter().any(|one| one.kind == "password" && one.bound_by == BoundBy::Oneself));
}

#[tokio::test]
async fn what_is_seen_is_only_what_was_there_to_see() {
    let (world, mut who, browser, done) = person().await;
    let own = own(&world);
    let before = own.notices(&done.live, 100).await.unwrap();
    assert_eq!(own.unseen(&done.live).await.unwrap(), i64::try_from(before.len()).unwrap());
    world.pass(1);
    let elsewhere = world.log_in(&mut who, &Browser::elsewhere(), None).await;
    own.see(&elsewhere.live, before[0].at).await.unwrap();
    assert_eq!(own.unseen(&elsewhere.live).await.unwrap(), 1);
    assert_eq!(own.notices(&elsewhere.live, 1).await.unwrap()[0].kind, "login-elsewhere");
    drop(browser);
}
