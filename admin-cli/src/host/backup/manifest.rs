//! What a backup holds, file by file, under a code that only the master key makes: nobody who gets at the backup
//! alone can change it unseen.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path};

use aws_lc_rs::constant_time;
use aws_lc_rs::digest::{Context, SHA256, digest};
use model::{MasterKey, hex};
use serde::{Deserialize, Serialize};

use crate::output::Failure;

/// The version of what is described here.
pub(crate) const FORMAT: u32 = 1;
/// Where the store was.
pub(crate) const FILE: &str = "file";
pub(crate) const SERVER: &str = "server";

const NAME: &str = "manifest.json";
const CODE: &str = "manifest.mac";
const PURPOSE: &str = "backup-manifest";
/// No backup has more files, and no manifest is longer.
const MOST: usize = 100_000;
const LONGEST: u64 = 64 * 1_024 * 1_024;

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// Of the program that made it.
    pub(crate) version: String,
    pub(crate) node: String,
    pub(crate) made_at: String,
    /// `file` or `server`.
    pub(crate) store: String,
    pub(crate) journal: JournalEnd,
    pub(crate) files: Vec<Entry>,
    /// Secrets that were left out, by their path.
    pub(crate) left_out: Vec<String>,
}

/// The newest record before the store was copied.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JournalEnd {
    pub(crate) seq: u64,
    pub(crate) hash: String,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Relative to the backup's folder.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Its permissions.
    pub(crate) mode: u32,
}

impl Entry {
    /// The file at `path` of the backup in `folder`, as it is there now.
    pub(crate) fn of(folder: &Path, path: &str, mode: u32) -> Result<Self, Failure> {
        let place = folder.join(path);
        let (bytes, sha256) = hashed(&place).map_err(|error| Failure::file(&place, &error))?;
        Ok(Self { path: path.to_owned(), bytes, sha256, mode })
    }
}

impl Manifest {
    /// Writes it, as the last file of the backup; its SHA-256.
    pub(crate) fn write(&self, folder: &Path, master: &MasterKey) -> Result<String, Failure> {
        let text = serde_json::to_string_pretty(self).map_err(Failure::of)?;
        put(&folder.join(NAME), text.as_bytes())?;
        put(&folder.join(CODE), format!("{}\n", hex::of(&code(text.as_bytes(), master)?)).as_bytes())?;
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| Failure::file(folder, &error))?;
        Ok(hash_of(text.as_bytes()))
    }

    /// Reads the manifest of a backup, without believing it yet; its text is for [`Self::verify`].
    pub(crate) fn read(folder: &Path) -> Result<(Self, Vec<u8>), Failure> {
        let text = read_short(&folder.join(NAME))?;
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| bad(folder, &error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(bad(folder, &format!("format {} is not known here", manifest.format)));
        }
        if manifest.files.len() > MOST || !manifest.files.iter().all(|entry| is_inside(&entry.path)) {
            return Err(bad(folder, "it names files outside of itself"));
        }
        Ok((manifest, text))
    }

    /// Is it the manifest that was written, and is every file as it was, none missing and none more?
    pub(crate) fn verify(&self, folder: &Path, text: &[u8], master: &MasterKey) -> Result<(), Failure> {
        let written = read_short(&folder.join(CODE))?;
        let wanted = hex::of(&code(text, master)?);
        if constant_time::verify_slices_are_equal(written.trim_ascii(), wanted.as_bytes()).is_err() {
            return Err(bad(folder, "its manifest was changed, or made under another master key"));
        }
        for entry in &self.files {
            if Entry::of(folder, &entry.path, entry.mode)? != *entry {
                return Err(bad(folder, &format!("`{}` is not what was saved", entry.path)));
            }
        }
        let listed: BTreeSet<&str> = self.files.iter().map(|entry| entry.path.as_str()).chain([NAME, CODE]).collect();
        let mut found = Vec::new();
        walk(folder, "", &mut found).map_err(|error| Failure::file(folder, &error))?;
        match found.iter().find(|path| !listed.contains(path.as_str())) {
            Some(more) => Err(bad(folder, &format!("`{more}` was added"))),
            None => Ok(()),
        }
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn hash_of(text: &[u8]) -> String {
    hex::of(digest(&SHA256, text).as_ref())
}

/// A keyed hash: HKDF-Expand with the digest as its context is an HMAC (RFC 5869 section 2.3).
fn code(text: &[u8], master: &MasterKey) -> Result<[u8; 32], Failure> {
    master.derive(PURPOSE, digest(&SHA256, text).as_ref()).map_err(Failure::of)
}

fn is_inside(path: &str) -> bool {
    let parts = || Path::new(path).components();
    let plain = parts().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/");
    !path.is_empty() && plain == path && parts().all(|part| matches!(part, Component::Normal(_)))
}

fn walk(folder: &Path, below: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        match entry.file_type()? {
            kind if kind.is_dir() => walk(folder, &path, found)?,
            _ => found.push(path),
        }
    }
    Ok(())
}

