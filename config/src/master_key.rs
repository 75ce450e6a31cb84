//! The master key's file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use model::{KeyError, MasterKey};
use zeroize::Zeroize as _;

/// A key is one line of 44 characters.
const MAX_BYTES: u64 = 256;

/// Makes a master key and writes it into a new file that its owner alone reads, synced.
///
/// # Errors
/// [`MasterKeyError`]: there is a file already (a key that seals something is never overwritten), it can't
/// be written, or the machine has no randomness.
pub fn new_master_key(path: &Path) -> Result<(), MasterKeyError> {
    let fault = |fault| MasterKeyError { path: path.to_owned(), fault };
    let mut text = MasterKey::generate().map_err(|error| fault(Fault::Content(error)))?.text();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| fault(Fault::Unwritable(error)))?;
    let written = writeln!(file, "{text}").and_then(|()| file.sync_all());
    text.zeroize();
    written.map_err(|error| {
        // Half a key is none, and would be in the way of the next.
        let _ = fs::remove_file(path);
        fault(Fault::Unwritable(error))
    })
}

/// Reads the master key that [`new_master_key`] wrote.
///
/// # Errors
/// [`MasterKeyError`]: the file is missing, readable by others, or holds something else.
pub fn master_key(path: &Path) -> Result<MasterKey, MasterKeyError> {
    let fault = |fault| MasterKeyError { path: path.to_owned(), fault };
    let mode = fs::metadata(path).map_err(|error| fault(Fault::Unreadable(error)))?.mode();
    if mode & 0o077 != 0 {
        return Err(fault(Fault::Open));
    }
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    let key = read.map_err(Fault::Unreadable).and_then(|_| MasterKey::parse(&text).map_err(Fault::Content));
    text.zeroize();
    key.map_err(fault)
}

/// There is no usable master key.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct MasterKeyError {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}; make one with `sekimorictl key init`")]
    Unreadable(io::Error),
    #[error("{0}")]
    Unwritable(io::Error),
    #[error("others may read it; `chmod 600` it, and if they have, make a new one")]
    Open,
    #[error(transparent)]
    Content(KeyError),
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_master_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(master_key(&path).unwrap_err().to_string().contains("sekimorictl key init"));
        fs::write(&path, MasterKey::generate().unwrap().text()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(master_key(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(master_key(&path).is_ok());
        fs::write(&path, "c2hvcnQ=").unwrap();
        assert!(master_key(&path).is_err());
    }

    #[test]
    fn a_new_master_key_is_its_owners_alone_and_never_replaces_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        new_master_key(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(master_key(&path).unwrap().text(), text.trim());
        assert!(new_master_key(&path).unwrap_err().to_string().contains("master.key: "));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
