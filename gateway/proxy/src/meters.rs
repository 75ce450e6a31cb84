//! What the data plane counts of itself: decisions by app, the time each stage takes, connections.
//!
//! Counting takes no lock and no memory: counters are there before the request is. Times are taken of one
//! request in sixteen, which is plenty for a distribution.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use model::Refusal;

/// One request in so many is timed.
const SAMPLE: u64 = 16;

/// The stages whose time is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The handshake of a connection; every one.
    Tls,
    /// A request from its head to the head of the answer.
    Serve,
    /// Host to app, ambiguity, headers.
    Admit,
    /// Method and path to action.
    Route,
    /// Cookie to session.
    Resolve,
    /// What the policy says.
    Decide,
    /// The journal, and a body that a rule looks into.
    Record,
    /// The upstream, up to the head of its answer.
    Forward,
}

impl Stage {
    /// All of them, in the order of a request.
    pub const ALL: [Self; 8] =
        [Self::Tls, Self::Serve, Self::Admit, Self::Route, Self::Resolve, Self::Decide, Self::Record, Self::Forward];

    /// The module's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Serve => "serve",
            Self::Admit => "admit",
            Self::Route => "route",
            Self::Resolve => "resolve",
            Self::Decide => "decide",
            Self::Record => "record",
            Self::Forward => "forward",
        }
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Meters {
    requests: AtomicU64,
    stages: [Times; Stage::ALL.len()],
    apps: ArcSwap<HashMap<Arc<str>, Arc<Tally>>>,
    /// Of no app: unknown hosts, the portal's own, what is refused before a host is known.
    nowhere: Tally,
    accepted: AtomicU64,
    turned_away: AtomicU64,
    open: AtomicU64,
}

/// What became of the requests to one app.
#[derive(Debug, Default)]
struct Tally {
    permitted: AtomicU64,
    refused: [AtomicU64; Refusal::NAMES.len()],
    unknown_patients: AtomicU64,
}

/// What is read of a [`Tally`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// The app; empty for none.
    pub app: Arc<str>,
    /// Requests that the policy let through.
    pub permitted: u64,
    /// Refusals by their name (`Refusal::name`); those of the upstream were permitted before.
    pub refused: Vec<(&'static str, u64)>,
    /// Requests whose rule should find a patient and did not.
    pub unknown_patients: u64,
}

impl Meters {
    /// Counts for these apps from now on; those that are gone are forgotten.
    pub(crate) fn count_for(&self, apps: impl Iterator<Item = Arc<str>>) {
        let former = self.apps.load();
        let kept = apps.map(|app| {
            let tally = former.get(&app).map_or_else(Arc::default, Arc::clone);
            (app, tally)
        });
        self.apps.store(Arc::new(kept.collect()));
    }

    /// The policy let a request to `app` through.
    pub(crate) fn permitted(&self, app: &str) {
        self.with(Some(app), |tally| count(&tally.permitted));
    }

    /// A request was refused.
    pub(crate) fn refused(&self, app: Option<&str>, refusal: &Refusal) {
        let place = Refusal::NAMES.iter().position(|name| *name == refusal.name());
        self.with(app, |tally| {
            if let Some(counter) = place.and_then(|place| tally.refused.get(place)) {
                count(counter);
            }
        });
    }

    /// A rule should have found a patient in a request to `app`, and did not.
    pub(crate) fn unknown_patient(&self, app: &str) {
        self.with(Some(app), |tally| count(&tally.unknown_patients));
    }

    fn with(&self, app: Option<&str>, act: impl FnOnce(&Tally)) {
        let apps = self.apps.load();
        act(app.and_then(|app| apps.get(app)).map_or(&self.nowhere, |tally| tally));
    }

    /// A connection came and got no seat.
    pub(crate) fn turned_away(&self) {
        count(&self.turned_away);
    }

    /// A connection came; it is open until this is dropped.
    pub(crate) fn accepted(self: &Arc<Self>) -> Connected {
        count(&self.accepted);
        count(&self.open);
        Connected(Arc::clone(self))
    }

    /// Counts a request, and takes the time of its stages if it is its turn.
    pub(crate) fn lap(&self) -> Lap<'_> {
        let timed = self.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE);
        let now = timed.then(Instant::now);
        Lap { meters: self, begun: now, last: now }
    }

    /// A stage took so long.
    pub(crate) fn took(&self, stage: Stage, span: Duration) {
        if let Some(times) = self.stages.get(stage as usize) {
            times.add(span);
        }
    }

    /// Requests whose head was read.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Connections: accepted so far, turned away so far, open now.
    pub fn connections(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.accepted), read(&self.turned_away), read(&self.open))
    }

    /// Each stage with its times.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, &Times)> {
        Stage::ALL.into_iter().zip(&self.stages)
    }

    /// What became of requests, by app in alphabetical order, those of none first.
    pub fn apps(&self) -> Vec<Counts> {
        let none: Arc<str> = Arc::from("");
        let apps = self.apps.load();
        let mut counts: Vec<Counts> = apps.iter().map(|(app, tally)| tally.counts(app)).collect();
        counts.push(self.nowhere.counts(&none));
        counts.sort_by(|a, b| a.app.cmp(&b.app));
        counts
    }
}

