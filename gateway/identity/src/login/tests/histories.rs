//! Random histories of one person's logins, locks, unlocks and failures at four browsers, held against a naive
//! model of design.md §4 and §5 (C-09, C-22, A47).

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::Live;

/// Two browsers at one terminal, one at another, and one where nobody else is.
const ADDRESSES: [u8; 4] = [1, 1, 2, 3];
const BROWSERS: usize = ADDRESSES.len();

/// What somebody does at a browser, or the clock.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wrong(usize, u8),
    Right(usize),
    Passkey(usize),
    Act(usize),
    Lock(usize),
    UnlockWrong(usize),
    UnlockRight(usize),
    LogOut(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..BROWSERS;
    prop_oneof![
        4 => (at(), 1..14_u8).prop_map(|(at, times)| Step::Wrong(at, times)),
        3 => at().prop_map(Step::Right),
        2 => at().prop_map(Step::Passkey),
        2 => at().prop_map(Step::Act),
        1 => at().prop_map(Step::Lock),
        1 => at().prop_map(Step::UnlockWrong),
        2 => at().prop_map(Step::UnlockRight),
        1 => at().prop_map(Step::LogOut),
        4 => select(vec![1, 4, 5, 10, 79, 80, 200, 299, 300, 899, 900, 1_799]).prop_map(Step::Wait),
    ]
}

/// Where failures are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Browser(usize),
    Address(u8),
    Elsewhere,
}

/// One session as the rules have it, in whole seconds.
#[derive(Clone, Copy, Debug)]
struct Naive {
    state: SessionState,
    started: u64,
    human: u64,
    locked: u64,
}

impl Naive {
    fn lock(&mut self, now: u64) {
        if self.state == SessionState::Active {
            (self.state, self.locked) = (SessionState::Locked, now);
        }
    }

    fn pass(&mut self, now: u64) {
        if now - self.human >= 300 {
            self.lock(self.human + 300);
        }
        if (self.state == SessionState::Locked && now - self.locked >= 1_800) || now - self.started >= 12 * 3_600 {
            self.state = SessionState::Ended;
        }
    }
}

/// The person as the rules have him.
#[derive(Debug, Default)]
struct Model {
    now: u64,
    known: BTreeSet<At>,
    failures: BTreeMap<At, (u32, u64)>,
    in_a_row: u32,
    off: bool,
    sessions: [Option<Naive>; BROWSERS],
}

impl Model {
    fn place(&self, browser: usize) -> At {
        let marks = [At::Browser(browser), At::Address(ADDRESSES[browser])];
        marks.into_iter().find(|mark| self.known.contains(mark)).unwrap_or(At::Elsewhere)
    }

    /// A try at the password; is it taken?
    fn password(&mut self, browser: usize, right: bool) -> bool {
        let (place, now) = (self.place(browser), self.now);
        let (here, closed) = self.failures.get(&place).copied().unwrap_or_default();
        if self.off || now < closed {
            return false;
        }
        if right {
            self.failures.remove(&place);
            self.in_a_row = 0;
            return true;
        }
        let here = here + 1;
        let pause = match here {
            ..5 => 0,
            5..10 => 5 << (here - 5),
            _ => 900,
        };
        self.failures.insert(place, (here, now + pause));
        self.in_a_row += 1;
        self.off = self.in_a_row >= 100;
        false
    }

    fn log_in(&mut self, browser: usize) {
        let now = self.now;
        self.known.extend([At::Browser(browser), At::Address(ADDRESSES[browser])]);
        self.sessions.iter_mut().flatten().for_each(|session| session.lock(now));
        self.sessions[browser] = Some(Naive { state: SessionState::Active, started: now, human: now, locked: 0 });
    }

    fn state(&self, browser: usize) -> Option<SessionState> {
        self.sessions[browser].map(|session| session.state)
    }
}

/// The same person at the real thing.
struct Real {
    world: World,
    who: Enrolled,
    browsers: Vec<Browser>,
    sessions: [Option<Arc<Live>>; BROWSERS],
}

impl Real {
    async fn new() -> Self {
        let world = World::new().await;
        let who = world.enrol("000123").await;
        let browser = |address: &u8| {
            let mut browser = Browser::new(PORTAL);
            browser.edge.address = IpAddr::from([10, 1, 2, *address]);
            browser
        };
        Self { world, who, browsers: ADDRESSES.iter().map(browser).collect(), sessions: Default::default() }
    }

