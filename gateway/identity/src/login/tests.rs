use std::collections::BTreeSet;

use model::{Aal, EndReason, LockReason, Secret, SessionState, TokenHash};
use serde_json::Value;
use store::Facts;
use store::accounts::{self, AccountState};
use store::places::{self, Place};

use super::*;
use crate::By;
use crate::failures::OFF_AT;
use crate::testing::{
    APP, Browser, DOMAIN, Enrolled, Forgery, ORIGIN, PASSWORD, PORTAL, SoftKey, World, code_of, completed,
};

mod failures;
mod histories;
mod key;

const AT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 2, 3));

async fn person() -> (World, Enrolled, Browser) {
    let world = World::new().await;
    let who = world.enrol("000123").await;
    (world, who, Browser::new(PORTAL))
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn refused<T>(done: Result<T, LoginError>) -> bool {
    matches!(done, Err(LoginError::Refused))
}

async fn wrong_password(world: &World, name: &str) -> bool {
    refused(password_at(world, &Browser::elsewhere(), name, "wrong").await)
}

/// The password step of a new login.
async fn password_at(world: &World, browser: &Browser, name: &str, text: &str) -> Result<Outcome, LoginError> {
    let token = world.interaction(browser).await;
    let entry = browser.entry(&token, None);
    world.logins.name(entry, name).await.unwrap();
    world.logins.password(entry, secret(text)).await
}

#[tokio::test]
async fn a_verified_passkey_is_a_whole_login() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    assert_eq!(done.live.person().staff_no, who.number);
    assert_eq!(done.live.person().department, "3階東病棟");
    assert_eq!(done.live.aal(), Aal::Aal2);
    assert_eq!(done.destination.host, APP);
    assert_eq!(done.destination.target.as_str(), "/patients/1?tab=2");
    assert_eq!(done.destination.app_binder, Some(browser.binder.hash(TokenKind::Binder)));
    assert_eq!(world.recorded("login.ok", None).await, 1);
    assert_eq!(world.recorded("session.start", None).await, 1);
}

#[tokio::test]
async fn password_and_one_time_password_are_a_login_in_either_order() {
    let (world, who, browser) = person().await;
    for totp_first in [false, true] {
        world.pass(90);
        let token = world.interaction(&browser).await;
        let entry = browser.entry(&token, None);
        let next = world.logins.name(entry, " ０００１２３ ").await.unwrap();
        assert!(next.password && next.totp);
        let code = code_of(&who.totp, world.now());
        let (first, second) = if totp_first {
            let first = world.logins.totp(entry, &code).await.unwrap();
            (first, world.logins.password(entry, secret(PASSWORD)).await.unwrap())
        } else {
            let first = world.logins.password(entry, secret(PASSWORD)).await.unwrap();
            (first, world.logins.totp(entry, &code).await.unwrap())
        };
        let Outcome::More(next) = first else { panic!("one factor is not enough") };
        assert_eq!((next.password, next.totp), (totp_first, !totp_first));
        let live = completed(second).live;
        assert_eq!(live.methods().iter().copied().collect::<BTreeSet<_>>(), [Method::Password, Method::Totp].into());
    }
}

#[tokio::test]
async fn atk_a27_the_same_factor_twice_is_one_factor() {
    let (world, _, browser) = person().await;
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    world.logins.name(entry, "000123").await.unwrap();
    for _ in 0..3 {
        let outcome = world.logins.password(entry, secret(PASSWORD)).await.unwrap();
        assert!(matches!(outcome, Outcome::More(_)));
    }
    assert_eq!(
        world.logins.view(&token, &browser.binder, browser.edge.address).await.unwrap().verified,
        [Method::Password]
    );
}

#[tokio::test]
async fn atk_a26_no_step_without_the_one_before_it() {
    let (world, mut who, browser) = person().await;
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    let out_of_order = |done: Result<Outcome, LoginError>| matches!(done, Err(LoginError::OutOfOrder));
    assert!(out_of_order(world.logins.password(entry, secret(PASSWORD)).await));
    assert!(out_of_order(world.logins.password(entry, secret("")).await));
    assert!(out_of_order(world.logins.totp(entry, "").await));
    assert!(out_of_order(world.logins.passkey(entry, "").await));
    assert!(matches!(world.logins.next(entry).await, Err(LoginError::OutOfOrder)));
    world.logins.name(entry, "000123").await.unwrap();
    assert!(refused(world.logins.totp(entry, "").await));
    assert!(refused(world.logins.password(entry, secret("")).await));
    let next = world.logins.next(entry).await.unwrap();
    assert!(refused(world.logins.passkey(entry, "").await));
    // Its challenge is gone, a right answer comes too late.
    let answer = who.key.get(&next.passkey, &Forgery::default());
    assert!(out_of_order(world.logins.passkey(entry, &answer).await));
}

