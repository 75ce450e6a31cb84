use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::checkpoint;
use crate::laboratory::{Laboratory, record};
use crate::line::Hash;
use crate::scan::Leftover;

/// Five segments or so, closed in good order.
fn written(records: u32) -> Laboratory {
    let mut laboratory = Laboratory::new();
    laboratory.options.segment_bytes = 2_500;
    let journal = laboratory.open();
    for n in 0..records {
        journal.append(&record(&format!("number {n}"))).unwrap();
    }
    journal.close().unwrap();
    drop(journal);
    assert!(laboratory.verify_elsewhere().findings.is_empty());
    laboratory
}

/// The files' lines with their places: (index of the segment, index of the line).
fn places(lines: &[Vec<String>]) -> Vec<(usize, usize)> {
    lines.iter().enumerate().flat_map(|(s, lines)| (0..lines.len()).map(move |l| (s, l))).collect()
}

fn file(index: usize) -> String {
    segment::name(u32::try_from(index).unwrap() + 1)
}

fn seq(line: &str) -> u64 {
    line::parse(line.as_bytes()).unwrap().seq
}

/// Writes a line's hash anew after its bytes were changed.
fn resealed(line: &str, prev: Option<&Hash>) -> String {
    let cut = line.len() - 77;
    let mut body = line[..cut + 2].to_owned();
    if let Some(prev) = prev {
        let start = body.rfind(",\"prev\":\"").unwrap() + 9;
        body.replace_range(start..start + 64, &hex::of(prev));
    }
    let body = &body[..body.len()];
    let hash = hex::of(&line::sha256(body.as_bytes()));
    format!("{body},\"hash\":\"{hash}\"}}")
}

fn one(report: &VerifyReport, kind: Kind) -> &Finding {
    assert_eq!(report.findings.len(), 1, "{report}");
    assert_eq!(report.findings[0].kind, kind, "{report}");
    assert!(!report.is_sound());
    &report.findings[0]
}

#[test]
fn resealing_an_unchanged_line_changes_nothing() {
    let laboratory = written(2);
    for line in laboratory.all() {
        assert_eq!(resealed(&line, None), line);
    }
}

#[test]
fn req_a5_2_a_flipped_byte_in_any_field_of_any_line_is_named() {
    let laboratory = written(24);
    let lines = laboratory.lines();
    for (s, l) in places(&lines) {
        // Every byte of one line, a few bytes of each other.
        let step = if (s, l) == (1, 2) { 1 } else { 83 };
        for at in (0..lines[s][l].len()).step_by(step) {
            let mut bytes = fs::read(laboratory.path(u32::try_from(s).unwrap() + 1)).unwrap();
            let whole = bytes.clone();
            let start: usize = lines[s][..l].iter().map(|line| line.len() + 1).sum();
            bytes[start + at] ^= 1;
            fs::write(laboratory.path(u32::try_from(s).unwrap() + 1), &bytes).unwrap();
            let report = laboratory.verify();
            let finding =
                report.findings.iter().find(|f| f.kind == Kind::Altered).unwrap_or_else(|| panic!("{report}"));
            assert_eq!((&finding.place.file, finding.place.line), (&file(s), l as u64 + 1), "byte {at}: {report}");
            assert_eq!(finding.place.seq, Some(seq(&lines[s][l])), "byte {at}: {report}");
            let last = (s, l) == (lines.len() - 1, lines[s].len() - 1);
            assert!(last || report.findings.len() == 1, "byte {at}: {report}");
            fs::write(laboratory.path(u32::try_from(s).unwrap() + 1), whole).unwrap();
        }
    }
}

#[test]
fn a_newline_that_was_changed_or_put_in_is_named() {
    let laboratory = written(24);
    let path = laboratory.path(2);
    let whole = fs::read(&path).unwrap();
    let lines = laboratory.lines();
    let start: usize = lines[1][..3].iter().map(|line| line.len() + 1).sum();
    for at in [start - 1, start + 30] {
        let mut bytes = whole.clone();
        bytes[at] = if at < start { b' ' } else { b'\n' };
        fs::write(&path, &bytes).unwrap();
        let report = laboratory.verify();
        let finding = one(&report, Kind::Altered);
        assert_eq!((&finding.place.file, finding.place.line), (&file(1), if at < start { 3 } else { 4 }), "{report}");
    }
}

