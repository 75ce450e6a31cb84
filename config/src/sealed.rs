//! Secrets that stand in files, sealed under the master key (design.md §10): passwords, tokens and private
//! keys by which the gateway shows itself to upstreams.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{MasterKey, SealError, Secret};
use zeroize::Zeroize as _;

use crate::files;

/// The longest secret: a private key with its whole chain of comments.
const LONGEST: usize = 16 * 1_024;
const PURPOSE: &str = "secret file";
const MARK: &str = "sekimori-sealed-1 ";

/// Seals `secret` under `master` into the file `path`, which its owner alone reads; what was in the file is
/// replaced at once or not at all. Under another name the file doesn't open.
///
/// # Errors
/// [`SealedError`]: an empty or overlong secret, a file that can't be written.
pub fn seal_secret(master: &MasterKey, path: &Path, secret: &Secret<Vec<u8>>) -> Result<(), SealedError> {
    let fault = |fault| SealedError { path: path.to_owned(), fault };
    if !(1..=LONGEST).contains(&secret.expose().len()) {
        return Err(fault(Fault::Length));
    }
    let name = path.file_name().ok_or_else(|| fault(Fault::Content))?;
    let sealed =
        master.seal(PURPOSE, name.as_encoded_bytes(), secret.expose()).map_err(|error| fault(Fault::Sealing(error)))?;
    let text = format!("{MARK}{}\n", STANDARD.encode(sealed));
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        fault(Fault::Unwritable(error))
    })
}

/// Opens what [`seal_secret`] wrote.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn open_secret(master: &MasterKey, path: &Path) -> Result<Secret<Vec<u8>>, String> {
    if !path.exists() {
        return Err(format!("`{}` is not there: write it with `sekimorictl secret seal`", path.display()));
    }
    files::refuse_readable_by_others(path)?;
    let fault = |fault| SealedError { path: path.to_owned(), fault }.to_string();
    let text = files::read(path)?;
    let sealed = text
        .strip_prefix(MARK.as_bytes())
        .and_then(|text| STANDARD.decode(text.trim_ascii_end()).ok())
        .ok_or_else(|| fault(Fault::Content))?;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    master.open(PURPOSE, name, &sealed).map(Secret::new).map_err(|error| fault(Fault::Sealing(error)))
}

/// Where the gateway is to keep a key of its own there must be none of somebody else's: it would be written over.
pub(crate) fn refuse_in_the_clear(path: &Path) -> Result<(), String> {
    if !path.exists() || files::read(path)?.starts_with(MARK.as_bytes()) {
        return Ok(());
    }
    Err(format!("`{}` holds a key already: with `acme` name a file that isn't there yet", path.display()))
}

/// The same as text: printable ASCII, as header fields can carry it.
pub(crate) fn open_secret_text(master: &MasterKey, path: &Path) -> Result<Secret<String>, String> {
    let secret = open_secret(master, path)?;
    if !secret.expose().iter().all(|b| matches!(b, b' '..=b'~')) {
        return Err(format!("`{}` holds a secret that isn't printable ASCII", path.display()));
    }
    let mut bytes = secret.expose().clone();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    bytes.zeroize();
    Ok(Secret::new(text))
}

/// A secret was not sealed, or does not open.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct SealedError {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("a secret is 1 to {LONGEST} bytes long")]
    Length,
    #[error("no sealed secret: write it with `sekimorictl secret seal`")]
    Content,
    #[error("{0}: it was sealed under another master key, or for a file of another name")]
    Sealing(SealError),
    #[error("{0}")]
    Unwritable(io::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_sealed_secret_opens_under_its_own_key_and_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (key, path) = (MasterKey::generate().unwrap(), folder.path().join("orthanc"));
        for text in ["first", "second"] {
            seal_secret(&key, &path, &Secret::new(text.into())).unwrap();
            assert_eq!(open_secret_text(&key, &path).unwrap().expose(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&path).unwrap().contains("second"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(open_secret(&MasterKey::generate().unwrap(), &path).unwrap_err().contains("another master key"));
        let renamed = folder.path().join("chart");
        fs::copy(&path, &renamed).unwrap();
        assert!(open_secret(&key, &renamed).unwrap_err().contains("another name"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        assert!(open_secret(&key, &path).unwrap_err().contains("open to others"));
    }

    #[test]
    fn a_secret_in_the_clear_or_of_no_length_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (key, path) = (MasterKey::generate().unwrap(), folder.path().join("orthanc"));
        assert!(seal_secret(&key, &path, &Secret::new(vec![])).is_err());
        assert!(seal_secret(&key, &path, &Secret::new(vec![b'x'; LONGEST + 1])).is_err());
        fs::write(&path, "orthanc\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(open_secret(&key, &path).unwrap_err().contains("secret seal"));
        seal_secret(&key, &path, &Secret::new(b"a\nb".to_vec())).unwrap();
        assert!(open_secret_text(&key, &path).unwrap_err().contains("printable"));
    }
}