#[tokio::test]
async fn an_interaction_belongs_to_one_browser_is_done_once_and_expires() {
    let (world, mut who, browser) = person().await;
    let stranger = Browser::new(PORTAL);
    let token = world.interaction(&browser).await;
    assert!(matches!(world.logins.view(&token, &stranger.binder, stranger.edge.address).await, Err(LoginError::Gone)));
    let name = world.logins.name(stranger.entry(&token, None), "000123").await;
    assert!(matches!(name, Err(LoginError::Gone)));
    let entry = browser.entry(&token, None);
    let next = world.logins.name(entry, "000123").await.unwrap();
    world.logins.passkey(entry, &who.key.get(&next.passkey, &Forgery::default())).await.unwrap();
    assert!(matches!(world.logins.view(&token, &browser.binder, browser.edge.address).await, Err(LoginError::Gone)));
    let late = world.interaction(&browser).await;
    world.pass(600);
    assert!(matches!(world.logins.view(&late, &browser.binder, browser.edge.address).await, Err(LoginError::Gone)));
}

#[tokio::test]
async fn an_app_host_without_a_binder_begins_nothing() {
    let world = World::new().await;
    let begin = |host| Begin {
        purpose: Purpose::Login,
        host,
        target: Target::root(),
        app_binder: None,
        address: AT,
        holder: false,
    };
    assert!(matches!(world.logins.begin(begin(APP)).await, Err(LoginError::OutOfOrder)));
    assert!(world.logins.begin(begin(PORTAL)).await.is_ok());
}

#[tokio::test]
async fn whoever_is_logged_in_already_takes_the_interaction_once() {
    let world = World::new().await;
    let browser = Browser::new(PORTAL);
    let token = world.interaction(&browser).await;
    assert_eq!(world.logins.take(&token, &browser.binder, browser.edge.address).await.unwrap().host, APP);
    assert!(matches!(world.logins.take(&token, &browser.binder, browser.edge.address).await, Err(LoginError::Gone)));
}

#[tokio::test]
async fn atk_a29_every_forged_assertion_is_refused_with_the_same_words() {
    let (world, mut who, browser) = person().await;
    let right = Forgery::default;
    let rolled_back = who.key.counter();
    world.log_in(&mut who, &browser, None).await;
    let forgeries = [
        ("signature", Forgery { break_signature: true, ..right() }),
        ("user-not-verified", Forgery { verified: false, ..right() }),
        ("user-not-present", Forgery { present: false, ..right() }),
        ("counter", Forgery { counter: Some(rolled_back), ..right() }),
        ("counter", Forgery { counter: Some(0), ..right() }),
        ("origin", Forgery { origin: "https://badhosp.test:8443".to_owned(), ..right() }),
        ("origin", Forgery { origin: "https://chart.hosp.test:8443".to_owned(), ..right() }),
        ("origin", Forgery { origin: "https://auth.hosp.test".to_owned(), ..right() }),
        ("origin", Forgery { origin: "https://auth.hosp.test:8443/".to_owned(), ..right() }),
        ("origin", Forgery { origin: "http://auth.hosp.test:8443".to_owned(), ..right() }),
        ("rp-id", Forgery { rp_id: "evil.test".to_owned(), ..right() }),
        ("rp-id", Forgery { rp_id: format!("auth.{DOMAIN}"), ..right() }),
        ("challenge", Forgery { challenge: Some("AAAAAAAAAAAAAAAAAAAAAA".to_owned()), ..right() }),
        ("type", Forgery { kind: "webauthn.create", ..right() }),
        ("cross-origin", Forgery { cross_origin: true, ..right() }),
        ("unknown-passkey", Forgery { user_handle: Some(vec![7; 16]), ..right() }),
    ];
    let sentence = LoginError::Refused.to_string();
    for (reason, forged) in forgeries {
        let before = world.recorded("authenticator.fail", Some(reason)).await;
        let token = world.interaction(&browser).await;
        let entry = browser.entry(&token, None);
        let next = world.logins.name(entry, "000123").await.unwrap();
        let done = world.logins.passkey(entry, &who.key.get(&next.passkey, &forged)).await;
        assert_eq!(done.unwrap_err().to_string(), sentence, "{reason} {forged:?}");
        assert_eq!(world.recorded("authenticator.fail", Some(reason)).await, before + 1, "{reason} {forged:?}");
    }
    // None of it has closed the passkey.
    world.log_in(&mut who, &browser, None).await;
}

