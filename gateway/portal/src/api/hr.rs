//! The HR file.

use directory::{Actor, ImportError};
use http::StatusCode;
use serde_json::Value;

use super::{caller, problem};
use crate::handlers::{Answer, Guest};
use crate::problem::json;
use crate::refused::Refused;

/// `POST hr/import`: the file as it is, applied as a whole or not at all. Answers when the records are
/// on disk.
pub(crate) async fn import(visit: Guest) -> Answer {
    let live = caller(&visit)?;
    let number = live.person().staff_no.to_string();
    let actor = Actor { who: live.who().clone(), name: &number, edge: Some(&visit.edge) };
    let settings = &visit.snapshot.settings.hr;
    match directory::import(&visit.parts().store, visit.body.to_vec(), settings, &actor).await {
        Ok(report) => Ok(json(StatusCode::OK, &report)),
        Err(error) => Err(refused(&visit, error)),
    }
}

fn refused(visit: &Guest, error: ImportError) -> Refused {
    let words = error.to_string();
    let (name, rows) = match error {
        ImportError::File(problems) => {
            ("hr-file", problems.iter().filter_map(|p| serde_json::to_value(p).ok()).collect())
        }
        ImportError::Doubtful(doubts) => {
            ("hr-doubt", doubts.iter().map(|doubt| Value::String(doubt.to_string())).collect())
        }
        ImportError::Store(_) | ImportError::NotJournaled | ImportError::Interrupted => {
            return Refused::Unavailable(words);
        }
    };
    let problem = problem(visit, StatusCode::UNPROCESSABLE_ENTITY, name, "Nothing was imported");
    Refused::Problem(Box::new(problem.detail(words).rows(rows)))
}