#[test]
fn req_a5_2_a_deleted_line_is_named_wherever_it_stood() {
    let laboratory = written(24);
    let lines = laboratory.lines();
    let all = places(&lines);
    for (s, l) in &all[..all.len() - 1] {
        let mut fewer = lines.clone();
        let gone = fewer[*s].remove(*l);
        laboratory.write_lines(&fewer);
        let report = laboratory.verify();
        let finding = one(&report, Kind::Deleted);
        assert_eq!((finding.place.seq, finding.place.to_seq), (Some(seq(&gone)), Some(seq(&gone))), "{report}");
    }
}

#[test]
fn a_deleted_segment_is_named() {
    let laboratory = written(24);
    let lines = laboratory.lines();
    for (s, here) in lines.iter().enumerate().take(lines.len() - 1) {
        let path = laboratory.path(u32::try_from(s).unwrap() + 1);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let report = laboratory.verify();
        let finding = one(&report, Kind::Deleted);
        let gone = (Some(seq(&here[0])), Some(seq(here.last().unwrap())));
        assert_eq!((finding.place.seq, finding.place.to_seq), gone, "{report}");
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn req_a5_2_an_inserted_line_is_named_whether_or_not_it_was_made_to_fit() {
    let laboratory = written(24);
    let lines = laboratory.lines();
    let all = places(&lines);
    for (s, l) in all.iter().copied().skip(1) {
        let fitting = resealed(&lines[s][l].replace("number", "forged"), None);
        let copied = lines[0][1].clone();
        let nonsense = "{\"v\":1}".to_owned();
        for (which, line) in [fitting, copied, nonsense].into_iter().enumerate() {
            if line == lines[s][l] || (which == 0 && !line.contains("forged")) {
                continue;
            }
            let mut more = lines.clone();
            more[s].insert(l, line);
            laboratory.write_lines(&more);
            let report = laboratory.verify();
            let finding = one(&report, Kind::Inserted);
            assert_eq!((&finding.place.file, finding.place.line), (&file(s), l as u64 + 1), "{which} {report}");
        }
    }
}

#[test]
fn a_line_forged_at_the_end_is_beyond_what_was_signed() {
    let laboratory = written(24);
    let mut lines = laboratory.lines();
    let last = line::parse(lines.last().unwrap().last().unwrap().as_bytes()).unwrap();
    let next = lines[0][1].replace("\"seq\":2,", &format!("\"seq\":{},", last.seq + 1));
    let hash = last.hash;
    lines.last_mut().unwrap().push(resealed(&next, Some(&hash)));
    laboratory.write_lines(&lines);
    let report = laboratory.verify();
    one(&report, Kind::Inserted);
}

#[test]
fn req_a5_2_swapped_lines_are_named() {
    let laboratory = written(24);
    let lines = laboratory.lines();
    let all = places(&lines);
    for (i, j) in [(3, 4), (1, 2), (0, 1), (3, 6), (2, 9), (5, 20), (10, all.len() - 2), (all.len() - 2, all.len() - 1)]
    {
        let ((s, l), (t, m)) = (all[i], all[j]);
        let mut mixed = lines.clone();
        (mixed[s][l], mixed[t][m]) = (lines[t][m].clone(), lines[s][l].clone());
        laboratory.write_lines(&mixed);
        let report = laboratory.verify();
        assert!(report.findings.iter().all(|f| f.kind == Kind::Swapped), "{i} {j}: {report}");
        let named: BTreeSet<u64> =
            report.findings.iter().flat_map(|f| [f.place.seq, f.place.to_seq]).flatten().collect();
        assert!(named.contains(&seq(&lines[s][l])) && named.contains(&seq(&lines[t][m])), "{i} {j}: {report}");
    }
}

#[test]
fn swapped_files_are_named() {
    let laboratory = written(24);
    let aside = laboratory.directory().join("aside");
    fs::rename(laboratory.path(2), &aside).unwrap();
    fs::rename(laboratory.path(3), laboratory.path(2)).unwrap();
    fs::rename(aside, laboratory.path(3)).unwrap();
    let report = laboratory.verify();
    assert!(report.findings.iter().any(|f| f.kind == Kind::Swapped && f.place.file == file(1)), "{report}");
}

#[test]
fn req_a5_2_a_cut_tail_is_found_by_the_checkpoint_beside_it() {
    let laboratory = written(24);
    let lines = laboratory.lines();
    let total = places(&lines).len();
    for kept in 1..total {
        let mut left = kept;
        let cut: Vec<Vec<String>> = lines
            .iter()
            .map(|lines| {
                let here = left.min(lines.len());
                left -= here;
                lines[..here].to_vec()
            })
            .collect();
        laboratory.write_lines(&cut);
        let report = laboratory.verify();
        let finding = one(&report, Kind::CutTail);
        assert_eq!((finding.place.seq, finding.place.to_seq), (Some(kept as u64 + 1), Some(total as u64)), "{report}");
    }
}

#[test]
fn atk_a51_a_rollback_is_found_with_a_checkpoint_from_elsewhere_and_called_unproven_without() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    journal.append(&record("a")).unwrap();
    journal.close().unwrap();
    drop(journal);
    let older = laboratory.after_a_crash();
    let journal = laboratory.open();
    journal.append(&record("b")).unwrap();
    journal.close().unwrap();
    drop(journal);
    let report = older.verify();
    assert!(report.is_sound());
    assert!(report.to_string().contains("older state would not show"), "{report}");
    let newest = laboratory.options.checkpoint_directory.join("n1.checkpoint");
    let report = verify(older.directory(), &older.key().public(), Some(&newest)).unwrap();
    assert_eq!(one(&report, Kind::Rollback).place.seq, Some(3));
    assert!(laboratory.verify_elsewhere().is_sound());
    let missing = laboratory.directory().join("no-such-file");
    assert!(verify(older.directory(), &older.key().public(), Some(&missing)).is_err());
}

#[test]
fn a_chain_that_was_computed_anew_is_told_by_the_signatures() {
    let laboratory = written(24);
    let mut lines = laboratory.lines();
    let mut prev = None;
    for (s, l) in places(&lines).into_iter().skip(5) {
        let changed = lines[s][l].replace("number", "xumber");
        lines[s][l] = resealed(&changed, prev.as_ref());
        prev = Some(line::parse(lines[s][l].as_bytes()).unwrap().hash);
    }
    laboratory.write_lines(&lines);
    let report = laboratory.verify();
    let finding = one(&report, Kind::Rewritten);
    assert_eq!(finding.place.seq, Some(2), "{report}");
    assert_eq!(report.proven_to.unwrap().0, 1);
}

#[test]
fn a_line_changed_with_its_own_hash_is_named_by_the_one_after_it() {
    let laboratory = written(24);
    let mut lines = laboratory.lines();
    lines[1][2] = resealed(&lines[1][2].replace("number", "xumber"), None);
    laboratory.write_lines(&lines);
    let report = laboratory.verify();
    let finding = one(&report, Kind::Altered);
    assert_eq!((&finding.place.file, finding.place.line), (&file(1), 3), "{report}");
}

#[test]
fn a_checkpoint_that_the_key_did_not_sign_is_named() {
    let laboratory = written(3);
    let path = laboratory.directory().join(checkpoint::FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\nstate open", "\nstate closed", 1)).unwrap();
    assert_eq!(one(&laboratory.verify(), Kind::BadSignature).place.line, 1);
    let stranger = Laboratory::new();
    let report = verify(laboratory.directory(), &stranger.key().public(), None).unwrap();
    assert!(report.findings.iter().all(|f| f.kind == Kind::BadSignature) && report.proven_to.is_none(), "{report}");
}

#[test]
fn garbage_at_the_end_of_an_older_segment_is_an_insertion_unless_the_journal_told_of_it() {
    let laboratory = written(24);
    let mut bytes = fs::read(laboratory.path(1)).unwrap();
    bytes.extend_from_slice(b"{\"v\":1,\"t\":");
    fs::write(laboratory.path(1), bytes).unwrap();
    one(&laboratory.verify(), Kind::Inserted);
}

#[test]
fn lines_of_any_length_are_read_in_bounded_memory() {
    let laboratory = written(24);
    let mut bytes = fs::read(laboratory.path(1)).unwrap();
    bytes.extend(std::iter::repeat_n(b'x', 3 * line::MAX));
    bytes.push(b'\n');
    fs::write(laboratory.path(1), bytes).unwrap();
    one(&laboratory.verify(), Kind::Inserted);
    let left: Leftover = scan::leftover(&laboratory.path(1), 0).unwrap();
    assert!(!left.torn);
}

#[test]
fn an_empty_or_missing_directory_proves_nothing_and_says_so() {
    let laboratory = Laboratory::new();
    let report = laboratory.verify();
    assert_eq!((report.records, report.proven_to.clone()), (0, None));
    assert!(report.to_string().contains("nothing is proven"), "{report}");
}

/// One change that somebody might make.
/// Found by fuzzing: records that were signed, overwritten by zeros while the gateway stood still, passed for an
/// unfinished write as soon as it had been started again.
#[test]
fn req_a5_2_signed_records_that_are_gone_are_not_torn_because_a_restart_says_so() {
    let laboratory = written(3);
    fs::write(laboratory.path(1), b"\0\0\0\0").unwrap();
    let journal = laboratory.open();
    journal.append(&record("after the restart")).unwrap();
    journal.close().unwrap();
    drop(journal);
    let report = laboratory.verify_elsewhere();
    assert!(!report.is_sound(), "{report}");
    assert_eq!((report.findings[0].kind, report.findings[0].place.seq), (Kind::Altered, Some(1)), "{report}");
}

#[derive(Clone, Debug)]
enum Deed {
    Flip(usize, usize),
    Delete(usize),
    Copy(usize, usize),
    Swap(usize, usize),
    Cut(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (any::<usize>(), any::<usize>()).prop_map(|(line, byte)| Deed::Flip(line, byte)),
        any::<usize>().prop_map(Deed::Delete),
        (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Deed::Copy(from, to)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Deed::Swap(a, b)),
        any::<usize>().prop_map(Deed::Cut),
    ]
}

fn apply(lines: &mut Vec<Vec<u8>>, deed: &Deed) {
    let n = lines.len();
    if n == 0 {
        return;
    }
    match *deed {
        Deed::Flip(line, byte) => {
            let line = &mut lines[line % n];
            let at = byte % line.len();
            line[at] ^= 1 << (byte % 7);
        }
        Deed::Delete(line) => drop(lines.remove(line % n)),
        Deed::Copy(from, to) => lines.insert(to % n, lines[from % n].clone()),
        Deed::Swap(a, b) => lines.swap(a % n, b % n),
        Deed::Cut(at) => lines.truncate(at % n),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_combination_of_deeds_passes_for_the_journal_that_was_written(
        records in 1_u32..30,
        deeds in prop::collection::vec(deed(), 1..5),
    ) {
        let laboratory = Laboratory::new();
        let journal = laboratory.open();
        for n in 0..records {
            journal.append(&record(&format!("number {n}"))).unwrap();
        }
        journal.close().unwrap();
        let path = laboratory.path(1);
        let whole = fs::read(&path).unwrap();
        let mut lines: Vec<Vec<u8>> = whole.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        deeds.iter().for_each(|deed| apply(&mut lines, deed));
        let changed = lines.concat();
        fs::write(&path, &changed).unwrap();
        let report = laboratory.verify();
        prop_assert_eq!(report.is_sound(), changed == whole, "{}", report);
    }
}
