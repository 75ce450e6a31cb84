//! The page of metrics (OpenMetrics 1.0, which Prometheus reads).
//!
//! Counting is done by whoever does the work, with atomics; here it is read, when somebody asks. Labels are
//! apps, stages and words of catalogues: never a person, a patient or an address.

use std::fmt::Error;

use audit::Journal;
use config::Current;
use identity::{Logins, PasswordPool, Sessions};
use model::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use proxy::{Counts, Proxy, Stage, Times};
use store::Backlog;
use tokio::sync::watch;

use super::Readiness;
use super::process::Process;
use crate::clock::Standing;

/// Where the numbers come from.
pub(crate) struct Gauges {
    pub(crate) current: Current,
    pub(crate) journal: Journal,
    pub(crate) sessions: Sessions,
    pub(crate) logins: Logins,
    pub(crate) proxy: Proxy,
    pub(crate) certificates: watch::Receiver<acme::Standing>,
    pub(crate) started_at: Timestamp,
}

impl Gauges {
    /// The page as of now.
    pub(crate) async fn page(&self, readiness: &Readiness) -> Result<String, Error> {
        let meters = self.proxy.meters();
        let certificates = *self.certificates.borrow();
        let reading = Reading {
            started_at: self.started_at,
            generation: self.current.load().generation,
            ready: readiness.report().await.ready(),
            clock: readiness.clock(),
            certificates,
            journal: self.journal.standing(),
            backlog: readiness.backlog().await,
            sessions: self.sessions.counted(),
            passwords: self.logins.password_pool(),
            requests: meters.requests(),
            connections: meters.connections(),
            apps: meters.apps(),
            stages: meters.stages().map(|(stage, times)| Spread::of(stage, times)).collect(),
            process: Process::read(),
        };
        reading.page()
    }
}

/// All numbers at one moment.
#[derive(Debug)]
struct Reading {
    started_at: Timestamp,
    generation: u64,
    ready: bool,
    clock: Standing,
    certificates: acme::Standing,
    journal: audit::Standing,
    /// `None`: the store does not answer.
    backlog: Option<Backlog>,
    sessions: identity::Counted,
    passwords: PasswordPool,
    requests: u64,
    connections: (u64, u64, u64),
    apps: Vec<Counts>,
    stages: Vec<Spread>,
    process: Process,
}

/// The times of one stage.
#[derive(Debug)]
struct Spread {
    stage: Stage,
    seconds: f64,
    count: u64,
    buckets: Vec<(f64, u64)>,
}

impl Spread {
    fn of(stage: Stage, times: &Times) -> Self {
        let counts = times.buckets();
        let bounds = Times::BOUNDS.iter().map(|micros| seconds(*micros)).chain([f64::INFINITY]);
        let (seconds, count) = (times.nanos() as f64 / 1e9, counts.iter().sum());
        Self { stage, seconds, count, buckets: bounds.zip(counts).collect() }
    }
}

impl Reading {
    fn page(self) -> Result<String, Error> {
        let (mut registry, mut page) = (Registry::default(), String::new());
        registry.register_collector(Box::new(self));
        encode(&mut page, &registry)?;
        Ok(page)
    }
}

impl Collector for Reading {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut page = Page(encoder);
        self.gateway(&mut page)?;
        self.requests(&mut page)?;
        self.records(&mut page)?;
        self.people(&mut page)
    }
}

