//! Reading the journal. Each look is itself recorded, and on disk, before anything is shown
//! (design.md §9).

use std::path::PathBuf;

use audit::read::{self, Filter, Line};
use audit::{Event, JournalError, Outcome, What};
use http::StatusCode;
use model::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{number, record, unfit};
use crate::handlers::{Answer, Guest};
use crate::problem::json;
use crate::refused::Refused;

/// Lines of one answer at most.
const MOST: usize = 500;
const USUAL: usize = 50;

#[derive(Serialize)]
struct Page {
    records: Vec<Shown>,
    /// Pass it as `before` for older ones; none: everything was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

#[derive(Serialize)]
struct Shown {
    seq: u64,
    /// Does the line's hash match its bytes?
    intact: bool,
    record: Value,
}

impl From<Line> for Shown {
    fn from(line: Line) -> Self {
        Self { seq: line.seq, intact: line.intact, record: line.record }
    }
}

/// `GET audit/tail?after=&limit=`.
pub(crate) async fn tail(visit: Guest) -> Answer {
    let after = number(&visit, "after")?;
    let limit = limit(&visit)?;
    noted(&visit, &format!("tail after={} limit={limit}", shown(after))).await?;
    let lines = reading(&visit, move |directory| read::tail(&directory, after, limit)).await?;
    Ok(page(lines, None))
}

/// `GET audit/records/{seq}`.
pub(crate) async fn show(visit: Guest) -> Answer {
    let seq: u64 = visit.part.parse().map_err(|_| Refused::not_found())?;
    noted(&visit, &format!("show seq={seq}")).await?;
    let line = reading(&visit, move |directory| read::show(&directory, seq)).await?;
    let line = line.ok_or(Refused::not_found())?;
    Ok(json(StatusCode::OK, &Shown::from(line)))
}

/// `GET audit/search?…`.
pub(crate) async fn search(visit: Guest) -> Answer {
    let filter = filter(&visit)?;
    let before = number(&visit, "before")?;
    let limit = limit(&visit)?;
    noted(&visit, &format!("search {} before={} limit={limit}", words(&visit), shown(before))).await?;
    let found = reading(&visit, move |directory| read::search(&directory, &filter, before, limit)).await?;
    Ok(page(found.lines, found.next))
}

fn page(lines: Vec<Line>, next: Option<u64>) -> axum::response::Response {
    json(StatusCode::OK, &Page { records: lines.into_iter().map(Shown::from).collect(), next })
}

fn limit(visit: &Guest) -> Result<usize, Refused> {
    Ok(number(visit, "limit")?.unwrap_or(USUAL).clamp(1, MOST))
}

fn shown(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |n| n.to_string())
}

/// What may be searched for.
const FILTERS: [&str; 9] =
    ["since", "until", "event", "outcome", "staff_no", "patient", "app", "request_id", "session"];

fn filter(visit: &Guest) -> Result<Filter, Refused> {
    let word = |name: &str| Some(visit.query.field(name).to_owned()).filter(|text| !text.is_empty());
    Ok(Filter {
        since: moment(visit, "since")?,
        until: moment(visit, "until")?,
        event: word("event"),
        outcome: word("outcome"),
        staff_no: word("staff_no"),
        patient: word("patient"),
        app: word("app"),
        request: word("request_id"),
        session: word("session"),
    })
}

fn moment(visit: &Guest, name: &str) -> Result<Option<Timestamp>, Refused> {
    match visit.query.field(name) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error| unfit(visit, "time", &format!("`{name}` is {error}"))),
    }
}

/// The question, as the record has it.
fn words(visit: &Guest) -> String {
    let given = FILTERS.iter().map(|name| (name, visit.query.field(name))).filter(|(_, text)| !text.is_empty());
    given.map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join(" ")
}

/// Records the look before it happens.
async fn noted(visit: &Guest, query: &str) -> Result<(), Refused> {
    let record = record(visit, Event::AuditRead, Outcome::Ok)?.what(What::thing("journal", "")).detail("query", query);
    visit.parts().journal.append_synced(&record).await?;
    Ok(())
}

/// Reads files on a thread that may wait for the disk.
async fn reading<T: Send + 'static>(
    visit: &Guest,
    look: impl FnOnce(PathBuf) -> Result<T, JournalError> + Send + 'static,
) -> Result<T, Refused> {
    let directory = visit.parts().journal.directory().to_owned();
    let read = tokio::task::spawn_blocking(move || look(directory)).await;
    Ok(read.map_err(|error| Refused::Unavailable(error.to_string()))??)
}
