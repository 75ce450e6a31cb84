//! What the configuration says of files, held against the disk.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

/// No file that a configuration names or consists of is longer.
const MAX_BYTES: u64 = 1 << 20;

/// The bytes of a small file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("can't read `{}`: {error}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let limit = MAX_BYTES.saturating_add(1);
    let length = file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_BYTES) {
        Ok(bytes)
    } else {
        Err(format!("`{}` is longer than 1 MiB", path.display()))
    }
}

/// A secret's file must not be open to everybody on the machine.
#[cfg(unix)]
pub(crate) fn refuse_readable_by_others(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode =
        fs::metadata(path).map_err(|error| format!("can't read `{}`: {error}", path.display()))?.permissions().mode();
    if mode & 0o007 == 0 {
        return Ok(());
    }
    Err(format!("`{}` is open to others (mode {:04o}): run `chmod o= {0}`", path.display(), mode & 0o7777))
}

#[cfg(not(unix))]
pub(crate) fn refuse_readable_by_others(_path: &Path) -> Result<(), String> {
    Ok(())
}

/// The folder that a file is going to be in must be there.
pub(crate) fn check_folder_of(path: &Path) -> Result<(), String> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() || folder.is_dir() => Ok(()),
        _ => Err(format!("the folder of `{}` is not there", path.display())),
    }
}

/// What should become a directory must not be something else.
pub(crate) fn check_directory(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => Err(format!("`{}` is not a directory", path.display())),
        _ => check_folder_of(path),
    }
}
