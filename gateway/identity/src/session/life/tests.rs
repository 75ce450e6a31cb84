use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    lock_after: Duration::from_secs(300),
    end_after: Duration::from_secs(1800),
    absolute: Duration::from_secs(12 * 3600),
};

/// What can happen to a session, with the time that passes before it.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A person's act.
    Touch,
    /// Traffic that no person made.
    Poll,
    Lock,
    Unlock,
    /// A second login of the account: locks this one.
    OtherLogin,
    /// The sweeper comes by.
    Sweep,
    End,
}

fn happenings() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    use Happening::{End, Lock, OtherLogin, Poll, Sweep, Touch, Unlock};
    let pause = prop_oneof![
        6 => 0..120u64,
        3 => 295..305u64,
        1 => 1_700..2_200u64,
        1 => 40_000..50_000u64,
    ];
    let what = prop_oneof![
        6 => Just(Touch), 4 => Just(Poll), 2 => Just(Lock), 4 => Just(Unlock),
        1 => Just(OtherLogin), 3 => Just(Sweep), 1 => Just(End),
    ];
    proptest::collection::vec((pause, what), 1..80)
}

/// The rules of design.md §4 in whole seconds, written without looking at [`Life`].
struct Naive {
    started: u64,
    state: SessionState,
    last_human: u64,
    locked: u64,
}

impl Naive {
    fn pass(&mut self, now: u64) {
        if self.state == SessionState::Active && now - self.last_human >= 300 {
            self.state = SessionState::Locked;
            self.locked = self.last_human + 300;
        }
        if self.state == SessionState::Locked && now - self.locked >= 1800 {
            self.state = SessionState::Ended;
        }
        if now - self.started >= 12 * 3600 {
            self.state = SessionState::Ended;
        }
    }

    fn happen(&mut self, what: Happening, now: u64) {
        match (what, self.state) {
            (Happening::Touch, SessionState::Active) => self.last_human = now,
            (Happening::Lock | Happening::OtherLogin, SessionState::Active) => {
                self.state = SessionState::Locked;
                self.locked = now;
            }
            (Happening::Unlock, SessionState::Locked) => {
                self.state = SessionState::Active;
                self.last_human = now;
            }
            (Happening::End, _) => self.state = SessionState::Ended,
            _ => {}
        }
    }
}

/// Does to the real thing what [`super::super::Sessions`] does with the store's consent.
fn happen(life: &Life, limits: &LimitCell, what: Happening, now: Timestamp) {
    let standing = life.standing(limits, now);
    match what {
        Happening::Touch => {
            life.touch(limits, now);
        }
        Happening::Poll => {}
        Happening::Lock | Happening::OtherLogin => {
            if standing == Standing::Active {
                life.lock(now);
            }
        }
        Happening::Unlock => {
            if let Standing::Locked { since, .. } = standing {
                life.lock(since);
                life.unlock(now);
            }
        }
        Happening::Sweep => match standing {
            Standing::Locked { since, written: false } => {
                life.lock(since);
            }
            Standing::Over(_) => {
                life.end();
            }
            _ => {}
        },
        Happening::End => {
            life.end();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Against the naive model; and whatever the history, only an unlock leads back to active.
    #[test]
    fn req_c09_random_histories_agree_with_a_naive_model(history in happenings()) {
        let start = 1_000;
        let mut now = start;
        let limits = LimitCell::new(LIMITS);
        let begun = Timestamp::from_seconds(1_000);
        let life = Life::new(begun, begun.after(LIMITS.absolute), begun);
        let mut naive = Naive { started: start, state: SessionState::Active, last_human: start, locked: 0 };
        for (pause, what) in history {
            now += pause;
            let at = Timestamp::from_seconds(i64::try_from(now).unwrap());
            naive.pass(now);
            let before = life.standing(&limits, at).state();
            prop_assert_eq!(before, naive.state, "before {:?} at {}", what, now);
            happen(&life, &limits, what, at);
            naive.happen(what, now);
            let after = life.standing(&limits, at).state();
            prop_assert_eq!(after, naive.state, "after {:?} at {}", what, now);
            if before != SessionState::Active && after == SessionState::Active {
                prop_assert!(matches!(what, Happening::Unlock) && before == SessionState::Locked);
            }
        }
    }
}

#[test]
fn req_s01_an_idle_session_is_locked_at_five_minutes_and_not_a_microsecond_sooner() {
    let limits = LimitCell::new(LIMITS);
    let begun = Timestamp::from_seconds(0);
    let life = Life::new(begun, begun.after(LIMITS.absolute), begun);
    assert_eq!(life.standing(&limits, Timestamp::from_micros(299_999_999)), Standing::Active);
    assert_eq!(
        life.standing(&limits, Timestamp::from_seconds(300)),
        Standing::Locked { since: Timestamp::from_seconds(300), written: false }
    );
    assert!(!life.touch(&limits, Timestamp::from_seconds(300)), "a late act must not wake it");
    assert_eq!(life.standing(&limits, Timestamp::from_seconds(301)).state(), SessionState::Locked);
}

#[test]
fn req_c07_a_lock_of_thirty_minutes_ends_the_session_though_nobody_wrote_the_lock() {
    let limits = LimitCell::new(LIMITS);
    let begun = Timestamp::from_seconds(0);
    let life = Life::new(begun, begun.after(LIMITS.absolute), begun);
    assert_eq!(life.standing(&limits, Timestamp::from_seconds(2099)).state(), SessionState::Locked);
    assert_eq!(life.standing(&limits, Timestamp::from_seconds(2100)), Standing::Over(EndReason::LockedTooLong));
}

#[test]
fn a_stricter_limit_reaches_a_living_session_and_a_laxer_one_does_not_lengthen_it() {
    let limits = LimitCell::new(LIMITS);
    let begun = Timestamp::from_seconds(0);
    let life = Life::new(begun, begun.after(LIMITS.absolute), begun);
    limits.set(Limits { absolute: Duration::from_secs(60), ..LIMITS });
    assert_eq!(life.standing(&limits, Timestamp::from_seconds(60)), Standing::Over(EndReason::Absolute));
    limits.set(Limits { absolute: Duration::from_secs(24 * 3600), ..LIMITS });
    assert_eq!(life.absolute_until(&limits), begun.after(LIMITS.absolute));
}

#[test]
fn a_clock_that_jumps_back_does_not_open_a_written_lock() {
    let limits = LimitCell::new(LIMITS);
    let begun = Timestamp::from_seconds(10_000);
    let life = Life::new(begun, begun.after(LIMITS.absolute), begun);
    assert!(life.lock(Timestamp::from_seconds(10_300)));
    assert_eq!(life.standing(&limits, Timestamp::from_seconds(9_000)).state(), SessionState::Locked);
}
