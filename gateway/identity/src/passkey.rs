//! Passkeys by webauthn-rs: user verification required, the portal's origin exactly, one answer a challenge.
//!
//! What the library leaves to us: the challenge's life (five minutes, by our clock), its single use
//! (the caller takes it out of the store before anything looks at the answer), `crossOrigin` in
//! assertions, and options for names that have no passkey.

mod security_key;

use model::{MasterKey, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::authenticators::AuthenticatorKind;
use uuid::Uuid;
use webauthn_rs::fake::{FakePasskeyDistribution, WebauthnFakeCredentialGenerator};
use webauthn_rs::prelude::{
    AuthenticationResult, Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, SecurityKey, Url, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::Rules;
use crate::rules::CHALLENGE_LIFE;

pub(crate) use security_key::{KeyBindChallenge, KeyLoginChallenge};

/// Longest answer that is parsed, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// More passkeys than this are not offered at once.
pub(crate) const MOST: usize = 32;

/// Why a passkey's answer is not believed. For records and logs; the person is told none of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasskeyError {
    #[error("malformed")]
    Malformed,
    #[error("challenge-expired")]
    Expired,
    #[error("cross-origin")]
    CrossOrigin,
    #[error("user-not-verified")]
    NotVerified,
    #[error("unknown-passkey")]
    Unknown,
    #[error("counter")]
    Counter,
    #[error("configuration")]
    Configuration,
    #[error("{}", word(.0))]
    Library(WebauthnError),
}

/// The library's reason as a word of records.
fn word(error: &WebauthnError) -> &'static str {
    match error {
        WebauthnError::MismatchedChallenge => "challenge",
        WebauthnError::InvalidRPOrigin => "origin",
        WebauthnError::InvalidRPIDHash => "rp-id",
        WebauthnError::UserNotPresent => "user-not-present",
        WebauthnError::UserNotVerified => "user-not-verified",
        WebauthnError::AuthenticationFailure => "signature",
        WebauthnError::CredentialPossibleCompromise => "counter",
        WebauthnError::CredentialNotFound => "unknown-passkey",
        WebauthnError::InvalidClientDataType => "type",
        _ => "malformed",
    }
}

/// A question to a passkey, as the store keeps it until its one answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Challenge<T> {
    asked_at: Timestamp,
    state: T,
}

pub(crate) type LoginChallenge = Challenge<PasskeyAuthentication>;
pub(crate) type BindChallenge = Challenge<PasskeyRegistration>;

impl<T: Serialize + DeserializeOwned> Challenge<T> {
    /// As it stands in an interaction's state.
    pub(crate) fn pack(&self) -> Option<serde_json::Value> {
        serde_json::to_value(self).ok()
    }

    pub(crate) fn unpack(packed: serde_json::Value) -> Option<Self> {
        serde_json::from_value(packed).ok()
    }

    fn open(self, now: Timestamp) -> Result<T, PasskeyError> {
        // A question from the future is as suspect as an old one.
        let fresh = self.asked_at <= now && now.since(self.asked_at) < CHALLENGE_LIFE;
        if fresh { Ok(self.state) } else { Err(PasskeyError::Expired) }
    }
}

/// Keeps [`Passkeys::login_options`] alike for names with and without passkeys.
pub(crate) struct Decoys(WebauthnFakeCredentialGenerator<FakePasskeyDistribution>);

impl Decoys {
    pub(crate) fn new(master: &MasterKey) -> Option<Self> {
        let key = master.derive("passkey-decoys", b"").ok()?;
        WebauthnFakeCredentialGenerator::new(&key).ok().map(Self)
    }

    /// Always some: the library leaves a part of the names without, and an empty list would tell that
    /// the name has no passkey.
    fn ids(&self, name: &str) -> Vec<String> {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let drawn = |n: u8| self.0.generate(&[&[n], name.as_bytes()].concat()).unwrap_or_default();
        let ids = (0..=u8::MAX).map(drawn).find(|ids| !ids.is_empty()).unwrap_or_default();
        ids.iter().map(|id| URL_SAFE_NO_PAD.encode(id)).collect()
    }
}

/// The verifier for the rules in force.
pub(crate) struct Passkeys {
    webauthn: Webauthn,
    origin: String,
}

impl Passkeys {
    pub(crate) fn new(rules: &Rules) -> Result<Self, PasskeyError> {
        let origin = Url::parse(&rules.origin).map_err(|_| PasskeyError::Configuration)?;
        let webauthn = WebauthnBuilder::new(&rules.domain, &origin)
            .map_err(|_| PasskeyError::Configuration)?
            .rp_name(&rules.site_name)
            .allow_subdomains(false)
            .allow_any_port(false)
            .timeout(CHALLENGE_LIFE)
            // Beside a password a touch is enough; a passkey is always asked for verification.
            .danger_set_user_presence_only_security_keys(true)
            .build()
            .map_err(|_| PasskeyError::Configuration)?;
        Ok(Self { webauthn, origin: rules.origin.clone() })
    }

