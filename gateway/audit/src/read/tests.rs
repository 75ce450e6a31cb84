use std::fs::{self, OpenOptions};
use std::io::Write as _;

use super::*;
use crate::laboratory::Laboratory;
use crate::{Event, Outcome, Patient, Record, What, Who, Why};

/// Small segments, one record a minute; every third about patient 7.
fn written(records: u64) -> Laboratory {
    let mut laboratory = Laboratory::new();
    laboratory.options.segment_bytes = 3_000;
    let journal = laboratory.open();
    for n in 0..records {
        laboratory.clock.advance(Duration::from_secs(60));
        let patient = if n % 3 == 0 { Patient::Known("7") } else { Patient::Known("8") };
        let record = Record::new(Event::RequestPermit, Outcome::Ok)
            .who(Who::claimed("a\"b"))
            .what(What::request("chart", Some("view"), "GET", "/p", patient))
            .why(Why::reason("7"));
        journal.append(&record).unwrap();
    }
    laboratory
}

fn seqs(lines: &[Line]) -> Vec<u64> {
    lines.iter().map(|line| line.seq).collect()
}

fn newest(laboratory: &Laboratory) -> u64 {
    tail(laboratory.directory(), None, 1).unwrap()[0].seq
}

#[test]
fn a_tail_is_the_newest_lines_or_those_after_a_number_across_segments() {
    let laboratory = written(60);
    let all = laboratory.all().len() as u64;
    assert_eq!(seqs(&tail(laboratory.directory(), None, 20).unwrap()), (all - 19..=all).collect::<Vec<_>>());
    for after in 0..=all {
        let lines = tail(laboratory.directory(), Some(after), 15).unwrap();
        assert_eq!(seqs(&lines), (after + 1..=all.min(after + 15)).collect::<Vec<_>>());
        assert!(lines.iter().all(|line| line.intact));
    }
    assert_eq!(seqs(&tail(laboratory.directory(), Some(0), 1_000_000).unwrap()).len() as u64, all);
    assert!(tail(laboratory.directory(), None, 0).unwrap().is_empty());
    assert!(tail(&laboratory.directory().join("nowhere"), None, 5).unwrap().is_empty());
}

#[test]
fn followers_find_their_place_from_the_end_of_a_long_segment() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let long = Record::new(Event::HrImport, Outcome::Ok).detail("x", &"y".repeat(500));
    for _ in 0..3_000 {
        journal.append(&long).unwrap();
    }
    for after in [0, 1, 2, 1_500, 2_400, 2_999, 3_000, 3_001] {
        let lines = tail(laboratory.directory(), Some(after), 10).unwrap();
        assert_eq!(seqs(&lines), (after + 1..=3_001.min(after + 10)).collect::<Vec<_>>());
    }
    assert_eq!(tail(laboratory.directory(), None, 1_000).unwrap().len(), 1_000);
}

#[test]
fn one_line_is_shown_with_what_its_hash_says() {
    let laboratory = written(60);
    assert_eq!(show(laboratory.directory(), 30).unwrap().unwrap().record["seq"], 30);
    assert_eq!(show(laboratory.directory(), 0).unwrap(), None);
    assert_eq!(show(laboratory.directory(), 5_000).unwrap(), None);
    let mut lines = laboratory.lines();
    let text = &mut lines[2][1];
    let seq = line::parse(text.as_bytes()).unwrap().seq;
    *text = text.replace("chart", "chert");
    laboratory.write_lines(&lines);
    assert!(!show(laboratory.directory(), seq).unwrap().unwrap().intact);
}

#[test]
fn what_is_written_just_now_is_not_read_in_part() {
    let laboratory = written(5);
    let before = newest(&laboratory);
    let path = segment::list(laboratory.directory()).unwrap().pop().unwrap().1;
    let next = laboratory.all().pop().unwrap();
    OpenOptions::new().append(true).open(path).unwrap().write_all(next.as_bytes()).unwrap();
    assert_eq!(newest(&laboratory), before);
}

#[test]
fn req_a17_1_who_saw_a_patient_between_two_times_is_found_page_by_page() {
    let laboratory = written(90);
    let expected: Vec<u64> = laboratory
        .all()
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["what"]["patient"] == "7")
        .filter_map(|record| record["seq"].as_u64())
        .rev()
        .collect();
    assert_eq!(expected.len(), 30);
    let filter = Filter { patient: Some("7".to_owned()), ..Filter::default() };
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = search(laboratory.directory(), &filter, before, 4).unwrap();
        assert!(page.lines.len() <= 4);
        found.extend(seqs(&page.lines));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);

    let start = Timestamp::from_seconds(1_795_239_900);
    let since = start.after(Duration::from_secs(20 * 60));
    let until = start.after(Duration::from_secs(40 * 60));
    let within = Filter { since: Some(since), until: Some(until), ..filter };
    let page = search(laboratory.directory(), &within, None, 100).unwrap();
    let minutes: Vec<_> = page.lines.iter().map(|line| line.record["t"].as_str().unwrap().to_owned()).collect();
    assert_eq!(minutes.len(), 6, "minutes 22, 25 … 37");
    assert!(minutes.iter().all(|t| *t >= time_text(since) && *t < time_text(until)));
}

#[test]
fn a_filter_means_members_and_not_words_that_stand_anywhere() {
    let laboratory = written(6);
    let count = |filter: Filter| search(laboratory.directory(), &filter, None, 100).unwrap().lines.len();
    assert_eq!(count(Filter { event: Some("request".to_owned()), ..Filter::default() }), 6);
    assert_eq!(count(Filter { event: Some("request.permit".to_owned()), ..Filter::default() }), 6);
    assert_eq!(count(Filter { event: Some("request.perm".to_owned()), ..Filter::default() }), 0);
    assert_eq!(count(Filter { patient: Some("7".to_owned()), ..Filter::default() }), 2);
    assert_eq!(count(Filter { staff_no: Some("7".to_owned()), ..Filter::default() }), 0);
    assert_eq!(count(Filter { app: Some("chart".to_owned()), outcome: Some("ok".to_owned()), ..Filter::default() }), 6);
    assert_eq!(count(Filter { outcome: Some("denied".to_owned()), ..Filter::default() }), 0);
}

#[test]
fn one_answer_has_a_bound_in_bytes_and_says_where_to_go_on() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let large = Value::from(vec!["x".repeat(1_900); 12]);
    for _ in 0..500 {
        journal.append(&Record::new(Event::ConfigLoad, Outcome::Ok).change(&large, &large)).unwrap();
    }
    let (mut total, mut before) = (0, None);
    loop {
        let page = search(laboratory.directory(), &Filter::default(), before, 1_000).unwrap();
        assert!(page.lines.iter().map(|line| line.text.len()).sum::<usize>() <= BYTES);
        total += page.lines.len();
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(total, 501);
    assert!(fs::metadata(laboratory.path(1)).unwrap().len() > BYTES as u64);
}
