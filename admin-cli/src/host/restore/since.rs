//! What happened after a backup was made, as far as the journal beside it knows.

use std::collections::BTreeMap;
use std::path::Path;

use audit::PublicKey;
use audit::read::Line;
use config::Settings;
use model::{AuthenticatorId, NodeId};
use serde_json::Value;
use store::{Tx, restored};

use crate::output::Failure;

/// Events that a restored store has no row of, unless they are among its own.
const LOSSES: [&str; 6] = ["account", "authenticator.bind", "grant", "hr", "proofing", "service"];

/// The journal that is here already must be whole, and have been there when the backup was made.
pub(super) fn continues(settings: &Settings, seq: u64, hash: &str) -> Result<(), Failure> {
    let directory = &settings.journal.directory;
    let place = directory.display();
    let key = PublicKey::read(&settings.journal_key().with_extension("pub")).map_err(Failure::of)?;
    let report = audit::verify(directory, &key, None).map_err(Failure::of)?;
    if !report.is_sound() {
        return Err(Failure::local(format!("{place}: this journal is not sound\n{report}")));
    }
    let line = audit::read::show(directory, seq).map_err(Failure::of)?;
    let same = line.is_some_and(|line| line.record.get("hash").and_then(Value::as_str) == Some(hash));
    if same { Ok(()) } else { Err(Failure::local(format!("{place}: this journal is not the one that was saved"))) }
}

/// What the journal says of the time since.
#[derive(Debug, Default)]
pub(super) struct Since {
    ended: Vec<AuthenticatorId>,
    off: Vec<AuthenticatorId>,
    failures: BTreeMap<AuthenticatorId, i64>,
    /// The newest row of this node's outbox that is in the journal.
    row: i64,
    /// Changes: which event, and of which row of the outbox.
    changes: Vec<(String, i64)>,
}

impl Since {
    /// Reads everything after record `seq`.
    pub(super) fn read(directory: &Path, seq: u64, node: &NodeId) -> Result<Self, Failure> {
        let mut since = Self::default();
        audit::read::walk(directory, seq, |line| since.hear(&line, node)).map_err(Failure::of)?;
        Ok(since)
    }

    fn hear(&mut self, line: &Line, node: &NodeId) {
        let record = &line.record;
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if text("/outbox/node") != node.as_str() {
            return;
        }
        let row = record.pointer("/outbox/id").and_then(Value::as_i64).unwrap_or_default();
        self.row = self.row.max(row);
        let event = text("/event");
        let family = event.split('.').next().unwrap_or_default();
        if LOSSES.contains(&event) || LOSSES.contains(&family) {
            self.changes.push((event.to_owned(), row));
        }
        let Ok(id) = text("/what/id").parse::<AuthenticatorId>() else { return };
        match event {
            "authenticator.off" if text("/why/reason") == "failures" => self.off.push(id),
            "authenticator.off" => self.ended.push(id),
            "authenticator.fail" => {
                let count = record.pointer("/detail/failures").and_then(Value::as_i64).unwrap_or_default();
                let known = self.failures.entry(id).or_default();
                *known = count.max(*known);
            }
            _ => {}
        }
    }

    /// Applies to the restored store what must hold again; how many authenticators are off by it.
    pub(super) async fn apply(&self, tx: &mut Tx) -> Result<u64, Failure> {
        restored::sent_up_to(tx, self.row).await.map_err(Failure::of)?;
        let mut again = 0;
        for (id, count) in &self.failures {
            restored::count_failures(tx, *id, *count).await.map_err(Failure::of)?;
        }
        for id in &self.ended {
            again += u64::from(restored::end_authenticator(tx, *id).await.map_err(Failure::of)?);
        }
        for id in &self.off {
            again += u64::from(restored::switch_off(tx, *id).await.map_err(Failure::of)?);
        }
        Ok(again)
    }

    /// What was changed after `known`, the newest row that the store knows of: to be done again, by hand.
    pub(super) fn lost(&self, known: i64) -> BTreeMap<&str, u64> {
        let mut lost = BTreeMap::new();
        for (event, _) in self.changes.iter().filter(|(_, row)| *row > known) {
            *lost.entry(event.as_str()).or_default() += 1;
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn heard(records: &[Value]) -> Since {
        let node = NodeId::try_from("n1".to_owned()).unwrap();
        let mut since = Since::default();
        for record in records {
            let text = record.to_string();
            since.hear(&Line { seq: 1, text, record: record.clone(), intact: true }, &node);
        }
        since
    }

    #[test]
    fn atk_a54_ends_and_failures_of_the_time_since_are_heard_and_the_highest_count_stands() {
        let id = AuthenticatorId::generate();
        let what = |event: &str, reason: &str, failures: u32, row: i64| {
            json!({ "event": event, "what": { "id": id.to_string() }, "why": { "reason": reason },
                    "detail": { "failures": failures }, "outbox": { "node": "n1", "id": row } })
        };
        let since = heard(&[
            what("authenticator.fail", "wrong", 7, 1),
            what("authenticator.fail", "wrong", 3, 2),
            what("authenticator.off", "failures", 0, 3),
            what("authenticator.off", "replaced", 0, 4),
        ]);
        assert_eq!(since.failures, BTreeMap::from([(id, 7)]));
        assert_eq!((since.off, since.ended, since.row), (vec![id], vec![id], 4));
    }

    #[test]
    fn changes_that_the_backup_does_not_know_are_counted_and_those_it_knows_are_not() {
        let change = |event: &str, row: i64| json!({ "event": event, "outbox": { "node": "n1", "id": row } });
        let since = heard(&[
            change("hr.person", 5),
            change("hr.person", 9),
            change("grant.add", 8),
            change("session.end", 10),
            json!({ "event": "hr.person", "outbox": { "node": "n2", "id": 99 } }),
        ]);
        assert_eq!(since.lost(5), BTreeMap::from([("hr.person", 1), ("grant.add", 1)]));
    }
}
