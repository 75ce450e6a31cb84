//! Fuzz targets (`tests/fuzz`): whoever changes the journal's files is found out, by verification and after a restart,
//! and readers give what is there and no more than was asked for.
//!
//! An input is a directory: `=== NAME` begins a file, its bytes follow.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::laboratory::{Laboratory, folder, record};
use crate::read::{self, Filter, Line};
use crate::{VerifyReport, line, segment, verify};

const NAMES: [&str; 4] = ["segment-00000001.jsonl", "segment-00000002.jsonl", "segment-00000003.jsonl", "checkpoints"];

type Files = BTreeMap<&'static str, Vec<u8>>;

fn unpack(input: &[u8]) -> Files {
    let mut files = Files::new();
    let mut current = NAMES[0];
    for line in input.split_inclusive(|b| *b == b'\n') {
        let name = line.strip_prefix(b"=== ").and_then(|rest| NAMES.iter().find(|n| rest.starts_with(n.as_bytes())));
        match name {
            Some(name) => current = name,
            None => files.entry(current).or_default().extend(line),
        }
    }
    files
}

fn pack(files: &Files) -> Vec<u8> {
    let part = |(name, bytes): (&&str, &Vec<u8>)| [format!("=== {name}\n").as_bytes(), bytes].concat();
    files.iter().flat_map(part).collect()
}

fn write(folder: &Path, files: &Files) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn read_back(folder: &Path) -> Files {
    NAMES.into_iter().filter_map(|name| Some((name, fs::read(folder.join(name)).ok()?))).collect()
}

/// A journal of a few records in two segments, closed in good order or left as a crash leaves it.
struct Written {
    laboratory: Laboratory,
    files: Files,
}

impl Written {
    fn new() -> Self {
        let mut laboratory = Laboratory::new();
        laboratory.options.segment_bytes = 1_600;
        let journal = laboratory.open();
        for n in 0..6 {
            journal.append(&record(&format!("number {n}"))).unwrap();
        }
        journal.close().unwrap();
        drop(journal);
        let files = read_back(laboratory.directory());
        let sizes: Vec<_> = files.iter().map(|(name, bytes)| (name, bytes.len())).collect();
        assert!(laboratory.verify_elsewhere().findings.is_empty() && files.len() == 3, "{sizes:?}");
        Self { laboratory, files }
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut torn = self.files.clone();
        torn.values_mut().for_each(|bytes| bytes.truncate(bytes.len() - 40));
        vec![pack(&self.files), pack(&torn)]
    }

    /// Every record that was written is where it was.
    fn is_whole_in(&self, files: &Files) -> bool {
        let segments = || self.files.iter().filter(|(name, _)| name.starts_with("segment"));
        segments().all(|(name, bytes)| files.get(name).is_some_and(|found| found.starts_with(bytes)))
    }

    fn verify(&self) -> VerifyReport {
        self.laboratory.verify_elsewhere()
    }
}

/// What can be said of a report whatever was found.
fn told(report: &VerifyReport) {
    assert!(report.findings.len() <= 1_000 && (report.more == 0 || report.findings.len() == 1_000));
    assert_eq!(report.to_string().starts_with("No tampering"), report.is_sound());
    assert!(report.proven_to.as_ref().is_none_or(|(seq, _)| *seq <= report.last_seq.max(1_000)));
}

#[test]
fn req_a5_2_no_change_of_the_files_passes_for_what_was_written() {
    let written = Written::new();
    ::fuzz::run_from("journal-verify", &written.seeds(), |input| {
        let files = unpack(input);
        write(written.laboratory.directory(), &files);
        let report = written.verify();
        told(&report);
        assert!(!report.is_sound() || written.is_whole_in(&files), "{report}");
        let alone = verify(written.laboratory.directory(), &written.laboratory.key().public(), None).unwrap();
        told(&alone);
        assert!(alone.proven_to.is_none() || files.contains_key("checkpoints"));
    });
}

#[test]
fn req_a5_2_a_restart_takes_nothing_away_and_makes_nothing_good() {
    let written = Written::new();
    ::fuzz::run_from("journal-restart", &written.seeds(), |input| {
        let laboratory = written.laboratory.after_a_crash();
        let files = unpack(input);
        write(laboratory.directory(), &files);
        let before = laboratory.verify_elsewhere().is_sound();
        let journal = laboratory.open();
        journal.append(&record("after the restart")).unwrap();
        journal.close().unwrap();
        drop(journal);
        for (name, bytes) in &files {
            assert!(fs::read(laboratory.directory().join(name)).unwrap().starts_with(bytes), "{name}");
        }
        let report = laboratory.verify_elsewhere();
        told(&report);
        assert!(!report.is_sound() || written.is_whole_in(&files), "{report}");
        assert!(report.is_sound() || !before, "a restart after a power cut is no tampering: {report}");
        let newest = read::tail(laboratory.directory(), None, 1).unwrap();
        assert!(newest.iter().all(|line| line.text.contains("after the restart")), "{newest:?}");
    });
}

/// Each is a whole line of the files, and what it says of itself is right.
fn are_lines(lines: &[Line], files: &Files) {
    for found in lines {
        let stands = |bytes: &Vec<u8>| {
            bytes.split_inclusive(|b| *b == b'\n').any(|l| l == format!("{}\n", found.text).as_bytes())
        };
        assert!(files.iter().any(|(name, bytes)| name.starts_with("segment") && stands(bytes)), "{}", found.text);
        let parsed = line::parse(found.text.as_bytes()).unwrap();
        assert_eq!((parsed.seq, parsed.intact()), (found.seq, found.intact));
    }
}

#[test]
fn atk_a41_readers_give_lines_that_are_there_and_never_more_than_was_asked() {
    let written = Written::new();
    let folder = folder();
    let filters = [
        Filter::default(),
        Filter { event: Some("session".to_owned()), ..Filter::default() },
        Filter { outcome: Some("ok".to_owned()), staff_no: Some("000123".to_owned()), ..Filter::default() },
    ];
    ::fuzz::run_from("journal-read", &written.seeds(), |input| {
        let files = unpack(input);
        write(folder.path(), &files);
        for (after, limit) in [(None, 3), (Some(0), 2), (Some(3), 1_000), (Some(u64::MAX), 5)] {
            let lines = read::tail(folder.path(), after, limit).unwrap();
            assert!(lines.len() <= limit && lines.iter().all(|line| after.is_none_or(|after| line.seq > after)));
            are_lines(&lines, &files);
        }
        for filter in &filters {
            let (mut before, mut pages) = (None, 0);
            loop {
                let found = read::search(folder.path(), filter, before, 2).unwrap();
                assert!(found.lines.len() <= 2);
                assert!(found.lines.iter().all(|line| before.is_none_or(|before| line.seq < before)));
                are_lines(&found.lines, &files);
                let Some(next) = found.next else { break };
                assert!(before.is_none_or(|before| next < before), "a reader that pages on comes to an end");
                before = Some(next);
                pages += 1;
                assert!(pages < 10_000);
            }
        }
        assert!(read::show(folder.path(), 2).unwrap().is_none_or(|line| line.seq == 2));
        assert!(segment::list(folder.path()).unwrap().len() <= 3);
    });
}
