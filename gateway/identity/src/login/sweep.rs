//! Sweeps: somebody tries name after name (A47). Names are counted here whether they exist or not, so that
//! being slowed tells nothing of them; what an account's own places answer is counted in the store.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use model::Timestamp;
use store::places::Mark;

use crate::failures::CLOSE_FROM;

/// What is looked at together.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// More names than this, tried until their count is full within [`WINDOW`], are a sweep.
const MOST_NAMES: usize = 20;
/// A source that filled the count of as many of them is slowed; one that filled a single one may be a person.
const OWN_NAMES: usize = 2;
/// A slowed source has one try …
const PACE: Duration = Duration::from_secs(30);
/// … for this long after its last full count.
const SLOWED: Duration = Duration::from_secs(15 * 60);
/// Names and sources that are kept in mind.
const MOST: usize = 16_384;

/// Failures of all names, of the last minutes, and the sources that are slowed for them.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    tried: HashMap<u64, Tried>,
    /// Full counts, oldest first.
    full: VecDeque<Full>,
    slow: HashMap<Mark, Slow>,
    told: Option<Timestamp>,
}

#[derive(Debug)]
struct Tried {
    since: Timestamp,
    count: i64,
}

#[derive(Debug)]
struct Full {
    at: Timestamp,
    name: u64,
    sources: [Mark; 2],
}

#[derive(Debug)]
struct Slow {
    until: Timestamp,
    next: Timestamp,
}

/// A sweep that has just been noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    /// Names whose count is full.
    pub(super) names: usize,
    /// Browsers and addresses that are slowed.
    pub(super) sources: usize,
}

impl Sweeps {
    /// A try for `name` failed, from a browser and address. Told once in ten minutes at most.
    pub(super) fn failed(&mut self, name: u64, sources: [Mark; 2], now: Timestamp) -> Option<Alarm> {
        if !self.fill(name, now) {
            return None;
        }
        while self.full.front().is_some_and(|full| now.since(full.at) >= WINDOW) || self.full.len() >= MOST {
            self.full.pop_front();
        }
        self.full.push_back(Full { at: now, name, sources });
        let names = self.full.iter().map(|full| full.name).collect::<HashSet<_>>().len();
        if names <= MOST_NAMES {
            return None;
        }
        let sources = self.slow_down(now);
        let told = self.told.is_some_and(|told| now.since(told) < WINDOW);
        if !told {
            self.told = Some(now);
        }
        (!told).then_some(Alarm { names, sources })
    }

    /// Is the count of `name` full with this failure?
    fn fill(&mut self, name: u64, now: Timestamp) -> bool {
        if self.tried.len() >= MOST && !self.tried.contains_key(&name) {
            self.tried.retain(|_, tried| now.since(tried.since) < WINDOW);
            if self.tried.len() >= MOST {
                // As many names as nobody has: what was tried once or twice is forgotten first.
                self.tried.retain(|_, tried| tried.count > 2);
            }
            if self.tried.len() >= MOST {
                self.tried.clear();
            }
        }
        let tried = self.tried.entry(name).or_insert(Tried { since: now, count: 0 });
        if now.since(tried.since) >= WINDOW {
            *tried = Tried { since: now, count: 0 };
        }
        tried.count += 1;
        tried.count == CLOSE_FROM
    }

    /// Slows whoever had a part in it; how many sources that are.
    fn slow_down(&mut self, now: Timestamp) -> usize {
        self.slow.retain(|_, slow| now < slow.until);
        let mut parts: HashMap<Mark, HashSet<u64>> = HashMap::new();
        for full in &self.full {
            for source in full.sources {
                parts.entry(source).or_default().insert(full.name);
            }
        }
        for (source, _) in parts.into_iter().filter(|(_, names)| names.len() >= OWN_NAMES) {
            if self.slow.len() < MOST {
                let slow = self.slow.entry(source).or_insert(Slow { until: now, next: now.after(PACE) });
                slow.until = now.after(SLOWED);
            }
        }
        self.slow.len()
    }

    /// Is this source slowed?
    pub(super) fn slows(&self, source: &Mark, now: Timestamp) -> bool {
        self.slow.get(source).is_some_and(|slow| now < slow.until)
    }

    /// Takes a slowed source's one try.
    ///
    /// # Errors
    /// How long until the next.
    pub(super) fn turn(&mut self, source: &Mark, now: Timestamp) -> Result<(), Duration> {
        let Some(slow) = self.slow.get_mut(source).filter(|slow| now < slow.until) else { return Ok(()) };
        if now < slow.next {
            return Err(slow.next.since(now));
        }
        slow.next = now.after(PACE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: [Mark; 2] = [[1; 32], [2; 32]];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    /// Ten failures of each name.
    fn sweep(sweeps: &mut Sweeps, names: std::ops::Range<u64>, from: [Mark; 2], now: Timestamp) -> Vec<Alarm> {
        let tries = names.flat_map(|name| std::iter::repeat_n(name, 10));
        tries.filter_map(|name| sweeps.failed(name, from, now)).collect()
    }

    #[test]
    fn atk_a47_the_twenty_first_name_in_ten_minutes_is_a_sweep_and_slows_its_source_alone() {
        let mut sweeps = Sweeps::default();
        assert_eq!(sweep(&mut sweeps, 0..20, THERE, at(0)), []);
        assert!(!sweeps.slows(&THERE[0], at(0)));
        let person = [[3; 32], [4; 32]];
        assert_eq!(sweep(&mut sweeps, 100..101, person, at(599)), [Alarm { names: 21, sources: 2 }]);
        assert_eq!(sweep(&mut sweeps, 20..30, THERE, at(599)), [], "told once");
        assert!(THERE.iter().all(|source| sweeps.slows(source, at(600))));
        assert!(!person.iter().any(|source| sweeps.slows(source, at(600))), "one name is nobody's sweep");
        assert_eq!(sweeps.turn(&THERE[0], at(600)), Err(Duration::from_secs(29)));
        assert_eq!(sweeps.turn(&THERE[0], at(629)), Ok(()));
        assert_eq!(sweeps.turn(&THERE[0], at(629)), Err(PACE));
        assert_eq!(sweeps.turn(&person[0], at(629)), Ok(()));
        assert!(sweeps.slows(&THERE[1], at(599 + 899)) && !sweeps.slows(&THERE[1], at(599 + 900)));
    }

    #[test]
    fn slow_failures_and_names_that_are_not_tried_to_the_end_are_no_sweep() {
        let mut sweeps = Sweeps::default();
        for name in 0..1_000 {
            for _ in 0..9 {
                assert_eq!(sweeps.failed(name, THERE, at(0)), None);
            }
        }
        for name in 2_000..2_100 {
            let now = at(31 * (name - 2_000));
            let name = u64::try_from(name).unwrap();
            assert_eq!(sweep(&mut sweeps, name..name + 1, THERE, now), [], "twenty in ten minutes");
        }
    }

    #[test]
    fn what_is_kept_of_names_without_end_is_bounded_and_a_sweep_among_them_is_found() {
        let mut sweeps = Sweeps::default();
        for name in 0..50_000 {
            sweeps.failed(name, THERE, at(0));
        }
        assert!(sweeps.tried.len() <= MOST);
        assert_eq!(sweep(&mut sweeps, 90_000..90_021, THERE, at(1)).len(), 1);
    }
}
