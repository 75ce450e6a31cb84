//! Fuzz targets (`tests/fuzz`): the HR file, and the days in it.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use config::{Encoding, HrSettings};
use encoding_rs::SHIFT_JIS;
use model::{StaffNo, matching_form};
use time::Date;

use crate::day::{End, iso, parse as parse_day, parse_end};
use crate::{PROBLEM_BOUND, Problem, Roster, RowProblem, parse, plan};

static SETTINGS: LazyLock<HrSettings> = LazyLock::new(|| {
    let snapshot = config::load_texts(std::path::Path::new("."), config::demo::MAIN, config::demo::POLICY);
    snapshot.unwrap_or_else(|report| panic!("{report}")).settings.hr.clone()
});

fn settings(encoding: Encoding) -> HrSettings {
    HrSettings { encoding, ..SETTINGS.clone() }
}

/// The file's text by another way than the product's.
fn text(bytes: &[u8], encoding: Encoding) -> String {
    match encoding {
        Encoding::Utf8 => String::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).to_vec()).unwrap(),
        Encoding::Cp932 => SHIFT_JIS.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// RFC 4180, one character after the other, by another way than the product's; blank rows left out.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut fresh) = (false, true);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' if quoted => quoted = false,
            '"' if fresh => quoted = true,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' | '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
        fresh = matches!(c, ',' | '\r' | '\n') && !quoted;
    }
    row.push(cell);
    rows.push(row);
    rows.retain(|row| row.iter().any(|cell| !cell.trim().is_empty()));
    rows
}

/// A cell as a person reads it, on one line.
fn one_line(cell: &str) -> String {
    cell.split(['\r', '\n', '\t']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Everybody in the file is in the roster as the file has him, and nobody else.
fn whole(roster: &Roster, text: &str) {
    let rows = rows(text);
    let (header, rows) = rows.split_first().unwrap();
    let column = |title: &str| header.iter().position(|cell| matching_form(cell) == title).unwrap();
    let (number, name) = (column("職員番号"), column("氏名"));
    assert_eq!(roster.rows, rows.len());
    let mut seen = BTreeSet::new();
    for row in rows {
        assert_eq!(row.len(), header.len());
        let staff_no: StaffNo = matching_form(&row[number]).parse().unwrap();
        let facts = &roster.people[&staff_no];
        if seen.insert(staff_no) {
            assert_eq!(facts.name, one_line(&row[name]));
        }
        assert!(!facts.name.chars().any(char::is_control) && !facts.name.is_empty());
        assert_eq!(facts.affiliations.iter().filter(|post| post.main).count().min(1), 1);
    }
    assert_eq!(roster.people.len(), seen.len());
    let plan = plan(roster, &HashMap::new());
    assert_eq!((plan.added.len(), plan.changed.len()), (roster.people.len(), 0));
}

/// Every problem names a line of the file, or the file.
fn placed(problems: &[RowProblem], bytes: &[u8]) {
    let lines = bytes.iter().filter(|b| **b == b'\n').count() as u64 + 1;
    assert!((1..=PROBLEM_BOUND + 1).contains(&problems.len()));
    let listed: Vec<_> = problems.iter().filter(|p| !matches!(p.problem, Problem::More(_))).collect();
    assert!(listed.is_sorted_by_key(|p| p.line));
    for problem in listed {
        let of_the_file = matches!(problem.problem, Problem::Empty | Problem::FileTooLarge | Problem::TooManyRows);
        assert!((1..=lines).contains(&problem.line) || (of_the_file && problem.line == 0), "{problem} of {lines}");
        assert!(!problem.to_string().contains(['\r', '\n']), "{problem:?}");
    }
}

fn read(bytes: &[u8], encoding: Encoding) {
    let settings = settings(encoding);
    match parse(bytes, &settings) {
        Ok(roster) => {
            let text = text(bytes, encoding);
            whole(&roster, &text);
            // One row that is wrong, and nobody of the file is taken.
            let spoilt = [bytes, b"\r\n1,2\r\n"].concat();
            assert!(parse(&spoilt, &settings).is_err());
        }
        Err(problems) => placed(&problems, bytes),
    }
}

#[test]
fn req_g24_an_hr_file_is_taken_whole_or_every_problem_has_its_line() {
    ::fuzz::run("hr-csv", |bytes| {
        read(bytes, Encoding::Utf8);
        read(bytes, Encoding::Cp932);
    });
}

/// Year, month and day as they stand in a text of three numbers; the year of an era as its first year and on.
fn as_written(text: &str) -> Option<(i32, u8, u8)> {
    let text = matching_form(text);
    let text = match text.rsplit_once([' ', 'T']) {
        Some((date, time)) if time.contains(':') => date.to_owned(),
        _ => text,
    };
    let text = text.replacen('元', "1", 1);
    let numbers: Vec<i32> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .map(|run| run.parse().unwrap_or(-1))
        .collect();
    let [year, month, day] = *numbers.as_slice() else { return None };
    let before = match text.chars().next()? {
        '令' | 'R' | 'r' => 2018,
        '平' | 'H' | 'h' => 1988,
        '昭' | 'S' | 's' => 1925,
        '大' | 'T' | 't' => 1911,
        '明' | 'M' | 'm' => 1867,
        _ => 0,
    };
    Some((before + year, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

fn wareki(date: Date) -> Option<String> {
    let key = (date.year(), u8::from(date.month()), date.day());
    let eras = [
        ((2019, 5, 1), "令和", 2018),
        ((1989, 1, 8), "平成", 1988),
        ((1926, 12, 25), "昭和", 1925),
        ((1912, 7, 30), "大正", 1911),
        ((1868, 1, 25), "明治", 1867),
    ];
    let (_, era, before) = eras.into_iter().find(|(first, ..)| key >= *first)?;
    let year = date.year() - before;
    (year <= 99).then(|| format!("{era}{year}年{}月{}日", key.1, key.2))
}

#[test]
fn req_g20_a_text_is_the_day_that_people_read_in_it_or_none() {
    ::fuzz::run("day", |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        match (parse_day(text), parse_end(text)) {
            (Ok(day), end) => {
                assert_eq!(end, Ok(End::On(day)));
                let date = Date::from_julian_day(day + 2_440_588).unwrap();
                assert!((1868..=2199).contains(&date.year()), "{date}");
                assert_eq!(parse_day(&iso(day)), Ok(day));
                if let Some(written) = as_written(text) {
                    assert_eq!(written, (date.year(), date.month().into(), date.day()));
                }
                if let Some(wareki) = wareki(date) {
                    assert_eq!(parse_day(&wareki), Ok(day), "{wareki}");
                }
            }
            (Err(_), Ok(End::On(day))) => panic!("{day} is an end and no day"),
            (Err(_), Ok(End::Open)) => {
                let plain: String = matching_form(text).chars().filter(char::is_ascii_digit).collect();
                assert!(["", "99999999", "99991231"].contains(&plain.as_str()), "{plain}");
            }
            (Err(day), Err(end)) => assert_eq!(day, end),
        }
    });
}
