use std::time::Duration;

use model::{EndReason, Limits, LockReason, Method, SessionState, Token, TokenKind};
use store::accounts::{self, AccountState};
use store::{Changed, Facts, people};
use tokio::sync::oneshot;

use super::*;
use crate::testing::{APP, Browser, Enrolled, PORTAL, World};

async fn at_app(world: &World, live: &Arc<Live>, browser: &Browser) -> Token {
    let binder = browser.binder.hash(TokenKind::Binder);
    let code = world.sessions.handshake_code(live, APP, binder, &Target::root(), browser.edge.address).await.unwrap();
    world.sessions.enter(&code, &browser.binder, &browser.at(APP)).await.unwrap().unwrap().token
}

async fn found(world: &World, token: &Token, kind: TokenKind, host: &str) -> Option<Arc<Live>> {
    world.sessions.find(token, kind, host).await.unwrap()
}

async fn person() -> (World, Enrolled, Browser) {
    let world = World::new().await;
    let who = world.enrol("000123").await;
    (world, who, Browser::new(PORTAL))
}

#[tokio::test]
async fn atk_a33_a_token_is_good_for_its_own_kind_and_host_alone() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let app = at_app(&world, &done.live, &browser).await;
    assert!(found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.is_some());
    assert!(found(&world, &app, TokenKind::AppSession, APP).await.is_some());
    for (token, kind, host) in [
        (&done.token, TokenKind::AppSession, PORTAL),
        (&done.token, TokenKind::PortalSession, APP),
        (&done.token, TokenKind::Binder, PORTAL),
        (&app, TokenKind::AppSession, PORTAL),
        (&app, TokenKind::AppSession, "pacs.hosp.test"),
        (&app, TokenKind::PortalSession, APP),
        (&app, TokenKind::CliBearer, APP),
    ] {
        assert!(found(&world, token, kind, host).await.is_none(), "{kind:?} {host}");
    }
}

#[tokio::test]
async fn req_s01_an_idle_session_is_locked_at_once_though_nobody_sweeps() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    world.pass(299);
    assert_eq!(done.live.state(world.now()), SessionState::Active);
    assert!(done.live.touch(world.now()));
    world.pass(299);
    assert_eq!(done.live.state(world.now()), SessionState::Active);
    world.pass(1);
    let live = found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.unwrap();
    assert_eq!(live.state(world.now()), SessionState::Locked);
    assert!(!live.touch(world.now()));
}

#[tokio::test]
async fn the_sweeper_wakes_watchers_and_writes_the_lock_with_its_record() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let mut watch = done.live.watch();
    let (stop, stopped) = oneshot::channel::<()>();
    let sessions = world.sessions.clone();
    let running = tokio::spawn(async move { sessions.run(async { drop(stopped.await) }).await });
    world.pass(300);
    tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap().unwrap();
    assert_eq!(*watch.borrow_and_update(), SessionState::Locked);
    world.pass(1_800);
    tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap().unwrap();
    assert_eq!(*watch.borrow_and_update(), SessionState::Ended);
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    world.sessions.sweep(world.now()).await;
    assert_eq!(world.recorded("session.end", Some("locked-too-long")).await, 1);
    assert!(world.sessions.known(done.live.id()).is_none(), "what is over is forgotten");
}

#[tokio::test]
async fn a_swept_idle_lock_is_dated_from_the_deadline_and_recorded_once() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let begun = world.now();
    world.pass(400);
    world.sessions.sweep(world.now()).await;
    world.sessions.sweep(world.now()).await;
    let row = sessions::by_id(&world.store, done.live.id()).await.unwrap().unwrap();
    assert_eq!(row.state, SessionState::Locked);
    assert_eq!(row.locked_at, Some(begun.after(Duration::from_secs(300))));
    assert_eq!(world.recorded("session.lock", Some("idle")).await, 1);
}

