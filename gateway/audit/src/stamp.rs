//! A moment as records write it, without the formatting machinery: this runs once per request.

use model::Timestamp;

/// How long a moment's text is.
pub(crate) const LENGTH: usize = 27;

/// Writes `2026-11-21T05:05:00.000000Z`. Same text as `Timestamp`'s `Display` for the years 1970 to 9999.
pub(crate) fn push(out: &mut String, at: Timestamp) {
    let micros = at.micros().max(0).unsigned_abs();
    let seconds = micros / 1_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    for (value, width, after) in [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (of_day / 3_600, 2, ':'),
        (of_day / 60 % 60, 2, ':'),
        (of_day % 60, 2, '.'),
        (micros % 1_000_000, 6, 'Z'),
    ] {
        number(out, value, width);
        out.push(after);
    }
}

fn number(out: &mut String, value: u64, width: u32) {
    for place in (0..width).rev() {
        let digit = value / 10_u64.pow(place) % 10;
        out.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
}

/// Year, month, day of a number of days since 1970-01-01, by eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_quick_text_is_the_models_text(micros in 0_i64..253_402_300_800_000_000) {
            let at = Timestamp::from_micros(micros);
            let mut out = String::new();
            push(&mut out, at);
            prop_assert_eq!(&out, &at.to_string());
            prop_assert_eq!(out.len(), LENGTH);
        }
    }
}