impl Tally {
    fn counts(&self, app: &Arc<str>) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            app: Arc::clone(app),
            permitted: read(&self.permitted),
            refused: Refusal::NAMES.into_iter().zip(&self.refused).map(|(name, count)| (name, read(count))).collect(),
            unknown_patients: read(&self.unknown_patients),
        }
    }
}

/// A connection as long as it is open.
#[derive(Debug)]
pub(crate) struct Connected(Arc<Meters>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The stopwatch of one request. Dropped, it has the time of the whole.
#[derive(Debug)]
pub(crate) struct Lap<'m> {
    meters: &'m Meters,
    begun: Option<Instant>,
    last: Option<Instant>,
}

impl Lap<'_> {
    /// `stage` is done: what passed since the one before is its time.
    pub(crate) fn done(&mut self, stage: Stage) {
        if let Some(last) = &mut self.last {
            let now = Instant::now();
            self.meters.took(stage, now.duration_since(*last));
            *last = now;
        }
    }
}

impl Drop for Lap<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            self.meters.took(Stage::Serve, begun.elapsed());
        }
    }
}

/// A distribution of times.
#[derive(Debug, Default)]
pub struct Times {
    /// One for each bound, and one beyond.
    buckets: [AtomicU64; Times::BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Times {
    /// Upper bounds in microseconds.
    pub const BOUNDS: [u64; 16] =
        [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 25_000, 100_000, 500_000, 1_000_000, 5_000_000, 30_000_000];

    fn add(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let place = Self::BOUNDS.partition_point(|bound| bound.saturating_mul(1_000) < nanos);
        if let Some(bucket) = self.buckets.get(place) {
            count(bucket);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How many times fell between each bound and the one below it, the last one beyond all.
    pub fn buckets(&self) -> [u64; Self::BOUNDS.len() + 1] {
        self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed))
    }

    /// All times together, in nanoseconds.
    pub fn nanos(&self) -> u64 {
        self.nanos.load(Ordering::Relaxed)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(meters: &Meters, app: &str) -> Counts {
        meters.apps().into_iter().find(|counts| &*counts.app == app).unwrap()
    }

    #[test]
    fn decisions_are_counted_by_app_and_word_and_those_of_no_app_apart() {
        let meters = Meters::default();
        meters.count_for(["chart", "pacs"].map(Arc::from).into_iter());
        meters.permitted("chart");
        meters.unknown_patient("chart");
        meters.refused(Some("chart"), &Refusal::Locked { target: String::new() });
        meters.refused(None, &Refusal::Misdirected);
        meters.refused(Some("gone"), &Refusal::Misdirected);
        let chart = named(&meters, "chart");
        assert_eq!((chart.permitted, chart.unknown_patients), (1, 1));
        assert!(chart.refused.contains(&("locked", 1)) && chart.refused.contains(&("denied", 0)));
        assert!(named(&meters, "").refused.contains(&("misdirected", 2)));
        assert_eq!(meters.apps().len(), 3, "as many rows as apps, whatever is asked for");
    }

    #[test]
    fn a_reload_keeps_the_counts_of_the_apps_that_stay_and_forgets_the_others() {
        let meters = Meters::default();
        meters.count_for(["chart", "pacs"].map(Arc::from).into_iter());
        meters.permitted("chart");
        meters.count_for(["chart", "lab"].map(Arc::from).into_iter());
        assert_eq!(named(&meters, "chart").permitted, 1);
        assert!(meters.apps().iter().all(|counts| &*counts.app != "pacs"));
    }

    #[test]
    fn one_request_in_sixteen_is_timed_stage_by_stage() {
        let meters = Meters::default();
        for _ in 0..2 * SAMPLE {
            let mut lap = meters.lap();
            lap.done(Stage::Admit);
        }
        let total = |stage| meters.stages().find(|(s, _)| *s == stage).unwrap().1.buckets().iter().sum::<u64>();
        assert_eq!((meters.requests(), total(Stage::Admit), total(Stage::Serve)), (2 * SAMPLE, 2, 2));
        assert_eq!(total(Stage::Route), 0);
    }

    #[test]
    fn a_time_falls_into_the_bucket_of_the_first_bound_it_does_not_exceed() {
        let times = Times::default();
        for micros in [1, 25, 26, 40_000_000] {
            times.add(Duration::from_micros(micros));
        }
        times.add(Duration::from_nanos(1));
        let buckets = times.buckets();
        assert_eq!((buckets[0], buckets[3], buckets[4], buckets[Times::BOUNDS.len()]), (2, 1, 1, 1));
        assert_eq!(times.nanos(), 40_000_052_001);
    }

    #[test]
    fn connections_are_open_until_they_are_dropped() {
        let meters = Arc::new(Meters::default());
        let first = meters.accepted();
        let _second = meters.accepted();
        meters.turned_away();
        drop(first);
        assert_eq!(meters.connections(), (2, 1, 1));
    }
}
