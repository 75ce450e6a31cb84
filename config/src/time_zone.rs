use std::fmt;

use model::Timestamp;
use policy::LocalTime;

use crate::values;

/// The site's time zone: a fixed distance from UTC, as Japan has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZone {
    minutes: i16,
}

impl TimeZone {
    /// Reads `Asia/Tokyo` or a distance from UTC such as `+09:00`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        values::offset_minutes(text).map(|minutes| Self { minutes })
    }

    /// Seconds east of UTC.
    pub fn offset_seconds(self) -> i32 {
        i32::from(self.minutes) * 60
    }

    /// Weekday and minute of a moment here, as conditions ask for them.
    pub fn local(self, moment: Timestamp) -> LocalTime {
        LocalTime::at(moment.seconds(), self.offset_seconds())
    }

    /// The day of a moment here, counted from 1970-01-01, as HR dates are.
    pub fn day(self, moment: Timestamp) -> i32 {
        LocalTime::day_of(moment.seconds(), self.offset_seconds())
    }
}

/// `+09:00`
impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let minutes = self.minutes.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use policy::Weekday;

    use super::*;

    #[test]
    fn in_tokyo_the_day_turns_at_15_oclock_utc() {
        let tokyo = TimeZone::parse("Asia/Tokyo").unwrap();
        // 2026-11-21 was a Saturday; 14:59:59Z is 23:59 in Tokyo.
        let before = Timestamp::from_seconds(1_795_273_199);
        let after = Timestamp::from_seconds(1_795_273_200);
        assert_eq!(tokyo.local(before), LocalTime { weekday: Weekday::Saturday, minute: 1_439 });
        assert_eq!(tokyo.local(after), LocalTime { weekday: Weekday::Sunday, minute: 0 });
        assert_eq!(tokyo.day(after), tokyo.day(before) + 1);
    }

    #[test]
    fn a_zone_prints_as_its_distance() {
        for text in ["+09:00", "-03:30", "+00:00"] {
            assert_eq!(TimeZone::parse(text).unwrap().to_string(), text);
        }
    }
}
