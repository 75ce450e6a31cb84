//! Failures: counted where, closing what, told to whom (C-22, A23 … A25, A47).

use super::*;

#[tokio::test]
async fn req_c22_after_five_wrong_passwords_the_right_one_has_to_wait_its_turn() {
    let (world, who, browser) = person().await;
    for _ in 0..5 {
        assert!(wrong_password(&world, "000123").await);
    }
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    world.logins.name(entry, who.number.as_str()).await.unwrap();
    assert!(refused(world.logins.password(entry, secret(PASSWORD)).await));
    world.pass(5);
    assert!(world.logins.password(entry, secret(PASSWORD)).await.is_ok());
    // Success has reset the count.
    assert!(wrong_password(&world, "000123").await);
    assert!(world.logins.password(entry, secret(PASSWORD)).await.is_ok());
}

#[tokio::test]
async fn req_c22_ten_failures_close_a_password_for_a_quarter_of_an_hour_where_they_were_made() {
    let (world, _, _) = person().await;
    let stranger = Browser::elsewhere();
    for _ in 0..10 {
        assert!(wrong_password(&world, "000123").await);
        world.pass(80);
    }
    // Nine of the ten pauses are over, the quarter of an hour is not.
    assert!(refused(password_at(&world, &stranger, "000123", PASSWORD).await));
    world.pass(15 * 60 - 81);
    assert!(refused(password_at(&world, &stranger, "000123", PASSWORD).await));
    world.pass(1);
    assert!(password_at(&world, &stranger, "000123", PASSWORD).await.is_ok());
    let closed = store::notices::of(&world.store, account_of(&world).await, 100).await.unwrap();
    assert_eq!(closed.iter().filter(|notice| notice.kind == "authenticator-closed").count(), 1);
}

#[tokio::test]
async fn atk_a47_a_strangers_ten_wrong_passwords_close_nothing_for_the_owner() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    for _ in 0..10 {
        assert!(wrong_password(&world, "000123").await);
        world.pass(80);
        done.live.touch(world.now());
    }
    assert_eq!(done.live.state(world.now()), SessionState::Active, "live sessions go on");
    assert!(refused(password_at(&world, &Browser::elsewhere(), "000123", PASSWORD).await), "closed for strangers");
    assert!(password_at(&world, &browser, "000123", PASSWORD).await.is_ok(), "her own browser");
    let mut moved = Browser::elsewhere();
    moved.binder = Token::parse(&browser.binder.text()).unwrap();
    assert!(password_at(&world, &moved, "000123", PASSWORD).await.is_ok(), "her browser at another address");
    assert!(password_at(&world, &Browser::new(PORTAL), "000123", PASSWORD).await.is_ok(), "her terminal, wiped");
    world.sessions.lock(done.live.id(), LockReason::User, By::Holder(&browser.edge)).await.unwrap();
    let token = world.interaction(&browser).await;
    let unlocked =
        world.logins.unlock_password(browser.entry(&token, Some(&done.live)), &done.live, secret(PASSWORD)).await;
    assert!(unlocked.is_ok(), "unlocking");
    assert!(refused(password_at(&world, &Browser::elsewhere(), "000123", PASSWORD).await), "and still for strangers");
    // A passkey is nobody's to close.
    world.log_in(&mut who, &Browser::elsewhere(), None).await;
}

