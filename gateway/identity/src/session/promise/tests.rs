use std::time::Duration;

use model::{LockReason, SessionState};
use store::sessions;

use crate::session::By;
use crate::testing::{Browser, Forgery, PORTAL, World};
use crate::{LoginError, SessionError};

/// How long a login may take whose records don't arrive; the store waits five seconds for them.
const LONGER: Duration = Duration::from_secs(30);

async fn person() -> (World, crate::testing::Enrolled, Browser) {
    let world = World::new().await;
    let who = world.enrol("000123").await;
    (world, who, Browser::new(PORTAL))
}

#[tokio::test]
async fn a_session_whose_records_do_not_arrive_in_time_is_over_before_the_answer() {
    let (world, mut who, browser) = person().await;
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    let next = world.logins.name(entry, who.number.as_str()).await.unwrap();
    let answer = who.key.get(&next.passkey, &Forgery::default());
    world.stop_pump();
    let refused = tokio::time::timeout(LONGER, world.logins.passkey(entry, &answer)).await.unwrap();
    assert!(matches!(refused, Err(LoginError::Session(SessionError::Store(_)))), "{refused:?}");
    assert!(world.sessions.list(who.account).await.unwrap().is_empty());
    assert!(sessions::living(&world.store, who.account).await.unwrap().is_empty(), "in the store as well");
    let world = world.restart().await;
    assert_eq!(world.recorded("session.start", None).await, 1);
    assert_eq!(world.recorded("session.end", Some("unclaimed")).await, 1);
}

#[tokio::test]
async fn a_client_that_leaves_before_its_token_leaves_no_session_behind() {
    let (world, mut who, browser) = person().await;
    let token = world.interaction(&browser).await;
    let entry = browser.entry(&token, None);
    let next = world.logins.name(entry, who.number.as_str()).await.unwrap();
    let answer = who.key.get(&next.passkey, &Forgery::default());
    world.stop_pump();
    let mut login = Box::pin(world.logins.passkey(entry, &answer));
    let begun = async {
        while sessions::living(&world.store, who.account).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = &mut login => panic!("its records can't have arrived: {outcome:?}"),
        () = begun => {}
    }
    drop(login);
    assert!(world.sessions.list(who.account).await.unwrap().is_empty(), "over in memory at once");
    world.sessions.sweep(world.now()).await;
    assert!(sessions::living(&world.store, who.account).await.unwrap().is_empty(), "and in the store with the sweep");
}

#[tokio::test]
async fn an_unlock_whose_record_does_not_arrive_in_time_ends_the_session() {
    let (world, mut who, browser) = person().await;
    let live = world.log_in(&mut who, &browser, None).await.live;
    world.sessions.lock(live.id(), LockReason::User, By::Holder(&browser.edge)).await.unwrap();
    world.stop_pump();
    let unlock = world.sessions.unlock(live.id(), model::Method::PasskeyVerified, &browser.edge);
    let refused = tokio::time::timeout(LONGER, unlock).await.unwrap();
    assert!(matches!(refused, Err(SessionError::Store(_))), "{refused:?}");
    assert_eq!(live.state(world.now()), SessionState::Ended, "its tokens are dead, the new one nobody has");
    assert!(sessions::living(&world.store, who.account).await.unwrap().is_empty());
}
