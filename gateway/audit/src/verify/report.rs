use std::fmt;

/// How many findings are told one by one.
const FINDINGS: usize = 1_000;

/// What was done to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Bytes of a line were changed.
    Altered,
    /// Lines are missing.
    Deleted,
    /// Lines were added.
    Inserted,
    /// Lines stand in another order.
    Swapped,
    /// Hashes were computed anew: a signed checkpoint says otherwise.
    Rewritten,
    /// A checkpoint's signature is wrong.
    BadSignature,
    /// The end is missing: a checkpoint beside the journal covers more than there is.
    CutTail,
    /// The whole journal is older than a checkpoint from elsewhere.
    Rollback,
    /// A power cut in the middle of a write; not tampering.
    Torn,
}

impl Kind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Deleted => "deleted",
            Self::Inserted => "inserted",
            Self::Swapped => "swapped",
            Self::Rewritten => "rewritten",
            Self::BadSignature => "bad signature",
            Self::CutTail => "cut tail",
            Self::Rollback => "rollback",
            Self::Torn => "torn",
        }
    }
}

/// Where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The line in it, from 1; 0 when it is the file as a whole.
    pub line: u64,
    /// The first sequence number concerned, where known.
    pub seq: Option<u64>,
    /// The last one.
    pub to_seq: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        match (self.seq, self.to_seq) {
            (Some(from), Some(to)) if from != to => write!(f, " (seq {from} to {to})"),
            (Some(seq), _) => write!(f, " (seq {seq})"),
            _ => Ok(()),
        }
    }
}

/// One thing that verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// Where.
    pub place: Place,
    /// In words.
    pub note: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.kind.name().to_uppercase(), self.place, self.note)
    }
}

/// What verification says of a journal. Its `Display` is the text for people.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// How many records were read.
    pub records: u64,
    /// In how many segments.
    pub segments: u64,
    /// The newest sequence number.
    pub last_seq: u64,
    /// Complete and signed up to here, at the time that the checkpoint says.
    pub proven_to: Option<(u64, String)>,
    /// A checkpoint file from elsewhere was looked at.
    pub checked_elsewhere: bool,
    /// What was found, at most 1,000.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub more: u64,
}

impl VerifyReport {
    /// No tampering was found (a torn line is none).
    pub fn is_sound(&self) -> bool {
        self.more == 0 && self.findings.iter().all(|finding| finding.kind == Kind::Torn)
    }

    /// Adds a finding; the place in the list, as long as there is room.
    pub(super) fn add(&mut self, kind: Kind, place: Place, note: String) -> Option<usize> {
        if self.findings.len() >= FINDINGS {
            self.more += 1;
            return None;
        }
        self.findings.push(Finding { kind, place, note });
        Some(self.findings.len() - 1)
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_sound() { "No tampering found." } else { "THE JOURNAL WAS CHANGED." };
        writeln!(f, "{verdict} {} records in {} segments, newest {}.", self.records, self.segments, self.last_seq)?;
        match &self.proven_to {
            Some((seq, at)) if *seq >= self.last_seq => {
                writeln!(f, "Signed up to the newest record ({at}).")?;
            }
            Some((seq, at)) => writeln!(
                f,
                "Signed up to record {seq} ({at}); the {} after it are chained, but their end is unproven.",
                self.last_seq - seq
            )?,
            None => writeln!(f, "No signed checkpoint fits: nothing is proven by signature.")?,
        }
        if !self.checked_elsewhere {
            writeln!(
                f,
                "Without a checkpoint kept elsewhere, a journal put back whole to an older state would not show."
            )?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.more > 0 {
            writeln!(f, "and {} more", self.more)?;
        }
        Ok(())
    }
}
