//! The commands that work on the gateway's own host, without its server.

mod backup;
mod bootstrap;
mod health;
mod policy_test;
mod restore;
mod secret;

use std::fs;
use std::path::{Path, PathBuf};

use audit::PublicKey;
use config::{Report, Snapshot, Standing};
use model::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::arguments::{ConfigCommand, KeyCommand, Verify};
use crate::output::{Answer, Failure};

pub(crate) use backup::backup;
pub(crate) use bootstrap::bootstrap;
use bootstrap::operator;
pub(crate) use health::health;
pub(crate) use policy_test::policy_test;
pub(crate) use restore::restore;
pub(crate) use secret::secret;

/// `config check`: what start-up runs, with every problem at once.
pub(crate) fn config(command: ConfigCommand) -> Result<Answer, Failure> {
    let ConfigCommand::Check { file } = command;
    Ok(match config::load(&file) {
        Ok(snapshot) => certificates(&snapshot, Clock::system().now()).unwrap_or_else(|warnings| {
            Answer::good(json!({
                "ok": true,
                "apps": snapshot.apps.iter().map(|app| app.name.as_ref()).collect::<Vec<_>>(),
                "policy": snapshot.policy_hash,
                "warnings": warnings,
            }))
        }),
        Err(report) => Answer::bad(problems(&report)),
    })
}

/// What is wrong with certificates, if one has ended; else the warnings. The gateway itself would start:
/// whom its clients believe is for them to say.
fn certificates(snapshot: &Snapshot, now: Timestamp) -> Result<Answer, Vec<String>> {
    let warnings: Vec<String> = snapshot.expiries.iter().filter_map(|expiry| expiry.warning(now)).collect();
    let over = snapshot.expiries.iter().any(|expiry| expiry.standing(now) == Standing::Over);
    if over { Ok(Answer::bad(Value::from(warnings))) } else { Err(warnings) }
}

fn problems(report: &Report) -> Value {
    Value::from(report.problems.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// Loads a configuration for a command that needs one.
fn snapshot(file: &Path) -> Result<Snapshot, Failure> {
    config::load(file).map_err(|report| Failure::local(format!("the configuration has errors\n{report}")))
}

/// `key init`.
pub(crate) fn key(command: KeyCommand) -> Result<Answer, Failure> {
    let KeyCommand::Init { file } = command;
    config::new_master_key(&file).map_err(|error| Failure::local(error.to_string()))?;
    Ok(Answer::good(json!({ "master key": file, "keep": "a copy in a safe: without it no sealed secret opens again" })))
}

/// `audit verify`: files and the public key alone.
pub(crate) fn verify(arguments: &Verify) -> Result<Answer, Failure> {
    let failed = |error: audit::JournalError| Failure::local(error.to_string());
    let key = PublicKey::read(&public_key(arguments)?).map_err(failed)?;
    let report = audit::verify(&arguments.directory, &key, arguments.checkpoint.as_deref()).map_err(failed)?;
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "kind": format!("{:?}", finding.kind).to_lowercase(),
                "file": finding.place.file,
                "line": finding.place.line,
                "seq": finding.place.seq,
                "note": finding.note,
            })
        })
        .collect();
    let value = json!({
        "sound": report.is_sound(),
        "records": report.records,
        "segments": report.segments,
        "last seq": report.last_seq,
        "proven to": report.proven_to,
        "findings": findings,
    });
    let answer = if report.is_sound() { Answer::good(value) } else { Answer::bad(value) };
    Ok(answer.in_lines(report.to_string().lines().map(str::to_owned).collect()))
}

/// The key that was named, or the one that the gateway left beside its store: in a small site the folder
/// that also holds the journal.
fn public_key(arguments: &Verify) -> Result<PathBuf, Failure> {
    if let Some(key) = &arguments.key {
        return Ok(key.clone());
    }
    let journal = fs::canonicalize(&arguments.directory)
        .map_err(|error| Failure::local(format!("{}: {error}", arguments.directory.display())))?;
    let near = [Some(journal.as_path()), journal.parent()];
    near.into_iter().flatten().map(|folder| folder.join("journal.pub")).find(|key| key.exists()).ok_or_else(|| {
        let place = arguments.directory.display();
        Failure::local(format!(
            "no journal.pub in {place} or beside it: name it with --key (the store's folder has it)"
        ))
    })
}
