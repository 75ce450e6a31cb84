use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use model::{Edge, NodeId, RequestId, Timestamp, Zone};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::json::{self, SHORT, TARGET};
use crate::{Event, Outcome, Patient, What, Who, Why};

/// How much `detail` a record takes; more is counted in `detail.cut`.
const DETAIL: usize = 32 * 1_024;
/// How long the members of a record may be together. Nothing that is built from bounded parts reaches it.
pub(crate) const BODY: usize = 240 * 1_024;

/// One thing that happened, before it has a place in the journal.
///
/// The parts are written to JSON as they are given, so that appending is copying.
#[derive(Clone, Debug)]
pub struct Record {
    event: Event,
    outcome: Outcome,
    who: Option<Who>,
    roles: Option<Arc<[String]>>,
    from: Option<Origin>,
    what: String,
    patient: Option<String>,
    why: String,
    change: String,
    request: Option<RequestId>,
    detail: String,
}

#[derive(Clone, Debug)]
struct Origin {
    zone: Zone,
    address: IpAddr,
    host: Arc<str>,
}

impl Record {
    /// A record that so far says only what happened and how it came out.
    pub fn new(event: Event, outcome: Outcome) -> Self {
        Self {
            event,
            outcome,
            who: None,
            roles: None,
            from: None,
            what: String::new(),
            patient: None,
            why: String::new(),
            change: String::new(),
            request: None,
            detail: String::new(),
        }
    }

    /// Who acted.
    #[must_use]
    pub fn who(mut self, who: Who) -> Self {
        self.who = Some(who);
        self
    }

    /// The roles that the actor held at this decision.
    #[must_use]
    pub fn roles(mut self, roles: Arc<[String]>) -> Self {
        self.roles = Some(roles);
        self
    }

    /// From where, and in which request.
    #[must_use]
    pub fn from(mut self, edge: &Edge) -> Self {
        self.from = Some(Origin { zone: edge.zone.clone(), address: edge.address, host: Arc::clone(&edge.host) });
        self.request = Some(edge.request);
        self
    }

    /// What was done, or to what.
    #[must_use]
    pub fn what(mut self, what: What<'_>) -> Self {
        self.what = what.members();
        self.patient = what.patient.text();
        self
    }

    /// Whose chart; for what is known later than the rest.
    #[must_use]
    pub fn patient(mut self, patient: Patient<'_>) -> Self {
        self.patient = patient.text();
        self
    }

    /// Why.
    #[must_use]
    pub fn why(mut self, why: Why<'_>) -> Self {
        self.why = why.members();
        self
    }

    /// What it was before and is now; `Value::Null` where there was or is nothing.
    #[must_use]
    pub fn change(mut self, before: &Value, after: &Value) -> Self {
        self.change.clear();
        json::name(&mut self.change, "before");
        json::value(&mut self.change, before);
        json::name(&mut self.change, "after");
        json::value(&mut self.change, after);
        self
    }