impl Reading {
    fn gateway(&self, page: &mut Page<'_>) -> Result<(), Error> {
        page.rows("sekimori_build", "The program that runs", MetricType::Info, |mut row| {
            row.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
        })?;
        page.gauge("sekimori_ready", "Whether /readyz says so", i64::from(self.ready))?;
        page.gauge(
            "sekimori_config_generation",
            "The configuration in force; a reload adds one",
            whole(self.generation),
        )?;
        if let Some(offset) = self.clock.offset() {
            let help = "How far the time server is ahead of this clock";
            page.gauge("sekimori_clock_offset_seconds", help, offset as f64 / 1e6)?;
        }
        let help = "Whether the newest check of the clock had an answer";
        page.gauge("sekimori_clock_checked", help, i64::from(matches!(self.clock, Standing::Known(..))))?;
        if let Some(until) = self.certificates.until {
            let help = "Until when the certificate that was issued by ACME is good, since 1970";
            page.gauge("sekimori_certificate_until_seconds", help, until.micros() as f64 / 1e6)?;
        }
        let help = "Attempts to be issued a certificate that have failed since the last that did not";
        page.gauge("sekimori_certificate_failures", help, whole(u64::from(self.certificates.failures)))?;
        let started_at = self.started_at.micros() as f64 / 1e6;
        page.gauge("process_start_time_seconds", "When it started, since 1970", started_at)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory in use", self.process.resident_bytes),
            ("process_open_fds", "Open files and sockets", self.process.open_files),
            ("process_threads", "Threads", self.process.threads),
        ] {
            if let Some(value) = value {
                page.gauge(name, help, whole(value))?;
            }
        }
        Ok(())
    }

    fn requests(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let (accepted, turned_away, open) = self.connections;
        page.gauge("sekimori_connections_open", "Connections now", whole(open))?;
        page.counter("sekimori_connections", "Connections accepted", accepted)?;
        page.counter("sekimori_connections_turned_away", "Connections closed for their number", turned_away)?;
        page.counter("sekimori_requests", "Requests whose head was read", self.requests)?;
        let help = "Decisions: `permit`, or the name of the refusal";
        page.rows("sekimori_decisions", help, MetricType::Counter, |mut rows| {
            for counts in &self.apps {
                let permitted = Some(("permit", counts.permitted)).filter(|_| !counts.app.is_empty());
                let refused = counts.refused.iter().copied().filter(|(name, _)| !is_upstreams(name));
                for (outcome, count) in permitted.into_iter().chain(refused) {
                    labelled(&mut rows, &[("app", &*counts.app), ("outcome", outcome)], count)?;
                }
            }
            Ok(())
        })?;
        let help = "Permitted requests that the app's upstream failed";
        page.rows("sekimori_upstream_errors", help, MetricType::Counter, |mut rows| {
            for counts in self.named() {
                for (kind, count) in counts.refused.iter().filter(|(name, _)| is_upstreams(name)) {
                    labelled(&mut rows, &[("app", &*counts.app), ("kind", kind)], *count)?;
                }
            }
            Ok(())
        })?;
        let help = "Permitted requests in which a rule found no patient";
        page.rows("sekimori_unknown_patients", help, MetricType::Counter, |mut rows| {
            self.named().try_for_each(|counts| labelled(&mut rows, &[("app", &*counts.app)], counts.unknown_patients))
        })?;
        let help = "The time of each stage; of requests one in sixteen is timed";
        page.rows("sekimori_stage_seconds", help, MetricType::Histogram, |mut rows| {
            for spread in &self.stages {
                let stage = [("stage", spread.stage.name())];
                let mut row = rows.encode_family(&stage)?;
                row.encode_histogram::<NoLabelSet>(spread.seconds, spread.count, &spread.buckets, None)?;
            }
            Ok(())
        })
    }

    fn named(&self) -> impl Iterator<Item = &Counts> {
        self.apps.iter().filter(|counts| !counts.app.is_empty())
    }

    fn records(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let journal = &self.journal;
        page.gauge("sekimori_journal_writable", "Whether records can be written", i64::from(journal.writable))?;
        page.counter("sekimori_journal_records", "The newest record's number", journal.seq)?;
        let unsynced = journal.seq.saturating_sub(journal.synced);
        page.gauge("sekimori_journal_unsynced_records", "Records that are not on disk yet", whole(unsynced))?;
        let help = "How long the oldest of them waits";
        page.gauge("sekimori_journal_unsynced_seconds", help, journal.unsynced_for.as_secs_f64())?;
        let help = "Requests on record as begun and not as ended";
        page.gauge("sekimori_journal_open_requests", help, whole(journal.open as u64))?;
        page.gauge("sekimori_store_answers", "Whether the store answers", i64::from(self.backlog.is_some()))?;
        if let Some(backlog) = self.backlog {
            let help = "Records of changes that are not in the journal yet";
            page.gauge("sekimori_outbox_records", help, whole(backlog.records))?;
        }
        Ok(())
    }

    fn people(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let (sessions, passwords) = (&self.sessions, &self.passwords);
        page.rows("sekimori_sessions", "Sessions that this node knows", MetricType::Gauge, |mut rows| {
            for (state, count) in [("active", sessions.active), ("locked", sessions.locked)] {
                rows.encode_family(&[("state", state)])?.encode_gauge(&whole(count as u64))?;
            }
            Ok(())
        })?;
        page.gauge(
            "sekimori_password_places",
            "Passwords checked at the same time, at most",
            whole(passwords.places as u64),
        )?;
        page.gauge("sekimori_password_busy", "Passwords being checked", whole(passwords.busy as u64))?;
        page.gauge("sekimori_password_waiting", "Passwords that wait for a place", whole(passwords.waiting as u64))
    }
}