#[tokio::test]
async fn atk_a16_unlocking_kills_every_token_of_before_and_gives_a_new_one() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let app = at_app(&world, &done.live, &browser).await;
    let binder = browser.binder.hash(TokenKind::Binder);
    let code =
        world.sessions.handshake_code(&done.live, APP, binder, &Target::root(), browser.edge.address).await.unwrap();
    let mut watch = done.live.watch();
    world.pass(300);
    let token = world.sessions.unlock(done.live.id(), Method::Password, &browser.edge).await.unwrap();
    assert!(found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.is_none());
    assert!(found(&world, &app, TokenKind::AppSession, APP).await.is_none());
    let dead = world.sessions.enter(&code, &browser.binder, &browser.at(APP)).await;
    assert!(matches!(dead, Err(SessionError::UnknownCode)));
    let live = found(&world, &token, TokenKind::PortalSession, PORTAL).await.unwrap();
    assert_eq!((live.id(), live.state(world.now())), (done.live.id(), SessionState::Active));
    assert!(watch.has_changed().unwrap(), "what was let in before the lock must hear of it");
    assert!(watch.changed().await.is_ok());
    assert_eq!(world.recorded("session.lock", Some("idle")).await, 1, "an undone lock has its record too");
    assert_eq!(world.recorded("session.unlock", None).await, 1);
}

#[tokio::test]
async fn req_c08_a_one_time_password_or_a_tap_does_not_unlock() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    world.pass(300);
    for method in [Method::Totp, Method::SecurityKey] {
        let refused = world.sessions.unlock(done.live.id(), method, &browser.edge).await;
        assert!(matches!(refused, Err(SessionError::Assurance)));
    }
    assert_eq!(done.live.state(world.now()), SessionState::Locked);
}

#[tokio::test]
async fn unlocking_raises_no_assurance_and_only_a_passkey_counts_as_a_fresh_login() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let login = world.now();
    world.pass(300);
    world.sessions.unlock(done.live.id(), Method::Password, &browser.edge).await.unwrap();
    assert_eq!(done.live.authenticated_at(), login);
    assert_eq!(done.live.methods(), [Method::PasskeyVerified]);
    world.pass(300);
    world.sessions.unlock(done.live.id(), Method::PasskeyVerified, &browser.edge).await.unwrap();
    assert_eq!(done.live.authenticated_at(), world.now());
}

#[tokio::test]
async fn what_is_active_or_over_is_not_unlocked() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let id = done.live.id();
    assert!(matches!(world.sessions.unlock(id, Method::Password, &browser.edge).await, Err(SessionError::State)));
    world.pass(300 + 1_800);
    assert!(matches!(world.sessions.unlock(id, Method::Password, &browser.edge).await, Err(SessionError::Gone)));
    assert!(found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.is_none());
}

#[tokio::test]
async fn atk_a18_after_logout_no_token_of_the_session_is_good() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let app = at_app(&world, &done.live, &browser).await;
    let code = world.sessions.cli_code(&done.live).await.unwrap();
    let (bearer, _) = world.sessions.cli_login(&code, &browser.edge).await.unwrap().unwrap();
    assert!(world.sessions.bearer(&bearer).await.unwrap().is_some());
    let ended = world.sessions.end(done.live.id(), EndReason::Logout, By::Holder(&browser.edge)).await.unwrap();
    assert!(ended);
    let world = {
        assert!(found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.is_none());
        assert!(found(&world, &app, TokenKind::AppSession, APP).await.is_none());
        assert!(world.sessions.bearer(&bearer).await.unwrap().is_none());
        world.restart().await
    };
    assert!(found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.is_none());
    assert!(found(&world, &app, TokenKind::AppSession, APP).await.is_none());
    assert!(world.sessions.bearer(&bearer).await.unwrap().is_none());
    assert_eq!(world.recorded("session.end", Some("logout")).await, 1);
    assert!(!world.sessions.end(done.live.id(), EndReason::Killed, By::Gateway).await.unwrap());
}