#[tokio::test]
async fn atk_a29_an_answer_is_good_for_its_own_challenge_interaction_and_five_minutes() {
    let (world, mut who, browser) = person().await;
    let begin = async || {
        let token = world.interaction(&browser).await;
        let next = world.logins.name(browser.entry(&token, None), "000123").await.unwrap();
        (token, next.passkey)
    };
    let (first, options) = begin().await;
    let answer = who.key.get(&options, &Forgery::default());
    completed(world.logins.passkey(browser.entry(&first, None), &answer).await.unwrap());
    let (second, _) = begin().await;
    assert!(refused(world.logins.passkey(browser.entry(&second, None), &answer).await), "replayed");
    let (third, options) = begin().await;
    let answer = who.key.get(&options, &Forgery::default());
    world.pass(300);
    assert!(refused(world.logins.passkey(browser.entry(&third, None), &answer).await), "too late");
}

#[tokio::test]
async fn atk_a29_a_copied_passkey_is_found_when_both_copies_answer_the_same_question_time() {
    let (world, mut who, browser) = person().await;
    let (one, two) = (world.interaction(&browser).await, world.interaction(&browser).await);
    let (one, two) = (browser.entry(&one, None), browser.entry(&two, None));
    // Both challenges are made while the store still has the old counter.
    let first = world.logins.name(one, "000123").await.unwrap();
    let second = world.logins.name(two, "000123").await.unwrap();
    let counter = Some(who.key.counter() + 1);
    let first = who.key.get(&first.passkey, &Forgery { counter, ..Forgery::default() });
    let second = who.key.get(&second.passkey, &Forgery { counter, ..Forgery::default() });
    completed(world.logins.passkey(one, &first).await.unwrap());
    assert!(refused(world.logins.passkey(two, &second).await));
    assert_eq!(world.recorded("authenticator.fail", Some("counter")).await, 1);
}

#[tokio::test]
async fn a_colleagues_passkey_does_not_answer_for_me() {
    let (world, _, browser) = person().await;
    let mut other = world.enrol("000124").await;
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    let next = world.logins.name(entry, "000123").await.unwrap();
    assert!(refused(world.logins.passkey(entry, &other.key.get(&next.passkey, &Forgery::default())).await));
}

#[tokio::test]
async fn atk_a40_unknown_names_look_like_known_ones() {
    let (world, _, browser) = person().await;
    let shape = |options: &str| {
        let options: Value = serde_json::from_str(options).unwrap();
        let key = &options["publicKey"];
        let credentials = key["allowCredentials"].as_array().unwrap().iter();
        let members: BTreeSet<String> = credentials.flat_map(|c| c.as_object().unwrap().keys().cloned()).collect();
        let names: BTreeSet<String> = key.as_object().unwrap().keys().cloned().collect();
        let ids: Vec<String> =
            key["allowCredentials"].as_array().unwrap().iter().map(|c| c["id"].to_string()).collect();
        (names, members, ids)
    };
    let mut asked = Vec::new();
    let decoyed = (200_000..200_040).map(|n: u32| n.to_string());
    for name in
        ["000123".to_owned(), "not a number".to_owned(), String::new(), "あ".repeat(500)].into_iter().chain(decoyed)
    {
        let token = world.interaction(&browser).await;
        let entry = browser.entry(&token, None);
        let first = world.logins.name(entry, &name).await.unwrap();
        let second = world.logins.next(entry).await.unwrap();
        assert!(first.password && first.totp);
        let (one, two) = (shape(&first.passkey), shape(&second.passkey));
        assert_eq!(one, two, "made-up passkeys are the same each time");
        asked.push(one);
    }
    let (names, members, ids) = &asked[0];
    assert_eq!(ids.len(), 1);
    let like: Vec<_> = asked[1..].iter().filter(|other| other.2.len() == 1).collect();
    assert!(like.len() > 10, "most unknown names seem to have one passkey");
    assert!(asked.iter().all(|other| other.0 == *names && other.1 == *members), "none seems to have no passkey");
}

