//! A line of the journal: how it is put together, and how it is read without trusting it.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use model::{NodeId, Timestamp, hex};

use crate::json;
use crate::record::BODY;
use crate::{JournalError, OutboxRow, Record, StoredRecord};

/// A SHA-256 value.
pub(crate) type Hash = [u8; 32];

/// The longest line that there is, newline included.
pub(crate) const MAX: usize = BODY + 1_024;

const PREV: &[u8] = b",\"prev\":\"";
const HASH: &[u8] = b"\",\"hash\":\"";
const END: &[u8] = b"\"}";
/// From `,"hash"` to the end of the line: what the hash is not over.
const SEAL: usize = HASH.len() - 1 + 64 + END.len();
const TAIL: usize = PREV.len() + 64 + 1 + SEAL;

/// The end of the chain: what the next line goes on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
}

/// What a line is made of, beyond its place.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    Record(&'a Record),
    Outbox(&'a OutboxRow, &'a StoredRecord),
}

/// Writes the next line of `chain`, newline included, behind what `out` holds, and moves the chain on.
pub(crate) fn compose(
    out: &mut String,
    chain: &mut Chain,
    node: &NodeId,
    at: Timestamp,
    content: Content<'_>,
) -> Result<(), JournalError> {
    let start = out.len();
    let (version, members) = match content {
        Content::Record(record) => (record.event().version(), None),
        Content::Outbox(_, stored) => {
            let (version, members) = stored.split().ok_or(JournalError::TooLong)?;
            (version.parse().map_err(|_| JournalError::TooLong)?, Some(members))
        }
    };
    out.push_str("{\"v\":");
    json::number(out, i64::from(version));
    out.push_str(",\"t\":\"");
    at.push(out);
    out.push_str("\",\"node\":\"");
    out.push_str(node.as_str());
    out.push_str("\",\"seq\":");
    json::number(out, i64::try_from(chain.seq + 1).unwrap_or(i64::MAX));
    out.push(',');
    match (content, members) {
        (Content::Outbox(row, _), members) => {
            out.push_str(members.unwrap_or_default());
            let _ = write!(out, ",\"outbox\":{{\"node\":\"{}\",\"id\":{},\"at\":\"", row.node, row.id);
            row.at.push(out);
            out.push_str("\"}");
        }
        (Content::Record(record), _) => record.write(out),
    }
    if out.len() - start > BODY {
        out.truncate(start);
        return Err(JournalError::TooLong);
    }
    out.push_str(",\"prev\":\"");
    digits(out, &chain.hash);
    out.push('"');
    chain.hash = sha256(out.as_bytes().get(start..).unwrap_or_default());
    chain.seq += 1;
    out.push_str(",\"hash\":\"");
    digits(out, &chain.hash);
    out.push_str("\"}\n");
    Ok(())
}

fn digits(out: &mut String, hash: &Hash) {
    let digits = hex::digits(hash);
    out.push_str(std::str::from_utf8(&digits).unwrap_or_default());
}

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// A line in which the places of the chain can be read. Whether it is what was written, [`Parsed::intact`] tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parsed<'a> {
    pub(crate) time: &'a str,
    pub(crate) seq: u64,
    pub(crate) event: &'a str,
    pub(crate) prev: Hash,
    /// As it stands in the line.
    pub(crate) hash: Hash,
    /// As it should stand.
    pub(crate) computed: Hash,
    body: &'a [u8],
}

impl Parsed<'_> {
    pub(crate) fn intact(&self) -> bool {
        self.hash == self.computed
    }

    pub(crate) const fn chain(&self) -> Chain {
        Chain { seq: self.seq, hash: self.hash }
    }

    /// The row of the outbox that the line comes from. It is the last member of the body, so that no
    /// text or object inside a record can pass for it.
    pub(crate) fn outbox(&self) -> Option<(NodeId, i64)> {
        let body = std::str::from_utf8(self.body).ok()?;
        let (_, member) = body.rsplit_once(",\"outbox\":{\"node\":\"")?;
        let (node, rest) = member.split_once("\",\"id\":")?;
        let (id, rest) = rest.split_once(",\"at\":\"")?;
        let at_end = rest.len() == Timestamp::TEXT + 2 && rest.ends_with("\"}");
        let node = NodeId::try_from(node.to_owned()).ok()?;
        if at_end { Some((node, id.parse().ok()?)) } else { None }
    }
}

