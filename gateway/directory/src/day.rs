//! Days as Japanese HR systems write them (G-20, G-21): western, wareki, Excel serial.
//!
//! A day is an `i32`: days since 1970-01-01, as the store and the policy keep it.

use model::matching_form;
use time::{Date, Month};

/// What a cell that should hold a day holds instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DayError {
    /// No form that is understood.
    #[error("is no date; write 2026-11-21, 2026/11/21, 20261121, 令和8年11月21日 or R8.11.21")]
    Form,
    /// A form that is understood, and a day the calendar doesn't have.
    #[error("is a day that doesn't exist")]
    NoSuchDay,
    /// A day outside the era it is written in.
    #[error("lies outside the era {name} ({from} to {until}); write it in the era it belongs to")]
    OutsideEra {
        /// The era as HR writes it.
        name: &'static str,
        /// Its first day, ISO.
        from: String,
        /// Its last day, ISO.
        until: String,
    },
    /// Further away than any life or contract.
    #[error("lies outside the years 1868 to 2199")]
    OutOfRange,
}

/// What a cell that may be open says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Blank, `9999/12/31` or `99999999`: no end.
    Open,
    /// The last day.
    On(i32),
}

struct Era {
    name: &'static str,
    letter: char,
    from: (i32, u8, u8),
}

/// Newest first. Each ends the day before the next begins; the day of change belongs to the new era.
const ERAS: [Era; 5] = [
    Era { name: "令和", letter: 'R', from: (2019, 5, 1) },
    Era { name: "平成", letter: 'H', from: (1989, 1, 8) },
    Era { name: "昭和", letter: 'S', from: (1926, 12, 25) },
    Era { name: "大正", letter: 'T', from: (1912, 7, 30) },
    Era { name: "明治", letter: 'M', from: (1868, 1, 25) },
];

/// Julian day number of 1970-01-01.
const EPOCH: i32 = 2_440_588;
/// Excel's serial of 1970-01-01 (its count is right from 1900-03-01 on).
const EXCEL_EPOCH: i32 = 25_569;

/// Reads a cell that must be a day.
///
/// # Errors
/// [`DayError`], which says what to write instead.
pub fn parse(cell: &str) -> Result<i32, DayError> {
    let text = matching_form(cell);
    let text = without_spaces(without_midnight(&text))?;
    let date = match text.chars().next() {
        Some(first) if first.is_ascii_digit() => western(&text)?,
        Some(_) => wareki(&text)?,
        None => return Err(DayError::Form),
    };
    if (1868..=2199).contains(&date.year()) { Ok(since_epoch(date)) } else { Err(DayError::OutOfRange) }
}

/// Reads a cell that may be open at its end (G-21).
///
/// # Errors
/// As [`parse`].
pub fn parse_end(cell: &str) -> Result<End, DayError> {
    let text = matching_form(cell);
    let nines = matches!(
        text.as_str(),
        "" | "99999999" | "99991231" | "9999/12/31" | "9999-12-31" | "9999.12.31" | "9999年12月31日"
    );
    if nines { Ok(End::Open) } else { parse(cell).map(End::On) }
}

/// `2026-11-21` for day 20778.
pub fn iso(day: i32) -> String {
    match Date::from_julian_day(day.saturating_add(EPOCH)) {
        Ok(date) => format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()),
        Err(_) => format!("day {day}"),
    }
}

/// Databases export days with a time of midnight: `2026/04/01 0:00:00`.
fn without_midnight(text: &str) -> &str {
    match text.rsplit_once([' ', 'T']) {
        Some((date, "0:00" | "00:00" | "0:00:00" | "00:00:00")) => date,
        _ => text,
    }
}

/// Spaces around signs mean nothing. Between two digits they part numbers, and without them `26 1 21` would be a
/// serial.
fn without_spaces(text: &str) -> Result<String, DayError> {
    let mut out = String::with_capacity(text.len());
    let mut after_digit = false;
    for word in text.split_whitespace() {
        if after_digit && word.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(DayError::Form);
        }
        out.push_str(word);
        after_digit = word.ends_with(|c: char| c.is_ascii_digit());
    }
    Ok(out)
}

