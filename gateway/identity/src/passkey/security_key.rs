//! Security keys by webauthn-rs: a touch beside a password, nothing kept on the key, no user verification
//! asked for. One factor, whatever the key could do besides (C-28).

use model::Timestamp;
use uuid::Uuid;
use webauthn_rs::prelude::{
    AuthenticationResult, AuthenticatorAttachment, CredentialID, SecurityKey, SecurityKeyAuthentication,
    SecurityKeyRegistration,
};

use super::{Challenge, PasskeyError, Passkeys, answered, parse};

pub(crate) type KeyLoginChallenge = Challenge<SecurityKeyAuthentication>;
pub(crate) type KeyBindChallenge = Challenge<SecurityKeyRegistration>;

impl Passkeys {
    /// Options for `navigator.credentials.get` and what their answer is held against. Only for somebody whose
    /// password was right: they name his keys.
    pub(crate) fn key_options(
        &self,
        keys: &[SecurityKey],
        now: Timestamp,
    ) -> Result<(String, KeyLoginChallenge), PasskeyError> {
        let (options, state) = self.webauthn.start_securitykey_authentication(keys).map_err(PasskeyError::Library)?;
        let options = serde_json::to_string(&options).map_err(|_| PasskeyError::Configuration)?;
        Ok((options, Challenge { asked_at: now, state }))
    }

    /// Verifies an answer for the account `user`: challenge, origin, RP id, presence, signature, counter.
    pub(crate) fn verify_key(
        &self,
        answer: &str,
        challenge: KeyLoginChallenge,
        user: Option<Uuid>,
        now: Timestamp,
    ) -> Result<AuthenticationResult, PasskeyError> {
        let answer = answered(answer, user)?;
        let state = challenge.open(now)?;
        self.same_origin(answer.response.client_data_json.as_ref())?;
        self.webauthn.finish_securitykey_authentication(&answer, &state).map_err(PasskeyError::Library)
    }

    /// Options for `navigator.credentials.create`; a roaming key that has none of `bound` yet.
    pub(crate) fn bind_key_options(
        &self,
        user: Uuid,
        name: &str,
        display_name: &str,
        bound: Vec<CredentialID>,
        now: Timestamp,
    ) -> Result<(String, KeyBindChallenge), PasskeyError> {
        let roaming = Some(AuthenticatorAttachment::CrossPlatform);
        let (options, state) = self
            .webauthn
            .start_securitykey_registration(user, name, display_name, Some(bound), None, roaming)
            .map_err(PasskeyError::Library)?;
        let options = serde_json::to_string(&options).map_err(|_| PasskeyError::Configuration)?;
        Ok((options, Challenge { asked_at: now, state }))
    }

    /// Verifies the answer of a new key.
    pub(crate) fn bind_key(
        &self,
        answer: &str,
        challenge: KeyBindChallenge,
        now: Timestamp,
    ) -> Result<SecurityKey, PasskeyError> {
        let answer: webauthn_rs::prelude::RegisterPublicKeyCredential = parse(answer)?;
        let state = challenge.open(now)?;
        self.same_origin(answer.response.client_data_json.as_ref())?;
        self.webauthn.finish_securitykey_registration(&answer, &state).map_err(PasskeyError::Library)
    }
}
