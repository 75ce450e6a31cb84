//! Following the chain through lines that may have been moved, added, changed or taken away.
//!
//! A line that fits is accepted. One that doesn't waits until its neighbours tell what happened: two waiting lines
//! that follow each other are believed more than the one they contradict.

use std::collections::VecDeque;
use std::io;

use super::notes::Stream;
use super::report::{Kind, Place, VerifyReport};
use crate::line::Hash;
use crate::merkle::Tree;
use crate::scan::Leftover;
use crate::segment;

/// How many accepted lines are remembered, so that added ones can be told from those they stand before.
const REMEMBERED: usize = 64;
/// How many lines wait at most.
const WAITING: usize = 64;
/// A line that nothing has claimed for this many accepted lines belongs nowhere.
const PATIENCE: u32 = 4;
/// How many gaps and ends are remembered.
const NOTED: usize = 64;

/// A line whose own hash is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) segment: u32,
    pub(super) line: u64,
    pub(super) seq: u64,
    pub(super) prev: Hash,
    pub(super) hash: Hash,
}

impl Seen {
    fn place(&self) -> Place {
        Place { file: segment::name(self.segment), line: self.line, seq: Some(self.seq), to_seq: None }
    }

    fn follows(&self, other: &Self) -> bool {
        self.prev == other.hash && self.seq == other.seq + 1
    }
}

/// Lines in a row that are not what was written.
pub(super) struct Bad {
    segment: u32,
    line: u64,
    pub(super) last_line: u64,
    pub(super) count: u64,
    /// They are the end of their file.
    pub(super) leftover: Option<Leftover>,
}

impl Bad {
    pub(super) const fn at(segment: u32, line: u64) -> Self {
        Self { segment, line, last_line: line, count: 0, leftover: None }
    }

    fn place(&self, seq: Option<u64>, to_seq: Option<u64>) -> Place {
        Place { file: segment::name(self.segment), line: self.line, seq, to_seq }
    }
}

/// Missing records that were told of; a line of theirs may still turn up elsewhere.
struct Gap {
    finding: Option<usize>,
    from: u64,
    to: u64,
}

impl Gap {
    /// The one record that was missing has turned up.
    fn found(&self, report: &mut VerifyReport, seen: &Seen) {
        if let Some(finding) =
            self.finding.filter(|_| self.from == self.to).and_then(|index| report.findings.get_mut(index))
        {
            finding.kind = Kind::Swapped;
            finding.note = format!("record {} stands elsewhere, at {}", seen.seq, seen.place());
        }
    }
}

pub(super) struct Chain {
    report: VerifyReport,
    streams: Vec<Stream>,
    tip: Seen,
    accepted: VecDeque<Seen>,
    waiting: Vec<(Seen, u32)>,
    bad: Option<Bad>,
    gaps: VecDeque<Gap>,
    /// Lines that were told of as added: their records may turn out to be missing later.
    strays: VecDeque<(Seen, Option<usize>)>,
    /// Ends of files that were told of as added: a later `journal.recover` may say that they were torn.
    ends: VecDeque<(u32, Leftover, Option<usize>)>,
    tree: Tree,
    /// Nothing was found in this segment so far, so that its tree is the one that was signed.
    clean: bool,
}

impl Chain {
    pub(super) fn new(streams: Vec<Stream>, checked_elsewhere: bool) -> Self {
        Self {
            report: VerifyReport { checked_elsewhere, ..VerifyReport::default() },
            streams,
            tip: Seen { segment: 0, line: 0, seq: 0, prev: [0; 32], hash: [0; 32] },
            accepted: VecDeque::new(),
            waiting: Vec::new(),
            bad: None,
            gaps: VecDeque::new(),
            strays: VecDeque::new(),
            ends: VecDeque::new(),
            tree: Tree::default(),
            clean: true,
        }
    }

    pub(super) fn begin_segment(&mut self) {
        self.report.segments += 1;
        self.tree = Tree::default();
        self.clean = true;
    }

    /// Lines that are not what was written; what follows tells what they were.
    pub(super) fn bad(&mut self, bad: Bad) {
        self.settle_waiting(0);
        self.end_bad(None);
        self.clean = false;
        self.bad = Some(bad);
    }

    /// A line that is by itself what was written.
    pub(super) fn good(&mut self, seen: Seen) -> io::Result<()> {
        self.report.records += 1;
        if self.bad.is_some() && self.end_bad(Some(&seen)) {
            return self.accept(seen);
        }
        if seen.follows(&self.tip) {
            self.accept(seen)?;
            return self.catch_up(seen);
        }
        self.clean = false;
        self.waiting.push((seen, 0));
        self.believe()?;
        if self.waiting.len() > WAITING {
            self.settle_waiting(0);
        }
        Ok(())
    }

