//! What outlives a restart: the account and the certificate, whose keys are sealed under the master key.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use config::{Certificate, SealedError, TlsSettings, open_secret, seal_secret};
use instant_acme::AccountCredentials;
use model::{MasterKey, Secret};

/// The files of `[tls]`, and the account's beside the key.
pub(crate) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    account: PathBuf,
}

/// Something isn't kept.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file can't be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key can't be sealed.
    #[error(transparent)]
    Seal(#[from] SealedError),
    /// A file isn't what was written.
    #[error("{0}")]
    Read(String),
}

impl Files {
    pub(crate) fn of(tls: &TlsSettings) -> Self {
        let account = tls.key.with_file_name("acme-account.sealed");
        Self { certificate: tls.certificate.clone(), key: tls.key.clone(), account }
    }

    /// What was issued before, if anything was.
    pub(crate) fn certificate(&self, master: &MasterKey) -> Result<Option<Certificate>, FileError> {
        if !self.certificate.exists() && !self.key.exists() {
            return Ok(None);
        }
        Certificate::sealed(&self.certificate, &self.key, master).map(Some).map_err(FileError::Read)
    }

    /// Keeps a certificate and its key. Should the gateway be killed between the two they don't belong together:
    /// that is found at the next start, and another certificate asked for.
    pub(crate) fn keep(&self, master: &MasterKey, chain: &str, key: &str) -> Result<(), FileError> {
        seal_secret(master, &self.key, &Secret::new(key.as_bytes().to_vec()))?;
        let failed = |source| FileError::Write { path: self.certificate.clone(), source };
        replace(&self.certificate, chain.as_bytes()).map_err(failed)
    }

    /// The account at `directory`; none if there was none, or it is another authority's.
    pub(crate) fn account(&self, master: &MasterKey, directory: &str) -> Result<Option<AccountCredentials>, FileError> {
        if !self.account.exists() {
            return Ok(None);
        }
        let kept = open_secret(master, &self.account).map_err(FileError::Read)?;
        let (whose, credentials) = serde_json::from_slice::<(String, AccountCredentials)>(kept.expose())
            .map_err(|e| FileError::Read(e.to_string()))?;
        Ok((whose == directory).then_some(credentials))
    }

    pub(crate) fn forget_account(&self) -> Result<(), FileError> {
        fs::remove_file(&self.account).map_err(|source| FileError::Write { path: self.account.clone(), source })
    }

    pub(crate) fn keep_account(
        &self,
        master: &MasterKey,
        directory: &str,
        credentials: &AccountCredentials,
    ) -> Result<(), FileError> {
        let text = serde_json::to_vec(&(directory, credentials)).map_err(|error| FileError::Read(error.to_string()))?;
        Ok(seal_secret(master, &self.account, &Secret::new(text))?)
    }
}

/// The new content at once or not at all.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
