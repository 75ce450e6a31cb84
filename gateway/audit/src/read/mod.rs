//! Reading the journal's files: bounded, streaming, and tolerant of what is being written just now.
//!
//! Everything blocks on the disk: call it from a thread that may. Lines that can't be read as lines are passed
//! over here; [`crate::verify()`] is what finds them.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Timestamp;
use serde_json::Value;

use crate::JournalError;
use crate::checkpoint::time_text;
use crate::line::{self, Parsed};
use crate::scan::Lines;
use crate::segment;

/// The most lines of one answer.
pub const LIMIT: usize = 1_000;
/// The most bytes of one answer's lines, beyond the first.
const BYTES: usize = 8 * 1_024 * 1_024;
/// How many segments one search reads.
const SEGMENTS: usize = 16;
/// How far `t` may run against `seq`: clocks are set back now and then.
const SLACK: Duration = Duration::from_secs(3_600);

/// A line of the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its sequence number.
    pub seq: u64,
    /// The line as it stands in the file.
    pub text: String,
    /// The line as JSON.
    pub record: Value,
    /// Does the line's hash match its bytes? (The chain is [`crate::verify()`]'s business.)
    pub intact: bool,
}

/// What to look for; a record must match every part that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// The event's name, or its first word: `session.lock`, `session`.
    pub event: Option<String>,
    /// The outcome's name.
    pub outcome: Option<String>,
    /// The actor's staff number.
    pub staff_no: Option<String>,
    /// The patient.
    pub patient: Option<String>,
    /// The app.
    pub app: Option<String>,
    /// The request id.
    pub request: Option<String>,
    /// The session's hash.
    pub session: Option<String>,
}

/// A page of what was found, newest first.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The lines.
    pub lines: Vec<Line>,
    /// Go on here: pass it as `before` of the next search. `None`: everything was looked at.
    pub next: Option<u64>,
}

/// The lines after `after` in order, at most `limit` (bounded to [`LIMIT`]). `after` `None`: the newest `limit` lines.
///
/// # Errors
/// [`JournalError::Unusable`].
pub fn tail(directory: &Path, after: Option<u64>, limit: usize) -> Result<Vec<Line>, JournalError> {
    let limit = limit.min(LIMIT);
    let work = || match after {
        Some(after) => following(directory, after, limit),
        None => newest(directory, limit),
    };
    work().map_err(|error| JournalError::unusable(directory, error))
}

/// Shows every line after `after` to `visit`, in order and one at a time.
///
/// # Errors
/// [`JournalError::Unusable`].
pub fn walk(directory: &Path, after: u64, mut visit: impl FnMut(Line)) -> Result<(), JournalError> {
    let mut work = || {
        let segments = segment::list(directory)?;
        let first = holding(&segments, after.saturating_add(1));
        for (_, path) in segments.iter().skip(first) {
            let mut lines = Lines::open(path)?;
            while let Some(piece) = lines.next()? {
                let parsed = line::parse(piece.bytes).filter(|line| piece.complete && line.seq > after);
                if let Some(line) = parsed.and_then(|parsed| taken(&parsed, piece.bytes)) {
                    visit(line);
                }
            }
        }
        Ok(())
    };
    work().map_err(|error| JournalError::unusable(directory, error))
}

/// One line.
///
/// # Errors
/// [`JournalError::Unusable`].
pub fn show(directory: &Path, seq: u64) -> Result<Option<Line>, JournalError> {
    let Some(before) = seq.checked_sub(1) else { return Ok(None) };
    Ok(tail(directory, Some(before), 1)?.pop().filter(|line| line.seq == seq))
}

/// The newest lines that match, older than `before`, at most `limit` (bounded to [`LIMIT`]). One call reads
/// a bounded number of segments; [`Found::next`] says where to go on.
///
/// # Errors
/// [`JournalError::Unusable`].
pub fn search(directory: &Path, filter: &Filter, before: Option<u64>, limit: usize) -> Result<Found, JournalError> {
    look(directory, &Wanted::new(filter), before.unwrap_or(u64::MAX), limit.clamp(1, LIMIT))
        .map_err(|error| JournalError::unusable(directory, error))
}