    /// Tries to unlock with a password; none if there is nothing locked.
    async fn unlock(&self, at: usize, text: &str) -> Option<bool> {
        let (live, browser) = (self.sessions[at].as_ref()?, &self.browsers[at]);
        let token = self.world.interaction(browser).await;
        match self.world.logins.unlock_password(browser.entry(&token, Some(live)), live, secret(text)).await {
            Ok(_) => Some(true),
            Err(LoginError::Refused) => Some(false),
            Err(LoginError::Session(SessionError::State | SessionError::Gone)) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn password(&self, at: usize, text: &str) -> bool {
        match password_at(&self.world, &self.browsers[at], "000123", text).await {
            Ok(Outcome::More(_)) => true,
            Err(LoginError::Refused) => false,
            other => panic!("{other:?}"),
        }
    }
}

async fn take(real: &mut Real, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
    match step {
        Step::Wait(seconds) => {
            real.world.pass(seconds);
            model.now += seconds;
            let now = model.now;
            model.sessions.iter_mut().flatten().for_each(|session| session.pass(now));
        }
        Step::Wrong(at, times) => {
            for _ in 0..times {
                prop_assert!(!real.password(at, "wrong").await);
                model.password(at, false);
            }
        }
        Step::Right(at) => {
            let taken = model.password(at, true);
            prop_assert_eq!(real.password(at, PASSWORD).await, taken, "the right password");
        }
        Step::Passkey(at) => {
            let current = real.sessions[at].clone();
            let done = real.world.log_in(&mut real.who, &real.browsers[at], current.as_ref()).await;
            real.sessions[at] = Some(done.live);
            model.log_in(at);
        }
        Step::Act(at) => {
            let touched = real.sessions[at].as_ref().is_some_and(|live| live.touch(real.world.now()));
            prop_assert_eq!(touched, model.state(at) == Some(SessionState::Active));
            if let Some(session) = model.sessions[at].as_mut().filter(|_| touched) {
                session.human = model.now;
            }
        }
        Step::Lock(at) => {
            if let Some(live) = &real.sessions[at] {
                let by = By::Holder(&real.browsers[at].edge);
                let _ = real.world.sessions.lock(live.id(), LockReason::User, by).await;
            }
            let now = model.now;
            model.sessions[at].iter_mut().for_each(|session| session.lock(now));
        }
        Step::UnlockWrong(at) | Step::UnlockRight(at) => unlock(real, model, at, step).await?,
        Step::LogOut(at) => {
            if let Some(live) = &real.sessions[at] {
                let by = By::Holder(&real.browsers[at].edge);
                real.world.sessions.end(live.id(), EndReason::Logout, by).await.unwrap();
            }
            model.sessions[at].iter_mut().for_each(|session| session.state = SessionState::Ended);
        }
    }
    Ok(())
}

async fn unlock(real: &mut Real, model: &mut Model, at: usize, step: Step) -> Result<(), TestCaseError> {
    let right = matches!(step, Step::UnlockRight(_));
    let locked = model.state(at) == Some(SessionState::Locked);
    let expected = locked.then(|| model.password(at, right));
    let unlocked = real.unlock(at, if right { PASSWORD } else { "wrong" }).await;
    prop_assert_eq!(unlocked, expected, "unlocking");
    if unlocked == Some(true) {
        let now = model.now;
        model.sessions.iter_mut().flatten().for_each(|session| session.lock(now));
        if let Some(session) = &mut model.sessions[at] {
            (session.state, session.human) = (SessionState::Active, now);
        }
    }
    Ok(())
}

/// What holds whatever has happened.
async fn holds(real: &Real, model: &Model) -> Result<(), TestCaseError> {
    let now = real.world.now();
    for (at, live) in real.sessions.iter().enumerate() {
        let state = live.as_ref().map(|live| live.state(now));
        prop_assert_eq!(state, model.state(at), "no failure of anybody touches a session, at {}", at);
        prop_assert!(
            live.as_ref().is_none_or(|live| live.aal() == Aal::Aal2),
            "nothing lowers or raises what was proved"
        );
    }
    let active = real.sessions.iter().flatten().filter(|live| live.state(now) == SessionState::Active).count();
    prop_assert!(active <= 1, "one unlocked station");
    let bound = authenticators::active(&real.world.store, real.who.account).await.unwrap();
    let password = bound.iter().find(|one| one.kind == AuthenticatorKind::Password);
    prop_assert_eq!(password.is_none(), model.off, "off at a hundred in a row, and not before");
    prop_assert_eq!(password.map_or(100, |one| one.failures), i64::from(model.in_a_row));
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 16, failure_persistence: None, max_shrink_iters: 40, ..Config::default() })]

    #[test]
    fn req_c22_c09_atk_a47_histories_of_logins_failures_and_locks_agree_with_a_naive_model(
        steps in vec(step(), 1..45),
        hundred in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut real, mut model) = (Real::new().await, Model::default());
            if hundred {
                // Near the end of an authenticator, by failures where nobody else is.
                for _ in 0..85 {
                    take(&mut real, &mut model, Step::Wrong(3, 1)).await?;
                    take(&mut real, &mut model, Step::Wait(900)).await?;
                }
            }
            for step in steps {
                take(&mut real, &mut model, step).await?;
                holds(&real, &model).await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
