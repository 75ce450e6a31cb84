//! Going on after something was wrong: in a new segment that continues the chain and says what it was.

use std::sync::Arc;

use model::hex;
use serde_json::{Value, json};

use super::Setup;
use super::begin::{self, Start};
use crate::checkpoint::Checkpoint;
use crate::disk::Presence;
use crate::line::Chain;
use crate::scan::Leftover;
use crate::segment::Segment;
use crate::startup::Inspected;
use crate::{Event, JournalError, Outcome, Record, Who, Why};

/// The reason that leaves records in doubt.
pub(super) const SYNC_FAILED: &str = "sync-failed";

/// Why the journal takes no records, and what has to be told about it.
#[derive(Debug)]
pub(super) struct Broken {
    reason: &'static str,
    pub(super) cause: Arc<str>,
    /// How many records were refused since.
    pub(super) refused: u64,
    pub(super) leftovers: Vec<(u32, Leftover)>,
}

impl Broken {
    pub(super) fn new(reason: &'static str, cause: String) -> Self {
        Self { reason, cause: cause.into(), refused: 0, leftovers: Vec::new() }
    }
}

/// Where the journal goes on.
pub(super) struct Next {
    pub(super) segment: Segment,
    pub(super) chain: Chain,
    /// The old segment's last records may not be on disk.
    pub(super) in_doubt: bool,
}

/// Begins the next segment while the process runs.
pub(super) fn go_on(
    setup: &Setup,
    old: &Segment,
    chain: Chain,
    broken: &Broken,
    unsynced: (u64, u64),
    kept: &[Record],
) -> Result<Next, JournalError> {
    let mut record =
        told_why(broken.reason, &broken.leftovers).detail("cause", &*broken.cause).detail("refused", broken.refused);
    let mut in_doubt = broken.reason == SYNC_FAILED;
    match old.sink.presence(&old.path) {
        Ok(Presence::There(_)) => in_doubt |= old.sink.sync().is_err(),
        _ => {
            let bytes = begin::restore(old).map_err(|error| JournalError::unusable(&old.path, error))?;
            record = record.detail("restored", &json!({"segment": old.number, "bytes": bytes}));
        }
    }
    in_doubt &= unsynced.0 <= unsynced.1;
    if in_doubt {
        record = record.detail("unsynced", &json!({"from": unsynced.0, "to": unsynced.1}));
    }
    let mut records = vec![record];
    records.extend_from_slice(kept);
    let start = Start { after: old.number, chain, previous: Some(begin::previous(old, chain)), records: &records };
    let (segment, chain) = begin::begin(setup, start)?;
    Ok(Next { segment, chain, in_doubt })
}

/// Goes on where an earlier run stopped: in its last segment if all is as it should be.
pub(super) fn resume(
    setup: &Setup,
    found: Inspected,
    newest: Option<&Checkpoint>,
) -> Result<(Segment, Chain), JournalError> {
    let last = found.number.max(newest.map_or(0, |checkpoint| checkpoint.segment));
    let trouble = trouble(&found, newest);
    if trouble.is_none()
        && let Some(good) = found.resumable
    {
        let sink = setup.disk.resume(&good.path).map_err(|error| JournalError::unusable(&good.path, error))?;
        let segment = Segment { number: found.number, path: good.path, sink, length: good.length, tree: good.tree };
        return Ok((segment, found.chain));
    }
    let (chain, record) = trouble.map_or((found.chain, None), |(chain, record)| (chain, Some(record)));
    if record.is_some() {
        tracing::warn!(seq = chain.seq, "the journal was not left in good order; see its journal.recover");
    }
    let records: Vec<Record> = record.into_iter().collect();
    begin::begin(setup, Start { after: last, chain, previous: None, records: &records })
}

/// What the last run left, or somebody did since.
fn trouble(found: &Inspected, newest: Option<&Checkpoint>) -> Option<(Chain, Record)> {
    if let Some(checkpoint) = newest.filter(|checkpoint| checkpoint.chain.seq > found.chain.seq) {
        let missing = json!({"from": found.chain.seq + 1, "to": checkpoint.chain.seq});
        return Some((checkpoint.chain, told_state("behind-checkpoint", found).detail("missing", &missing)));
    }
    if let Some(checkpoint) = newest.filter(|checkpoint| checkpoint.closed && found.chain.seq > checkpoint.chain.seq) {
        let added = json!({"from": checkpoint.chain.seq + 1, "to": found.chain.seq});
        return Some((found.chain, told_state("added-after-close", found).detail("added", &added)));
    }
    if newest.is_some_and(|checkpoint| checkpoint.chain.seq == found.chain.seq && checkpoint.chain != found.chain) {
        return Some((found.chain, told_state("rewritten", found)));
    }
    if found.damaged || found.leftovers.iter().any(|(_, left)| !left.torn && left.bytes > 0) {
        return Some((found.chain, told_state("damaged", found)));
    }
    (!found.leftovers.is_empty()).then(|| (found.chain, told_state("torn", found)))
}

fn told_state(reason: &'static str, found: &Inspected) -> Record {
    told_why(reason, &found.leftovers)
}

fn told_why(reason: &'static str, leftovers: &[(u32, Leftover)]) -> Record {
    let record = Record::new(Event::JournalRecover, Outcome::Ok).who(Who::system("journal")).why(Why::reason(reason));
    if leftovers.is_empty() {
        return record;
    }
    let torn: Value = leftovers
        .iter()
        .map(|(segment, left)| json!({"segment": segment, "bytes": left.bytes, "sha256": hex::of(&left.sha256)}))
        .collect();
    record.detail("torn", &torn)
}