#[tokio::test]
async fn req_x05_a_second_login_locks_the_first_in_one_transaction() {
    let (world, mut who, first_browser) = person().await;
    let second_browser = Browser::new(PORTAL);
    let first = world.log_in(&mut who, &first_browser, None).await;
    let mut watch = first.live.watch();
    let second = world.log_in(&mut who, &second_browser, None).await;
    assert_eq!(*watch.borrow_and_update(), SessionState::Locked);
    assert_eq!(second.live.state(world.now()), SessionState::Active);
    let row = sessions::by_id(&world.store, first.live.id()).await.unwrap().unwrap();
    assert_eq!(row.lock_reason, Some(LockReason::OtherStation));
    // And back: unlocking the first locks the second.
    world.sessions.unlock(first.live.id(), Method::Password, &first_browser.edge).await.unwrap();
    assert_eq!(second.live.state(world.now()), SessionState::Locked);
    assert_eq!(first.live.state(world.now()), SessionState::Active);
}

#[tokio::test]
async fn a_login_in_the_same_browser_ends_the_session_it_replaces() {
    let (world, mut who, browser) = person().await;
    let first = world.log_in(&mut who, &browser, None).await;
    let second = world.log_in(&mut who, &browser, Some(&first.live)).await;
    assert_eq!(first.live.state(world.now()), SessionState::Ended);
    assert!(found(&world, &first.token, TokenKind::PortalSession, PORTAL).await.is_none());
    assert!(found(&world, &second.token, TokenKind::PortalSession, PORTAL).await.is_some());
    assert_eq!(world.recorded("session.end", Some("replaced")).await, 1);
}

#[tokio::test]
async fn parallel_logins_of_one_account_leave_one_active_session_and_a_bounded_number() {
    let (world, mut who, _) = person().await;
    let mut all = Vec::new();
    for _ in 0..12 {
        all.push(world.log_in(&mut who, &Browser::new(PORTAL), None).await);
    }
    let states: Vec<_> = all.iter().map(|done| done.live.state(world.now())).collect();
    assert_eq!(states.iter().filter(|state| **state == SessionState::Active).count(), 1);
    assert_eq!(states.iter().filter(|state| **state != SessionState::Ended).count(), 8);
    assert_eq!(world.sessions.list(who.account).await.unwrap().len(), 8);
}

#[tokio::test]
async fn after_a_restart_a_session_is_what_it_was() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let (id, until) = (done.live.id(), done.live.absolute_until());
    world.pass(100);
    let world = world.restart().await;
    let live = found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.unwrap();
    assert_eq!((live.id(), live.absolute_until()), (id, until));
    assert_eq!(live.state(world.now()), SessionState::Active);
    assert_eq!(live.session_hash(), done.live.session_hash());
    assert_eq!(live.methods(), done.live.methods());
}

#[tokio::test]
async fn a_session_whose_stored_act_is_too_old_comes_back_locked() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    world.pass(301);
    let world = world.restart().await;
    let live = found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.unwrap();
    assert_eq!(live.state(world.now()), SessionState::Locked);
}

#[tokio::test]
async fn sessions_that_nobody_asks_for_after_a_restart_are_locked_and_ended_in_the_store() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let world = world.restart().await;
    world.pass(300 + 17);
    world.sessions.sweep_store(world.now()).await.unwrap();
    let row = sessions::by_id(&world.store, done.live.id()).await.unwrap().unwrap();
    assert_eq!(row.state, SessionState::Locked);
    world.pass(1_800);
    world.sessions.sweep_store(world.now()).await.unwrap();
    let row = sessions::by_id(&world.store, done.live.id()).await.unwrap().unwrap();
    assert_eq!(row.state, SessionState::Ended);
    assert_eq!(world.recorded("session.lock", Some("idle")).await, 1);
    assert_eq!(world.recorded("session.end", Some("locked-too-long")).await, 1);
}

#[tokio::test]
async fn acts_reach_the_store_at_most_every_fifteen_seconds() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let stored = async |world: &World| sessions::by_id(&world.store, done.live.id()).await.unwrap().unwrap().last_act;
    let each = Duration::from_secs(15);
    let login = world.now();
    world.pass(5);
    done.live.touch(world.now());
    world.sessions.flush(world.now(), each).await.unwrap();
    assert_eq!(stored(&world).await, login);
    world.pass(10);
    world.sessions.flush(world.now(), each).await.unwrap();
    assert_eq!(stored(&world).await, login.after(Duration::from_secs(5)));
}

