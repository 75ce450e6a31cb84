//! Signed notes that say how far the journal was, and that leave the host (C2SP signed-note and tlog-checkpoint in
//! form; the tree is the current segment's, so `chain` is what covers the whole journal).

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{NodeId, Timestamp, hex};

use crate::JournalError;
use crate::disk;
use crate::key::{NodeKey, PublicKey};
use crate::line::{Chain, Hash};
use crate::scan::Lines;

const ORIGIN: &str = "sekimori.journal/";
pub(crate) const SIGNED_BY: &str = "\u{2014} ";
/// A note has nine lines and stays far below this.
const NOTE: u64 = 2_048;

/// How far the journal was at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) node: NodeId,
    /// The newest record and its hash.
    pub(crate) chain: Chain,
    /// The root over the segment's records up to there.
    pub(crate) root: Hash,
    pub(crate) segment: u32,
    pub(crate) leaves: u64,
    pub(crate) at: String,
    /// The journal was closed in good order here.
    pub(crate) closed: bool,
}

impl Checkpoint {
    /// The note, signed, with an empty line at its end.
    pub(crate) fn note(&self, key: &NodeKey) -> String {
        let name = format!("{ORIGIN}{}", self.node);
        let text = format!(
            "{name}\n{}\n{}\nchain {}\nsegment {} {}\ntime {}\nstate {}\n",
            self.chain.seq,
            STANDARD.encode(self.root),
            hex::of(&self.chain.hash),
            self.segment,
            self.leaves,
            self.at,
            if self.closed { "closed" } else { "open" },
        );
        let mut signature = key.public().note_id(&name).to_vec();
        signature.extend_from_slice(&key.sign(text.as_bytes()));
        format!("{text}\n{SIGNED_BY}{name} {}\n\n", STANDARD.encode(signature))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let node = lines.next()?.strip_prefix(ORIGIN)?.to_owned().try_into().ok()?;
        let seq = lines.next()?.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        let hash = hex::parse(lines.next()?.strip_prefix("chain ")?.as_bytes())?;
        let (segment, leaves) = lines.next()?.strip_prefix("segment ")?.split_once(' ')?;
        let at = lines.next()?.strip_prefix("time ")?.to_owned();
        let closed = match lines.next()? {
            "state closed" => true,
            "state open" => false,
            _ => return None,
        };
        let whole = lines.next().is_none();
        whole.then_some(Self {
            node,
            chain: Chain { seq, hash },
            root,
            segment: segment.parse().ok()?,
            leaves: leaves.parse().ok()?,
            at,
            closed,
        })
    }
}

/// One note of a file, or what stands in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Signed by the key.
    Signed(Checkpoint),
    /// A whole note that the key didn't sign, or whose signed text is no checkpoint.
    Forged,
    /// A note that breaks off: no signature follows.
    Broken,
}

/// Notes of a file one at a time.
pub(crate) struct Notes {
    file: Lines,
    key: PublicKey,
    number: u64,
    ahead: Option<String>,
}

impl Notes {
    /// `None` when there is no such file.
    pub(crate) fn open(path: &Path, key: PublicKey) -> io::Result<Option<Self>> {
        Self::open_last(path, key, u64::MAX)
    }

