//! The commands that work on the gateway's own host, without its server.

mod bootstrap;
mod policy_test;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use audit::PublicKey;
use config::{Report, Snapshot};
use model::MasterKey;
use serde_json::{Value, json};

use crate::arguments::{ConfigCommand, KeyCommand, Verify};
use crate::output::{Answer, Failure};

pub(crate) use bootstrap::bootstrap;
pub(crate) use policy_test::policy_test;

/// `config check`: what start-up runs, with every problem at once.
pub(crate) fn config(command: ConfigCommand) -> Result<Answer, Failure> {
    let ConfigCommand::Check { file } = command;
    Ok(match config::load(&file) {
        Ok(snapshot) => Answer::good(json!({
            "ok": true,
            "apps": snapshot.apps.iter().map(|app| app.name.as_ref()).collect::<Vec<_>>(),
            "policy": snapshot.policy_hash,
        })),
        Err(report) => Answer::bad(problems(&report)),
    })
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
    let key = MasterKey::generate().map_err(|error| Failure::local(error.to_string()))?;
    // `create_new`: a key that seals something is never overwritten.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut made| {
            made.write_all(format!("{}\n", key.text()).as_bytes())?;
            made.sync_all()
        })
        .map_err(|error| Failure::local(format!("{}: {error}", file.display())))?;
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
