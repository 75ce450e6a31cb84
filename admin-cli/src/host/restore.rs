//! `restore`: a backup becomes the gateway's own again. Nothing that was alive in it comes back to life: sessions,
//! logins under way and one-time codes end, and what the journal knows to have ended since ends again (A54).

mod placement;
mod since;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use audit::{Event, Journal, NodeKey, Options, Outcome, Record, What, Who};
use config::{Settings, Snapshot, Source};
use model::{Clock, MasterKey};
use serde_json::{Value, json};
use store::{Facts, Pump, Store, restored};

use self::placement::Placement;
use self::since::Since;
use super::backup::manifest::{self, Manifest, hash_of};
use super::operator;
use crate::arguments::Restore;
use crate::output::{Answer, Failure};

pub(crate) async fn restore(arguments: Restore) -> Result<Answer, Failure> {
    let (manifest, text) = Manifest::read(&arguments.from)?;
    // What the backup says of itself, its configuration too, is read when the key has spoken for it.
    let in_place = arguments.config.exists().then(|| Wanted::read(&arguments)).transpose()?;
    let master = master_key(arguments.key.as_deref(), in_place.as_ref())?;
    manifest.verify(&arguments.from, &text, &master)?;
    let wanted = match in_place {
        Some(wanted) => wanted,
        None => Wanted::read(&arguments)?,
    };
    wanted.fits(&manifest)?;
    let settings = &wanted.snapshot.settings;
    let (seq, hash) = (manifest.journal.seq, manifest.journal.hash.as_str());
    if arguments.keep_journal {
        since::continues(settings, seq, hash)?;
    }
    let placement = Placement::plan(&manifest, &arguments, &wanted)?;
    let placed = placement.carry_out()?;
    let outcome = revive(&manifest, &hash_of(&text), settings, &master).await;
    match outcome {
        Ok(value) => {
            placed.keep();
            Ok(Answer::good(told(value, &wanted, &manifest)))
        }
        Err(failure) => Err(failure),
    }
}

/// The configuration that the restored gateway will have.
struct Wanted {
    snapshot: Snapshot,
    /// The folder of the main file.
    folder: PathBuf,
    /// The main file's name.
    file: PathBuf,
    /// It is there already and stays.
    kept: bool,
}

impl Wanted {
    fn read(arguments: &Restore) -> Result<Self, Failure> {
        let file = arguments.config.clone();
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let kept = file.exists();
        let source = if kept { Source::read(&file) } else { saved(&arguments.from, &folder)? };
        // The files that it names need not be there yet.
        let snapshot =
            source.parse().map_err(|report| Failure::local(format!("the configuration has errors\n{report}")))?;
        Ok(Self { snapshot, folder, file, kept })
    }

    /// Is this the backup of this node, and is it for us to put it here?
    fn fits(&self, manifest: &Manifest) -> Result<(), Failure> {
        let settings = &self.snapshot.settings;
        if settings.server.node.as_str() != manifest.node {
            let (ours, theirs) = (settings.server.node.as_str(), &manifest.node);
            return Err(Failure::local(format!("this is node `{ours}`, and the backup is of `{theirs}`")));
        }
        let here = if settings.store.url.is_none() { manifest::FILE } else { manifest::SERVER };
        if here != manifest.store {
            return Err(Failure::local(format!("the store was a {} and is a {here} here", manifest.store)));
        }
        let folder = settings.store.path.parent().unwrap_or(Path::new("."));
        let (Ok(owner), Ok(own)) = (fs::metadata(folder), fs::metadata("/proc/self")) else { return Ok(()) };
        if owner.uid() != own.uid() {
            let folder = folder.display();
            return Err(Failure::local(format!("{folder} is another user's: run this as that user (sudo -u)")));
        }
        Ok(())
    }
}

/// The configuration as the backup has it, to stand in `folder`.
fn saved(from: &Path, folder: &Path) -> Result<Source, Failure> {
    let kept = from.join("config");
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| Failure::file(path, &error));
    let policy = kept.join("policy");
    let mut texts = Vec::new();
    for entry in fs::read_dir(&policy).map_err(|error| Failure::file(&policy, &error))? {
        let entry = entry.map_err(|error| Failure::file(&policy, &error))?;
        texts.push((entry.file_name().to_string_lossy().into_owned(), read(&entry.path())?));
    }
    let policy: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Ok(Source::texts(folder, &read(&main_file(&kept)?)?, &policy))
}

