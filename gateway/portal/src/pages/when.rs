//! Moments as people read them, in the site's time zone.

use model::Timestamp;
use time::{OffsetDateTime, UtcOffset, Weekday};

use crate::messages::Language;

/// `2026年11月21日(土) 14:05` or `Sat 21 Nov 2026 14:05`.
pub(crate) fn moment(at: Timestamp, zone: UtcOffset, language: Language) -> String {
    let t = at.utc().to_offset(zone);
    match language {
        Language::Japanese => format!(
            "{}年{}月{}日({}) {:02}:{:02}",
            t.year(),
            u8::from(t.month()),
            t.day(),
            weekday(t, language),
            t.hour(),
            t.minute()
        ),
        Language::English => {
            format!("{} {} {} {} {:02}:{:02}", weekday(t, language), t.day(), month(t), t.year(), t.hour(), t.minute())
        }
    }
}

/// The hour alone: `14:05`.
pub(crate) fn hour(at: Timestamp, zone: UtcOffset) -> String {
    let t = at.utc().to_offset(zone);
    format!("{:02}:{:02}", t.hour(), t.minute())
}

fn weekday(t: OffsetDateTime, language: Language) -> &'static str {
    let (japanese, english) = match t.weekday() {
        Weekday::Monday => ("月", "Mon"),
        Weekday::Tuesday => ("火", "Tue"),
        Weekday::Wednesday => ("水", "Wed"),
        Weekday::Thursday => ("木", "Thu"),
        Weekday::Friday => ("金", "Fri"),
        Weekday::Saturday => ("土", "Sat"),
        Weekday::Sunday => ("日", "Sun"),
    };
    match language {
        Language::Japanese => japanese,
        Language::English => english,
    }
}

fn month(t: OffsetDateTime) -> &'static str {
    use time::Month::{
        April, August, December, February, January, July, June, March, May, November, October, September,
    };
    match t.month() {
        January => "Jan",
        February => "Feb",
        March => "Mar",
        April => "Apr",
        May => "May",
        June => "Jun",
        July => "Jul",
        August => "Aug",
        September => "Sep",
        October => "Oct",
        November => "Nov",
        December => "Dec",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_whole_in_the_sites_time_zone() {
        let tokyo = UtcOffset::from_hms(9, 0, 0).unwrap();
        let at = Timestamp::from_seconds(1_795_237_500);
        assert_eq!(moment(at, tokyo, Language::Japanese), "2026年11月21日(土) 14:05");
        assert_eq!(moment(at, tokyo, Language::English), "Sat 21 Nov 2026 14:05");
        assert_eq!(hour(at, tokyo), "14:05");
    }
}