    /// Options for `navigator.credentials.get` and what their answer is held against. `name` chooses the
    /// decoys where `keys` is empty.
    pub(crate) fn login_options(
        &self,
        keys: &[Passkey],
        decoys: &Decoys,
        name: &str,
        now: Timestamp,
    ) -> Result<(String, LoginChallenge), PasskeyError> {
        let (options, state) = self.webauthn.start_passkey_authentication(keys).map_err(PasskeyError::Library)?;
        let mut options = serde_json::to_value(options).map_err(|_| PasskeyError::Configuration)?;
        if let Some(list) = options.pointer_mut("/publicKey/allowCredentials").and_then(|v| v.as_array_mut()) {
            if list.is_empty() {
                list.extend(
                    decoys.ids(name).into_iter().map(|id| serde_json::json!({ "type": "public-key", "id": id })),
                );
            }
            for credential in list.iter_mut().filter_map(|c| c.as_object_mut()) {
                // Real ones may name transports, made-up ones can't.
                credential.remove("transports");
            }
        }
        Ok((options.to_string(), Challenge { asked_at: now, state }))
    }

    /// The id of the credential an answer claims to be made with; not verified.
    pub(crate) fn claimed_id(answer: &str) -> Option<Vec<u8>> {
        parse::<PublicKeyCredential>(answer).ok().map(|a| a.get_credential_id().to_vec())
    }

    /// Verifies an answer for the account `user`: challenge, origin, RP id, presence, verification,
    /// signature, counter, and whose it says it is.
    pub(crate) fn verify(
        &self,
        answer: &str,
        challenge: LoginChallenge,
        user: Option<Uuid>,
        now: Timestamp,
    ) -> Result<AuthenticationResult, PasskeyError> {
        let answer = answered(answer, user)?;
        let state = challenge.open(now)?;
        self.same_origin(answer.response.client_data_json.as_ref())?;
        let result = self.webauthn.finish_passkey_authentication(&answer, &state).map_err(PasskeyError::Library)?;
        if result.user_verified() { Ok(result) } else { Err(PasskeyError::NotVerified) }
    }

    /// Options for `navigator.credentials.create`.
    pub(crate) fn bind_options(
        &self,
        user: Uuid,
        name: &str,
        display_name: &str,
        bound: &[Passkey],
        now: Timestamp,
    ) -> Result<(String, BindChallenge), PasskeyError> {
        let exclude = bound.iter().map(|key| key.cred_id().clone()).collect();
        let (options, state) = self
            .webauthn
            .start_passkey_registration(user, name, display_name, Some(exclude))
            .map_err(PasskeyError::Library)?;
        let options = serde_json::to_string(&options).map_err(|_| PasskeyError::Configuration)?;
        Ok((options, Challenge { asked_at: now, state }))
    }

    /// Verifies the answer of a new passkey.
    pub(crate) fn bind(&self, answer: &str, challenge: BindChallenge, now: Timestamp) -> Result<Passkey, PasskeyError> {
        let answer: RegisterPublicKeyCredential = parse(answer)?;
        let state = challenge.open(now)?;
        self.same_origin(answer.response.client_data_json.as_ref())?;
        self.webauthn.finish_passkey_registration(&answer, &state).map_err(PasskeyError::Library)
    }

    /// The origin as text, byte for byte (the library compares parsed addresses, whose path it ignores),
    /// and not from inside another site's frame.
    fn same_origin(&self, client_data: &[u8]) -> Result<(), PasskeyError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ClientData {
            origin: String,
            #[serde(default)]
            cross_origin: bool,
            top_origin: Option<String>,
        }
        let data: ClientData = serde_json::from_slice(client_data).map_err(|_| PasskeyError::Malformed)?;
        if data.cross_origin || data.top_origin.is_some() {
            return Err(PasskeyError::CrossOrigin);
        }
        if data.origin == self.origin { Ok(()) } else { Err(PasskeyError::Library(WebauthnError::InvalidRPOrigin)) }
    }
}

/// An answer that does not say it is somebody else's than `user`'s.
fn answered(answer: &str, user: Option<Uuid>) -> Result<PublicKeyCredential, PasskeyError> {
    let answer: PublicKeyCredential = parse(answer)?;
    let handle = answer.response.user_handle.as_deref().filter(|handle| !handle.is_empty());
    if handle.is_some_and(|handle| user.is_none_or(|user| handle != user.as_bytes())) {
        return Err(PasskeyError::Unknown);
    }
    Ok(answer)
}

/// A stored credential with the counter and flags of its newest answer; `None` if nothing has changed.
pub(crate) fn updated(kind: AuthenticatorKind, data: &[u8], result: &AuthenticationResult) -> Option<Vec<u8>> {
    if kind == AuthenticatorKind::SecurityKey {
        let mut key: SecurityKey = serde_json::from_slice(data).ok()?;
        (key.update_credential(result) == Some(true)).then(|| serde_json::to_vec(&key).ok())?
    } else {
        let mut key: Passkey = serde_json::from_slice(data).ok()?;
        (key.update_credential(result) == Some(true)).then(|| serde_json::to_vec(&key).ok())?
    }
}

fn parse<T: DeserializeOwned>(answer: &str) -> Result<T, PasskeyError> {
    if answer.len() > LONGEST_ANSWER {
        return Err(PasskeyError::Malformed);
    }
    serde_json::from_str(answer).map_err(|_| PasskeyError::Malformed)
}
