use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::MasterKey;

use crate::line::sha256;
use crate::{JournalError, disk};

const PURPOSE: &str = "journal-node-key";
/// DER of a SubjectPublicKeyInfo for Ed25519 (RFC 8410), up to the 32 bytes of the key.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// The Ed25519 key with which one node signs its checkpoints.
pub struct NodeKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl NodeKey {
    /// Reads the key sealed in `path`, or makes one. The public half stands beside it as PEM, with the
    /// extension `pub` (`journal.key` → `journal.pub`).
    ///
    /// # Errors
    /// [`JournalError::Key`] when it is damaged or sealed under another master key.
    pub fn load_or_create(path: &Path, master: &MasterKey) -> Result<Self, JournalError> {
        let key = match fs::read_to_string(path) {
            Ok(text) => Self::unseal(path, &text, master)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path, master)?,
            Err(error) => return Err(refused(path, error)),
        };
        let public = path.with_extension("pub");
        let pem = key.public.pem();
        if fs::read_to_string(&public).ok().as_deref() != Some(&pem) {
            disk::replace(&public, pem.as_bytes()).map_err(|error| refused(&public, error))?;
        }
        Ok(key)
    }

    /// The half that verifies.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    fn unseal(path: &Path, text: &str, master: &MasterKey) -> Result<Self, JournalError> {
        let sealed = STANDARD.decode(text.trim()).map_err(|error| refused(path, error))?;
        let seed = master.open(PURPOSE, b"ed25519", &sealed).map_err(|error| refused(path, error))?;
        Self::from_seed(path, &seed)
    }

    fn create(path: &Path, master: &MasterKey) -> Result<Self, JournalError> {
        let mut seed = [0; 32];
        rand::fill(&mut seed).map_err(|error| refused(path, error))?;
        let sealed = master.seal(PURPOSE, b"ed25519", &seed).map_err(|error| refused(path, error))?;
        if let Some(folder) = path.parent() {
            disk::make_directory(folder).map_err(|error| refused(path, error))?;
        }
        disk::replace(path, format!("{}\n", STANDARD.encode(sealed)).as_bytes())
            .map_err(|error| refused(path, error))?;
        Self::from_seed(path, &seed)
    }

    fn from_seed(path: &Path, seed: &[u8]) -> Result<Self, JournalError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|error| refused(path, error))?;
        let public = <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|error| refused(path, error))?;
        Ok(Self { pair, public: PublicKey(public) })
    }
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeKey(…)")
    }
}

/// What verifies checkpoints: 32 bytes of Ed25519.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads the PEM file that [`NodeKey::load_or_create`] wrote.
    ///
    /// # Errors
    /// [`JournalError::Key`].
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let text = fs::read_to_string(path).map_err(|error| refused(path, error))?;
        Self::parse(&text).ok_or_else(|| refused(path, "not an Ed25519 public key in PEM"))
    }

    /// The key as PEM.
    pub fn pem(&self) -> String {
        let der = [SPKI.as_slice(), &self.0].concat();
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der))
    }

    /// The 32 bytes in base64, as the first line of a segment names them.
    pub(crate) fn text(&self) -> String {
        STANDARD.encode(self.0)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }

    /// The four bytes that tell keys of one name apart in signed notes (C2SP signed-note).
    pub(crate) fn note_id(&self, name: &str) -> [u8; 4] {
        let mut named = name.as_bytes().to_vec();
        named.extend_from_slice(b"\n\x01");
        named.extend_from_slice(&self.0);
        let [a, b, c, d, ..] = sha256(&named);
        [a, b, c, d]
    }

    fn parse(text: &str) -> Option<Self> {
        let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
        let der = STANDARD.decode(body.trim()).ok()?;
        der.strip_prefix(&SPKI)?.try_into().ok().map(Self)
    }
}

fn refused(path: &Path, what: impl ToString) -> JournalError {
    JournalError::Key { path: PathBuf::from(path), what: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_sealed_and_verified_by_its_public_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/journal.key");
        let master = MasterKey::generate().unwrap();
        let made = NodeKey::load_or_create(&path, &master).unwrap();
        let again = NodeKey::load_or_create(&path, &master).unwrap();
        let public = PublicKey::read(&path.with_extension("pub")).unwrap();
        assert!(public.verifies(b"note", &again.sign(b"note")));
        assert!(!public.verifies(b"n0te", &made.sign(b"note")));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let other = MasterKey::generate().unwrap();
        assert!(matches!(NodeKey::load_or_create(&path, &other), Err(JournalError::Key { .. })));
        fs::write(&path, "nonsense").unwrap();
        assert!(matches!(NodeKey::load_or_create(&path, &master), Err(JournalError::Key { .. })));
    }
}
