//! From one configuration to the next while the gateway runs (design.md §10).

use std::path::Path;
use std::sync::Arc;

use audit::{Event, Outcome, Record, What, Who, Why};
use config::Snapshot;
use serde_json::{Value, json};

use crate::log::Log;
use crate::parts::Parts;
use crate::run::{in_force, load};

/// Swaps one snapshot for the next, or says why not and keeps the old one.
pub(crate) async fn reload(parts: &Parts, log: &Log, file: &Path) {
    let former = parts.current.load();
    let outcome = swap(parts, file).await;
    let (event, result, reason) = match &outcome {
        Ok(_) => (Event::ConfigLoad, Outcome::Ok, None),
        Err(reason) => (Event::ConfigReject, Outcome::Failed, Some(reason.as_str())),
    };
    let snapshot = parts.current.load();
    let mut record = Record::new(event, result)
        .who(Who::system("reload"))
        .what(What::thing("configuration", &file.display().to_string()))
        .why(Why { reason, ..in_force(&snapshot) });
    match outcome {
        Ok(generation) => {
            log.follow(&snapshot.settings.log);
            record = record.change(&described(&former), &described(&snapshot));
            tracing::info!(generation, "reloaded");
        }
        Err(reason) => tracing::error!(reason, "reload refused; the old configuration stays"),
    }
    if let Err(error) = parts.journal.append_synced(&record).await {
        tracing::error!(%error, "the reload is not on record");
    }
}

async fn swap(parts: &Parts, file: &Path) -> Result<u64, String> {
    let path = file.to_owned();
    let next = tokio::task::spawn_blocking(move || load(&path))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let snapshot = parts.current.prepare(next).map_err(|error| error.to_string())?;
    let plane = parts.proxy.plane(Arc::clone(&snapshot)).map_err(|error| error.to_string())?;
    parts.current.install(Arc::clone(&snapshot));
    parts.proxy.install(plane);
    Ok(snapshot.generation)
}

fn described(snapshot: &Snapshot) -> Value {
    json!({ "policy": snapshot.policy_hash, "generation": snapshot.generation })
}