#[tokio::test]
async fn atk_a19_a_suspended_account_loses_its_sessions() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let sessions_handle = world.sessions.clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move { sessions_handle.run(async { drop(stopped.await) }).await });
    tokio::task::yield_now().await;
    let mut watch = done.live.watch();
    let mut tx = world.store.begin().await.unwrap();
    let account = accounts::by_id(&mut tx, who.account).await.unwrap().unwrap();
    accounts::set_state(&mut tx, &account, AccountState::Suspended).await.unwrap();
    let record = Record::new(Event::AccountActivate, Outcome::Ok);
    let _ = tx.commit(Facts::recorded(record).changed(Changed::account(who.account))).await.unwrap();
    // The bound of the design is one second; the feed polls every 250 ms.
    tokio::time::timeout(Duration::from_secs(1), watch.changed()).await.unwrap().unwrap();
    assert_eq!(*watch.borrow(), SessionState::Ended);
    assert!(found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.is_none());
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    let world = world.restart().await;
    assert!(found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.is_none());
}

#[tokio::test]
async fn req_s10_whose_last_day_is_over_has_no_session_a_second_after_midnight() {
    let (world, mut who, browser) = person().await;
    let midnight = 24 * 3_600 - (world.now().seconds() + 9 * 3_600).rem_euclid(24 * 3_600);
    world.pass(u64::try_from(midnight).unwrap() - 600);
    let done = world.log_in(&mut who, &browser, None).await;
    let today = world.sessions.rules().today(world.now());
    let stored = people::by_id(&world.store, done.live.person().id).await.unwrap().unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let last_day = people::PersonFacts { employed_until: Some(today), ..stored.facts.clone() };
    people::update(&mut tx, stored.id, stored.version, &last_day, "csv").await.unwrap();
    // Heard by nobody: it is the day that ends the session, not the change.
    tx.commit_unrecorded(store::Unrecorded::Housekeeping).await.unwrap();
    let sessions = world.sessions.clone();
    let running = tokio::spawn(async move { sessions.run(std::future::pending()).await });
    let mut watch = done.live.watch();
    world.pass(599);
    assert!(tokio::time::timeout(Duration::from_secs(2), watch.wait_for(|s| *s == SessionState::Ended)).await.is_err());
    world.pass(1);
    let ended =
        tokio::time::timeout(Duration::from_secs(3), watch.wait_for(|s| *s == SessionState::Ended)).await.is_ok();
    assert!(ended, "still {:?}", done.live.state(world.now()));
    running.abort();
    // What memory has decided is owed to the store until it is written.
    world.sessions.sweep(world.now()).await;
    assert_eq!(world.recorded("session.end", Some("revoked")).await, 1);
}

#[tokio::test]
async fn atk_a19_a_suspended_account_unlocks_nothing_though_its_session_has_not_heard_of_it() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    world.pass(300);
    let mut tx = world.store.begin().await.unwrap();
    let account = accounts::by_id(&mut tx, who.account).await.unwrap().unwrap();
    accounts::set_state(&mut tx, &account, AccountState::Suspended).await.unwrap();
    let record = Record::new(Event::AccountActivate, Outcome::Ok);
    let _ = tx.commit(Facts::recorded(record).changed(Changed::account(who.account))).await.unwrap();
    let refused = world.sessions.unlock(done.live.id(), Method::Password, &browser.edge).await;
    assert!(matches!(refused, Err(SessionError::Account)));
    assert_eq!(done.live.state(world.now()), SessionState::Locked);
    assert_eq!(world.recorded("session.unlock", None).await, 0);
}