fn following(directory: &Path, after: u64, limit: usize) -> io::Result<Vec<Line>> {
    let segments = segment::list(directory)?;
    let first = holding(&segments, after.saturating_add(1));
    let mut page = Page::new(limit);
    for (index, (_, path)) in segments.iter().enumerate().skip(first) {
        // Readers that follow the end ask again and again: they find their place from the end of the file.
        let window = if index + 1 == segments.len() { window_after(path, after)? } else { u64::MAX };
        let mut lines = Lines::open_last(path, window)?;
        while let Some(piece) = lines.next()? {
            if let Some(parsed) = line::parse(piece.bytes).filter(|line| piece.complete && line.seq > after)
                && !page.push(&parsed, piece.bytes)
            {
                return Ok(page.lines.into());
            }
        }
    }
    Ok(page.lines.into())
}

fn newest(directory: &Path, limit: usize) -> io::Result<Vec<Line>> {
    let segments = segment::list(directory)?;
    let mut all = VecDeque::new();
    for (_, path) in segments.iter().rev() {
        let page = last_lines(path, limit - all.len())?;
        page.into_iter().rev().for_each(|line| all.push_front(line));
        if all.len() >= limit || limit == 0 {
            break;
        }
    }
    Ok(all.into())
}

const WINDOW: u64 = 512 * 1_024;

/// The last lines of a file, looked for in ever larger parts of its end.
fn last_lines(path: &Path, limit: usize) -> io::Result<VecDeque<Line>> {
    let length = std::fs::metadata(path)?.len();
    let mut window = WINDOW;
    loop {
        let mut page = Page::new(limit);
        let mut lines = Lines::open_last(path, window)?;
        while let Some(piece) = lines.next()? {
            if let Some(parsed) = line::parse(piece.bytes).filter(|_| piece.complete) {
                page.push_last(&parsed, piece.bytes);
            }
        }
        if page.cut || window >= length {
            return Ok(page.lines);
        }
        window = window.saturating_mul(8);
    }
}

/// How many bytes at the end of a file hold everything after `after`.
fn window_after(path: &Path, after: u64) -> io::Result<u64> {
    let length = std::fs::metadata(path)?.len();
    let mut window = WINDOW;
    while window < length {
        let mut lines = Lines::open_last(path, window)?;
        while let Some(piece) = lines.next()? {
            if let Some(parsed) = line::parse(piece.bytes) {
                if parsed.seq <= after.saturating_add(1) {
                    return Ok(window);
                }
                break;
            }
        }
        window = window.saturating_mul(8);
    }
    Ok(u64::MAX)
}

fn look(directory: &Path, wanted: &Wanted<'_>, before: u64, limit: usize) -> io::Result<Found> {
    let segments = segment::list(directory)?;
    let mut found = Found::default();
    let newest = holding(&segments, before.saturating_sub(1));
    let mut read = 0;
    for (_, path) in segments.iter().take(newest + 1).rev() {
        let first = first_line(path)?;
        if first.as_ref().is_some_and(|(_, time)| wanted.all_later(time)) {
            continue;
        }
        let mut page = Page::new(limit - found.lines.len());
        let mut lines = Lines::open(path)?;
        while let Some(piece) = lines.next()? {
            if let Some(parsed) = line::parse(piece.bytes).filter(|line| piece.complete && line.seq < before)
                && wanted.matches(&parsed, piece.bytes)
            {
                page.push_last(&parsed, piece.bytes);
            }
        }
        read += 1;
        let cut = page.cut;
        found.lines.extend(page.lines.into_iter().rev());
        found.next = match found.lines.last() {
            Some(oldest) if cut || found.lines.len() >= limit => Some(oldest.seq),
            _ => first.as_ref().map(|(seq, _)| *seq).or(found.next),
        };
        let earliest = first.as_ref().is_some_and(|(seq, time)| *seq <= 1 || wanted.all_earlier(time));
        if cut || found.lines.len() >= limit || read >= SEGMENTS {
            return Ok(found);
        }
        if earliest {
            break;
        }
    }
    found.next = None;
    Ok(found)
}

/// Lines of one answer, within its bounds.
struct Page {
    lines: VecDeque<Line>,
    bytes: usize,
    limit: usize,
    /// Something had to be left out.
    cut: bool,
}

