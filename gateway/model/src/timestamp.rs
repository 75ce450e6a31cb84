use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment: microseconds since 1970-01-01T00:00:00Z, as it stands in the store and in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// How long a moment's text is, in bytes.
    pub const TEXT: usize = 27;

    /// The moment `micros` microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The moment `seconds` seconds after the epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment `span` later; saturates.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// The moment `span` earlier; saturates.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }

    /// The time passed since `earlier`; zero if `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        u64::try_from(self.0.saturating_sub(earlier.0)).map_or(Duration::ZERO, Duration::from_micros)
    }

    /// The same moment as a calendar date and time in UTC; years outside ±9999 are clamped to the epoch.
    pub fn utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Writes the moment's text without the machinery of formatting: every record has one.
    pub fn push(self, out: &mut String) {
        let micros = self.0.clamp(EARLIEST, LATEST);
        let (seconds, of_second) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        for (value, width, after) in [
            (year, 4, '-'),
            (month, 2, '-'),
            (day, 2, 'T'),
            (of_day / 3_600, 2, ':'),
            (of_day / 60 % 60, 2, ':'),
            (of_day % 60, 2, '.'),
            (of_second, 6, 'Z'),
        ] {
            number(out, value, width);
            out.push(after);
        }
    }
}

/// The years 0000 and 9999: what a text of that length can say.
const EARLIEST: i64 = -62_167_219_200_000_000;
const LATEST: i64 = 253_402_300_799_999_999;

fn number(out: &mut String, value: i64, width: u32) {
    for place in (0..width).rev() {
        let digit = value / 10_i64.pow(place) % 10;
        out.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
}

/// Year, month, day of a number of days since 1970-01-01, by eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

pub(crate) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with six digits of a second: `2026-11-21T05:05:00.000000Z`. Years outside 0000 to 9999
/// are clamped.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(Self::TEXT);
        self.push(&mut text);
        f.pad(&text)
    }
}

/// A text that is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2026-11-21T22:00:00+09:00")]
pub struct TimestampError;

/// RFC 3339 with any offset; what is finer than a microsecond is cut.
impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000)).map(Self).map_err(|_| TimestampError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339_with_microseconds() {
        assert_eq!(Timestamp::from_micros(1_795_239_900_000_001).to_string(), "2026-11-21T05:45:00.000001Z");
        assert_eq!(Timestamp::from_micros(i64::MIN).to_string(), "0000-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::from_micros(i64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn a_moment_ahead_is_no_time_ago() {
        let now = Timestamp::from_seconds(10);
        assert_eq!(now.since(now.after(Duration::from_secs(1))), Duration::ZERO);
    }

    #[test]
    fn a_moment_is_read_by_any_clock_of_the_world_and_nothing_else_is() {
        let noon = Timestamp::from_micros(1_795_230_000_250_000);
        for text in ["2026-11-21T12:00:00.25+09:00", "2026-11-21T03:00:00.250000999Z", "2026-11-20T22:00:00.25-05:00"] {
            assert_eq!(text.parse(), Ok(noon), "{text}");
        }
        for text in ["", "yesterday", "2026-11-21", "2026-11-21T12:00:00", "2026-02-30T12:00:00Z", "1795230000"] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_text_is_the_calendars_and_reads_back(micros in EARLIEST..=LATEST) {
            let (at, mut text) = (Timestamp::from_micros(micros), String::new());
            at.push(&mut text);
            let t = at.utc();
            let calendar = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
                t.year(), u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second(), t.microsecond()
            );
            prop_assert_eq!(&text, &calendar);
            prop_assert_eq!(text.len(), Timestamp::TEXT);
            prop_assert_eq!(text.parse(), Ok(at));
        }
    }
}