    /// Only what begins in the last bytes.
    fn open_last(path: &Path, key: PublicKey, last: u64) -> io::Result<Option<Self>> {
        match Lines::open_last(path, last) {
            Ok(file) => Ok(Some(Self { file, key, number: 0, ahead: None })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next note and its line in the file.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Note)>> {
        let mut text = String::new();
        let mut from = self.number + 1;
        while let Some(line) = self.line()? {
            if let Some(signature) = line.strip_prefix(SIGNED_BY) {
                return Ok(Some((from, self.judge(&text, signature))));
            }
            if line.starts_with(ORIGIN) && !text.is_empty() {
                self.ahead = Some(line);
                return Ok(Some((from, Note::Broken)));
            }
            if text.is_empty() {
                from = self.number;
            }
            if !(line.is_empty() || text.len() as u64 > NOTE) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        Ok((!text.is_empty()).then_some((from, Note::Broken)))
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        if let Some(line) = self.ahead.take() {
            return Ok(Some(line));
        }
        let Some(piece) = self.file.next()? else { return Ok(None) };
        self.number = piece.number;
        Ok(Some(String::from_utf8_lossy(piece.bytes).into_owned()))
    }

    fn judge(&self, text: &str, signature: &str) -> Note {
        let signed = || {
            let (name, encoded) = signature.split_once(' ')?;
            let bytes = STANDARD.decode(encoded).ok()?;
            let (id, bytes) = bytes.split_at_checked(4)?;
            let ours = text.lines().next() == Some(name) && id == self.key.note_id(name);
            (ours && self.key.verifies(text.as_bytes(), bytes)).then(|| Checkpoint::parse(text))?
        };
        signed().map_or(Note::Forged, Note::Signed)
    }
}

/// The newest note that the key signed, from the end of a file.
pub(crate) fn newest(path: &Path, key: PublicKey) -> io::Result<Option<Checkpoint>> {
    let Some(mut notes) = Notes::open_last(path, key, 4 * NOTE)? else { return Ok(None) };
    let mut newest = None;
    while let Some((_, note)) = notes.next()? {
        if let Note::Signed(checkpoint) = note {
            newest = Some(checkpoint);
        }
    }
    Ok(newest)
}

/// Where a node's notes go.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    inside: PathBuf,
    outside: PathBuf,
    newest: PathBuf,
}

impl Shelf {
    pub(crate) fn new(directory: &Path, elsewhere: &Path, node: &NodeId) -> Self {
        Self {
            inside: directory.join(FILE),
            outside: elsewhere.join(format!("{node}.checkpoints")),
            newest: elsewhere.join(format!("{node}.checkpoint")),
        }
    }

    /// The newest note of this node that can be found; of two at the same place the one that says *open*, since
    /// a share that was away may have missed it.
    pub(crate) fn newest(&self, key: PublicKey) -> io::Result<Option<Checkpoint>> {
        let mut found = None;
        for path in [&self.inside, &self.outside, &self.newest] {
            found = found
                .into_iter()
                .chain(newest(path, key)?)
                .max_by_key(|checkpoint| (checkpoint.chain.seq, !checkpoint.closed));
        }
        Ok(found)
    }

    /// Writes a note beside the segments.
    pub(crate) fn put_inside(&self, note: &str) -> Result<(), JournalError> {
        append(&self.inside, note).map_err(|error| JournalError::unusable(&self.inside, error))
    }

    /// Writes a note to the other directory; both files are tried.
    pub(crate) fn put_outside(&self, note: &str) -> Result<(), JournalError> {
        let appended = append(&self.outside, note).map_err(|error| JournalError::unusable(&self.outside, error));
        let replaced =
            disk::replace(&self.newest, note.as_bytes()).map_err(|error| JournalError::unusable(&self.newest, error));
        appended.and(replaced)
    }
}

/// The notes beside the segments.
pub(crate) const FILE: &str = "checkpoints";

fn append(path: &Path, note: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        disk::make_directory(folder)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    // A note that a power cut broke off must not swallow the next one.
    let separator = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{separator}{note}").as_bytes())?;
    file.sync_data()
}

/// The text of a note's time.
pub(crate) fn time_text(at: Timestamp) -> String {
    let mut out = String::new();
    at.push(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use model::MasterKey;

    fn key(folder: &Path) -> NodeKey {
        NodeKey::load_or_create(&folder.join("k.key"), &MasterKey::generate().unwrap()).unwrap()
    }

    fn checkpoint(seq: u64) -> Checkpoint {
        Checkpoint {
            node: NodeId::try_from("n1".to_owned()).unwrap(),
            chain: Chain { seq, hash: [3; 32] },
            root: [4; 32],
            segment: 2,
            leaves: 5,
            at: time_text(Timestamp::from_seconds(1_800_000_000)),
            closed: false,
        }
    }

    fn all(path: &Path, key: PublicKey) -> Vec<Note> {
        let mut notes = Notes::open(path, key).unwrap().unwrap();
        std::iter::from_fn(|| notes.next().unwrap().map(|(_, note)| note)).collect()
    }

    #[test]
    fn a_note_reads_back_and_no_changed_byte_does() {
        let folder = tempfile::tempdir().unwrap();
        let key = key(folder.path());
        let path = folder.path().join("notes");
        let note = checkpoint(7).note(&key);
        for at in 0..note.len() - 1 {
            let mut bent = note.clone().into_bytes();
            bent[at] ^= 1;
            fs::write(&path, bent).unwrap();
            assert!(!all(&path, key.public()).contains(&Note::Signed(checkpoint(7))), "byte {at}");
        }
        fs::write(&path, &note).unwrap();
        assert_eq!(all(&path, key.public()), [Note::Signed(checkpoint(7))]);
    }

    #[test]
    fn a_note_that_broke_off_is_told_apart_and_swallows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let key = key(folder.path());
        let path = folder.path().join("notes");
        let torn = checkpoint(7).note(&key);
        fs::write(&path, &torn[..60]).unwrap();
        append(&path, &checkpoint(8).note(&key)).unwrap();
        append(&path, &checkpoint(9).note(&key)).unwrap();
        assert_eq!(all(&path, key.public()), [Note::Broken, Note::Signed(checkpoint(8)), Note::Signed(checkpoint(9))]);
        assert_eq!(newest(&path, key.public()).unwrap(), Some(checkpoint(9)));
    }

    #[test]
    fn the_newest_of_many_is_found_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let key = key(folder.path());
        let path = folder.path().join("notes");
        for seq in 1..60 {
            append(&path, &checkpoint(seq).note(&key)).unwrap();
        }
        assert_eq!(newest(&path, key.public()).unwrap(), Some(checkpoint(59)));
    }
}