/// The page while it is written.
struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: impl prometheus_client::encoding::EncodeGaugeValue,
    ) -> Result<(), Error> {
        self.rows(name, help, MetricType::Gauge, |mut row| row.encode_gauge(&value))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.rows(name, help, MetricType::Counter, |mut row| row.encode_counter::<NoLabelSet, _, f64>(&value, None))
    }

    fn rows(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        write: impl FnOnce(MetricEncoder<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        write(self.0.encode_descriptor(name, help, None, kind)?)
    }
}

fn labelled(rows: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, count: u64) -> Result<(), Error> {
    rows.encode_family(labels)?.encode_counter::<NoLabelSet, _, f64>(&count, None)
}

fn is_upstreams(refusal: &str) -> bool {
    matches!(refusal, "upstream" | "upstream-timeout")
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reading() -> Reading {
        let refused = vec![("denied", 3), ("upstream", 2), ("upstream-timeout", 1)];
        let counts =
            |app: &str| Counts { app: app.into(), permitted: 40, refused: refused.clone(), unknown_patients: 5 };
        let (writable, seq, synced, open) = (true, 120, 100, 4);
        Reading {
            started_at: Timestamp::from_seconds(1_800_000_000),
            generation: 2,
            ready: true,
            clock: Standing::Known(-1_500, crate::clock::Gravity::Within),
            certificates: acme::Standing { until: Some(Timestamp::from_seconds(1_800_000_000)), failures: 2 },
            journal: audit::Standing { writable, seq, synced, unsynced_for: Duration::from_millis(20), open },
            backlog: Some(Backlog { records: 6, oldest: None }),
            sessions: identity::Counted { active: 7, locked: 8 },
            passwords: PasswordPool { places: 2, busy: 1, waiting: 9 },
            requests: 50,
            connections: (30, 1, 12),
            apps: vec![counts(""), counts("chart")],
            stages: vec![Spread {
                stage: Stage::Admit,
                seconds: 0.25,
                count: 3,
                buckets: vec![(0.1, 2), (f64::INFINITY, 1)],
            }],
            process: Process::default(),
        }
    }

    #[test]
    fn the_page_has_a_line_for_each_number_and_ends_as_openmetrics_do() {
        let page = reading().page().unwrap();
        for line in [
            "sekimori_decisions_total{app=\"chart\",outcome=\"permit\"} 40",
            "sekimori_decisions_total{app=\"\",outcome=\"denied\"} 3",
            "sekimori_upstream_errors_total{app=\"chart\",kind=\"upstream-timeout\"} 1",
            "sekimori_unknown_patients_total{app=\"chart\"} 5",
            "sekimori_stage_seconds_bucket{le=\"+Inf\",stage=\"admit\"} 3",
            "sekimori_sessions{state=\"locked\"} 8",
            "sekimori_journal_unsynced_records 20",
            "sekimori_journal_unsynced_seconds 0.02",
            "sekimori_outbox_records 6",
            "sekimori_password_waiting 9",
            "sekimori_connections_open 12",
            "sekimori_clock_offset_seconds -0.0015",
            "sekimori_certificate_failures 2",
            "sekimori_certificate_until_seconds 1800000000.0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        assert!(!page.contains("outcome=\"upstream"), "an upstream's failure is no decision");
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn what_is_not_known_is_left_out_and_not_said_to_be_zero() {
        let page = Reading { backlog: None, clock: Standing::NoSource, ..reading() }.page().unwrap();
        assert!(page.contains("sekimori_store_answers 0") && page.contains("sekimori_clock_checked 0"));
        for unknown in ["sekimori_outbox_records", "sekimori_clock_offset", "process_open_fds"] {
            assert!(!page.contains(unknown), "{unknown}");
        }
    }
}
