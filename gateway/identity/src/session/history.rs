//! Random histories through the real store, held against a naive model of two stations of one person.

use model::{EndReason, LockReason, Method, SessionState};

use super::*;
use crate::testing::{Browser, PORTAL, World};

/// A small generator (Knuth's MMIX constants), so that a failing history is named by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One station as the rules of design.md §4 have it, in whole seconds.
#[derive(Clone, Copy, Debug)]
struct Station {
    state: SessionState,
    started: u64,
    human: u64,
    locked: u64,
}

impl Station {
    fn new(now: u64) -> Self {
        Self { state: SessionState::Active, started: now, human: now, locked: 0 }
    }

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

async fn history(seed: u64) {
    let mut dice = Dice(seed);
    let mut world = World::new().await;
    let mut who = world.enrol("000123").await;
    let browsers = [Browser::new(PORTAL), Browser::new(PORTAL)];
    let begun = world.now().seconds();
    let mut real: Vec<Option<(Arc<Live>, Token)>> = vec![None, None];
    let mut naive: Vec<Option<Station>> = vec![None, None];
    for step in 0..40 {
        world.pass([1, 20, 100, 299, 300, 1_000, 1_799, 9_000][usize::try_from(dice.roll(8)).unwrap()]);
        let now = u64::try_from(world.now().seconds() - begun).unwrap();
        naive.iter_mut().flatten().for_each(|station| station.pass(now));
        let (here, there) = if dice.roll(2) == 0 { (0, 1) } else { (1, 0) };
        let by = By::Holder(&browsers[here].edge);
        let held = real[here].clone();
        match (dice.roll(10), held) {
            (0, _) | (_, None) => {
                let current = real[here].as_ref().map(|held| Arc::clone(&held.0));
                let done = world.log_in(&mut who, &browsers[here], current.as_ref()).await;
                real[here] = Some((done.live, done.token));
                naive[here] = Some(Station::new(now));
                naive[there].iter_mut().for_each(|station| station.lock(now));
            }
            (1..=3, Some((live, _))) => {
                let touched = live.touch(world.now());
                let station = naive[here].as_mut().unwrap();
                assert_eq!(touched, station.state == SessionState::Active, "seed {seed} step {step}");
                if touched {
                    station.human = now;
                }
            }
            (4, Some((live, _))) => {
                let _ = world.sessions.lock(live.id(), LockReason::User, by).await;
                naive[here].as_mut().unwrap().lock(now);
            }
            (5..=6, Some((live, _))) => {
                let unlocked = world.sessions.unlock(live.id(), Method::Password, &browsers[here].edge).await;
                let station = naive[here].as_mut().unwrap();
                assert_eq!(
                    unlocked.is_ok(),
                    station.state == SessionState::Locked,
                    "seed {seed} step {step}: {unlocked:?}"
                );
                if let Ok(token) = unlocked {
                    real[here] = Some((live, token));
                    (station.state, station.human) = (SessionState::Active, now);
                    naive[there].iter_mut().for_each(|station| station.lock(now));
                }
            }
            (7, Some((live, _))) => {
                world.sessions.end(live.id(), EndReason::Logout, by).await.unwrap();
                naive[here].as_mut().unwrap().state = SessionState::Ended;
            }
            (8, Some(_)) => {
                world.sessions.flush(world.now(), Duration::ZERO).await.unwrap();
                world = world.restart().await;
            }
            (_, Some(_)) => {
                world.sessions.sweep(world.now()).await;
                world.sessions.sweep_store(world.now()).await.unwrap();
            }
        }
        for (real, naive) in real.iter_mut().zip(&naive) {
            let Some((live, token)) = real else { continue };
            let found = world.sessions.find(token, TokenKind::PortalSession, PORTAL).await.unwrap();
            let state = found.as_ref().map_or(SessionState::Ended, |live| live.state(world.now()));
            assert_eq!(state, naive.unwrap().state, "seed {seed} step {step}");
            if let Some(found) = found {
                assert_eq!((found.id(), found.aal(), found.methods()), (live.id(), live.aal(), live.methods()));
                *live = found;
            }
        }
        let active = naive.iter().flatten().filter(|station| station.state == SessionState::Active).count();
        assert!(active <= 1, "seed {seed} step {step}");
    }
}

#[tokio::test]
async fn req_c09_random_histories_of_two_stations_agree_with_a_naive_model_across_restarts() {
    for seed in 1..=6 {
        history(seed).await;
    }
}