    /// A segment's first line names another number than its file.
    pub(super) fn misplaced(&mut self, number: u32, seq: u64, says: u32) {
        self.clean = false;
        let place = Place { file: segment::name(number), line: 1, seq: Some(seq), to_seq: None };
        self.report.add(Kind::Swapped, place, format!("the file holds segment {says}"));
    }

    /// The journal said that it found this end of a file when it went on. It is torn only if no record is missing
    /// behind it: nobody signs, or goes on from, what a write did not finish.
    pub(super) fn told_torn(&mut self, segment: u32, bytes: u64, sha256: Hash) {
        let told = |end: &(u32, Leftover, _)| end.0 == segment && end.1.bytes == bytes && end.1.sha256 == sha256;
        let Some((_, left, finding)) = self.ends.iter().find(|end| told(end)) else { return };
        if let Some(finding) = finding.and_then(|index| self.report.findings.get_mut(index)) {
            (finding.kind, finding.note) = if left.torn && finding.kind == Kind::Inserted {
                (Kind::Torn, format!("{bytes} bytes of an unfinished write, as the journal said when it went on"))
            } else {
                (Kind::Altered, "not what was written, as the journal said when it went on".to_owned())
            };
        }
    }

    /// The end of the files.
    pub(super) fn finish(mut self) -> io::Result<VerifyReport> {
        self.end_bad(None);
        // Of two lines for one place a checkpoint knows the right one; a line that nothing contradicts is believed.
        let signed = |seen: &Seen| self.streams.iter().any(|stream| stream.prefers(seen.seq, &seen.hash));
        if let Some(index) = self.waiting.iter().position(|(seen, _)| signed(seen)) {
            let (seen, _) = self.waiting.remove(index);
            self.adopt(seen)?;
            self.catch_up(seen)?;
        }
        while let Some(index) = self.waiting.iter().position(|(seen, _)| seen.seq > self.tip.seq) {
            let (seen, _) = self.waiting.remove(index);
            self.adopt(seen)?;
            self.catch_up(seen)?;
        }
        self.settle_waiting(0);
        self.report.last_seq = self.tip.seq;
        let mut newest = Vec::new();
        for stream in std::mem::take(&mut self.streams) {
            newest.extend(stream.finish(&mut self.report)?);
        }
        self.compare_ends(&newest);
        Ok(self.report)
    }

    fn accept(&mut self, seen: Seen) -> io::Result<()> {
        self.tree.push(&seen.hash);
        let tree = self.clean.then_some(&self.tree);
        for stream in &mut self.streams {
            stream.compare(&mut self.report, seen.seq, &seen.hash, tree)?;
        }
        self.tip = seen;
        self.accepted.push_back(seen);
        if self.accepted.len() > REMEMBERED {
            self.accepted.pop_front();
        }
        for (_, age) in &mut self.waiting {
            *age += 1;
        }
        self.settle_waiting(PATIENCE);
        Ok(())
    }

    /// Accepts waiting lines that follow now: they stood before a line that precedes them.
    fn catch_up(&mut self, ahead: Seen) -> io::Result<()> {
        let mut late: Option<(Seen, Seen)> = None;
        while let Some(index) = self.waiting.iter().position(|(seen, _)| seen.follows(&self.tip)) {
            let (seen, _) = self.waiting.remove(index);
            self.clean = false;
            self.accept(seen)?;
            late = Some((late.map_or(seen, |(first, _)| first), seen));
        }
        if let Some((first, last)) = late {
            let place = Place { seq: Some(ahead.seq), to_seq: Some(last.seq), ..first.place() };
            let note = format!(
                "record {} stands before record {} ({}:{})",
                first.seq,
                ahead.seq,
                segment::name(ahead.segment),
                ahead.line
            );
            self.report.add(Kind::Swapped, place, note);
        }
        Ok(())
    }

    /// Do the waiting lines tell a story of their own? Two that follow each other do.
    fn believe(&mut self) -> io::Result<()> {
        let Some((last, _)) = self.waiting.last().copied() else { return Ok(()) };
        let Some(index) = self.waiting.iter().position(|(seen, _)| last.follows(seen)) else { return Ok(()) };
        let (root, _) = self.waiting.remove(index);
        self.waiting.pop();
        self.adopt(root)?;
        self.accept(last)?;
        self.catch_up(last)
    }

    /// Goes on from a line that does not follow, and says what that means.
    fn adopt(&mut self, root: Seen) -> io::Result<()> {
        self.clean = false;
        let fork = self.accepted.iter().rposition(|seen| root.follows(seen));
        if let Some(fork) = fork {
            let added: Vec<Seen> = self.accepted.drain(fork + 1..).collect();
            if let (Some(first), Some(last)) = (added.first(), added.last()) {
                let place = Place { to_seq: Some(last.seq), ..first.place() };
                let note = format!("{} lines that the records after them do not follow", added.len());
                self.report.add(Kind::Inserted, place, note);
            }
        } else if root.seq > self.tip.seq + 1 {
            self.tell_gap(root);
        } else {
            let place = if root.seq == self.tip.seq + 1 { self.tip.place() } else { root.place() };
            self.report.add(Kind::Altered, place, "the record after it follows another one".to_owned());
        }
        self.accept(root)
    }

