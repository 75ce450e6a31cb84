use std::fmt;

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A value that neither prints nor serialises, and is wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Each call is a place to look at in review.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a token is good for. The kind is hashed with the token, so that one kind's token never
/// answers for another (A33).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// `__Host-sk` of the portal host.
    PortalSession,
    /// `__Host-sk` of an app host.
    AppSession,
    /// `__Host-sk-bind`: names a browser on one host, proves nothing else.
    Binder,
    /// An [Interaction](https://openid.net/specs/openid-connect-core-1_0.html)-like stored login, step-up or handshake.
    Interaction,
    /// The handshake's code: 30 s, once.
    Handshake,
    /// The code shown on the portal for `sekimorictl login`: 10 min, once.
    CliCode,
    /// The bearer token of `sekimorictl`.
    CliBearer,
    /// The desk code that starts enrolment: 10 min, once.
    Enrolment,
}

impl TokenKind {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::PortalSession => b"portal-session\0",
            Self::AppSession => b"app-session\0",
            Self::Binder => b"binder\0",
            Self::Interaction => b"interaction\0",
            Self::Handshake => b"handshake\0",
            Self::CliCode => b"cli-code\0",
            Self::CliBearer => b"cli-bearer\0",
            Self::Enrolment => b"enrolment\0",
        }
    }
}

/// 256 random bits in the hands of one client; the gateway keeps only [`Token::hash`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Token([u8; 32]);

impl Token {
    /// A new token from the operating system's randomness.
    ///
    /// # Errors
    /// [`TokenError::NoRandomness`] when the system gives none.
    pub fn generate() -> Result<Self, TokenError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| TokenError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// Reads the 43 characters of base64url that [`Token::text`] wrote; nothing else.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut bytes = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(32) if text.len() == 43 => Ok(Self(bytes)),
            _ => Err(TokenError::Malformed),
        }
    }

    /// The token as it stands in a cookie or address: 43 characters of base64url.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What the gateway keeps: SHA-256 over the kind's label and the token.
    pub fn hash(&self, kind: TokenKind) -> TokenHash {
        TokenHash::of(kind, &self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The kept half of a token or code. Comparing hashes of random values leaks nothing of use, the
/// comparison is constant-time all the same.
#[derive(Clone, Copy, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of any secret `bytes` of a kind (short typed codes included).
    pub fn of(kind: TokenKind, bytes: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(kind.label());
        context.update(bytes);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }

    /// The hash as the store keeps it.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash read back from the store.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] when it isn't 32 bytes.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, TokenError> {
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| TokenError::Malformed)
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::hash::Hash for TokenHash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The operating system gave no random bytes.
    #[error("the system gave no randomness")]
    NoRandomness,
    /// The text or bytes are no token.
    #[error("not a token")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_a33_the_same_bytes_of_another_kind_are_another_token() {
        let token = Token::generate().unwrap();
        assert_ne!(token.hash(TokenKind::PortalSession), token.hash(TokenKind::AppSession));
    }

    #[test]
    fn a_token_survives_its_text_and_nothing_else_parses() {
        let token = Token::generate().unwrap();
        let again = Token::parse(&token.text()).unwrap();
        assert_eq!(token.hash(TokenKind::Binder), again.hash(TokenKind::Binder));
        for bad in ["", "abc", &"A".repeat(42), &"A".repeat(44), &format!("{}=", token.text()), &"!".repeat(43)] {
            assert_eq!(Token::parse(bad).err(), Some(TokenError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let token = Token::generate().unwrap();
        let shown = format!("{:?} {:?} {:?}", token, token.hash(TokenKind::Binder), Secret::new("x".to_owned()));
        assert_eq!(shown, "Token(…) TokenHash(…) Secret(…)");
    }
}