impl Page {
    const fn new(limit: usize) -> Self {
        Self { lines: VecDeque::new(), bytes: 0, limit, cut: false }
    }

    /// Keeps the first ones; `false` when there is no more room.
    fn push(&mut self, parsed: &Parsed<'_>, bytes: &[u8]) -> bool {
        let full = self.lines.len() >= self.limit || (!self.lines.is_empty() && self.bytes + bytes.len() > BYTES);
        if !full {
            self.bytes += bytes.len();
            self.lines.extend(taken(parsed, bytes));
        }
        !full
    }

    /// Keeps the last ones.
    fn push_last(&mut self, parsed: &Parsed<'_>, bytes: &[u8]) {
        let Some(line) = taken(parsed, bytes) else { return };
        self.bytes += bytes.len();
        self.lines.push_back(line);
        while self.lines.len() > self.limit || (self.lines.len() > 1 && self.bytes > BYTES) {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.text.len());
            self.cut = true;
        }
    }
}

fn taken(parsed: &Parsed<'_>, bytes: &[u8]) -> Option<Line> {
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    let record = serde_json::from_str(&text).ok()?;
    Some(Line { seq: parsed.seq, record, intact: parsed.intact(), text })
}

/// The index of the segment that holds a sequence number, as the first lines tell.
fn holding(segments: &[(u32, PathBuf)], seq: u64) -> usize {
    let starts_at_or_before =
        |(_, path): &(u32, PathBuf)| first_line(path).ok().flatten().is_none_or(|(first, _)| first <= seq);
    segments.partition_point(starts_at_or_before).saturating_sub(1)
}

fn first_line(path: &Path) -> io::Result<Option<(u64, String)>> {
    let mut lines = Lines::open(path)?;
    let first = lines.next()?;
    Ok(first.and_then(|piece| line::parse(piece.bytes).map(|line| (line.seq, line.time.to_owned()))))
}

/// A filter made ready for many lines: first a look for the bytes, then for the member.
struct Wanted<'a> {
    filter: &'a Filter,
    since: Option<String>,
    until: Option<String>,
    members: Vec<(&'static str, &'a str, String)>,
}

impl<'a> Wanted<'a> {
    fn new(filter: &'a Filter) -> Self {
        let members = [
            ("/outcome", &filter.outcome),
            ("/who/staff_no", &filter.staff_no),
            ("/what/patient", &filter.patient),
            ("/what/app", &filter.app),
            ("/request", &filter.request),
            ("/who/session", &filter.session),
        ];
        let members = members
            .into_iter()
            .filter_map(|(pointer, value)| {
                let value = value.as_deref()?;
                let mut needle = String::new();
                crate::json::text(&mut needle, value, usize::MAX);
                Some((pointer, value, needle))
            })
            .collect();
        Self { filter, since: filter.since.map(time_text), until: filter.until.map(time_text), members }
    }

    fn matches(&self, parsed: &Parsed<'_>, bytes: &[u8]) -> bool {
        let in_time = self.since.as_deref().is_none_or(|since| parsed.time >= since)
            && self.until.as_deref().is_none_or(|until| parsed.time < until);
        let event = self.filter.event.as_deref().is_none_or(|wanted| {
            parsed.event.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        in_time && event && (self.members.is_empty() || self.members_match(bytes))
    }

    fn members_match(&self, bytes: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        if !self.members.iter().all(|(_, _, needle)| text.contains(needle.as_str())) {
            return false;
        }
        let Ok(record) = serde_json::from_str::<Value>(text) else { return false };
        self.members.iter().all(|(pointer, value, _)| record.pointer(pointer).and_then(Value::as_str) == Some(*value))
    }

    /// Nothing in a segment that begins at `time` can be early enough.
    fn all_later(&self, time: &str) -> bool {
        self.filter.until.is_some_and(|until| time > time_text(until.after(SLACK)).as_str())
    }

    /// Nothing before a segment that begins at `time` can be late enough.
    fn all_earlier(&self, time: &str) -> bool {
        self.filter.since.is_some_and(|since| time < time_text(since.before(SLACK)).as_str())
    }
}
