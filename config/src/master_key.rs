//! The master key's file.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use model::{KeyError, MasterKey};
use zeroize::Zeroize as _;

/// A key is one line of 44 characters.
const MAX_BYTES: u64 = 256;

/// Reads the master key that `sekimorictl key init` wrote.
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
    Unreadable(std::io::Error),
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
}
