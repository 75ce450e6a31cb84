//! What the words of the file mean: durations, sizes, names, hosts.

use std::net::IpAddr;
use std::time::Duration;

/// `250ms`, `5s`, `5m`, `12h`, `14d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write a number and ms, s, m, h or d, as in `5m`");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// `512B`, `64KiB`, `64MiB`, `1GiB`.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let wrong = || format!("`{text}` is not a size: write a number and B, KiB, MiB or GiB, as in `64KiB`");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let number: usize = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A name that rules and records use.
pub(crate) fn name(text: &str) -> Result<&str, String> {
    let fits = (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    fits.then_some(text).ok_or_else(|| {
        format!("`{text}` is not a name: use `a-z`, digits and `-`, at most 32, beginning with a letter")
    })
}

/// A DNS host name (RFC 1123 2.1) in lower case, with at least two labels; no address, no port, no final dot.
pub(crate) fn host(text: &str) -> Result<&str, String> {
    if text.parse::<IpAddr>().is_ok() {
        return Err(format!("`{text}` is an address: a host name is needed"));
    }
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!("`{text}`: write host names in lower case, `{}`", text.to_ascii_lowercase()));
    }
    if !text.is_ascii() {
        return Err(format!("`{text}`: write international names in their `xn--` form"));
    }
    let fits = text.len() <= 253 && text.contains('.') && text.split('.').all(host_label);
    fits.then_some(text).ok_or_else(|| {
        format!("`{text}` is not a host name: expected labels of `a-z`, digits and `-` with dots between")
    })
}

/// One label of a host name.
pub(crate) fn host_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A fixed distance from UTC in minutes: `+09:00`, or `Asia/Tokyo` (no daylight saving since 1951).
pub(crate) fn offset_minutes(text: &str) -> Result<i16, String> {
    let wrong = || format!("`{text}` is not a time zone: write `Asia/Tokyo` or a distance from UTC such as `+09:00`");
    if text == "Asia/Tokyo" {
        return Ok(540);
    }
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(wrong()),
    };
    let minutes = i16::try_from(minute_of_day(rest).map_err(|_| wrong())?).map_err(|_| wrong())?;
    // The world's clocks stand between -12:00 and +14:00.
    let minutes = sign * minutes;
    (-720..=840).contains(&minutes).then_some(minutes).ok_or_else(wrong)
}

/// `07:00` as minutes since midnight; `24:00` is the end of the day.
pub(crate) fn minute_of_day(text: &str) -> Result<u16, String> {
    let wrong = || format!("`{text}` is not a time of day: write hours and minutes, as in `07:00`");
    let (hours, minutes) = match text.as_bytes() {
        [a, b, b':', c, d] if [a, b, c, d].iter().all(|d| d.is_ascii_digit()) => {
            text.split_once(':').ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    let hours: u16 = hours.parse().map_err(|_| wrong())?;
    let minutes: u16 = minutes.parse().map_err(|_| wrong())?;
    match (hours, minutes) {
        (0..=23, 0..=59) | (24, 0) => Ok(hours * 60 + minutes),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_and_sizes_have_units_and_nothing_else() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("12h"), Ok(Duration::from_secs(43_200)));
        for bad in ["", "5", "m", "5 m", "-5m", "5M", "5min", "1.5h", "999999999999999999d", "５m"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("512B"), Ok(512));
        for bad in ["", "64", "64K", "64kb", "KiB", "99999999999GiB", "-1B"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_is_a_lower_case_name_without_port_or_final_dot() {
        assert!(host("chart.hospital.example").is_ok());
        for bad in [
            "",
            "chart",
            "Chart.example",
            "a..b",
            "a.b.",
            "-a.b",
            "a-.b",
            "a_b.c",
            "a.b:443",
            "10.0.0.1",
            "関守.jp",
            "a.b/c",
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_zone_is_a_distance_from_utc() {
        assert_eq!(offset_minutes("Asia/Tokyo"), Ok(540));
        assert_eq!(offset_minutes("+09:00"), Ok(540));
        assert_eq!(offset_minutes("-03:30"), Ok(-210));
        for bad in ["", "9", "+9:00", "+15:00", "-13:00", "09:00", "+09:60", "Europe/Berlin"] {
            assert!(offset_minutes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_of_day_is_two_digits_twice() {
        assert_eq!(minute_of_day("07:00"), Ok(420));
        assert_eq!(minute_of_day("24:00"), Ok(1_440));
        for bad in ["7:00", "24:01", "07:60", "+7:00", "0700", "07:0a"] {
            assert!(minute_of_day(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,24}") {
            let _ = (duration(&text), size(&text), host(&text), offset_minutes(&text), minute_of_day(&text), name(&text));
        }
    }
}
