use std::sync::LazyLock;

use config::{Encoding, HrSettings};
use encoding_rs::SHIFT_JIS;
use proptest::prelude::*;

use super::*;
use crate::day::iso;

const HEADER: &str = "職員番号,氏名,フリガナ,生年月日,雇用区分,部署,職種,役職,主務区分,発令日,終了日,入職日,退職日,資格,資格番号,資格期限";
const NURSE: &str = "000123,山﨑　美咲,ヤマザキ ミサキ,平成5年3月8日,常勤,3階東病棟,看護師,,主務,H28.4.1,,平成28年4月1日,9999/12/31,看護師,910123,";

static SETTINGS: LazyLock<HrSettings> = LazyLock::new(|| {
    let snapshot = config::load_texts(std::path::Path::new("."), config::demo::MAIN, config::demo::POLICY);
    snapshot.unwrap_or_else(|report| panic!("{report}")).settings.hr.clone()
});

fn settings(encoding: Encoding) -> HrSettings {
    HrSettings { encoding, ..SETTINGS.clone() }
}

fn file(rows: &[&str]) -> String {
    std::iter::once(&HEADER).chain(rows).map(|row| format!("{row}\r\n")).collect()
}

fn read(rows: &[&str]) -> Result<Roster, Vec<RowProblem>> {
    parse(file(rows).as_bytes(), &settings(Encoding::Utf8))
}

fn people(rows: &[&str]) -> BTreeMap<StaffNo, PersonFacts> {
    read(rows).unwrap_or_else(|problems| panic!("{problems:#?}")).people
}

/// Line, column and the problem's words, for comparing.
fn problems(rows: &[&str]) -> Vec<(u64, String, Problem)> {
    let problems = read(rows).expect_err("the file is sound");
    problems.into_iter().map(|p| (p.line, p.column.unwrap_or_default(), p.problem)).collect()
}

/// The nurse's row with some cells replaced, by column.
fn nurse(cells: &[(&str, &str)]) -> String {
    let titles: Vec<_> = HEADER.split(',').collect();
    let mut row: Vec<_> = NURSE.split(',').collect();
    for (title, cell) in cells {
        row[titles.iter().position(|t| t == title).unwrap()] = cell;
    }
    row.join(",")
}