#[tokio::test]
async fn atk_a47_whoever_fails_at_one_known_terminal_closes_that_one_alone() {
    let (world, mut who, browser) = person().await;
    let mut desk = Browser::new(PORTAL);
    desk.edge.address = "10.1.2.99".parse().unwrap();
    for at in [&browser, &desk] {
        world.log_in(&mut who, at, None).await;
    }
    for _ in 0..10 {
        assert!(refused(password_at(&world, &desk, "000123", "wrong").await));
        world.pass(80);
    }
    assert!(refused(password_at(&world, &desk, "000123", PASSWORD).await));
    assert!(password_at(&world, &browser, "000123", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn atk_a47_a_sweep_over_known_and_unknown_numbers_is_told_and_slows_its_own_browser_and_address_alone() {
    let (world, mut who, browser) = person().await;
    world.log_in(&mut who, &browser, None).await;
    let sweeper = Browser::new(PORTAL);
    let step = async |at: &Browser, name: &str, tries: usize| {
        let token = world.interaction(at).await;
        let entry = at.entry(&token, None);
        world.logins.name(entry, name).await.unwrap();
        let mut last = Err(LoginError::Gone);
        for _ in 0..tries {
            last = world.logins.totp(entry, "x").await;
        }
        last
    };
    for n in 0..20 {
        assert!(refused(step(&sweeper, &format!("00012{n}"), 10).await));
    }
    assert!(refused(step(&sweeper, "000500", 9).await), "twenty are no sweep yet");
    assert!(refused(step(&sweeper, "000501", 10).await));
    assert_eq!(world.recorded("login.sweep", None).await, 1);
    world.pass(29);
    assert!(matches!(step(&sweeper, "000502", 1).await, Err(LoginError::Slow { .. })));
    let next_to_it = Browser::new(PORTAL);
    assert!(matches!(step(&next_to_it, "000502", 1).await, Err(LoginError::Slow { .. })), "the same address");
    assert!(password_at(&world, &browser, "000123", PASSWORD).await.is_ok(), "her browser at that address");
    assert!(refused(step(&Browser::elsewhere(), "000502", 1).await), "another address");
    world.pass(1);
    assert!(refused(step(&sweeper, "000502", 1).await), "one in half a minute");
    assert!(matches!(step(&sweeper, "000502", 1).await, Err(LoginError::Slow { .. })));
    world.log_in(&mut who, &Browser::new(PORTAL), None).await;
    world.pass(15 * 60);
    assert!(refused(step(&sweeper, "000502", 3).await), "and it is over");
}

#[tokio::test]
async fn a_login_from_a_new_place_is_told_and_one_from_a_known_place_is_not() {
    let (world, mut who, browser) = person().await;
    let told = async || {
        let notices = store::notices::of(&world.store, account_of(&world).await, 100).await.unwrap();
        notices.iter().filter(|notice| notice.kind == "login-elsewhere").count()
    };
    world.log_in(&mut who, &browser, None).await;
    assert_eq!(told().await, 0, "the first of all");
    world.log_in(&mut who, &Browser::new(PORTAL), None).await;
    assert_eq!(told().await, 0, "the same terminal");
    for _ in 0..2 {
        world.log_in(&mut who, &Browser::elsewhere(), None).await;
        assert_eq!(told().await, 1);
    }
}

async fn account_of(world: &World) -> model::AccountId {
    accounts::by_staff_no(&world.store, &"000123".parse().unwrap()).await.unwrap().unwrap().id
}

#[tokio::test]
async fn req_c22_at_a_hundred_failures_the_authenticator_is_off_for_good() {
    let (world, _, browser) = person().await;
    for _ in 0..OFF_AT {
        assert!(wrong_password(&world, "000123").await);
        world.pass(15 * 60);
    }
    assert_eq!(world.recorded("authenticator.off", Some("failures")).await, 1);
    world.pass(24 * 3_600);
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    world.logins.name(entry, "000123").await.unwrap();
    assert!(refused(world.logins.password(entry, secret(PASSWORD)).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn atk_a24_two_hundred_parallel_wrong_tries_are_all_counted() {
    let (world, who, _) = person().await;
    let bound = authenticators::active(&world.store, who.account).await.unwrap();
    let id = bound.iter().find(|a| a.kind == AuthenticatorKind::Password).unwrap().id;
    let failures = async || {
        let bound = authenticators::active(&world.store, who.account).await.unwrap();
        bound.iter().find(|a| a.id == id).map_or(OFF_AT, |a| a.failures)
    };
    // Through the door: as many are let in as are counted, and the door closes at five.
    let tries: Vec<_> = (0..200)
        .map(|_| {
            let logins = world.logins.clone();
            tokio::spawn(async move {
                let browser = Browser::new(PORTAL);
                let begin = Begin {
                    purpose: Purpose::Login,
                    host: PORTAL,
                    target: Target::root(),
                    app_binder: None,
                    address: AT,
                    holder: false,
                };
                let token = logins.begin(begin).await.unwrap();
                logins.view(&token, &browser.binder, browser.edge.address).await.unwrap();
                let entry = browser.entry(&token, None);
                logins.name(entry, "000123").await.unwrap();
                logins.totp(entry, "x").await.unwrap_err();
                refused(logins.password(entry, Secret::new("wrong".to_owned())).await)
            })
        })
        .collect();
    for attempt in tries {
        assert!(attempt.await.unwrap());
    }
    assert_eq!(failures().await, 5);
    // At the counter itself, with nothing closing it: each is counted, and a hundred is the most.
    let counting: Vec<_> = (0..200)
        .map(|_| {
            let (store, now) = (world.store.clone(), world.now().after(Duration::from_secs(3_600)));
            tokio::spawn(async move {
                let mut tx = store.begin().await.unwrap();
                let counted = places::count(&mut tx, id, Place::Elsewhere, OFF_AT, now).await.unwrap();
                tx.commit_unrecorded(Unrecorded::Failures).await.unwrap();
                counted.is_some()
            })
        })
        .collect();
    let mut admitted = 5;
    for count in counting {
        admitted += i64::from(count.await.unwrap());
    }
    assert_eq!((admitted, failures().await), (OFF_AT, OFF_AT));
}

#[tokio::test]
async fn atk_a25_a_half_open_login_dies_with_the_lock() {
    let (world, who, browser) = person().await;
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    world.logins.name(entry, "000123").await.unwrap();
    world.logins.password(entry, secret(PASSWORD)).await.unwrap();
    for pause in [0, 0, 0, 0, 5, 10, 20, 40, 80, 0] {
        assert!(wrong_password(&world, "000123").await);
        world.pass(pause);
    }
    // The password that this login rests on is closed: the code completes nothing.
    let outcome = world.logins.totp(entry, &code_of(&who.totp, world.now())).await;
    assert!(!matches!(outcome, Ok(Outcome::Complete(_))), "{outcome:?}");
}

#[tokio::test]
async fn atk_a23_unlocking_and_login_share_one_count() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    world.sessions.lock(done.live.id(), LockReason::User, By::Holder(&browser.edge)).await.unwrap();
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, Some(&done.live));
    for _ in 0..3 {
        assert!(refused(password_at(&world, &browser, "000123", "wrong").await));
    }
    for _ in 0..2 {
        assert!(refused(world.logins.unlock_password(entry, &done.live, secret("wrong")).await));
    }
    assert!(refused(world.logins.unlock_password(entry, &done.live, secret(PASSWORD)).await), "five in all");
    world.pass(5);
    assert!(world.logins.unlock_password(entry, &done.live, secret(PASSWORD)).await.is_ok());
}
