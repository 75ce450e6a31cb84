use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The 256-bit key under which every secret at rest is sealed. Derived keys are separated by purpose
/// (HKDF-SHA-256, RFC 5869).
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// Reads the one line of base64 that [`MasterKey::text`] wrote.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut decoded = STANDARD.decode(text.trim()).map_err(|_| KeyError::Malformed)?;
        let key = <[u8; 32]>::try_from(decoded.as_slice()).map(Self).map_err(|_| KeyError::Malformed);
        decoded.zeroize();
        key
    }

    /// The key as it stands in its file.
    pub fn text(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// A 256-bit key for one purpose and context (a session's line, say), that tells nothing of its siblings.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] if the derivation is refused (it never is for 32 bytes).
    pub fn derive(&self, purpose: &str, context: &[u8]) -> Result<[u8; 32], KeyError> {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, purpose.as_bytes()).extract(&self.0);
        let mut key = [0; 32];
        prk.expand(&[purpose.as_bytes(), b"\0", context], &AES_256_GCM)
            .and_then(|okm| okm.fill(&mut key))
            .map_err(|_| KeyError::Malformed)?;
        Ok(key)
    }

    /// Seals `plain` for `purpose`; `context` (a row's id, a host) must be the same when it is opened.
    /// Shape: nonce (12 bytes), ciphertext, tag (16 bytes); AES-256-GCM with a random nonce.
    ///
    /// # Errors
    /// [`SealError`] when the cipher refuses.
    pub fn seal(&self, purpose: &str, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.aead(purpose)?;
        let mut body = plain.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(context), &mut body).map_err(|_| SealError)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what [`MasterKey::seal`] sealed under the same purpose and context.
    ///
    /// # Errors
    /// [`SealError`] for anything else, without saying what was wrong.
    pub fn open(&self, purpose: &str, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut body = body.to_vec();
        let length =
            self.aead(purpose)?.open_in_place(nonce, Aad::from(context), &mut body).map_err(|_| SealError)?.len();
        body.truncate(length);
        Ok(body)
    }

    fn aead(&self, purpose: &str) -> Result<RandomizedNonceKey, SealError> {
        let mut key = self.derive(purpose, b"seal").map_err(|_| SealError)?;
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| SealError);
        key.zeroize();
        sealing
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The operating system gave no random bytes.
    #[error("the system gave no randomness")]
    NoRandomness,
    /// The file holds something else than 32 bytes in base64.
    #[error("not a master key: expected 32 bytes in base64")]
    Malformed,
}

/// A sealed value did not open, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub struct SealError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_under_its_key_purpose_and_context() {
        let key = MasterKey::generate().unwrap();
        let sealed = key.seal("totp", b"row-1", b"seed").unwrap();
        assert_eq!(key.open("totp", b"row-1", &sealed).unwrap(), b"seed");
        assert!(key.open("totp", b"row-2", &sealed).is_err());
        assert!(key.open("cookie", b"row-1", &sealed).is_err());
        assert!(MasterKey::generate().unwrap().open("totp", b"row-1", &sealed).is_err());
        for i in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[i] ^= 1;
            assert!(key.open("totp", b"row-1", &bent).is_err(), "byte {i}");
        }
        assert!(key.open("totp", b"row-1", b"short").is_err());
    }

    #[test]
    fn derived_keys_differ_by_purpose_and_context() {
        let key = MasterKey::generate().unwrap();
        let a = key.derive("cookie", b"1").unwrap();
        assert_ne!(a, key.derive("cookie", b"2").unwrap());
        assert_ne!(a, key.derive("assertion", b"1").unwrap());
        assert_eq!(a, MasterKey::parse(&key.text()).unwrap().derive("cookie", b"1").unwrap());
    }
}
