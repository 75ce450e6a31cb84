//! Log lines on standard error: of our own rooms as configured, of the libraries below no more than warnings.
//! What a library says at its lower levels holds what passed through it, cookies and bodies included.

use std::io;
use std::panic::{self, PanicHookInfo};

use config::{LogFormat, LogLevel, LogSettings};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

/// Our rooms, as their lines name them.
const ROOMS: [&str; 12] = [
    "access",
    "audit",
    "config",
    "demo",
    "directory",
    "identity",
    "model",
    "policy",
    "portal",
    "proxy",
    "sekimori",
    "store",
];

/// The log of this process.
pub(crate) struct Log {
    level: reload::Handle<Targets, Registry>,
}

impl Log {
    /// Begins it; the first call decides on the form.
    pub(crate) fn begin(format: LogFormat, level: LogLevel) -> Self {
        let (filter, handle) = reload::Layer::new(targets(level));
        let lines = fmt::layer().with_writer(io::stderr);
        let lines = match format {
            LogFormat::Json => lines.json().boxed(),
            LogFormat::Text => lines.with_target(false).boxed(),
        };
        // A second call changes nothing.
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        panic::set_hook(Box::new(panicked));
        Self { level: handle }
    }

    /// Takes over what a reload changed.
    pub(crate) fn follow(&self, settings: &LogSettings) {
        if let Err(error) = self.level.reload(targets(settings.level)) {
            tracing::warn!(%error, "the log keeps its level");
        }
    }
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_targets(ROOMS.map(|room| (room, level)))
}

/// What a panic says may quote what it panicked over; where it happened is enough to find it (D-16).
fn panicked(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a task panicked");
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_never_say_more_than_warnings() {
        let at = targets(LogLevel::Trace);
        for room in ROOMS.into_iter().chain(["proxy::forward", "store::engine"]) {
            assert!(at.would_enable(room, &Level::TRACE), "{room}");
        }
        for library in ["hyper::proto", "h2::codec", "rustls::conn", "sqlx::query", "webauthn_rs_core"] {
            assert!(!at.would_enable(library, &Level::INFO) && at.would_enable(library, &Level::WARN), "{library}");
        }
        assert!(!targets(LogLevel::Error).would_enable("hyper", &Level::WARN));
    }
}
