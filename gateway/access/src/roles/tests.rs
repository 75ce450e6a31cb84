use tokio::sync::oneshot;

use super::*;
use crate::fixture::{Fixture, NOON, post, snapshot};

const HOUR: Duration = Duration::from_secs(3_600);

/// Roles that hear the feed until the test ends.
async fn listening(fixture: &Fixture) -> (Roles, oneshot::Sender<()>) {
    let roles = Roles::new(fixture.store.clone());
    let (stop, stopped) = oneshot::channel();
    let running = roles.clone();
    tokio::spawn(async move {
        running
            .run(async {
                let _ = stopped.await;
            })
            .await;
    });
    let memory = Arc::clone(&roles.memory);
    within_a_second(async || memory.is_listening()).await;
    (roles, stop)
}

/// The bound of design.md §4 on every revocation.
async fn within_a_second(condition: impl AsyncFn() -> bool) {
    let met = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), met).await.expect("not within a second");
}

async fn names(roles: &Roles, account: AccountId, snapshot: &Arc<Snapshot>, now: Timestamp) -> Vec<String> {
    roles.of(account, snapshot, now).await.unwrap().names.to_vec()
}

#[tokio::test]
async fn a_change_of_hr_data_takes_effect_within_a_second() {
    let (fixture, rules) = (Fixture::new().await, snapshot(1, ""));
    let (roles, _stop) = listening(&fixture).await;
    let account = fixture.hire("000001", post("看護師")).await;
    let other = fixture.hire("000002", post("看護師")).await;
    assert_eq!(names(&roles, account.id, &rules, NOON).await, ["nurse"]);
    let untouched = roles.of(other.id, &rules, NOON).await.unwrap();
    fixture.transfer(account.person, post("事務")).await;
    within_a_second(async || names(&roles, account.id, &rules, NOON).await.is_empty()).await;
    assert_eq!(roles.of(other.id, &rules, NOON).await.unwrap(), untouched);
}

#[tokio::test]
async fn a_grant_taken_away_and_an_account_suspended_take_effect_within_a_second() {
    let (fixture, rules) = (Fixture::new().await, snapshot(1, ""));
    let (roles, _stop) = listening(&fixture).await;
    let account = fixture.hire("000001", post("看護師")).await;
    let grant = fixture.grant(account.id, "auditor", NOON, None).await;
    within_a_second(async || names(&roles, account.id, &rules, NOON).await == ["nurse", "auditor"]).await;
    fixture.end_grant(grant).await;
    within_a_second(async || names(&roles, account.id, &rules, NOON).await == ["nurse"]).await;
    fixture.suspend(&account).await;
    within_a_second(async || names(&roles, account.id, &rules, NOON).await.is_empty()).await;
}

#[tokio::test]
async fn a_grant_begins_and_expires_when_it_is_asked_about_by_no_job() {
    let (fixture, rules) = (Fixture::new().await, snapshot(1, ""));
    let (roles, _stop) = listening(&fixture).await;
    let account = fixture.hire("000001", post("看護師")).await.id;
    let (from, until) = (NOON.after(HOUR), NOON.after(HOUR * 2));
    fixture.grant(account, "auditor", from, Some(until)).await;
    let tick = Duration::from_micros(1);
    within_a_second(async || roles.of(account, &rules, NOON).await.unwrap().valid_until == Some(from)).await;
    for (now, held) in [(from.before(tick), 1), (from, 2), (until.before(tick), 2), (until, 1)] {
        assert_eq!(names(&roles, account, &rules, now).await.len(), held, "{now}");
    }
}

#[tokio::test]
async fn a_known_answer_asks_the_store_nothing_and_a_node_that_hears_nothing_forgets_it() {
    let (fixture, rules) = (Fixture::new().await, snapshot(1, ""));
    let account = fixture.hire("000001", post("看護師")).await.id;
    let (roles, _stop) = listening(&fixture).await;
    let known = roles.of(account, &rules, NOON).await.unwrap();
    fixture.store.close().await;
    let again = roles.of(account, &rules, NOON).await.unwrap();
    assert!(Arc::ptr_eq(&known, &again));
    let deaf = async {
        while roles.of(account, &rules, NOON).await.is_ok() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(Duration::from_secs(3), deaf).await.expect("roles outlive the store");
}

#[tokio::test]
async fn without_a_listener_each_answer_is_fresh() {
    let (fixture, rules) = (Fixture::new().await, snapshot(1, ""));
    let roles = Roles::new(fixture.store.clone());
    let account = fixture.hire("000001", post("看護師")).await;
    assert_eq!(names(&roles, account.id, &rules, NOON).await, ["nurse"]);
    fixture.transfer(account.person, post("事務")).await;
    assert!(names(&roles, account.id, &rules, NOON).await.is_empty());
}

#[tokio::test]
async fn atk_a32_another_account_and_other_rules_get_their_own_answer() {
    let fixture = Fixture::new().await;
    let more = "[[birthright]]\nname = \"everybody-leads\"\nrole = \"lead\"\noccupation = [\"看護師\"]\n";
    let (old, new) = (snapshot(1, ""), snapshot(2, more));
    let (nurse, clerk) =
        (fixture.hire("000001", post("看護師")).await.id, fixture.hire("000002", post("事務")).await.id);
    let (roles, _stop) = listening(&fixture).await;
    for _ in 0..2 {
        assert_eq!(names(&roles, nurse, &old, NOON).await, ["nurse"]);
        assert_eq!(names(&roles, nurse, &new, NOON).await, ["nurse", "lead"]);
        assert!(names(&roles, clerk, &old, NOON).await.is_empty());
        assert!(names(&roles, clerk, &new, NOON).await.is_empty());
    }
}

#[tokio::test]
async fn an_earlier_moment_is_not_answered_from_memory() {
    let (fixture, rules) = (Fixture::new().await, snapshot(1, ""));
    let account = fixture.hire("000001", post("事務")).await.id;
    fixture.grant(account, "auditor", NOON, None).await;
    let (roles, _stop) = listening(&fixture).await;
    assert_eq!(names(&roles, account, &rules, NOON).await, ["auditor"]);
    assert!(names(&roles, account, &rules, NOON.before(HOUR)).await.is_empty());
    assert_eq!(names(&roles, account, &rules, NOON).await, ["auditor"]);
}

#[tokio::test]
async fn an_account_that_nobody_made_is_an_error_and_a_pending_one_holds_nothing() {
    let (fixture, rules) = (Fixture::new().await, snapshot(1, ""));
    let roles = Roles::new(fixture.store.clone());
    let nobody = roles.of(AccountId::generate(), &rules, NOON).await;
    assert!(matches!(nobody, Err(AccessError::NoAccount)));
    let account = fixture.hire("000001", post("看護師")).await;
    fixture.suspend(&account).await;
    assert!(names(&roles, account.id, &rules, NOON).await.is_empty());
    let expected = roles.expected(&"000001".parse().unwrap(), &rules, NOON).await.unwrap().unwrap();
    assert_eq!(*expected.names, ["nurse".to_owned()], "what he would hold");
    assert!(roles.expected(&"999999".parse().unwrap(), &rules, NOON).await.unwrap().is_none());
}