/// The one `*.toml` of the folder.
fn main_file(folder: &Path) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::file(folder, &error))?;
    let mut files = entries.flatten().map(|entry| entry.path());
    let found = files.find(|path| path.extension().is_some_and(|extension| extension == "toml"));
    found.ok_or_else(|| Failure::local(format!("{}: no configuration in this backup", folder.display())))
}

/// The key that somebody names, or the one in its place. Never one that the backup brings along: whoever made the
/// backup would then speak for himself (A54).
fn master_key(named: Option<&Path>, in_place: Option<&Wanted>) -> Result<MasterKey, Failure> {
    let place = named.or(in_place.map(|wanted| wanted.snapshot.settings.keys.master_key_file.as_path()));
    let Some(place) = place else {
        let told = "no configuration is in place, and a backup speaks for itself by the master key from the safe alone";
        return Err(Failure::local(format!("{told}: --key FILE")));
    };
    config::master_key(place).map_err(|_| {
        let place = place.display();
        Failure::local(format!("put the master key of the backup's site back first, from the safe: {place}"))
    })
}

/// Opens store and journal, ends what must not live, and says so in a segment of its own.
async fn revive(manifest: &Manifest, digest: &str, settings: &Settings, master: &MasterKey) -> Result<Value, Failure> {
    let clock = Clock::system();
    let place = settings.store.place().map_err(Failure::of)?;
    let node = settings.server.node.clone();
    let store = Store::open(place, node.clone(), clock.clone()).await.map_err(Failure::of)?;
    let key = NodeKey::load_or_create(&settings.journal_key(), master).map_err(Failure::of)?;
    let (segments, notes) = (&settings.journal.directory, &settings.journal.checkpoint_directory);
    let options =
        Options { segment_bytes: settings.journal.segment_size as u64, ..Options::new(segments, notes, node) };
    let since = Since::read(segments, manifest.journal.seq, store.node())?;
    let journal = Journal::open(options, key, clock.clone()).map_err(Failure::of)?;
    let mut tx = store.begin().await.map_err(Failure::of)?;
    let known = restored::posted(&mut tx).await.map_err(Failure::of)?;
    let again = since.apply(&mut tx).await?;
    let step = identity::newest_totp_step(clock.now());
    let ended = restored::end_all(&mut tx, step).await.map_err(Failure::of)?;
    let lost = since.lost(known);
    let record = Record::new(Event::BackupRestore, Outcome::Ok)
        .who(Who::operator(&operator()))
        .what(What::thing("backup", &manifest.made_at))
        .detail("made_at", manifest.made_at.as_str())
        .detail("manifest", digest)
        .detail("seq", manifest.journal.seq)
        .detail("sessions", ended.sessions)
        .detail("codes", ended.codes)
        .detail("authenticators", again)
        .detail("lost", &json!(lost));
    journal.turn().map_err(Failure::of)?;
    let committed = tx.commit(Facts::recorded(record)).await.map_err(Failure::of)?;
    Pump::new(store.clone(), journal.clone()).run(std::future::ready(())).await;
    committed.journaled().await.map_err(Failure::of)?;
    journal.close().map_err(Failure::of)?;
    store.close().await;
    Ok(
        json!({ "sessions ended": ended.sessions, "codes void": ended.codes, "authenticators off again": again, "lost": lost }),
    )
}

/// What the administrator reads.
fn told(mut value: Value, wanted: &Wanted, manifest: &Manifest) -> Value {
    let settings = &wanted.snapshot.settings;
    let missing: Vec<&String> = manifest.left_out.iter().filter(|path| !Path::new(path).exists()).collect();
    if let Value::Object(fields) = &mut value {
        fields.insert("restored".into(), json!(manifest.made_at));
        fields.insert("configuration".into(), json!(if wanted.kept { "kept as it was here" } else { "restored" }));
        fields.insert("put back before the start".into(), json!(missing));
        fields
            .insert("next".into(), json!(format!("sekimorictl audit verify {}", settings.journal.directory.display())));
    }
    value
}
