use model::{Aal, SessionState, StaffNo};
use store::accounts::{self, AccountState};
use store::grants::{self, GrantKind, NewGrant};
use store::people;

use super::*;
use crate::testing::{Browser, Forgery, PASSWORD, PORTAL, SoftKey, World, code_of};

const FACE: Proofing<'static> = Proofing { method: "face-to-face", evidence: "staff card" };

async fn started(world: &World, number: &StaffNo, browser: &Browser) -> Token {
    let code = world.code(number).await;
    world.enrolment.start(&browser.binder, &browser.edge, number.as_str(), &code).await.unwrap().token
}

async fn state_of(world: &World, number: &StaffNo) -> AccountState {
    accounts::by_staff_no(&world.store, number).await.unwrap().unwrap().state
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn a_passkey_makes_a_pending_account_active_and_tells_its_owner() {
    let world = World::new().await;
    let number = world.hire("000123").await;
    let browser = Browser::new(PORTAL);
    let token = started(&world, &number, &browser).await;
    let entry = browser.entry(&token, None);
    assert_eq!(state_of(&world, &number).await, AccountState::Pending);
    assert!(matches!(world.enrolment.finish(entry).await, Err(EnrolmentError::Incomplete)));
    let options = world.enrolment.passkey_options(entry).await.unwrap();
    let answer = SoftKey::new().create(&options, &Forgery::default());
    let progress = world.enrolment.passkey(entry, &answer, " 青い鍵 ").await.unwrap();
    assert!(progress.active);
    assert_eq!((progress.bound[0].kind, progress.bound[0].label.as_str()), ("passkey", "青い鍵"));
    assert_eq!(state_of(&world, &number).await, AccountState::Active);
    assert_eq!(world.enrolment.finish(entry).await.unwrap().staff_no, number);
    assert!(matches!(world.enrolment.progress(entry).await, Err(EnrolmentError::Gone)));
    for event in [
        "account.create",
        "proofing.record",
        "enrolment.issue",
        "enrolment.start",
        "authenticator.bind",
        "account.activate",
    ] {
        assert_eq!(world.recorded(event, None).await, 1, "{event}");
    }
}

#[tokio::test]
async fn a_password_alone_activates_nothing_and_with_a_one_time_password_it_does() {
    let world = World::new().await;
    let number = world.hire("000123").await;
    let browser = Browser::new(PORTAL);
    let token = started(&world, &number, &browser).await;
    let entry = browser.entry(&token, None);
    assert!(matches!(world.enrolment.password(entry, secret("short")).await, Err(EnrolmentError::Password(_))));
    let progress = world.enrolment.password(entry, secret(PASSWORD)).await.unwrap();
    assert!(!progress.active);
    assert_eq!(state_of(&world, &number).await, AccountState::Pending);
    assert!(matches!(world.enrolment.totp(entry, "000000").await, Err(EnrolmentError::OutOfOrder)));
    let setup = world.enrolment.totp_setup(entry).await.unwrap();
    let seed = setup.key.expose().replace(' ', "");
    assert!(setup.uri.expose().contains(&seed) && setup.uri.expose().starts_with("otpauth://totp/"));
    let code = code_of(&seed, world.now());
    let wrong = if code == "000000" { "000001" } else { "000000" };
    assert!(matches!(world.enrolment.totp(entry, wrong).await, Err(EnrolmentError::TotpRefused)));
    assert!(world.enrolment.totp(entry, &code).await.unwrap().active);
    assert_eq!(state_of(&world, &number).await, AccountState::Active);
}

#[tokio::test]
async fn req_a13_9_without_a_proofing_there_is_no_code() {
    let world = World::new().await;
    let number = world.hire("000123").await;
    for (method, evidence) in [("", "card"), ("face-to-face", " "), ("a\nb", "card"), (&"x".repeat(201), "card")] {
        let issued = world.enrolment.issue(Officer::Host("test"), &number, Proofing { method, evidence }).await;
        assert!(matches!(issued, Err(EnrolmentError::NotProofed)));
    }
    let nobody = "999999".parse().unwrap();
    let issued = world.enrolment.issue(Officer::Host("test"), &nobody, FACE).await;
    assert!(matches!(issued, Err(EnrolmentError::UnknownPerson)));
}

#[tokio::test]
async fn nobody_proofs_himself() {
    let world = World::new().await;
    let mut officer = world.enrol("000001").await;
    let browser = Browser::new(PORTAL);
    let done = world.log_in(&mut officer, &browser, None).await;
    let by = Officer::Person(&done.live, &browser.edge);
    assert!(matches!(world.enrolment.issue(by, &officer.number, FACE).await, Err(EnrolmentError::OwnProofing)));
    let other = world.hire("000123").await;
    assert!(world.enrolment.issue(by, &other, FACE).await.is_ok());
}

#[tokio::test]
async fn req_c36_a_code_is_good_once_for_its_person_and_ten_minutes() {
    let world = World::new().await;
    let number = world.hire("000123").await;
    world.hire("000124").await;
    let browser = Browser::new(PORTAL);
    let start = async |number: &str, code: &str| {
        world.enrolment.start(&browser.binder, &browser.edge, number, code).await.map(|_| ())
    };
    let code = world.code(&number).await;
    for (number, code) in
        [("000124", code.as_str()), ("123", &code), ("", &code), ("000123", "AAAAA-AAAAA"), ("000123", "")]
    {
        assert!(matches!(start(number, code).await, Err(EnrolmentError::CodeRefused)), "{number} {code}");
    }
    assert!(start("０００１２３", &code.to_lowercase()).await.is_ok(), "as people type");
    assert!(matches!(start("000123", &code).await, Err(EnrolmentError::CodeRefused)), "twice");
    let first = world.code(&number).await;
    let second = world.code(&number).await;
    assert!(matches!(start("000123", &first).await, Err(EnrolmentError::CodeRefused)), "superseded");
    world.pass(599);
    assert!(start("000123", &second).await.is_ok());
    let late = world.code(&number).await;
    world.pass(600);
    assert!(matches!(start("000123", &late).await, Err(EnrolmentError::CodeRefused)), "too late");
}

#[tokio::test]
async fn an_enrolment_belongs_to_its_browser_and_ends() {
    let world = World::new().await;
    let number = world.hire("000123").await;
    let browser = Browser::new(PORTAL);
    let token = started(&world, &number, &browser).await;
    let stranger = Browser::new(PORTAL);
    assert!(matches!(world.enrolment.progress(stranger.entry(&token, None)).await, Err(EnrolmentError::Gone)));
    assert!(
        matches!(world.logins.view(&token, &browser.binder, browser.edge.address).await, Err(crate::LoginError::Gone)),
        "no login"
    );
    world.pass(1_200);
    assert!(matches!(world.enrolment.progress(browser.entry(&token, None)).await, Err(EnrolmentError::Gone)));
}

#[tokio::test]
async fn atk_a26_an_answer_needs_its_challenge_and_a_challenge_is_answered_once() {
    let world = World::new().await;
    let number = world.hire("000123").await;
    let browser = Browser::new(PORTAL);
    let token = started(&world, &number, &browser).await;
    let entry = browser.entry(&token, None);
    assert!(matches!(world.enrolment.passkey(entry, "{}", "").await, Err(EnrolmentError::OutOfOrder)));
    let options = world.enrolment.passkey_options(entry).await.unwrap();
    assert!(matches!(world.enrolment.passkey(entry, "{}", "").await, Err(EnrolmentError::PasskeyRefused)));
    let answer = SoftKey::new().create(&options, &Forgery::default());
    assert!(matches!(world.enrolment.passkey(entry, &answer, "").await, Err(EnrolmentError::OutOfOrder)));
}

#[tokio::test]
async fn atk_a29_a_forged_registration_binds_nothing() {
    let world = World::new().await;
    let number = world.hire("000123").await;
    let browser = Browser::new(PORTAL);
    let token = started(&world, &number, &browser).await;
    let entry = browser.entry(&token, None);
    let right = Forgery::default;
    for forged in [
        Forgery { origin: "https://evil.test".to_owned(), ..right() },
        Forgery { origin: "https://chart.hosp.test:8443".to_owned(), ..right() },
        Forgery { rp_id: "evil.test".to_owned(), ..right() },
        Forgery { verified: false, ..right() },
        Forgery { present: false, ..right() },
        Forgery { cross_origin: true, ..right() },
        Forgery { challenge: Some("AAAA".to_owned()), ..right() },
    ] {
        let options = world.enrolment.passkey_options(entry).await.unwrap();
        let answer = SoftKey::new().create(&options, &forged);
        let bound = world.enrolment.passkey(entry, &answer, "").await;
        assert!(matches!(bound, Err(EnrolmentError::PasskeyRefused)), "{forged:?}");
    }
    let options = world.enrolment.passkey_options(entry).await.unwrap();
    let answer = SoftKey::new().create(&options, &right());
    world.pass(300);
    assert!(
        matches!(world.enrolment.passkey(entry, &answer, "").await, Err(EnrolmentError::PasskeyRefused)),
        "too late"
    );
    assert_eq!(state_of(&world, &number).await, AccountState::Pending);
}

#[tokio::test]
async fn one_passkey_is_bound_to_one_account_only_and_excluded_afterwards() {
    let world = World::new().await;
    let browser = Browser::new(PORTAL);
    let mut key = SoftKey::new();
    for (number, good) in [("000123", true), ("000124", false)] {
        let number = world.hire(number).await;
        let token = started(&world, &number, &browser).await;
        let entry = browser.entry(&token, None);
        let options = world.enrolment.passkey_options(entry).await.unwrap();
        let bound = world.enrolment.passkey(entry, &key.create(&options, &Forgery::default()), "").await;
        assert_eq!(bound.is_ok(), good);
        if good {
            let options = world.enrolment.passkey_options(entry).await.unwrap();
            let options: serde_json::Value = serde_json::from_str(&options).unwrap();
            assert_eq!(options["publicKey"]["excludeCredentials"].as_array().unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn atk_a28_adding_an_authenticator_takes_a_login_of_the_last_five_minutes_that_is_still_open() {
    let world = World::new().await;
    let mut who = world.enrol("000123").await;
    let browser = Browser::new(PORTAL);
    let done = world.log_in(&mut who, &browser, None).await;
    assert_eq!(done.live.aal(), Aal::Aal2);
    world.pass(299);
    done.live.touch(world.now());
    let begun = world.enrolment.begin(&browser.binder, &done.live).await.unwrap();
    world.pass(2);
    assert!(matches!(world.enrolment.begin(&browser.binder, &done.live).await, Err(EnrolmentError::Stale)));
    assert!(matches!(world.enrolment.progress(browser.entry(&begun.token, None)).await, Err(EnrolmentError::Stale)));
    let entry = browser.entry(&begun.token, Some(&done.live));
    let options = world.enrolment.passkey_options(entry).await.unwrap();
    let answer = SoftKey::new().create(&options, &Forgery::default());
    assert!(world.enrolment.passkey(entry, &answer, "").await.is_ok());
    world.pass(300);
    assert_eq!(done.live.state(world.now()), SessionState::Locked);
    assert!(matches!(world.enrolment.passkey_options(entry).await, Err(EnrolmentError::Stale)));
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_and_no_row_is_deleted() {
    let world = World::new().await;
    let mut who = world.enrol("000123").await;
    let browser = Browser::new(PORTAL);
    let done = world.log_in(&mut who, &browser, None).await;
    let begun = world.enrolment.begin(&browser.binder, &done.live).await.unwrap();
    let entry = browser.entry(&begun.token, Some(&done.live));
    // Whoever is logged in changes a password by the old one; the desk gives a new one to who forgot it.
    let by_session = world.enrolment.password(entry, secret("Gyorai 4 Tonakai Suisou")).await;
    assert!(matches!(by_session, Err(EnrolmentError::OutOfOrder)));
    let token = started(&world, &"000123".parse().unwrap(), &browser).await;
    let entry = browser.entry(&token, None);
    let progress = world.enrolment.password(entry, secret("Gyorai 4 Tonakai Suisou")).await.unwrap();
    assert_eq!(progress.bound.iter().filter(|bound| bound.kind == "password").count(), 1);
    assert_eq!(world.recorded("authenticator.off", Some("replaced")).await, 1);
}

#[tokio::test]
async fn somebody_who_has_left_gets_no_code_and_a_waiting_code_is_dead() {
    let world = World::new().await;
    let number = world.hire("000123").await;
    let code = world.code(&number).await;
    let stored = people::by_staff_no(&world.store, &number).await.unwrap().unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let today = crate::testing::rules().today(world.now());
    let facts = people::PersonFacts { employed_until: Some(today - 1), ..stored.facts.clone() };
    people::update(&mut tx, stored.id, stored.version, &facts, "test").await.unwrap();
    let record = audit::Record::new(audit::Event::HrImport, audit::Outcome::Ok);
    let _ = tx.commit(store::Facts::recorded(record)).await.unwrap();
    let issued = world.enrolment.issue(Officer::Host("test"), &number, FACE).await;
    assert!(matches!(issued, Err(EnrolmentError::AccountClosed)));
    let browser = Browser::new(PORTAL);
    let begun = world.enrolment.start(&browser.binder, &browser.edge, number.as_str(), &code).await;
    assert!(matches!(begun, Err(EnrolmentError::CodeRefused)));
}

#[tokio::test]
async fn atk_a28_no_registrar_issues_a_code_for_an_active_account_with_granted_rights() {
    let world = World::new().await;
    let mut registrar = world.enrol("000900").await;
    let auditor = world.enrol("000901").await;
    let number = world.hire("000902").await;
    world.code(&number).await;
    let pending = accounts::by_staff_no(&world.store, &number).await.unwrap().unwrap().id;
    let browser = Browser::new(PORTAL);
    let live = world.log_in(&mut registrar, &browser, None).await.live;
    let officer = Officer::Person(&live, &browser.edge);
    world.enrolment.issue(officer, &auditor.number, FACE).await.unwrap();
    let mut tx = world.store.begin().await.unwrap();
    for account in [auditor.account, pending] {
        let grant = NewGrant {
            account,
            role: "auditor".to_owned(),
            kind: GrantKind::Bootstrap,
            reason: "test".to_owned(),
            paper: None,
            valid_from: world.now(),
            valid_until: None,
        };
        grants::insert(&mut tx, &grant).await.unwrap();
    }
    let record = audit::Record::new(audit::Event::GrantAdd, audit::Outcome::Ok);
    let _ = tx.commit(store::Facts::recorded(record)).await.unwrap();
    let issued = world.recorded("enrolment.issue", None).await;
    let refused = world.enrolment.issue(officer, &auditor.number, FACE).await;
    assert!(matches!(refused, Err(EnrolmentError::Privileged)), "{refused:?}");
    assert_eq!(world.recorded("enrolment.issue", None).await, issued);
    world.enrolment.issue(officer, &number, FACE).await.expect("nobody's yet: the first binding is the desk's");
    world.enrolment.issue(Officer::Host("root"), &auditor.number, FACE).await.expect("the host may");
}