#[test]
fn req_g17_the_demo_hospitals_cp932_file_is_read_whole() {
    let bytes = include_bytes!("../../../../config/examples/demo/hr.csv");
    let roster = parse(bytes, &settings(Encoding::Cp932)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!((roster.people.len(), roster.rows), (60, 74));
    assert!(roster.warnings.is_empty() && roster.ignored_columns.is_empty());
    let nurse = &roster.people[&"000123".parse::<StaffNo>().unwrap()];
    assert_eq!((nurse.name.as_str(), nurse.birth_date.map(iso).as_deref()), ("山﨑　美咲", Some("1993-03-08")));
    let head = &roster.people[&"000101".parse::<StaffNo>().unwrap()];
    assert_eq!((head.name.as_str(), head.affiliations.len(), head.qualifications.len()), ("髙瀬　修平", 2, 2));
}

#[test]
fn req_g17_the_same_rows_in_every_encoding_are_the_same_people() {
    let text = file(&[NURSE]);
    let (cp932, _, unmappable) = SHIFT_JIS.encode(&text);
    assert!(!unmappable);
    let marked = format!("\u{FEFF}{text}");
    let utf8 = parse(text.as_bytes(), &settings(Encoding::Utf8)).unwrap();
    assert_eq!(parse(marked.as_bytes(), &settings(Encoding::Utf8)).unwrap(), utf8);
    assert_eq!(parse(&cp932, &settings(Encoding::Cp932)).unwrap(), utf8);
    // Declared, not guessed.
    assert!(parse(text.as_bytes(), &settings(Encoding::Cp932)).is_err());
    assert!(parse(&cp932, &settings(Encoding::Utf8)).is_err());
}

#[test]
fn req_g18_what_is_shown_stays_as_hr_wrote_it_and_rules_see_one_form() {
    let row = nurse(&[("部署", "３階東病棟"), ("フリガナ", "ﾔﾏｻﾞｷ"), ("職員番号", "　０００１２３ ")]);
    let roster = read(&[&row]).unwrap();
    let number = "000123".parse().unwrap();
    let person = &roster.people[&number];
    assert_eq!((person.affiliations[0].department.as_str(), person.kana.as_deref()), ("３階東病棟", Some("ﾔﾏｻﾞｷ")));
    assert_eq!(facts(&roster, &number).unwrap().affiliations[0].department, "3階東病棟");
    assert_eq!(facts(&roster, &"999".parse().unwrap()), None);
}

#[test]
fn req_g19_000123_and_123_are_two_people() {
    let people = people(&[NURSE, &nurse(&[("職員番号", "123")])]);
    assert_eq!(people.keys().map(StaffNo::as_str).collect::<Vec<_>>(), ["000123", "123"]);
}

#[test]
fn req_g20_an_impossible_day_names_its_line_and_column() {
    let found = problems(&[
        &nurse(&[("生年月日", "昭和64年1月8日")]),
        &nurse(&[("職員番号", "2"), ("発令日", "平成31年5月1日"), ("資格期限", "2026-02-30")]),
    ]);
    let places: Vec<_> = found.iter().map(|(line, column, _)| (*line, column.as_str())).collect();
    assert_eq!(places, [(2, "生年月日"), (3, "発令日"), (3, "資格期限")]);
    assert!(found[0].2.to_string().contains("1926-12-25 to 1989-01-07"), "{}", found[0].2);
}

#[test]
fn req_g21_open_ends_are_no_ends() {
    for open in ["", "9999/12/31", "99999999"] {
        let row = nurse(&[("終了日", open), ("退職日", open), ("資格期限", open)]);
        let people = people(&[&row]);
        let person = people.values().next().unwrap();
        assert_eq!((person.employed_until, person.affiliations[0].until), (None, None));
        assert_eq!(person.qualifications[0].expires, None);
    }
}

#[test]
fn req_g22_concurrent_and_future_posts_are_rows_of_one_number() {
    let concurrent =
        nurse(&[("部署", "外来"), ("主務区分", "兼務"), ("発令日", "R8.4.1"), ("資格", ""), ("資格番号", "")]);
    let ended = nurse(&[("終了日", "2027-03-31")]);
    let next = nurse(&[("部署", "手術室"), ("発令日", "2027-04-01")]);
    let licence = nurse(&[("終了日", "2027-03-31"), ("資格", "認定看護師"), ("資格番号", "9")]);
    let people = people(&[&ended, &concurrent, &next, &licence]);
    let person = people.values().next().unwrap();
    let posts: Vec<_> = person.affiliations.iter().map(|p| (p.department.as_str(), p.main)).collect();
    assert_eq!(posts, [("3階東病棟", true), ("外来", false), ("手術室", true)]);
    assert_eq!(person.qualifications.len(), 2);
    let on = |day: &str| person.post_on(crate::day::parse(day).unwrap()).map(|p| p.department.as_str());
    assert_eq!((on("2027-03-31"), on("2027-04-01")), (Some("3階東病棟"), Some("手術室")));
}

#[test]
fn rows_that_disagree_about_the_person_are_refused() {
    let other = nurse(&[("部署", "外来"), ("主務区分", "兼務"), ("氏名", "山崎 美咲"), ("生年月日", "1993-03-09")]);
    let found = problems(&[NURSE, &other]);
    let places: Vec<_> = found.iter().map(|(line, column, _)| (*line, column.as_str())).collect();
    assert_eq!(places, [(3, "氏名"), (3, "生年月日")]);
    assert!(matches!(found[0].2, Problem::Contradiction { line: 2, .. }));
    // The same day in another spelling, the same name in another width, agree.
    let same = nurse(&[("部署", "外来"), ("主務区分", "兼務"), ("氏名", "山﨑 美咲"), ("生年月日", "1993/3/8")]);
    assert!(read(&[NURSE, &same]).is_ok());
}

#[test]
fn posts_that_cannot_all_be_true_are_refused() {
    let second_main = nurse(&[("部署", "外来"), ("発令日", "2030-01-01")]);
    assert_eq!(problems(&[NURSE, &second_main])[0].2, Problem::TwoMainPosts { line: 2 });
    let same_post = nurse(&[("主務区分", "兼務")]);
    assert_eq!(problems(&[NURSE, &same_post])[0].2, Problem::SamePost { line: 2 });
    let only_concurrent = nurse(&[("主務区分", "兼務")]);
    assert_eq!(problems(&[&only_concurrent])[0].2, Problem::NoMainPost);
    let unsaid = nurse(&[("主務区分", ""), ("部署", "外来")]);
    assert_eq!(problems(&[NURSE, &unsaid])[0].2, Problem::MainUnsaid);
    assert!(people(&[&nurse(&[("主務区分", "")])]).values().all(|p| p.affiliations[0].main));
    let backwards = nurse(&[("終了日", "2016-03-31"), ("退職日", "H28.3.31")]);
    let found = problems(&[&backwards]);
    assert_eq!(found.iter().map(|p| p.1.as_str()).collect::<Vec<_>>(), ["終了日", "退職日"]);
    let licence_twice = nurse(&[("資格期限", "2030-01-01")]);
    assert_eq!(problems(&[NURSE, &licence_twice])[0].2, Problem::SameLicence { line: 2 });
}

#[test]
fn every_bad_row_is_reported_at_once_with_what_to_do() {
    let found = problems(&[
        &nurse(&[("職員番号", ""), ("氏名", "")]),
        &nurse(&[("職員番号", "12 3")]),
        "000124,too,short",
        &nurse(&[("職員番号", "3"), ("部署", ""), ("主務区分", "たぶん")]),
        &nurse(&[("職員番号", "4"), ("資格", "")]),
        &nurse(&[("職員番号", "5"), ("氏名", "山\u{202E}﨑")]),
        &nurse(&[("職員番号", "6"), ("役職", &"長".repeat(CELL_BOUND + 1))]),
    ]);
    let places: Vec<_> = found.iter().map(|(line, column, _)| (*line, column.as_str())).collect();
    assert_eq!(
        places,
        [
            (2, "職員番号"),
            (2, "氏名"),
            (3, "職員番号"),
            (4, ""),
            (5, "部署"),
            (5, "主務区分"),
            (6, "資格番号"),
            (7, "氏名"),
            (8, "役職")
        ]
    );
    for (_, _, problem) in &found {
        assert!(problem.to_string().len() > 20, "{problem}");
    }
}

#[test]
fn a_missing_or_doubled_column_is_named() {
    let without = HEADER.replace(",退職日", "").replace("氏名", "お名前");
    let problems = parse(without.as_bytes(), &settings(Encoding::Utf8)).unwrap_err();
    let columns: Vec<_> = problems.iter().filter_map(|p| p.column.as_deref()).collect();
    assert_eq!(columns, ["氏名", "退職日"]);
    let doubled = format!("{HEADER},氏 名,氏名");
    let problems = parse(doubled.as_bytes(), &settings(Encoding::Utf8)).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].problem, Problem::ColumnTwice);
}

