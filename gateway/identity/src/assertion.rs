//! What upstreams are told about who asks: a short-lived signed JWT (RFC 7519, ES256).
//!
//! It is kept per session and app while it is good for at least half a minute more, so it is no
//! one-time token: an upstream checks signature, audience and expiry, not uniqueness.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyOperations, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use model::{MasterKey, Secret, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use crate::{Live, RulesSource};

const LIFE_SECONDS: i64 = 60;
/// An assertion with less than this left is made anew.
const LEFT_SECONDS: i64 = 30;
/// Assertions that one session keeps: one an app.
const KEPT: usize = 64;
const PURPOSE: &str = "assertion-key";

/// Why there is no assertion. The request must not go upstream without one.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// The key file can't be read or written.
    #[error("cannot use the assertion key file")]
    File(#[from] std::io::Error),
    /// The key file is not ours, or the master key is another one.
    #[error("the assertion key does not open under this master key")]
    Sealed,
    /// The key can't be made or is malformed.
    #[error("the assertion key is malformed")]
    Key,
    /// Signing failed.
    #[error("cannot sign an assertion")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// Whom an assertion is for, and what it says beside who.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    /// The app's name: `aud`.
    pub app: &'a str,
    /// The roles that the person has now.
    pub roles: &'a Arc<[String]>,
}

/// Signs assertions and publishes the key. Clones share it.
#[derive(Clone)]
pub struct Assertions(Arc<Signer>);

struct Signer {
    key: EncodingKey,
    header: Header,
    jwks: String,
    rules: RulesSource,
}

impl std::fmt::Debug for Assertions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Assertions(kid {:?})", self.0.header.kid)
    }
}

/// An assertion that is good for a while yet.
#[derive(Debug)]
pub(crate) struct Signed {
    app: Box<str>,
    roles: Arc<[String]>,
    issuer: Box<str>,
    expires: i64,
    token: Arc<str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    name: &'a str,
    roles: &'a [String],
    amr: Vec<&'static str>,
    acr: &'static str,
    sid: &'a str,
    auth_time: i64,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
}

impl Assertions {
    /// Opens the key at `path`, sealed under the master key, or makes it there (mode 0600).
    ///
    /// # Errors
    /// [`AssertionError`]; never a new key where there is one that doesn't open.
    pub fn load_or_create(path: &Path, master: &MasterKey, rules: RulesSource) -> Result<Self, AssertionError> {
        // One of two providers must be named before the first use; a second call says so and is fine.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let pkcs8 = match fs::read(path) {
            Ok(sealed) => master.open(PURPOSE, b"", &sealed).map_err(|_| AssertionError::Sealed)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path, master)?,
            Err(error) => return Err(error.into()),
        };
        let pkcs8 = Secret::new(pkcs8);
        let key = EncodingKey::from_ec_der(pkcs8.expose());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|_| AssertionError::Key)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| AssertionError::Key)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_operations = Some(vec![KeyOperations::Verify]);
        let jwks = serde_json::to_string(&JwkSet { keys: vec![jwk] }).map_err(|_| AssertionError::Key)?;
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid);
        Ok(Self(Arc::new(Signer { key, header, jwks, rules })))
    }

    /// The value of `Sekimori-Assertion`, good for 30 to 60 s from `now`.
    ///
    /// # Errors
    /// [`AssertionError::Sign`].
    pub fn sign(&self, live: &Live, audience: Audience<'_>, now: Timestamp) -> Result<Arc<str>, AssertionError> {
        let rules = self.0.rules.load();
        let at = now.seconds();
        let mut kept = live.assertions();
        let good = kept.iter().find(|signed| signed.serves(audience, &rules.origin, at));
        if let Some(signed) = good {
            return Ok(Arc::clone(&signed.token));
        }
        let signed = self.make(live, audience, &rules.origin, at)?;
        let token = Arc::clone(&signed.token);
        kept.retain(|old| *old.app != *audience.app);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(signed);
        Ok(token)
    }

    /// The JWK Set (RFC 7517) for `/.sekimori/jwks.json`.
    pub fn jwks(&self) -> &str {
        &self.0.jwks
    }

    fn make(&self, live: &Live, audience: Audience<'_>, issuer: &str, at: i64) -> Result<Signed, AssertionError> {
        let person = live.person();
        let claims = Claims {
            iss: issuer,
            aud: audience.app,
            sub: person.staff_no.as_str(),
            name: &person.name,
            roles: audience.roles,
            amr: live.methods().iter().map(|method| method.amr()).collect(),
            acr: live.aal().name(),
            sid: live.session_hash(),
            auth_time: live.authenticated_at().seconds(),
            iat: at,
            nbf: at,
            exp: at.saturating_add(LIFE_SECONDS),
            jti: Uuid::now_v7(),
        };
        let token = jsonwebtoken::encode(&self.0.header, &claims, &self.0.key).map_err(AssertionError::Sign)?;
        Ok(Signed {
            app: audience.app.into(),
            roles: Arc::clone(audience.roles),
            issuer: issuer.into(),
            expires: claims.exp,
            token: token.into(),
        })
    }
}

impl Signed {
    fn serves(&self, audience: Audience<'_>, issuer: &str, at: i64) -> bool {
        let left = self.expires.saturating_sub(at);
        *self.app == *audience.app
            && *self.issuer == *issuer
            // A clock that was set back must not leave an assertion from the future in use.
            && (LEFT_SECONDS..=LIFE_SECONDS).contains(&left)
            && (Arc::ptr_eq(&self.roles, audience.roles) || self.roles == *audience.roles)
    }
}

fn create(path: &Path, master: &MasterKey) -> Result<Vec<u8>, AssertionError> {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let pkcs8 = key.map_err(|_| AssertionError::Key)?.as_ref().to_vec();
    let sealed = master.seal(PURPOSE, b"", &pkcs8).map_err(|_| AssertionError::Sealed)?;
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&sealed)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(pkcs8)
}

#[cfg(test)]
mod tests;