/// Reads the places of a line (without its newline) by their fixed form; any other form is no line.
pub(crate) fn parse(line: &[u8]) -> Option<Parsed<'_>> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
    let rest = tail.strip_prefix(PREV)?;
    let (prev, rest) = rest.split_at_checked(64)?;
    let rest = rest.strip_prefix(HASH)?;
    let (hash, rest) = rest.split_at_checked(64)?;
    if rest != END {
        return None;
    }
    let head = std::str::from_utf8(body).ok()?;
    let (version, rest) = head.strip_prefix("{\"v\":")?.split_once(",\"t\":\"")?;
    canonical(version)?;
    let (time, rest) = rest.split_at_checked(Timestamp::TEXT)?;
    let (node, rest) = rest.strip_prefix("\",\"node\":\"")?.split_once("\",\"seq\":")?;
    let (seq, rest) = rest.split_once(",\"event\":\"")?;
    let (event, _) = rest.split_once('"')?;
    if node.is_empty() || node.len() > 32 {
        return None;
    }
    Some(Parsed {
        time,
        seq: canonical(seq)?,
        event,
        prev: hex::parse(prev)?,
        hash: hex::parse(hash)?,
        computed: sha256(line.get(..line.len() - SEAL)?),
        body,
    })
}

fn canonical(number: &str) -> Option<u64> {
    let plain = !number.starts_with('0') && number.len() <= 19 && number.bytes().all(|b| b.is_ascii_digit());
    if plain { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Outcome, What};
    use serde_json::Value;

    fn line(content: Content<'_>) -> String {
        let mut out = String::new();
        let node = NodeId::try_from("n1".to_owned()).unwrap();
        let mut chain = Chain { seq: 41, hash: [7; 32] };
        compose(&mut out, &mut chain, &node, Timestamp::from_seconds(1_800_000_000), content).unwrap();
        assert_eq!(chain.seq, 42);
        assert_eq!(out.pop(), Some('\n'));
        out
    }

    #[test]
    fn a_composed_line_parses_back_and_is_intact() {
        let text =
            line(Content::Record(&Record::new(Event::SessionLock, Outcome::Ok).what(What::thing("session", "x"))));
        let parsed = parse(text.as_bytes()).unwrap();
        assert!(parsed.intact());
        assert_eq!((parsed.seq, parsed.prev, parsed.event), (42, [7; 32], "session.lock"));
        assert!(serde_json::from_str::<Value>(&text).is_ok());
        assert_eq!(parsed.outbox(), None);
    }

    #[test]
    fn every_flipped_bit_of_a_line_shows() {
        let text = line(Content::Record(&Record::new(Event::GrantAdd, Outcome::Ok).detail("n", 7)));
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bent = text.clone().into_bytes();
                bent[at] ^= 1 << bit;
                assert!(parse(&bent).is_none_or(|p| !p.intact()), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn only_the_journals_own_member_names_a_row_of_the_outbox() {
        let row = OutboxRow { node: NodeId::try_from("n2".to_owned()).unwrap(), id: 9, at: Timestamp::from_seconds(1) };
        let forged = serde_json::json!({"outbox": {"node": "n1", "id": 5, "at": "1970-01-01T00:00:01.000000Z"}});
        let record = Record::new(Event::GrantAdd, Outcome::Ok).detail("x", &forged);
        let stored = StoredRecord::parse(record.store().into()).unwrap();
        let text = line(Content::Outbox(&row, &stored));
        assert_eq!(parse(text.as_bytes()).unwrap().outbox(), Some((row.node, 9)));
        assert_eq!(parse(line(Content::Record(&record)).as_bytes()).unwrap().outbox(), None);
    }
}