#[test]
fn other_columns_and_orders_of_columns_are_read_by_name() {
    let text = "備考,職員番号,氏名,資格期限,資格番号,資格,退職日,入職日,終了日,発令日,主務区分,役職,職種,部署,雇用区分,生年月日,ﾌﾘｶﾞﾅ\n\
                memo,1,見本,,,,,,,,主務,,医師,内科,常勤,,\n";
    let roster = parse(text.as_bytes(), &settings(Encoding::Utf8)).unwrap();
    assert_eq!(roster.ignored_columns, ["備考"]);
    let person = roster.people.values().next().unwrap();
    assert_eq!((person.name.as_str(), person.affiliations[0].department.as_str()), ("見本", "内科"));
}

#[test]
fn codes_of_the_configuration_become_what_they_mean() {
    let mut settings = settings(Encoding::Utf8);
    settings.codes.department.insert("３１０".to_owned(), "3階東病棟".to_owned());
    let text = file(&[&nurse(&[("部署", "310")]), &nurse(&[("職員番号", "2"), ("部署", "999")])]);
    let roster = parse(text.as_bytes(), &settings).unwrap();
    let departments: Vec<_> = roster.people.values().map(|p| p.affiliations[0].department.as_str()).collect();
    assert_eq!(departments, ["3階東病棟", "999"]);
}

#[test]
fn a_private_character_is_a_warning_and_stops_nothing() {
    let roster = read(&[&nurse(&[("氏名", "\u{E000}田")])]).unwrap();
    assert_eq!(roster.warnings.len(), 1);
    assert_eq!((roster.warnings[0].line, roster.people.len()), (2, 1));
}

#[test]
fn atk_a41_the_list_of_problems_and_the_rows_of_one_person_are_bounded() {
    let row = nurse(&[("生年月日", "x")]);
    let rows: Vec<&str> = std::iter::repeat_n(row.as_str(), PROBLEM_BOUND + 5).collect();
    let found = read(&rows).unwrap_err();
    assert_eq!(found.len(), PROBLEM_BOUND + 1);
    assert_eq!(found.last().map(|p| &p.problem), Some(&Problem::More(5)));
    let posts: Vec<String> = (0..200).map(|i| nurse(&[("部署", &format!("部署{i}")), ("主務区分", "兼務")])).collect();
    let posts: Vec<&str> = posts.iter().map(String::as_str).collect();
    assert_eq!(read(&posts).unwrap_err()[0].problem, Problem::TooManyRowsOfOne);
}

#[test]
fn atk_a31_a_staff_number_of_look_alikes_is_no_staff_number() {
    // Cyrillic а, a zero-width space, an at sign.
    for number in ["а123", "12\u{200B}3", "a@evil", "1/2"] {
        let found = read(&[&nurse(&[("職員番号", number)])]).unwrap_err();
        assert!(found.iter().all(|p| p.column.as_deref() == Some("職員番号")), "{number}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_parsing_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), utf8 in any::<bool>()) {
        let _ = parse(&bytes, &settings(if utf8 { Encoding::Utf8 } else { Encoding::Cp932 }));
    }

    #[test]
    fn no_cells_make_parsing_panic(cells in proptest::collection::vec("[ -~\r\n\"、-龥ァ-ヶ０-９]{0,12}", 0..40)) {
        let rows: Vec<String> = cells.chunks(16).map(|c| c.join(",")).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let _ = read(&rows);
    }

    #[test]
    fn a_file_that_lost_its_end_never_makes_another_person_of_somebody(cut in any::<proptest::sample::Index>()) {
        let bytes = file(&[NURSE, &nurse(&[("職員番号", "000124"), ("資格期限", "2031-03-31")])]).into_bytes();
        let whole = parse(&bytes, &settings(Encoding::Utf8)).unwrap();
        let cut = cut.index(bytes.len());
        let part = parse(&bytes[..cut], &settings(Encoding::Utf8)).unwrap_or_default();
        let same = part.people.iter().all(|(number, person)| whole.people[number] == *person);
        prop_assert!(same || part.warnings.iter().any(|w| w.problem == Problem::LastLineOpen));
    }
}
