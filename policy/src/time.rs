//! The site's local time as rules see it. Callers give it; nothing here reads a clock.

/// Minutes in a day.
pub(crate) const DAY: u32 = 24 * 60;
/// Minutes in a week.
pub(crate) const WEEK: u32 = 7 * DAY;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the days have no more to say")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// All seven, Monday first.
    pub const ALL: [Self; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];

    /// The weekday of a day counted from 1970-01-01, which was a Thursday.
    pub const fn of_day(day: i64) -> Self {
        match (day + 3).rem_euclid(7) {
            0 => Self::Monday,
            1 => Self::Tuesday,
            2 => Self::Wednesday,
            3 => Self::Thursday,
            4 => Self::Friday,
            5 => Self::Saturday,
            _ => Self::Sunday,
        }
    }

    const fn index(self) -> u32 {
        self as u32
    }
}

/// A moment of the week in the site's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalTime {
    /// The day.
    pub weekday: Weekday,
    /// The minute of the day, 0..=1439.
    pub minute: u16,
}

impl LocalTime {
    /// The local time of a moment, at a zone that is `offset` seconds east of UTC.
    pub const fn at(unix_seconds: i64, offset: i32) -> Self {
        let local = unix_seconds.saturating_add(offset as i64);
        Self { weekday: Weekday::of_day(local.div_euclid(86_400)), minute: (local.rem_euclid(86_400) / 60) as u16 }
    }

    /// Minutes since Monday 00:00.
    pub(crate) const fn minute_of_week(self) -> u32 {
        (self.weekday.index() * DAY + self.minute as u32) % WEEK
    }

    /// The local day of a moment, counted from 1970-01-01: what [`Policy::birthrights`](crate::Policy::birthrights) calls today.
    pub const fn day_of(unix_seconds: i64, offset: i32) -> i32 {
        unix_seconds.saturating_add(offset as i64).div_euclid(86_400) as i32
    }
}

impl Weekday {
    /// Minutes from Monday 00:00 to this day's 00:00.
    pub(crate) const fn start(self) -> u32 {
        self.index() * DAY
    }
}
