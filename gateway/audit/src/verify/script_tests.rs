//! The script that knows nothing but docs/journal.md comes to the same verdicts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{Event, Journal, NodeKey, Options, Outcome, Record};
use model::{Clock, MasterKey, NodeId};
use tempfile::TempDir;

struct Written {
    folder: TempDir,
    master: MasterKey,
}

impl Written {
    /// Two runs, the first ended by a power cut.
    fn new() -> Self {
        let written = Self { folder: tempfile::tempdir().unwrap(), master: MasterKey::generate().unwrap() };
        written.run(25);
        written.tear();
        written.run(25);
        written
    }

    fn run(&self, records: u32) {
        let node = NodeId::try_from("n1".to_owned()).unwrap();
        let mut options = Options::new(self.journal(), self.folder.path().join("elsewhere"), node);
        options.segment_bytes = 4_000;
        let key = NodeKey::load_or_create(&self.folder.path().join("journal.key"), &self.master).unwrap();
        let journal = Journal::open(options, key, Clock::system()).unwrap();
        for n in 0..records {
            journal.append(&Record::new(Event::LoginOk, Outcome::Ok).detail("名前", &format!("佐藤 {n}"))).unwrap();
        }
        journal.close().unwrap();
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// A power cut in the middle of the last line.
    fn tear(&self) {
        let path = self.newest();
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"v\":1,\"t\":\"2026");
        fs::write(path, bytes).unwrap();
    }

    fn newest(&self) -> PathBuf {
        self.segments().max().unwrap()
    }

    fn segments(&self) -> impl Iterator<Item = PathBuf> {
        let names = fs::read_dir(self.journal()).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension().is_some_and(|ext| ext == "jsonl"))
    }

    fn script(&self) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/verify_journal.py");
        Command::new("python3")
            .arg(script)
            .arg(self.journal())
            .arg(self.folder.path().join("journal.pub"))
            .arg(self.folder.path().join("elsewhere/n1.checkpoints"))
            .output()
            .expect("python3 with the package cryptography is a precondition of the tests")
    }

    fn says(&self, words: &str) {
        let output = self.script();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{said}");
    }
}

#[test]
fn the_script_accepts_the_journal_with_its_torn_line() {
    let output = Written::new().script();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("signed up to record"), "{said}");
}

/// A recovery that has nothing to tell but its reason has no `detail`.
#[test]
fn the_script_reads_a_recovery_without_detail() {
    let written = Written::new();
    let last = fs::read_to_string(written.newest()).unwrap();
    let (before, line) = last.trim_end().rsplit_once('\n').unwrap();
    let body = line.replace("佐藤", "佐籐").rsplit_once(",\"hash\":").unwrap().0.to_owned();
    let hash = model::hex::of(&crate::line::sha256(body.as_bytes()));
    fs::write(written.newest(), format!("{before}\n{body},\"hash\":\"{hash}\"}}\n")).unwrap();
    written.run(1);
    let told = fs::read_to_string(written.newest()).unwrap();
    let told = told.lines().find(|line| line.contains("\"journal.recover\"")).unwrap();
    assert!(told.contains("\"reason\":\"rewritten\"") && !told.contains("\"detail\""), "{told}");
    written.says("is not the one that was signed");
}

#[test]
fn the_script_finds_a_torn_end_that_is_not_the_one_the_journal_tells_of() {
    let written = Written::new();
    let torn = |path: &PathBuf| !fs::read(path).unwrap().ends_with(b"\n");
    let path = written.segments().find(torn).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{}7", whole.trim_end_matches('6'))).unwrap();
    written.says("not the end that was found");
    // Cut off, the end that is told of is missing; nothing else has changed.
    fs::write(&path, &whole[..=whole.rfind('\n').unwrap()]).unwrap();
    written.says("not the end that was found");
    fs::write(&path, &whole).unwrap();

    let first = written.segments().min().unwrap();
    assert_ne!(first, path);
    let mut bytes = fs::read(&first).unwrap();
    bytes.extend_from_slice(b"{\"v\":1");
    fs::write(&first, bytes).unwrap();
    written.says("doesn't tell of");
}

#[test]
fn the_script_finds_a_flip_a_deletion_a_cut_and_a_forged_note() {
    let written = Written::new();
    let path = written.journal().join("segment-00000001.jsonl");
    let whole = fs::read_to_string(&path).unwrap();

    fs::write(&path, whole.replacen("佐藤", "佐籐", 1)).unwrap();
    written.says("a line was changed");

    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    fs::write(&path, [&lines[..3], &lines[4..]].concat().concat()).unwrap();
    written.says("does not follow");
    fs::write(&path, &whole).unwrap();

    let last = fs::read_to_string(written.newest()).unwrap();
    let cut = last.trim_end().rfind('\n').unwrap() + 1;
    fs::write(written.newest(), &last[..cut]).unwrap();
    written.says("cut tail or rollback");
    fs::write(written.newest(), last).unwrap();

    let notes = written.folder.path().join("elsewhere/n1.checkpoints");
    let text = fs::read_to_string(&notes).unwrap();
    fs::write(&notes, text.replacen("state open", "state closed", 1)).unwrap();
    written.says("InvalidSignature");
}