#[tokio::test]
async fn atk_a40_a_wrong_password_costs_the_same_for_nobody_and_gets_the_same_answer() {
    let (world, _, _) = person().await;
    let unbound = world.hire("000555").await;
    world.code(&unbound).await;
    for name in ["000123", "999999", "000555", "not a number"] {
        let before = world.logins.0.hasher.computed();
        assert!(wrong_password(&world, name).await, "{name}");
        assert_eq!(world.logins.0.hasher.computed(), before + 1, "{name}");
    }
    let lines = world.journaled().await;
    let failed: Vec<_> = lines.iter().filter(|line| line["event"] == "login.fail").collect();
    assert_eq!(failed.len(), 4);
    assert_eq!(failed[0]["who"]["staff_no"], "000123");
    assert_eq!(failed[1]["who"]["kind"], "claimed");
    let text = serde_json::to_string(&failed).unwrap();
    assert!(!text.contains("999999") && !text.contains("not a number"), "what was typed may be a password");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn req_c26_a_one_time_password_is_good_once_however_many_ask_at_once() {
    let (world, who, _) = person().await;
    let code = code_of(&who.totp, world.now());
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (logins, code) = (world.logins.clone(), code.clone());
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
                logins.totp(entry, &code).await.is_ok()
            })
        })
        .collect();
    let mut good = 0;
    for asked in asking {
        good += usize::from(asked.await.unwrap());
    }
    assert_eq!(good, 1);
}

#[tokio::test]
async fn a_closed_account_does_not_log_in_and_is_not_told_apart() {
    let (world, mut who, browser) = person().await;
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    let mut tx = world.store.begin().await.unwrap();
    let account = accounts::by_id(&mut tx, who.account).await.unwrap().unwrap();
    accounts::set_state(&mut tx, &account, AccountState::Suspended).await.unwrap();
    let record = audit::Record::new(audit::Event::AccountActivate, audit::Outcome::Ok);
    let _ = tx.commit(Facts::recorded(record)).await.unwrap();
    let next = world.logins.name(entry, "000123").await.unwrap();
    assert!(refused(world.logins.passkey(entry, &who.key.get(&next.passkey, &Forgery::default())).await));
    assert!(refused(world.logins.password(entry, secret(PASSWORD)).await));
}

#[tokio::test]
async fn suspended_between_challenge_and_answer_is_suspended() {
    let (world, mut who, browser) = person().await;
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    let next = world.logins.name(entry, "000123").await.unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let account = accounts::by_id(&mut tx, who.account).await.unwrap().unwrap();
    accounts::set_state(&mut tx, &account, AccountState::Suspended).await.unwrap();
    let record = audit::Record::new(audit::Event::AccountActivate, audit::Outcome::Ok);
    let _ = tx.commit(Facts::recorded(record)).await.unwrap();
    assert!(refused(world.logins.passkey(entry, &who.key.get(&next.passkey, &Forgery::default())).await));
}

#[tokio::test]
async fn unlocking_takes_the_password_or_the_passkey_of_the_same_account() {
    let (world, mut who, browser) = person().await;
    let mut other = world.enrol("000124").await;
    let done = world.log_in(&mut who, &browser, None).await;
    world.sessions.lock(done.live.id(), LockReason::User, By::Holder(&browser.edge)).await.unwrap();
    let begin = async || {
        let token = world.interaction(&browser).await;
        let options = world.logins.unlock_options(browser.entry(&token, Some(&done.live)), &done.live).await.unwrap();
        (token, options)
    };
    let (token, options) = begin().await;
    let entry = browser.entry(&token, Some(&done.live));
    let answer = other.key.get(&options, &Forgery::default());
    assert!(refused(world.logins.unlock_passkey(entry, &done.live, &answer).await), "somebody else's");
    assert!(refused(world.logins.unlock_password(entry, &done.live, secret("wrong")).await));
    assert_eq!(done.live.state(world.now()), SessionState::Locked);
    let opened = world.logins.unlock_password(entry, &done.live, secret(PASSWORD)).await.unwrap();
    assert_eq!((opened.live.id(), opened.destination.host.as_str()), (done.live.id(), APP));
    assert_eq!(done.live.state(world.now()), SessionState::Active);
    assert!(world.sessions.find(&done.token, TokenKind::PortalSession, PORTAL).await.unwrap().is_none());

    world.sessions.lock(done.live.id(), LockReason::User, By::Holder(&browser.edge)).await.unwrap();
    let (token, options) = begin().await;
    let entry = browser.entry(&token, Some(&done.live));
    let answer = who.key.get(&options, &Forgery::default());
    assert!(
        matches!(world.logins.passkey(entry, &answer).await, Err(LoginError::OutOfOrder)),
        "no login without a name"
    );
    assert!(world.logins.unlock_passkey(entry, &done.live, &answer).await.is_ok());
    assert_eq!(world.recorded("session.unlock", Some("wrong")).await, 1);
}