#[tokio::test]
async fn a_session_ended_by_another_node_is_dropped_when_the_feed_says_so() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let mut tx = world.store.begin().await.unwrap();
    let now = world.now();
    sessions::end(&mut tx, done.live.id(), EndReason::Killed, now).await.unwrap();
    let record = Record::new(Event::SessionEnd, Outcome::Ok);
    let _ = tx.commit(Facts::recorded(record).changed(Changed::session(done.live.id()))).await.unwrap();
    let change = store::Change::One { seq: 1, kind: store::ChangeKind::Session, key: done.live.id().uuid() };
    world.sessions.heard(change).await.unwrap();
    assert_eq!(done.live.state(now), SessionState::Ended);
    assert!(found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.is_none());
}

#[tokio::test]
async fn a_lock_holds_in_memory_when_the_store_has_failed_and_is_written_later() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    // Nobody else gets the one writer.
    let blocking = world.store.begin().await.unwrap();
    let locking = world.sessions.lock(done.live.id(), LockReason::User, By::Holder(&browser.edge));
    assert!(tokio::time::timeout(Duration::from_millis(50), locking).await.is_err(), "given up by its client");
    assert_eq!(done.live.state(world.now()), SessionState::Locked);
    drop(blocking);
    world.sessions.sweep(world.now()).await;
    let row = sessions::by_id(&world.store, done.live.id()).await.unwrap().unwrap();
    assert_eq!((row.state, row.lock_reason), (SessionState::Locked, Some(LockReason::User)));
    assert_eq!(world.recorded("session.lock", Some("user")).await, 1);
}

#[tokio::test]
async fn an_end_holds_in_memory_when_the_store_has_failed_and_is_written_later() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let blocking = world.store.begin().await.unwrap();
    let ending = world.sessions.end(done.live.id(), EndReason::Logout, By::Holder(&browser.edge));
    assert!(tokio::time::timeout(Duration::from_millis(50), ending).await.is_err());
    assert!(found(&world, &done.token, TokenKind::PortalSession, PORTAL).await.is_none());
    drop(blocking);
    world.sessions.sweep(world.now()).await;
    let row = sessions::by_id(&world.store, done.live.id()).await.unwrap().unwrap();
    assert_eq!(row.state, SessionState::Ended);
}

#[tokio::test]
async fn a_handshake_code_is_good_once_for_its_host_and_browser_and_thirty_seconds() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let stranger = Browser::new(PORTAL);
    let binder = browser.binder.hash(TokenKind::Binder);
    let target = Target::parse("/patients/1").unwrap();
    let code =
        async || world.sessions.handshake_code(&done.live, APP, binder, &target, browser.edge.address).await.unwrap();
    let enter = async |code: &Token, browser: &Browser, edge: &Edge| match world
        .sessions
        .enter(code, &browser.binder, edge)
        .await
    {
        Err(SessionError::UnknownCode) => None,
        other => other.unwrap(),
    };
    let here = browser.at(APP);
    let good = code().await;
    assert_eq!(enter(&good, &browser, &here).await.unwrap().target, target);
    assert!(enter(&good, &browser, &here).await.is_none(), "twice");
    let stolen = code().await;
    assert!(enter(&stolen, &stranger, &here).await.is_none(), "another browser");
    assert!(enter(&stolen, &browser, &here).await.is_none(), "used up by the thief");
    let elsewhere = Edge { address: "10.1.2.4".parse().unwrap(), ..here.clone() };
    assert!(enter(&code().await, &browser, &elsewhere).await.is_none(), "another address");
    let mapped = Edge { address: "::ffff:10.1.2.3".parse().unwrap(), ..here.clone() };
    assert!(enter(&code().await, &browser, &mapped).await.is_some(), "the same address in another spelling");
    assert!(enter(&code().await, &browser, &browser.at("pacs.hosp.test")).await.is_none(), "another host");
    let late = code().await;
    world.pass(30);
    assert!(enter(&late, &browser, &here).await.is_none(), "too late");
    let locked = code().await;
    world.sessions.lock(done.live.id(), LockReason::User, By::Gateway).await.unwrap();
    assert!(enter(&locked, &browser, &here).await.is_none(), "locked meanwhile");
    assert!(world.sessions.handshake_code(&done.live, APP, binder, &target, browser.edge.address).await.is_err());
    // What nobody was given, or was used, is the caller's to record: it costs no transaction.
    assert_eq!(world.recorded("handshake.refuse", None).await, 5);
    assert_eq!(world.recorded("handshake.enter", None).await, 2);
}