fn western(text: &str) -> Result<Date, DayError> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return match text.len() {
            8 => calendar(number(text.get(..4))?, number(text.get(4..6))?, number(text.get(6..))?),
            // Five digits: 1927-05-18 to 2173-10-13. Fewer would be years.
            5 => excel(number(Some(text))?),
            _ => Err(DayError::Form),
        };
    }
    let (year, month, day) = parts(text)?;
    if year.len() == 4 { calendar(number(Some(year))?, month, day) } else { Err(DayError::Form) }
}

fn wareki(text: &str) -> Result<Date, DayError> {
    let (index, rest) = ERAS
        .iter()
        .enumerate()
        .find_map(|(index, era)| {
            let rest = text.strip_prefix(era.name).or_else(|| {
                text.strip_prefix(era.letter).or_else(|| text.strip_prefix(era.letter.to_ascii_lowercase()))
            })?;
            Some((index, rest))
        })
        .ok_or(DayError::Form)?;
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let (year, month, day) = if rest.len() == 6 && rest.bytes().all(|b| b.is_ascii_digit()) {
        (number(rest.get(..2))?, number(rest.get(2..4))?, number(rest.get(4..))?)
    } else {
        let (year, month, day) = parts(rest)?;
        let year = match year {
            "元" => 1,
            digits if digits.len() <= 2 => number(Some(digits))?,
            _ => return Err(DayError::Form),
        };
        (year, month, day)
    };
    within(index, year, month, day)
}

fn within(index: usize, year: i32, month: i32, day: i32) -> Result<Date, DayError> {
    let era = ERAS.get(index).ok_or(DayError::Form)?;
    if year == 0 {
        return Err(DayError::NoSuchDay);
    }
    let date = calendar(era.from.0 + year - 1, month, day)?;
    let first = calendar(era.from.0, era.from.1.into(), era.from.2.into())?;
    let next = match index.checked_sub(1).and_then(|newer| ERAS.get(newer)) {
        Some(newer) => Some(calendar(newer.from.0, newer.from.1.into(), newer.from.2.into())?),
        None => None,
    };
    if date < first || next.is_some_and(|next| date >= next) {
        return Err(DayError::OutsideEra {
            name: era.name,
            from: iso(since_epoch(first)),
            until: next.map_or_else(|| "today".to_owned(), |next| iso(since_epoch(next) - 1)),
        });
    }
    Ok(date)
}

/// `Y/M/D` with one kind of separator, or `Y年M月D日`.
fn parts(text: &str) -> Result<(&str, i32, i32), DayError> {
    if let Some((year, rest)) = text.split_once('年') {
        let (month, rest) = rest.split_once('月').ok_or(DayError::Form)?;
        let day = rest.strip_suffix('日').ok_or(DayError::Form)?;
        return Ok((year, short(month)?, short(day)?));
    }
    let separator = ['/', '-', '.'].into_iter().find(|s| text.contains(*s)).ok_or(DayError::Form)?;
    let mut fields = text.split(separator);
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(year), Some(month), Some(day), None) => Ok((year, short(month)?, short(day)?)),
        _ => Err(DayError::Form),
    }
}

fn short(digits: &str) -> Result<i32, DayError> {
    if digits.len() <= 2 { number(Some(digits)) } else { Err(DayError::Form) }
}

fn number(digits: Option<&str>) -> Result<i32, DayError> {
    let digits = digits.filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|d| d.parse().ok()).ok_or(DayError::Form)
}

fn calendar(year: i32, month: i32, day: i32) -> Result<Date, DayError> {
    let month = u8::try_from(month).ok().and_then(|m| Month::try_from(m).ok());
    let (month, day) = month.zip(u8::try_from(day).ok()).ok_or(DayError::NoSuchDay)?;
    Date::from_calendar_date(year, month, day).map_err(|_| DayError::NoSuchDay)
}

fn excel(serial: i32) -> Result<Date, DayError> {
    Date::from_julian_day(serial - EXCEL_EPOCH + EPOCH).map_err(|_| DayError::NoSuchDay)
}

fn since_epoch(date: Date) -> i32 {
    date.to_julian_day() - EPOCH
}

#[cfg(test)]
mod tests;
