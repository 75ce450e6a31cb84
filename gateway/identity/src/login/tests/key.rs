//! A password and a security key.

use super::*;
use crate::EnrolmentError;

/// A touch and no more.
fn touch() -> Forgery {
    Forgery { verified: false, ..Forgery::default() }
}

/// Somebody with a password and a security key, and nothing else.
async fn person_with_key(world: &World, number: &str) -> SoftKey {
    let number = world.hire(number).await;
    let (code, browser) = (world.code(&number).await, Browser::new(PORTAL));
    let started = world.enrolment.start(&browser.binder, &browser.edge, number.as_str(), &code).await.unwrap();
    let entry = browser.entry(&started.token, None);
    let mut key = SoftKey::new();
    let options = world.enrolment.key_options(entry).await.unwrap();
    let asked: Value = serde_json::from_str(&options).unwrap();
    assert_eq!(asked["publicKey"]["authenticatorSelection"]["userVerification"], "discouraged");
    assert_eq!(asked["publicKey"]["authenticatorSelection"]["requireResidentKey"], false);
    let alone = world.enrolment.key(entry, &key.create(&options, &touch()), "鍵").await.unwrap();
    assert!(!alone.active, "a touch alone is one factor");
    assert!(matches!(world.enrolment.finish(entry).await, Err(EnrolmentError::Incomplete)));
    assert!(world.enrolment.password(entry, secret(PASSWORD)).await.unwrap().active);
    world.enrolment.finish(entry).await.unwrap();
    key
}

#[tokio::test]
async fn a_password_and_then_a_security_key_are_a_login_at_aal2() {
    let world = World::new().await;
    let mut key = person_with_key(&world, "000123").await;
    let browser = Browser::new(PORTAL);
    for forgery in [touch(), Forgery::default()] {
        let token = world.interaction(&browser).await;
        let entry = browser.entry(&token, None);
        let named = world.logins.name(entry, "000123").await.unwrap();
        assert!(named.key.is_none() && named.totp, "nothing is told before the password");
        let Outcome::More(next) = world.logins.password(entry, secret(PASSWORD)).await.unwrap() else { panic!() };
        assert!(!next.totp, "there is no app to ask for");
        let answer = key.get(&next.key.unwrap(), &forgery);
        let live = completed(world.logins.key(entry, &answer).await.unwrap()).live;
        assert_eq!(live.aal(), Aal::Aal2);
        assert_eq!(
            live.methods().iter().copied().collect::<BTreeSet<_>>(),
            [Method::Password, Method::SecurityKey].into(),
            "one factor, whatever the key could do besides"
        );
    }
}

#[tokio::test]
async fn atk_a27_a_security_key_is_no_first_factor_and_no_second_to_a_code() {
    let world = World::new().await;
    let mut key = person_with_key(&world, "000123").await;
    let browser = Browser::new(PORTAL);
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    let next = world.logins.name(entry, "000123").await.unwrap();
    let answer = key.get(&next.passkey, &Forgery::default());
    assert!(matches!(world.logins.key(entry, &answer).await, Err(LoginError::OutOfOrder)));
    assert!(refused(world.logins.passkey(entry, &answer).await), "it is no passkey, verified or not");
    world.logins.password(entry, secret("wrong")).await.unwrap_err();
    assert!(matches!(world.logins.key(entry, &answer).await, Err(LoginError::OutOfOrder)));
}

#[tokio::test]
async fn atk_a29_a_security_keys_forged_answers_are_refused_and_close_nothing() {
    let world = World::new().await;
    let mut key = person_with_key(&world, "000123").await;
    let mut other = person_with_key(&world, "000124").await;
    let browser = Browser::new(PORTAL);
    let asked = async || {
        let token = world.interaction(&browser).await;
        let entry = browser.entry(&token, None);
        world.logins.name(entry, "000123").await.unwrap();
        let Outcome::More(next) = world.logins.password(entry, secret(PASSWORD)).await.unwrap() else { panic!() };
        (token, next.key.unwrap())
    };
    let forgeries = [
        ("signature", Forgery { break_signature: true, ..touch() }),
        ("user-not-present", Forgery { present: false, ..touch() }),
        ("counter", Forgery { counter: Some(1), ..touch() }),
        ("origin", Forgery { origin: "https://chart.hosp.test:8443".to_owned(), ..touch() }),
        ("rp-id", Forgery { rp_id: "evil.test".to_owned(), ..touch() }),
        ("cross-origin", Forgery { cross_origin: true, ..touch() }),
        ("unknown-passkey", Forgery { user_handle: Some(vec![7; 16]), ..touch() }),
    ];
    for (reason, forgery) in forgeries {
        let (token, options) = asked().await;
        let answer = key.get(&options, &forgery);
        assert!(refused(world.logins.key(browser.entry(&token, None), &answer).await), "{reason}");
        assert_eq!(world.recorded("authenticator.fail", Some(reason)).await, 1, "{reason}");
    }
    let (token, options) = asked().await;
    let answer = other.get(&options, &touch());
    assert!(refused(world.logins.key(browser.entry(&token, None), &answer).await), "somebody else's");
    let (token, options) = asked().await;
    let answer = key.get(&options, &touch());
    let entry = browser.entry(&token, None);
    world.pass(300);
    assert!(refused(world.logins.key(entry, &answer).await), "too late");
    assert!(matches!(world.logins.key(entry, &answer).await, Err(LoginError::OutOfOrder)), "asked once");
    let (token, options) = asked().await;
    let answer = key.get(&options, &touch());
    completed(world.logins.key(browser.entry(&token, None), &answer).await.unwrap());
}

#[tokio::test]
async fn atk_a25_a_password_closed_meanwhile_takes_the_keys_login_with_it() {
    let world = World::new().await;
    let mut key = person_with_key(&world, "000123").await;
    let browser = Browser::elsewhere();
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    world.logins.name(entry, "000123").await.unwrap();
    let Outcome::More(next) = world.logins.password(entry, secret(PASSWORD)).await.unwrap() else { panic!() };
    for _ in 0..10 {
        assert!(wrong_password(&world, "000123").await);
        world.pass(20);
    }
    let answer = key.get(&next.key.unwrap(), &touch());
    let outcome = world.logins.key(entry, &answer).await;
    assert!(!matches!(outcome, Ok(Outcome::Complete(_))), "{outcome:?}");
}

#[tokio::test]
async fn what_is_bound_as_a_passkey_is_excluded_from_being_bound_as_a_security_key() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    let started = world.enrolment.begin(&browser.binder, &done.live).await.unwrap();
    let entry = browser.entry(&started.token, Some(&done.live));
    let options = world.enrolment.key_options(entry).await.unwrap();
    let asked: Value = serde_json::from_str(&options).unwrap();
    assert_eq!(asked["publicKey"]["excludeCredentials"].as_array().unwrap().len(), 1);
    let again = who.key.create(&options, &touch());
    let bound = world.enrolment.key(entry, &again, "").await;
    assert!(matches!(bound, Err(EnrolmentError::PasskeyRefused)), "whatever the browser says");
    // An answer to the question for one kind binds none of the other.
    let options = world.enrolment.passkey_options(entry).await.unwrap();
    let answer = SoftKey::new().create(&options, &touch());
    assert!(matches!(world.enrolment.key(entry, &answer, "").await, Err(EnrolmentError::OutOfOrder)));
    assert!(matches!(world.enrolment.passkey(entry, &answer, "").await, Err(EnrolmentError::PasskeyRefused)));
}
