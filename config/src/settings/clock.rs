use std::time::Duration;

use crate::kinds::{duration, list, word};
use crate::schema::{default, table};
use crate::time_server::TimeServer;

table! {
    /// `[clock]`. Records are worth what their times are worth (A17-3): the difference is put on record at
    /// start and at every check.
    pub struct ClockSettings {
        /// NTP servers, asked in turn until one answers: the hospital's own, or the host's chrony. Without
        /// any, the clock is unchecked and `/readyz` and the journal say so.
        servers: Vec<TimeServer> = list(word("name or address of an NTP server, with or without a port", TimeServer::parse)),
            default("[]"), "[\"ntp.hospital.example\", \"192.0.2.1\"]";
        /// How often.
        check_every: Duration = duration("1s"..="24h"), default("\"10m\""), "\"10m\"";
        /// A difference of this much is a warning.
        warn_after: Duration = duration("10ms"..="1h"), default("\"1s\""), "\"1s\"";
        /// With a difference of this much the gateway is not ready.
        alarm_after: Duration = duration("10ms"..="1h"), default("\"5s\""), "\"5s\"";
    }
}
