use crate::rules::{Condition, Hours};
use crate::time::{DAY, LocalTime, WEEK};

/// A condition made ready: windows as minutes of the week.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) name: String,
    zones: Vec<String>,
    /// First minute of the week and length, 1..=1440; `None`: at any time.
    windows: Option<Vec<(u32, u32)>>,
}

/// What a condition says at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds.
    Holds,
    /// It fails by its zones, its hours, or both.
    Fails { zone: bool, hours: bool },
}

impl Compiled {
    pub(crate) fn new(condition: &Condition) -> Self {
        let windows = condition.hours.iter().flat_map(windows_of).collect();
        Self {
            name: condition.name.clone(),
            zones: condition.zones.clone(),
            windows: (!condition.hours.is_empty()).then_some(windows),
        }
    }

    pub(crate) fn zones(&self) -> &[String] {
        &self.zones
    }

    pub(crate) fn check(&self, zone: &str, local: LocalTime) -> Verdict {
        let in_zone = self.zones.is_empty() || self.zones.iter().any(|z| z == zone);
        let in_hours = match &self.windows {
            None => true,
            // A minute that no day has.
            Some(_) if u32::from(local.minute) >= DAY => false,
            Some(windows) => windows.iter().any(|window| is_open(window, local.minute_of_week())),
        };
        if in_zone && in_hours { Verdict::Holds } else { Verdict::Fails { zone: !in_zone, hours: !in_hours } }
    }
}

fn windows_of(hours: &Hours) -> impl Iterator<Item = (u32, u32)> {
    let (from, to) = (u32::from(hours.from_minute), u32::from(hours.to_minute));
    let length = if to > from { to - from } else { to + DAY - from };
    let days = if hours.days.is_empty() { &crate::Weekday::ALL[..] } else { &hours.days };
    days.iter().map(move |day| (day.start() + from, length))
}

/// Windows may pass the end of the week, which is no end.
fn is_open(&(from, length): &(u32, u32), now: u32) -> bool {
    (now + WEEK - from) % WEEK < length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Weekday;

    fn compiled(hours: Vec<Hours>) -> Compiled {
        Compiled::new(&Condition { name: "c".into(), hours, ..Condition::default() })
    }

    fn hours(days: &[Weekday], from: u16, to: u16) -> Hours {
        Hours { days: days.to_vec(), from_minute: from * 60, to_minute: to * 60 }
    }

    fn at(weekday: Weekday, hour: u16, minute: u16) -> LocalTime {
        LocalTime { weekday, minute: hour * 60 + minute }
    }

    const CLOSED: Verdict = Verdict::Fails { zone: false, hours: true };

    #[test]
    fn a_window_is_open_from_its_first_minute_to_before_its_last() {
        use Weekday::{Monday, Tuesday};
        let c = compiled(vec![hours(&[Monday], 9, 17)]);
        assert_eq!(c.check("ward", at(Monday, 8, 59)), CLOSED);
        assert_eq!(c.check("ward", at(Monday, 9, 0)), Verdict::Holds);
        assert_eq!(c.check("ward", at(Monday, 16, 59)), Verdict::Holds);
        assert_eq!(c.check("ward", at(Monday, 17, 0)), CLOSED);
        assert_eq!(c.check("ward", at(Tuesday, 12, 0)), CLOSED);
    }

    #[test]
    fn a_window_that_passes_midnight_belongs_to_the_day_it_begins_on() {
        use Weekday::{Friday, Monday, Saturday, Sunday};
        let c = compiled(vec![hours(&[Friday, Sunday], 22, 6)]);
        assert_eq!(c.check("ward", at(Friday, 5, 0)), CLOSED);
        assert_eq!(c.check("ward", at(Friday, 22, 0)), Verdict::Holds);
        assert_eq!(c.check("ward", at(Saturday, 5, 59)), Verdict::Holds);
        assert_eq!(c.check("ward", at(Saturday, 22, 0)), CLOSED);
        // The week's end is no end.
        assert_eq!(c.check("ward", at(Monday, 1, 0)), Verdict::Holds);
        assert_eq!(c.check("ward", at(Monday, 6, 0)), CLOSED);
    }

    #[test]
    fn windows_that_touch_leave_no_gap_and_a_full_day_closes_never() {
        use Weekday::{Monday, Sunday, Tuesday};
        let c = compiled(vec![hours(&[Monday], 8, 12), hours(&[Monday], 12, 24), hours(&[Tuesday], 0, 1)]);
        for (hour, minute) in [(8, 0), (11, 59), (12, 0), (23, 59)] {
            assert_eq!(c.check("ward", at(Monday, hour, minute)), Verdict::Holds, "{hour}:{minute}");
        }
        assert_eq!(c.check("ward", at(Tuesday, 0, 59)), Verdict::Holds);
        assert_eq!(c.check("ward", at(Tuesday, 1, 0)), CLOSED);
        let always = compiled(vec![hours(&[], 0, 24)]);
        assert_eq!(always.check("ward", at(Sunday, 23, 59)), Verdict::Holds);
        let midnight = compiled(vec![hours(&[Monday], 20, 0)]);
        assert_eq!(midnight.check("ward", at(Monday, 23, 59)), Verdict::Holds);
        assert_eq!(midnight.check("ward", at(Tuesday, 0, 0)), CLOSED);
    }

    #[test]
    fn a_condition_says_which_half_failed() {
        let c = Compiled::new(&Condition {
            name: "c".into(),
            zones: vec!["ward".into()],
            hours: vec![hours(&[], 9, 17)],
            note: None,
        });
        let noon = at(Weekday::Monday, 12, 0);
        let night = at(Weekday::Monday, 2, 0);
        assert_eq!(c.check("ward", noon), Verdict::Holds);
        assert_eq!(c.check("remote", noon), Verdict::Fails { zone: true, hours: false });
        assert_eq!(c.check("ward", night), CLOSED);
        assert_eq!(c.check("remote", night), Verdict::Fails { zone: true, hours: true });
    }

    #[test]
    fn a_minute_that_no_day_has_is_in_no_window() {
        let c = compiled(vec![hours(&[], 0, 24)]);
        assert_eq!(c.check("ward", LocalTime { weekday: Weekday::Monday, minute: 1440 }), CLOSED);
    }
}
