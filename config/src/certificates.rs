//! Certificates and keys: read, matched with each other, and held against the hosts.

use std::path::Path;

use model::MasterKey;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, client::verify_server_name};

use crate::files;
use crate::sealed::open_secret;

/// A certificate chain with its private key, checked to belong together.
#[derive(Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The host's own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

/// Which of the two files a problem is about, and the problem.
pub(crate) enum Fault {
    Certificate(String),
    Key(String),
}

impl Fault {
    fn words(self) -> String {
        match self {
            Self::Certificate(why) | Self::Key(why) => why,
        }
    }
}

impl Certificate {
    /// Reads a chain and its key, both in PEM. All that is wrong with either is told.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Self, Vec<Fault>> {
        let chain = read_chain(certificate).map_err(Fault::Certificate);
        let key = read_key(key).map_err(Fault::Key);
        let (chain, key) = match (chain, key) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
        };
        Self::matched(chain, key).map_err(|fault| vec![fault])
    }

    /// Reads a chain in PEM; its key, in PEM too, was sealed and is opened by now.
    pub(crate) fn with_key(certificate: &Path, key: &[u8]) -> Result<Self, Fault> {
        let chain = read_chain(certificate).map_err(Fault::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| Fault::Key("the sealed secret is no private key in PEM".to_owned()))?;
        Self::matched(chain, key)
    }

    /// Reads a chain in PEM and its key, which was sealed under `master`.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn sealed(certificate: &Path, key: &Path, master: &MasterKey) -> Result<Self, String> {
        let key = open_secret(master, key)?;
        Self::with_key(certificate, key.expose()).map_err(Fault::words)
    }

    /// A chain and the key of its first certificate.
    ///
    /// # Errors
    /// They don't belong together, or can't be used.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, String> {
        Self::matched(chain, key).map_err(Fault::words)
    }

    fn matched(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, Fault> {
        match CertifiedKey::from_der(chain.clone(), key.clone_key(), &default_provider()) {
            Ok(_) => Ok(Self { chain, key }),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(Fault::Key("this key does not belong to the certificate".to_owned()))
            }
            Err(error) => Err(Fault::Key(format!("this key can't be used: {error}"))),
        }
    }

    /// Does it name `host` among its subject alternative names (RFC 6125, RFC 9525)?
    pub fn covers(&self, host: &str) -> bool {
        let Some(leaf) = self.chain.first() else { return false };
        match (ParsedCertificate::try_from(leaf), ServerName::try_from(host)) {
            (Ok(leaf), Ok(name)) => verify_server_name(&leaf, &name).is_ok(),
            _ => false,
        }
    }
}

/// The certificates in a file in PEM, at least one.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = files::read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("`{}` is not a certificate in PEM: {error}", path.display()))?;
    let leaf = chain.first().ok_or_else(|| format!("`{}` holds no certificate in PEM", path.display()))?;
    ParsedCertificate::try_from(leaf)
        .map_err(|error| format!("`{}` holds a certificate that can't be used: {error}", path.display()))?;
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    files::refuse_readable_by_others(path)?;
    let pem = files::read(path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| format!("`{}` holds no private key in PEM", path.display()))
}
