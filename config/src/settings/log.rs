use crate::kinds::choice;
use crate::schema::{default, table};

table! {
    /// `[log]`
    pub struct LogSettings {
        /// `json` for a collector, one object a line; `text` for people.
        format: LogFormat = choice(&[("json", LogFormat::Json), ("text", LogFormat::Text)]),
            default("\"json\"").restart(), "\"json\"";
        /// What is written: this and everything graver. Of the libraries inside never more than warnings.
        level: LogLevel = choice(&[
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ]), default("\"info\""), "\"info\"";
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}

/// The least grave of what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What must be mended.
    Error,
    /// And what may have to be.
    Warn,
    /// And what happens in order.
    Info,
    /// And what refused connections and requests were refused for.
    Debug,
    /// And every step.
    Trace,
}