fn hashed(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut context, mut bytes) = (File::open(path)?, Context::new(&SHA256), 0);
    let mut buffer = vec![0; 64 * 1_024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hex::of(context.finish().as_ref())));
        }
        context.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

fn read_short(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut text));
    read.map(|_| text).map_err(|error| Failure::file(path, &error))
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| Failure::file(path, &error))
}

fn bad(folder: &Path, why: &str) -> Failure {
    Failure::local(format!("{}: this backup can't be used: {why}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Edit = fn(&Path);

    fn backup(folder: &Path, master: &MasterKey) {
        fs::create_dir(folder.join("store")).unwrap();
        fs::write(folder.join("store/store.db"), "people").unwrap();
        let manifest = Manifest {
            format: FORMAT,
            version: "0".into(),
            node: "n1".into(),
            made_at: "2026-11-21T00:00:00.000000Z".into(),
            store: FILE.into(),
            journal: JournalEnd { seq: 7, hash: "00".into() },
            files: vec![Entry::of(folder, "store/store.db", 0o600).unwrap()],
            left_out: Vec::new(),
        };
        manifest.write(folder, master).unwrap();
    }

    fn verdict(folder: &Path, master: &MasterKey) -> Result<(), Failure> {
        let (manifest, text) = Manifest::read(folder)?;
        manifest.verify(folder, &text, master)
    }

    #[test]
    fn a_backup_is_what_was_saved_under_the_same_master_key_or_is_refused() {
        let edits: [(Edit, &str); 6] = [
            (|_| (), ""),
            (|folder| fs::write(folder.join("store/store.db"), "peoplE").unwrap(), "is not what was saved"),
            (|folder| fs::remove_file(folder.join("store/store.db")).unwrap(), "store.db"),
            (|folder| fs::write(folder.join("store/more"), "x").unwrap(), "`store/more` was added"),
            (
                |folder| {
                    let text = fs::read_to_string(folder.join(NAME)).unwrap();
                    fs::write(folder.join(NAME), text.replace("\"seq\": 7", "\"seq\": 8")).unwrap();
                },
                "its manifest was changed",
            ),
            (|folder| fs::write(folder.join(CODE), "00").unwrap(), "its manifest was changed"),
        ];
        let master = MasterKey::generate().unwrap();
        for (edit, told) in edits {
            let folder = tempfile::tempdir().unwrap();
            backup(folder.path(), &master);
            edit(folder.path());
            match verdict(folder.path(), &master) {
                Ok(()) => assert!(told.is_empty()),
                Err(failure) => assert!(!told.is_empty() && failure.message().contains(told), "{failure:?}"),
            }
            assert!(verdict(folder.path(), &MasterKey::generate().unwrap()).is_err());
        }
    }

    #[test]
    fn a_manifest_never_leads_out_of_its_folder() {
        for path in ["", "/etc/passwd", "../x", "store/../../x", "./x", "a//b"] {
            assert!(!is_inside(path), "{path}");
        }
        assert!(is_inside("outside/etc/ssl/x.pem"));
    }
}
