//! `backup`: one folder with everything that a site needs to go on after a loss, made while the gateway runs.
//!
//! The store is copied before the journal, so that the journal knows of everything that the store has recorded.
//! What opens the rest (master key, private keys, passwords) stays out unless it is asked for.

pub(super) mod manifest;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use audit::{Event, Outcome, Record, What, Who};
use config::{NamedFile, Settings, Source};
use model::{Clock, StorePlace};
use serde_json::json;
use store::Visitor;

use self::manifest::{Entry, JournalEnd, Manifest};
use super::operator;
use crate::arguments::Backup;
use crate::output::{Answer, Failure};

/// Options that name what is copied by itself, or made anew.
const APART: [&str; 3] = ["store.path", "journal.directory", "journal.checkpoint_directory"];

pub(crate) async fn backup(arguments: Backup) -> Result<Answer, Failure> {
    let snapshot = super::snapshot(&arguments.config)?;
    let settings = &snapshot.settings;
    let master = config::master_key(&settings.keys.master_key_file).map_err(Failure::of)?;
    let place = settings.store.place().map_err(Failure::of)?;
    let mut folder = Folder::begin(&arguments.to)?;
    let journal = journal_end(settings)?;
    let mut visitor =
        Visitor::open(&place, settings.server.node.clone(), Clock::system()).await.map_err(Failure::of)?;
    let store = copy_store(&mut visitor, &place, &mut folder).await?;
    folder.take(&settings.journal_key(), "keys/journal.key")?;
    folder.take(&settings.journal_key().with_extension("pub"), "keys/journal.pub")?;
    folder.take(&settings.assertion_key(), "keys/assertion.key")?;
    copy_journal(settings, &mut folder)?;
    let left_out = copy_configuration(&Source::read(&arguments.config), arguments.with_secrets, &mut folder)?;
    let manifest = Manifest {
        format: manifest::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: settings.server.node.as_str().to_owned(),
        made_at: Clock::system().now().to_string(),
        store: store.to_owned(),
        journal,
        files: folder.entries,
        left_out: left_out.clone(),
    };
    let digest = manifest.write(&folder.path, &master)?;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let record = Record::new(Event::BackupMake, Outcome::Ok)
        .who(Who::operator(&operator()))
        .what(What::thing("backup", &folder.path.display().to_string()))
        .detail("to", folder.path.display().to_string().as_str())
        .detail("manifest", digest.as_str())
        .detail("files", manifest.files.len() as u64)
        .detail("bytes", bytes)
        .detail("secrets", arguments.with_secrets);
    let posted = visitor.post(&record).await;
    visitor.close().await;
    posted.map_err(|error| Failure::local(format!("the backup is whole, but could not be put on record: {error}")))?;
    Ok(Answer::good(json!({
        "backup": folder.path,
        "files": manifest.files.len(),
        "bytes": bytes,
        "manifest": digest,
        "database": advice(&place),
        "left out": left_out,
    })))
}

/// What is left for the administrator to copy.
fn advice(place: &StorePlace) -> &'static str {
    match place {
        StorePlace::File(_) => "in the backup",
        StorePlace::Server(_) => "not in the backup: save it with pg_dump right now, and keep both together",
    }
}

/// The newest record before the store is copied: what the store knows of is at least this.
fn journal_end(settings: &Settings) -> Result<JournalEnd, Failure> {
    let newest = audit::read::tail(&settings.journal.directory, None, 1).map_err(Failure::of)?.pop();
    let newest = newest.ok_or_else(|| Failure::local("the journal is empty: the gateway has never run here"))?;
    let hash = newest.record.get("hash").and_then(|hash| hash.as_str()).unwrap_or_default().to_owned();
    Ok(JournalEnd { seq: newest.seq, hash })
}

