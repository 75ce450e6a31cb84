use proptest::prelude::*;

use super::*;

#[test]
fn req_g20_wareki_western_and_serial_name_the_same_day() {
    for text in [
        "令和8年11月21日",
        "令和 8年 11月 21日",
        "令和８年１１月２１日",
        "㋿8年11月21日",
        "R8.11.21",
        "r8.11.21",
        "R08/11/21",
        "Ｒ０８．１１．２１",
        "R8-11-21",
        "R081121",
        "2026-11-21",
        "2026/11/21",
        "2026.11.21",
        "２０２６／１１／２１",
        "2026年11月21日",
        "20261121",
        "2026/11/21 0:00",
        "2026-11-21T00:00:00",
        "46347",
    ] {
        assert_eq!(parse(text).map(iso).as_deref(), Ok("2026-11-21"), "{text}");
    }
}

#[test]
fn req_g20_each_era_begins_and_ends_on_its_day() {
    for (text, day) in [
        ("令和元年5月1日", "2019-05-01"),
        ("R1.5.1", "2019-05-01"),
        ("平成31年4月30日", "2019-04-30"),
        ("平成元年1月8日", "1989-01-08"),
        ("㍻1年1月8日", "1989-01-08"),
        ("昭和64年1月7日", "1989-01-07"),
        ("昭和元年12月25日", "1926-12-25"),
        ("S1.12.25", "1926-12-25"),
        ("大正15年12月24日", "1926-12-24"),
        ("大正元年7月30日", "1912-07-30"),
        ("明治45年7月29日", "1912-07-29"),
        ("M1.1.25", "1868-01-25"),
        ("平成12年2月29日", "2000-02-29"),
    ] {
        assert_eq!(parse(text).map(iso).as_deref(), Ok(day), "{text}");
    }
    for outside in [
        "昭和64年1月8日",
        "平成31年5月1日",
        "平成元年1月7日",
        "令和元年4月30日",
        "昭和元年12月24日",
        "大正15年12月25日",
        "大正元年7月29日",
        "明治45年7月30日",
        "明治元年1月24日",
        "H32.1.1",
    ] {
        assert!(matches!(parse(outside), Err(DayError::OutsideEra { .. })), "{outside}");
    }
}

#[test]
fn req_g20_days_that_do_not_exist_are_refused() {
    for text in ["2026-02-29", "2026/13/01", "20260431", "令和8年2月30日", "R0.1.1", "1900-02-29", "2026/00/10"] {
        assert_eq!(parse(text), Err(DayError::NoSuchDay), "{text}");
    }
}

#[test]
fn what_is_no_date_is_refused() {
    for text in [
        "",
        " ",
        "26/11/21",
        "2026",
        "2026-11",
        "2026-11-21-1",
        "2026/11-21",
        "11/21/2026",
        "X8.11.21",
        "令和八年1月1日",
        "R100.1.1",
        "R8.11.+1",
        "2026年11月21",
        "4634",
        "463470",
        "2026-11-21 08:30",
        "不明",
        "+20261121",
        "2026-011-21",
    ] {
        assert_eq!(parse(text), Err(DayError::Form), "{text}");
    }
    assert_eq!(parse("0999-01-01"), Err(DayError::OutOfRange));
    assert_eq!(parse("9999-12-31"), Err(DayError::OutOfRange));
}

#[test]
fn req_g21_blank_and_nines_are_open_ends() {
    for text in ["", "　", "9999/12/31", "9999-12-31", "99999999", "９９９９９９９９", "99991231"] {
        assert_eq!(parse_end(text), Ok(End::Open), "{text}");
    }
    assert_eq!(parse_end("2026-03-31").map(|end| end == End::Open), Ok(false));
    assert!(parse_end("9999").is_err() && parse_end("00000000").is_err());
}

#[test]
fn midnight_does_not_eat_a_digit_of_the_day() {
    assert_eq!(parse("2026/4/10 0:00").map(iso).as_deref(), Ok("2026-04-10"));
    assert_eq!(parse("2026/4/1 0:00:00").map(iso).as_deref(), Ok("2026-04-01"));
    assert_eq!(parse("2026/4/1 00:00").map(iso).as_deref(), Ok("2026-04-01"));
    assert_eq!(parse("2026/4/10 00:00:00").map(iso).as_deref(), Ok("2026-04-10"));
}

/// Found by fuzzing: two numbers became one, and the one a serial.
#[test]
fn req_g20_numbers_with_a_space_between_them_are_not_one_number() {
    for text in
        ["26 1 21", "2026 1", "4\t34\t37", "202 61121", "2026-1 1-21", "令和8年1 1月21日", "R08 1121", "２０　２６１"]
    {
        assert_eq!(parse(text), Err(DayError::Form), "{text}");
    }
    assert_eq!(parse("令和 8 年 11 月 21 日").map(iso).as_deref(), Ok("2026-11-21"));
    assert_eq!(parse("R 8 . 11 . 21").map(iso).as_deref(), Ok("2026-11-21"));
    assert_eq!(parse("2026 / 11 / 21").map(iso).as_deref(), Ok("2026-11-21"));
}

/// The day in the era that it belongs to, written independently of the parser's table.
fn wareki_of(date: Date) -> (&'static str, char, i32) {
    let key = (date.year(), u8::from(date.month()), date.day());
    if key >= (2019, 5, 1) {
        ("令和", 'R', date.year() - 2018)
    } else if key >= (1989, 1, 8) {
        ("平成", 'H', date.year() - 1988)
    } else if key >= (1926, 12, 25) {
        ("昭和", 'S', date.year() - 1925)
    } else if key >= (1912, 7, 30) {
        ("大正", 'T', date.year() - 1911)
    } else {
        ("明治", 'M', date.year() - 1867)
    }
}

proptest! {
    #[test]
    fn req_g20_every_day_survives_every_spelling(day in -37_000i32..47_000) {
        let date = Date::from_julian_day(day + EPOCH).unwrap();
        let (name, letter, year) = wareki_of(date);
        let (month, dom) = (u8::from(date.month()), date.day());
        let first = if year == 1 { "元".to_owned() } else { year.to_string() };
        for text in [
            format!("{name}{first}年{month}月{dom}日"),
            format!("{letter}{year}.{month}.{dom}"),
            format!("{letter}{year:02}/{month:02}/{dom:02}"),
            format!("{letter}{year:02}{month:02}{dom:02}"),
            iso(day),
            iso(day).replace('-', ""),
        ] {
            prop_assert_eq!(parse(&text), Ok(day), "{}", text);
        }
        prop_assert_eq!(parse_end(&iso(day)), Ok(End::On(day)));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,24}", odd in any::<String>()) {
        let _ = (parse(&text), parse_end(&odd));
    }

    #[test]
    fn no_near_date_makes_the_parser_panic(text in "[MTSHR令和昭平成大正明治元年月日0-9/.:T -]{0,16}") {
        let _ = (parse(&text), parse_end(&text));
    }
}