    /// The request in which it happened.
    #[must_use]
    pub fn request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    /// One more thing to say; see the catalogue for the keys an event has.
    #[must_use]
    pub fn detail<'a>(mut self, key: &'static str, value: impl Into<Detail<'a>>) -> Self {
        if self.detail.is_empty() {
            self.detail.reserve(64);
        }
        let start = self.detail.len();
        json::name(&mut self.detail, key);
        match value.into() {
            Detail::Text(text) => json::text(&mut self.detail, text, SHORT),
            Detail::Json(value) => json::value(&mut self.detail, value),
            Detail::Number(number) => json::number(&mut self.detail, number),
            Detail::Flag(flag) => self.detail.push_str(if flag { "true" } else { "false" }),
        }
        if self.detail.len() > DETAIL {
            self.detail.truncate(start);
            if !self.detail.ends_with(CUT) {
                self.detail.push_str(if start == 0 { CUT.trim_start_matches(',') } else { CUT });
            }
        }
        self
    }

    /// What happened.
    pub const fn event(&self) -> Event {
        self.event
    }

    /// How it came out.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The same acts and actors, under another event: the close of an open.
    pub(crate) fn turned(mut self, event: Event, outcome: Outcome) -> Self {
        self.event = event;
        self.outcome = outcome;
        self
    }

    pub(crate) fn without_reasons(mut self) -> Self {
        self.why.clear();
        self.change.clear();
        self
    }

    /// The record as the store's outbox keeps it.
    pub fn store(&self) -> StoredRecord {
        let mut text = String::with_capacity(1_024);
        let _ = write!(text, "{{\"v\":{},", self.event.version());
        self.write(&mut text);
        text.push('}');
        StoredRecord(text)
    }

    /// The members from `event` to `detail`, in the order that docs/journal.md gives.
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("\"event\":\"");
        out.push_str(self.event.name());
        out.push_str("\",\"outcome\":\"");
        out.push_str(self.outcome.name());
        out.push('"');
        if let Some(who) = &self.who {
            out.push_str(",\"who\":");
            who.write(out, self.roles.as_deref());
        }
        self.write_origin(out);
        self.write_what(out);
        for (key, members) in [("why", &self.why), ("change", &self.change)] {
            object(out, key, members);
        }
        if let Some(request) = self.request {
            out.push_str(",\"request\":\"");
            request.push(out);
            out.push('"');
        }
        object(out, "detail", &self.detail);
    }

    fn write_origin(&self, out: &mut String) {
        let station = self.who.as_ref().and_then(Who::station);
        if self.from.is_none() && station.is_none() {
            return;
        }
        out.push_str(",\"from\":{");
        if let Some(from) = &self.from {
            json::field(out, "zone", from.zone.name(), SHORT);
            out.push_str(",\"address\":\"");
            write_address(out, from.address);
            out.push('"');
            json::field(out, "host", &from.host, SHORT);
        }
        if let Some(station) = station {
            json::field(out, "station", station, SHORT);
        }
        out.push('}');
    }

    fn write_what(&self, out: &mut String) {
        if self.what.is_empty() && self.patient.is_none() {
            return;
        }
        out.push_str(",\"what\":{");
        out.push_str(&self.what);
        if let Some(patient) = &self.patient {
            json::field(out, "patient", patient, TARGET);
        }
        out.push('}');
    }
}

fn write_address(out: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (i, octet) in address.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push('.');
                }
                json::number(out, i64::from(octet));
            }
        }
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

const CUT: &str = ",\"cut\":true";

fn object(out: &mut String, key: &str, members: &str) {
    if !members.is_empty() {
        out.push_str(",\"");
        out.push_str(key);
        out.push_str("\":{");
        out.push_str(members);
        out.push('}');
    }
}

/// A value of `detail`.
#[derive(Clone, Copy, Debug)]
pub enum Detail<'a> {
    /// Text, cut at 512 bytes.
    Text(&'a str),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Anything else.
    Json(&'a Value),
}

impl<'a> From<&'a str> for Detail<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Detail<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Value> for Detail<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Json(value)
    }
}

impl From<bool> for Detail<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl From<$type> for Detail<'_> {
            fn from(number: $type) -> Self {
                Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, usize, i32, i64);

/// A record on its way through the store's outbox: a JSON object with the record's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord(String);

impl StoredRecord {
    /// Reads a row of the outbox back. What isn't a record, or names a member that only the journal
    /// may write, is refused: the outbox is data, and no line may be smuggled in by it.
    ///
    /// # Errors
    /// [`StoredRecordError`].
    pub fn parse(text: String) -> Result<Self, StoredRecordError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "the fields are there to be demanded or refused")]
        struct Members {
            v: u32,
            event: Box<str>,
            outcome: Box<str>,
            who: Option<IgnoredAny>,
            from: Option<IgnoredAny>,
            what: Option<IgnoredAny>,
            why: Option<IgnoredAny>,
            change: Option<IgnoredAny>,
            request: Option<IgnoredAny>,
            detail: Option<IgnoredAny>,
        }
        if text.len() > BODY || text.bytes().any(|b| b < b' ') {
            return Err(StoredRecordError);
        }
        let members: Members = serde_json::from_str(&text).map_err(|_| StoredRecordError)?;
        let known = Event::from_name(&members.event).is_some() && Outcome::from_name(&members.outcome).is_some();
        let framed = text.starts_with(&format!("{{\"v\":{},\"event\":\"", members.v)) && text.ends_with('}');
        if known && framed { Ok(Self(text)) } else { Err(StoredRecordError) }
    }

    /// The text that the store keeps.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version of the event's fields, and the members after it without braces.
    pub(crate) fn split(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix("{\"v\":")?.strip_suffix('}')?.split_once(',')
    }
}

impl From<StoredRecord> for String {
    fn from(record: StoredRecord) -> Self {
        record.0
    }
}

/// A text of the outbox is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outbox holds something that is not a record")]
pub struct StoredRecordError;

/// Which row of which node's outbox a record comes from: the journal takes each once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutboxRow {
    /// The node that committed it.
    pub node: NodeId,
    /// The row's number at that node.
    pub id: i64,
    /// When it was committed.
    pub at: Timestamp,
}