#[tokio::test]
async fn a_code_that_nobody_was_given_waits_for_no_writer() {
    let (world, _who, browser) = person().await;
    let writing = world.store.begin().await.unwrap();
    let entering = async {
        let code = Token::generate().unwrap();
        world.sessions.enter(&code, &browser.binder, &browser.at(APP)).await
    };
    let entered = tokio::time::timeout(Duration::from_secs(2), entering).await.unwrap();
    assert!(matches!(entered, Err(SessionError::UnknownCode)));
    drop(writing);
}

#[tokio::test]
async fn ten_restored_tabs_all_get_in() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let mut tokens = Vec::new();
    for _ in 0..10 {
        tokens.push(at_app(&world, &done.live, &browser).await);
    }
    for token in &tokens {
        assert!(found(&world, token, TokenKind::AppSession, APP).await.is_some());
    }
}

#[tokio::test]
async fn a_cli_code_is_good_once_and_its_bearer_ends_with_the_session() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let code = world.sessions.cli_code(&done.live).await.unwrap();
    let (token, bearer) = world.sessions.cli_login(&code, &browser.edge).await.unwrap().unwrap();
    assert_eq!(bearer.authenticated_at, done.live.authenticated_at());
    assert!(world.sessions.cli_login(&code, &browser.edge).await.unwrap().is_none());
    let late = world.sessions.cli_code(&done.live).await.unwrap();
    world.pass(600);
    assert!(world.sessions.cli_login(&late, &browser.edge).await.unwrap().is_none());
    let bearer = world.sessions.bearer(&token).await.unwrap().unwrap();
    assert_eq!(bearer.live.state(world.now()), SessionState::Locked, "a program is no station");
    world.pass(1_800);
    assert!(world.sessions.bearer(&token).await.unwrap().is_none());
}

#[tokio::test]
async fn below_aal2_there_is_no_session() {
    let (world, who, browser) = person().await;
    for methods in [vec![], vec![Method::Password], vec![Method::Totp], vec![Method::Totp, Method::SecurityKey]] {
        let new = NewSession {
            account: who.account,
            methods: methods.into_iter().collect(),
            edge: &browser.edge,
            user_agent: "",
            replaces: None,
        };
        assert!(matches!(world.sessions.start(new).await, Err(SessionError::Assurance)));
    }
}

#[tokio::test]
async fn a_stricter_limit_reaches_living_sessions() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let strict = Limits { lock_after: Duration::from_secs(60), ..crate::testing::rules().limits };
    world.sessions.0.limits.set(strict);
    world.pass(60);
    assert_eq!(done.live.state(world.now()), SessionState::Locked);
}

#[tokio::test]
async fn what_is_over_is_purged_and_what_is_not_stays() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let binder = browser.binder.hash(TokenKind::Binder);
    world.sessions.handshake_code(&done.live, APP, binder, &Target::root(), browser.edge.address).await.unwrap();
    let waiting = world.interaction(&browser).await;
    world.sessions.purge(world.now()).await.unwrap();
    assert!(world.logins.view(&waiting, &browser.binder, browser.edge.address).await.is_ok());
    world.sessions.end(done.live.id(), EndReason::Logout, By::Gateway).await.unwrap();
    world.pass(29 * 24 * 3_600);
    world.sessions.purge(world.now()).await.unwrap();
    assert_eq!(store::interactions::count(&world.store).await.unwrap(), 0);
    assert!(sessions::by_id(&world.store, done.live.id()).await.unwrap().is_some());
    world.pass(2 * 24 * 3_600);
    world.sessions.purge(world.now()).await.unwrap();
    assert!(sessions::by_id(&world.store, done.live.id()).await.unwrap().is_none());
}