#[tokio::test]
async fn a_confirmation_proves_the_same_person_again_and_changes_the_token() {
    let (world, mut who, browser) = person().await;
    let mut other = world.enrol("000124").await;
    let done = world.log_in(&mut who, &browser, None).await;
    world.pass(200);
    done.live.touch(world.now());
    world.pass(200);
    let begin = async || {
        let begin = Begin {
            purpose: Purpose::Confirm,
            host: PORTAL,
            target: Target::root(),
            app_binder: None,
            address: AT,
            holder: false,
        };
        let token = world.logins.begin(begin).await.unwrap();
        world.logins.view(&token, &browser.binder, browser.edge.address).await.unwrap();
        token
    };
    let token = begin().await;
    let entry = browser.entry(&token, Some(&done.live));
    assert!(matches!(world.logins.name(entry, "000124").await, Err(LoginError::OutOfOrder)));
    let next = world.logins.next(entry).await.unwrap();
    assert!(refused(world.logins.passkey(entry, &other.key.get(&next.passkey, &Forgery::default())).await));
    let next = world.logins.next(entry).await.unwrap();
    let again = completed(world.logins.passkey(entry, &who.key.get(&next.passkey, &Forgery::default())).await.unwrap());
    assert_eq!(again.live.id(), done.live.id());
    assert_eq!(done.live.authenticated_at(), world.now());
    assert!(world.sessions.find(&done.token, TokenKind::PortalSession, PORTAL).await.unwrap().is_none(), "A16");
    assert!(world.sessions.find(&again.token, TokenKind::PortalSession, PORTAL).await.unwrap().is_some());

    // One that has ended meanwhile is not brought back.
    let token = begin().await;
    let entry = browser.entry(&token, Some(&done.live));
    let next = world.logins.next(entry).await.unwrap();
    world.sessions.end(done.live.id(), EndReason::Killed, By::Gateway).await.unwrap();
    assert!(world.logins.passkey(entry, &who.key.get(&next.passkey, &Forgery::default())).await.is_err());
}

#[tokio::test]
async fn atk_a16_a_token_from_before_the_login_is_never_the_sessions() {
    let (world, mut who, browser) = person().await;
    let done = world.log_in(&mut who, &browser, None).await;
    for kind in [TokenKind::PortalSession, TokenKind::AppSession] {
        assert!(world.sessions.find(&browser.binder, kind, PORTAL).await.unwrap().is_none());
    }
    let again = world.log_in(&mut who, &browser, Some(&done.live)).await;
    assert_ne!(done.token.text(), again.token.text());
}

#[tokio::test]
async fn thirty_tries_end_an_interaction_for_known_and_unknown_names_alike() {
    let (world, _, browser) = person().await;
    for name in ["000123", "999999"] {
        let token = world.interaction(&browser).await;
        let entry = browser.entry(&token, None);
        world.logins.name(entry, name).await.unwrap();
        for _ in 0..30 {
            assert!(refused(world.logins.totp(entry, "x").await));
        }
        assert!(matches!(world.logins.totp(entry, "x").await, Err(LoginError::Gone)));
    }
}

#[tokio::test]
async fn options_name_the_relying_party_and_ask_for_verification() {
    let (world, _, browser) = person().await;
    let token = world.interaction(&browser).await;
    let next = world.logins.name(browser.entry(&token, None), "000123").await.unwrap();
    let options: Value = serde_json::from_str(&next.passkey).unwrap();
    assert_eq!(options["publicKey"]["rpId"], DOMAIN);
    assert_eq!(options["publicKey"]["userVerification"], "required");
    assert!(ORIGIN.contains(DOMAIN));
    let unknown = SoftKey::new();
    assert_eq!(unknown.counter(), 0);
}

