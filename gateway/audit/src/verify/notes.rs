//! Checkpoints, read beside the chain in the order in which they were written.

use std::io;
use std::path::Path;

use super::report::{Kind, Place, VerifyReport};
use crate::PublicKey;
use crate::checkpoint::{Checkpoint, Note, Notes};
use crate::line::Hash;
use crate::merkle::Tree;

/// For how many records a note that doesn't fit may still turn out to.
const PATIENCE: u64 = 8;

/// One file of checkpoints.
pub(super) struct Stream {
    file: String,
    notes: Option<Notes>,
    ahead: Option<Checkpoint>,
    newest: Option<Checkpoint>,
    started: bool,
    elsewhere: bool,
    /// A note that does not fit the line at its place.
    disputed: Option<Checkpoint>,
    /// Where it was told that notes don't fit, until one fits again.
    rewritten: Option<usize>,
}

impl Stream {
    /// The notes beside the journal; there may be none.
    pub(super) fn open(path: &Path, key: PublicKey, elsewhere: bool) -> io::Result<Self> {
        let notes = Notes::open(path, key)?;
        let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self { file, notes, ahead: None, newest: None, started: false, elsewhere, disputed: None, rewritten: None })
    }

    /// The notes that somebody named: they must be there.
    pub(super) fn open_existing(path: &Path, key: PublicKey) -> io::Result<Self> {
        let stream = Self::open(path, key, true)?;
        if stream.notes.is_some() { Ok(stream) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Compares the notes made at this record. `tree` is the segment's, where it is known to be as it was.
    pub(super) fn compare(
        &mut self,
        report: &mut VerifyReport,
        seq: u64,
        hash: &Hash,
        tree: Option<&Tree>,
    ) -> io::Result<()> {
        if !self.started {
            self.started = true;
            self.step(report)?;
        }
        // A note about a record that was passed over (deleted, altered) has nothing to be compared with.
        while self.ahead.as_ref().is_some_and(|note| note.chain.seq < seq) {
            self.step(report)?;
        }
        self.arbitrate(report, seq, Some(hash));
        while let Some(note) = self.ahead.take_if(|note| note.chain.seq == seq) {
            if note.chain.hash != *hash {
                self.disputed.get_or_insert(note);
            } else if tree.is_none_or(|tree| tree.leaves() == note.leaves && tree.root() == note.root) {
                self.fits(report, &note);
            } else {
                self.tell_rewritten(report, seq);
            }
            self.step(report)?;
        }
        Ok(())
    }

    /// The note says that another line stands, or stood, at this place.
    pub(super) fn prefers(&self, seq: u64, hash: &Hash) -> bool {
        self.disputed.as_ref().is_some_and(|note| note.chain.seq == seq && note.chain.hash == *hash)
    }

    /// A note that did not fit: another line may have taken the place of the one that it signed, and then the
    /// right one comes a little later.
    fn arbitrate(&mut self, report: &mut VerifyReport, seq: u64, hash: Option<&Hash>) {
        if let Some(note) =
            self.disputed.take_if(|note| hash.is_some_and(|hash| note.chain.seq == seq && note.chain.hash == *hash))
        {
            self.fits(report, &note);
        }
        if let Some(note) = self.disputed.take_if(|note| hash.is_none() || seq > note.chain.seq + PATIENCE) {
            self.tell_rewritten(report, note.chain.seq);
        }
    }

    fn fits(&mut self, report: &mut VerifyReport, note: &Checkpoint) {
        self.rewritten = None;
        let seq = note.chain.seq;
        if report.proven_to.as_ref().is_none_or(|(proven, _)| *proven <= seq) {
            report.proven_to = Some((seq, note.at.clone()));
        }
    }

    fn tell_rewritten(&mut self, report: &mut VerifyReport, seq: u64) {
        if let Some(finding) = self.rewritten.and_then(|index| report.findings.get_mut(index)) {
            finding.place.to_seq = Some(seq);
            return;
        }
        let from = report.proven_to.as_ref().map_or(1, |(proven, _)| proven + 1);
        let place = Place { file: self.file.clone(), line: 0, seq: Some(from), to_seq: Some(seq) };
        self.rewritten = report.add(
            Kind::Rewritten,
            place,
            "the records are not those that this checkpoint signed: written anew between these".to_owned(),
        );
    }

    /// Moves to the next signed note; tells of those that are none.
    fn step(&mut self, report: &mut VerifyReport) -> io::Result<()> {
        self.ahead = None;
        while let Some(notes) = &mut self.notes {
            let Some((line, note)) = notes.next()? else { break };
            let place = Place { file: self.file.clone(), line, seq: None, to_seq: None };
            match note {
                Note::Signed(note) => {
                    if self.newest.as_ref().is_some_and(|newest| newest.chain.seq > note.chain.seq) {
                        report.add(Kind::Swapped, place, "a checkpoint stands behind a later one".to_owned());
                    }
                    self.newest = Some(note.clone());
                    self.ahead = Some(note);
                    break;
                }
                Note::Forged => {
                    report.add(Kind::BadSignature, place, "a checkpoint that this key did not sign".to_owned());
                }
                Note::Broken => {
                    report.add(Kind::Torn, place, "a checkpoint breaks off".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Reads what is left. The newest note, and whether it came from elsewhere.
    pub(super) fn finish(mut self, report: &mut VerifyReport) -> io::Result<Option<(Checkpoint, String, bool)>> {
        self.arbitrate(report, 0, None);
        if !self.started {
            self.step(report)?;
        }
        while self.ahead.is_some() {
            self.step(report)?;
        }
        Ok(self.newest.map(|note| (note, self.file, self.elsewhere)))
    }
}
