//! The key of one session's upstream cookies.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{MasterKey, SessionId};

/// Seals and opens the upstream cookies of one session.
pub(crate) struct Jar {
    line: String,
    key: RandomizedNonceKey,
}

impl Jar {
    /// The jar of `session`; `None` when the derivation fails (it doesn't).
    fn of(master: &MasterKey, session: SessionId) -> Option<Self> {
        let id = session.uuid();
        let line = master.derive("upstream cookie line", id.as_bytes()).ok()?;
        let key = master.derive("upstream cookie", id.as_bytes()).ok()?;
        Some(Self {
            line: URL_SAFE_NO_PAD.encode(line.get(..12)?),
            key: RandomizedNonceKey::new(&AES_256_GCM, &key).ok()?,
        })
    }

    /// What stands for the session in the names of its cookies.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    pub(super) fn is_line(&self, line: &str) -> bool {
        self.line == line
    }

    /// Seals a value for one host and cookie: base64url of nonce, ciphertext and tag.
    pub(super) fn seal(&self, host: &str, prefix: &str, name: &str, plain: &[u8]) -> Option<String> {
        let mut body = plain.to_vec();
        let nonce = self.key.seal_in_place_append_tag(context(host, prefix, name), &mut body).ok()?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut body);
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what [`Jar::seal`] made for the same host and cookie.
    pub(super) fn open(&self, host: &str, prefix: &str, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, body) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self.key.open_in_place(nonce, context(host, prefix, name), body).ok()?.len();
        sealed.truncate(NONCE_LEN + length);
        Some(sealed.split_off(NONCE_LEN))
    }
}

fn context(host: &str, prefix: &str, name: &str) -> Aad<Vec<u8>> {
    Aad::from([host, prefix, name].join("\0").into_bytes())
}

/// All jars, made from the master key when they are needed.
#[derive(Clone)]
pub(crate) struct Jars {
    master: Arc<MasterKey>,
}

impl Jars {
    pub(crate) const fn new(master: Arc<MasterKey>) -> Self {
        Self { master }
    }

    pub(crate) fn of(&self, session: SessionId) -> Option<Jar> {
        Jar::of(&self.master, session)
    }
}