#[tokio::test]
async fn atk_a15_what_an_apps_host_begins_goes_on_at_the_same_address_only() {
    let (world, mut who, browser) = person().await;
    let target = Target::root();
    let app_binder = Some(browser.binder.hash(TokenKind::Binder));
    let thief: IpAddr = "10.1.2.66".parse().unwrap();
    let begin = Begin { purpose: Purpose::Login, host: APP, target, app_binder, address: thief, holder: false };
    let token = world.logins.begin(begin).await.unwrap();
    let elsewhere = |done: Result<(), LoginError>| matches!(done, Err(LoginError::Elsewhere));
    assert!(elsewhere(world.logins.view(&token, &browser.binder, AT).await.map(drop)));
    // Not even bound: whoever began it may still go on.
    assert!(world.logins.view(&token, &browser.binder, thief).await.is_ok());
    assert!(elsewhere(world.logins.take(&token, &browser.binder, AT).await.map(drop)));
    assert!(elsewhere(world.logins.name(browser.entry(&token, None), "000123").await.map(drop)));
    // The address lasts through the steps.
    let own = world.interaction(&browser).await;
    let next = world.logins.name(browser.entry(&own, None), "000123").await.unwrap();
    let mut moved = Browser::new(PORTAL);
    moved.binder = Token::parse(&browser.binder.text()).unwrap();
    moved.edge.address = thief;
    let answer = who.key.get(&next.passkey, &Forgery::default());
    assert!(elsewhere(world.logins.passkey(moved.entry(&own, None), &answer).await.map(drop)));
    let done = completed(world.logins.passkey(browser.entry(&own, None), &answer).await.unwrap());
    assert_eq!(done.destination.address, Some(AT));
    // What the portal begins leads nowhere else, and a laptop may change its network meanwhile.
    let begin = Begin { host: PORTAL, app_binder: None, address: AT, ..portal_login() };
    let token = world.logins.begin(begin).await.unwrap();
    assert!(world.logins.view(&token, &browser.binder, thief).await.is_ok());
}

fn portal_login() -> Begin<'static> {
    Begin {
        purpose: Purpose::Login,
        host: PORTAL,
        target: Target::root(),
        app_binder: None,
        address: AT,
        holder: false,
    }
}

#[tokio::test]
async fn a_network_that_begins_without_end_drops_its_own_oldest_and_stops_nobody() {
    let world = World::new().await;
    let browser = Browser::new(PORTAL);
    let bound = world.interaction(&browser).await;
    let oldest = world.logins.begin(portal_login()).await.unwrap();
    let other = world.logins.begin(Begin { address: "10.1.2.4".parse().unwrap(), ..portal_login() }).await.unwrap();
    for _ in 0..300 {
        world.logins.begin(portal_login()).await.unwrap();
    }
    assert_eq!(interactions::count(&world.store).await.unwrap(), 302);
    let gone = world.logins.view(&oldest, &browser.binder, AT).await;
    assert!(matches!(gone, Err(LoginError::Gone)));
    for kept in [bound, other] {
        assert!(world.logins.view(&kept, &browser.binder, AT).await.is_ok());
    }
}

#[tokio::test]
async fn a_store_full_of_beginnings_takes_the_next_and_one_full_of_logins_still_unlocks() {
    let world = World::new().await;
    let row = interactions::Interaction {
        kind: "login".to_owned(),
        host: PORTAL.to_owned(),
        target: "/".to_owned(),
        app_binder: None,
        portal_binder: None,
        state: State::default().to_bytes().unwrap(),
        expires_at: world.now().after(LIFE),
    };
    let nobody = Token::generate().unwrap().hash(TokenKind::Binder);
    let mut tx = world.store.begin().await.unwrap();
    for n in 0..u64::try_from(MOST_INTERACTIONS).unwrap() {
        // All but one are other browsers' already.
        let portal_binder = (n > 0).then_some(nobody);
        let hash = TokenHash::of(TokenKind::Interaction, &n.to_be_bytes());
        interactions::insert(&mut tx, &hash, &interactions::Interaction { portal_binder, ..row.clone() })
            .await
            .unwrap();
    }
    tx.commit_unrecorded(Unrecorded::Ceremony).await.unwrap();
    let browser = Browser::new(PORTAL);
    let token = world.logins.begin(portal_login()).await.unwrap();
    assert!(world.logins.view(&token, &browser.binder, AT).await.is_ok());
    assert_eq!(interactions::count(&world.store).await.unwrap(), MOST_INTERACTIONS);
    assert!(matches!(world.logins.begin(portal_login()).await, Err(LoginError::Busy { .. })));
    let unlock = world.logins.begin(Begin { holder: true, ..portal_login() }).await.unwrap();
    assert!(world.logins.view(&unlock, &browser.binder, AT).await.is_ok());
}