    /// Records are missing before a line. One that stood too early is not missing but misplaced.
    fn tell_gap(&mut self, root: Seen) {
        let (from, to) = (self.tip.seq + 1, root.seq - 1);
        let place = Place { seq: Some(from), to_seq: Some(to), ..root.place() };
        let note = format!("{} records are missing before this line", to - from + 1);
        let gap = Gap { finding: self.report.add(Kind::Deleted, place, note), from, to };
        for (stray, finding) in self.strays.iter().filter(|(stray, _)| (from..=to).contains(&stray.seq)) {
            if let Some(finding) = finding.and_then(|index| self.report.findings.get_mut(index)) {
                finding.kind = Kind::Swapped;
                finding.note = "the record stands in the wrong place".to_owned();
            }
            gap.found(&mut self.report, stray);
        }
        self.gaps.push_back(gap);
        if self.gaps.len() > NOTED {
            self.gaps.pop_front();
        }
    }

    /// Gives up on lines that have waited this long: they belong elsewhere, or nowhere.
    fn settle_waiting(&mut self, patience: u32) {
        let given_up: Vec<Seen> =
            self.waiting.extract_if(.., |(_, age)| *age >= patience).map(|(seen, _)| seen).collect();
        for seen in given_up {
            self.clean = false;
            if let Some(gap) = self.gaps.iter().find(|gap| (gap.from..=gap.to).contains(&seen.seq)) {
                gap.found(&mut self.report, &seen);
                self.report.add(Kind::Swapped, seen.place(), "the record stands in the wrong place".to_owned());
                continue;
            }
            let finding = self.report.add(Kind::Inserted, seen.place(), "no record follows this line".to_owned());
            self.strays.push_back((seen, finding));
            if self.strays.len() > NOTED {
                self.strays.pop_front();
            }
        }
    }

    /// Says what bad lines were, now that the next good line is known; `true` if that line goes on behind them.
    fn end_bad(&mut self, next: Option<&Seen>) -> bool {
        let Some(bad) = self.bad.take() else { return false };
        let expected = self.tip.seq + 1;
        let (kind, to, note, goes_on) = match next {
            Some(next) if next.follows(&self.tip) => {
                (Kind::Inserted, None, "not a line of the journal, and the records do not miss one".to_owned(), true)
            }
            Some(next) if next.seq > expected => {
                (Kind::Altered, Some(next.seq - 1), "not what was written".to_owned(), true)
            }
            Some(_) => (Kind::Altered, None, "not what was written".to_owned(), false),
            None if bad.leftover.as_ref().is_some_and(|left| left.torn) => {
                (Kind::Torn, None, "the last write was not finished; nothing has been written since".to_owned(), false)
            }
            None => (Kind::Altered, None, "not what was written".to_owned(), false),
        };
        let from = (kind != Kind::Inserted).then_some(expected);
        let lines = if bad.count > 1 { format!("lines {} to {}: {note}", bad.line, bad.last_line) } else { note };
        let finding = self.report.add(kind, bad.place(from, to), lines);
        if let Some(left) = bad.leftover {
            self.ends.push_back((bad.segment, left, finding));
            if self.ends.len() > NOTED {
                self.ends.pop_front();
            }
        }
        goes_on
    }

    /// Is there less than was signed, or more than was there when the journal was closed?
    fn compare_ends(&mut self, newest: &[(crate::checkpoint::Checkpoint, String, bool)]) {
        let last = self.report.last_seq;
        let beyond = |elsewhere: bool| {
            newest.iter().find(|(note, _, from_elsewhere)| *from_elsewhere == elsewhere && note.chain.seq > last)
        };
        let (found, kind) = match (beyond(false), beyond(true)) {
            (Some(inside), _) => (Some(inside), Kind::CutTail),
            (None, outside) => (outside, Kind::Rollback),
        };
        if let Some((note, file, _)) = found {
            let place = Place { file: file.clone(), line: 0, seq: Some(last + 1), to_seq: Some(note.chain.seq) };
            let note = format!("{} records that were signed at {} are not there", note.chain.seq - last, note.at);
            self.report.add(kind, place, note);
        }
        let end = newest.iter().max_by_key(|(note, _, _)| (note.chain.seq, !note.closed));
        if let Some((note, _, _)) = end.filter(|(note, _, _)| note.closed && note.chain.seq < last) {
            let place = Place { seq: Some(note.chain.seq + 1), to_seq: Some(last), ..self.tip.place() };
            self.report.add(Kind::Inserted, place, format!("added after the journal was closed at {}", note.at));
        }
    }
}