async fn copy_store(visitor: &mut Visitor, place: &StorePlace, folder: &mut Folder) -> Result<&'static str, Failure> {
    let StorePlace::File(_) = place else { return Ok(manifest::SERVER) };
    let copy = folder.make("store/store.db")?;
    visitor.copy(&copy).await.map_err(Failure::of)?;
    File::open(&copy).and_then(|file| file.sync_all()).map_err(|error| Failure::file(&copy, &error))?;
    folder.list("store/store.db", 0o600)?;
    Ok(manifest::FILE)
}

fn copy_journal(settings: &Settings, folder: &mut Folder) -> Result<(), Failure> {
    let to = folder.directory("journal")?;
    for copy in audit::copy(&settings.journal.directory, &to).map_err(Failure::of)? {
        let name = copy.file_name().unwrap_or_default().to_string_lossy().into_owned();
        folder.list(&format!("journal/{name}"), 0o600)?;
    }
    Ok(())
}

/// The main file, the policy, and what they name; what had to stay out.
fn copy_configuration(source: &Source, with_secrets: bool, folder: &mut Folder) -> Result<Vec<String>, Failure> {
    let home = absolute(source.folder())?;
    for (path, text) in source.texts_by_path() {
        folder.write(&format!("config/{}", path.display()), text)?;
    }
    let mut left_out = Vec::new();
    for NamedFile { option, path } in source.named() {
        if APART.contains(&option.as_str()) {
            continue;
        }
        let path = absolute(&path)?;
        // Where the gateway keeps what it is issued there may be nothing yet.
        let issued = option == "tls.certificate" || option == "tls.key";
        if is_secret(&option) && !with_secrets || issued && !path.exists() {
            left_out.push(path.display().to_string());
            continue;
        }
        let name = match path.strip_prefix(&home) {
            Ok(inside) => format!("config/{}", inside.display()),
            Err(_) => format!("outside{}", path.display()),
        };
        if folder.entries.iter().all(|entry| entry.path != name) {
            folder.take(&path, &name)?;
        }
    }
    Ok(left_out)
}

/// Files that open something by themselves. A secret of an upstream is none: it is sealed.
fn is_secret(option: &str) -> bool {
    option == "keys.master_key_file"
        || option == "store.password_file"
        || (option.starts_with("tls.") && option.ends_with("key"))
}

/// Without `..` and links on the way, so that a backup can tell what is inside the configuration's folder.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let folder = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    };
    let found = match path.file_name() {
        Some(name) => fs::canonicalize(folder).map(|folder| folder.join(name)),
        None => fs::canonicalize(path),
    };
    found.map_err(|error| Failure::file(path, &error))
}

/// The backup while it is made.
struct Folder {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl Folder {
    /// A new folder, or one that is there and empty: its owner's alone.
    fn begin(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::file(path, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        if fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(Failure::local(format!("{}: is not empty; a backup gets a folder of its own", path.display())));
        }
        Ok(Self { path: absolute(&path.join("."))?, entries: Vec::new() })
    }

    fn directory(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map(|()| path.clone()).map_err(|error| Failure::file(&path, &error))
    }

    /// An empty file for somebody else to fill; [`Self::list`] it afterwards.
    fn make(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        if let Some(parent) = Path::new(name).parent() {
            self.directory(&parent.display().to_string())?;
        }
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map(|_| path.clone()).map_err(|error| Failure::file(&path, &error))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.make(name)?;
        let written = OpenOptions::new().write(true).open(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(|error| Failure::file(&path, &error))?;
        self.list(name, 0o640)
    }

    fn take(&mut self, from: &Path, name: &str) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::file(from, &error);
        let mode = fs::metadata(from).map_err(failed)?.permissions().mode() & 0o777;
        let to = self.make(name)?;
        let copied = OpenOptions::new().write(true).open(&to).and_then(|mut copy| {
            io::copy(&mut File::open(from)?, &mut copy)?;
            copy.sync_all()
        });
        copied.map_err(failed)?;
        self.list(name, mode)
    }

    /// Puts a finished file on the list.
    fn list(&mut self, name: &str, mode: u32) -> Result<(), Failure> {
        self.entries.push(Entry::of(&self.path, name, mode)?);
        Ok(())
    }
}
