//! The clock is compared with time servers, at start and on schedule (A17-3): what a record says happened when
//! is worth no more than the clock. It is never set from here.

mod sntp;

use std::time::Duration;

use audit::{Event, Journal, Outcome, Record, Who, Why};
use config::{ClockSettings, Current, TimeServer};
use model::Clock;
use tokio::sync::watch;
use tokio::time::Instant;

use sntp::Compared;

/// How soon a changed configuration is heeded.
const TICK: Duration = Duration::from_secs(1);

/// What is known of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The first check is under way.
    #[default]
    Checking,
    /// Nobody is configured to ask.
    NoSource,
    /// Nobody answers; the difference when somebody last did, in microseconds.
    NoAnswer(Option<i64>),
    /// The difference in microseconds, and how grave it is.
    Known(i64, Gravity),
}

/// How grave a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gravity {
    Within,
    Warning,
    Alarm,
}

impl Standing {
    /// The newest difference that is known, in microseconds.
    pub(crate) const fn offset(self) -> Option<i64> {
        match self {
            Self::Checking | Self::NoSource => None,
            Self::NoAnswer(last) => last,
            Self::Known(offset, _) => Some(offset),
        }
    }
}

/// Compares for as long as the gateway runs.
pub(crate) struct Check {
    current: Current,
    journal: Journal,
    clock: Clock,
    standing: watch::Sender<Standing>,
}

impl Check {
    pub(crate) fn new(current: Current, journal: Journal, clock: Clock) -> Self {
        Self { current, journal, clock, standing: watch::Sender::default() }
    }

    /// What is known, as it changes.
    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// A check at once, then one each `check_every` and after a change of the configuration.
    pub(crate) async fn run(self) {
        let mut settings = self.current.load().settings.clock.clone();
        loop {
            self.check(&settings).await;
            let due = Instant::now() + settings.check_every;
            loop {
                tokio::time::sleep(TICK.min(settings.check_every)).await;
                let snapshot = self.current.load();
                if snapshot.settings.clock != settings {
                    settings = snapshot.settings.clock.clone();
                    break;
                }
                if Instant::now() >= due {
                    break;
                }
            }
        }
    }

    async fn check(&self, settings: &ClockSettings) {
        let former = *self.standing.borrow();
        let asked = self.ask(&settings.servers).await;
        let standing = judged(asked.as_ref().map(|(compared, _)| compared.offset), settings, former);
        tell(standing, settings);
        // A measurement is recorded each time, that there is none once.
        if asked.is_some() || std::mem::discriminant(&standing) != std::mem::discriminant(&former) {
            let source = asked.as_ref().map(|(compared, server)| (*compared, *server));
            if let Err(error) = self.journal.append(&record(standing, source)) {
                tracing::error!(%error, "the check of the clock is not on record");
            }
        }
        self.standing.send_replace(standing);
    }

    async fn ask<'s>(&self, servers: &'s [TimeServer]) -> Option<(Compared, &'s TimeServer)> {
        for server in servers {
            match sntp::ask(server, &self.clock).await {
                Ok(compared) => return Some((compared, server)),
                Err(error) => tracing::warn!(%server, %error, "a time server is of no use"),
            }
        }
        None
    }
}

fn judged(offset: Option<i64>, settings: &ClockSettings, former: Standing) -> Standing {
    let Some(offset) = offset else {
        return if settings.servers.is_empty() { Standing::NoSource } else { Standing::NoAnswer(former.offset()) };
    };
    let off = Duration::from_micros(offset.unsigned_abs());
    let gravity = match off {
        _ if off >= settings.alarm_after => Gravity::Alarm,
        _ if off >= settings.warn_after => Gravity::Warning,
        _ => Gravity::Within,
    };
    Standing::Known(offset, gravity)
}

fn tell(standing: Standing, settings: &ClockSettings) {
    match standing {
        Standing::Known(offset_us, Gravity::Within) => tracing::debug!(offset_us, "the clock is right"),
        Standing::Known(offset_us, Gravity::Warning) => tracing::warn!(offset_us, "the clock is off"),
        Standing::Known(offset_us, Gravity::Alarm) => {
            let limit_ms = settings.alarm_after.as_millis();
            tracing::error!(offset_us, limit_ms, "the clock is so far off that the gateway is not ready");
        }
        Standing::NoAnswer(_) => tracing::warn!("no time server answers; the clock is unchecked"),
        Standing::NoSource | Standing::Checking => {
            tracing::warn!("no time server is configured (clock.servers); the clock is unchecked");
        }
    }
}

fn record(standing: Standing, source: Option<(Compared, &TimeServer)>) -> Record {
    let (outcome, reason) = match standing {
        Standing::Known(_, Gravity::Within) => (Outcome::Ok, None),
        Standing::Known(_, Gravity::Warning) => (Outcome::Failed, Some("off")),
        Standing::Known(_, Gravity::Alarm) => (Outcome::Failed, Some("far-off")),
        Standing::NoAnswer(_) => (Outcome::Failed, Some("no-answer")),
        Standing::NoSource | Standing::Checking => (Outcome::Failed, Some("no-source")),
    };
    let mut record = Record::new(Event::ClockOffset, outcome).who(Who::system("clock"));
    if let Some(reason) = reason {
        record = record.why(Why::reason(reason));
    }
    if let Some((compared, server)) = source {
        record = record
            .detail("offset_us", compared.offset)
            .detail("delay_us", u64::try_from(compared.delay.as_micros()).unwrap_or(u64::MAX))
            .detail("source", server.to_string().as_str())
            .detail("stratum", u64::from(compared.stratum));
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ClockSettings {
        ClockSettings {
            servers: vec![TimeServer { host: "192.0.2.1".into(), port: 123 }],
            check_every: Duration::from_secs(600),
            warn_after: Duration::from_secs(1),
            alarm_after: Duration::from_secs(5),
        }
    }

    #[test]
    fn req_a17_3_a_difference_is_judged_by_its_size_in_either_direction() {
        let judged = |offset| judged(Some(offset), &settings(), Standing::Checking);
        for sign in [1, -1] {
            assert_eq!(judged(sign * 999_999), Standing::Known(sign * 999_999, Gravity::Within));
            assert_eq!(judged(sign * 1_000_000), Standing::Known(sign * 1_000_000, Gravity::Warning));
            assert_eq!(judged(sign * 5_000_000), Standing::Known(sign * 5_000_000, Gravity::Alarm));
        }
        assert_eq!(judged(i64::MIN), Standing::Known(i64::MIN, Gravity::Alarm));
    }

    #[test]
    fn without_an_answer_the_last_difference_stays_known() {
        let known = Standing::Known(7, Gravity::Within);
        assert_eq!(judged(None, &settings(), known), Standing::NoAnswer(Some(7)));
        assert_eq!(judged(None, &ClockSettings { servers: Vec::new(), ..settings() }, known), Standing::NoSource);
    }
}
