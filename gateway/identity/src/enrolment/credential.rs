//! The steps that bind a passkey or a security key.

use model::AuthenticatorId;
use serde::Serialize;
use serde_json::{Value, json};
use store::StoreError;
use store::authenticators::{self, Authenticator, AuthenticatorKind};
use webauthn_rs::prelude::{CredentialID, Passkey, SecurityKey};

use super::bind::{Binding, labelled};
use super::state::Open;
use super::{Enrolment, EnrolmentError, Progress};
use crate::Entry;
use crate::passkey::{BindChallenge, KeyBindChallenge, MOST, PasskeyError};

/// A credential that is about to be bound.
struct New<'a> {
    kind: AuthenticatorKind,
    id: &'a [u8],
    stored: Value,
}

impl Enrolment {
    /// Options for `navigator.credentials.create` as JSON (`{"publicKey": …}`, base64url members), for one
    /// answer within five minutes. Passkeys that are bound already are excluded.
    ///
    /// # Errors
    /// [`EnrolmentError::Gone`], [`EnrolmentError::Store`].
    pub async fn passkey_options(&self, entry: Entry<'_>) -> Result<String, EnrolmentError> {
        let mut open = self.open(entry).await?;
        let bound = authenticators::active(&self.0.store, open.person.account).await?;
        let keys = bound.iter().filter(|a| a.kind == AuthenticatorKind::Passkey).take(MOST);
        let keys: Result<Vec<Passkey>, _> = keys.map(|a| serde_json::from_slice(&a.data)).collect();
        let keys = keys.map_err(|_| EnrolmentError::Broken("stored passkey"))?;
        let person = &open.person;
        let (options, challenge) = self
            .verifier()?
            .bind_options(person.account.uuid(), person.staff_no.as_str(), &person.name, &keys, self.now())
            .map_err(|_| EnrolmentError::Broken("passkey options"))?;
        open.state.challenge = Some(challenge.pack().ok_or(EnrolmentError::Broken("challenge"))?);
        self.advance(&mut open).await?;
        Ok(options)
    }

    /// Binds the passkey whose answer this is (`RegisterPublicKeyCredential` as JSON); its challenge is
    /// used up whatever comes of it.
    ///
    /// # Errors
    /// [`EnrolmentError::PasskeyRefused`], [`EnrolmentError::OutOfOrder`] without options before. Others as named.
    pub async fn passkey(&self, entry: Entry<'_>, answer: &str, label: &str) -> Result<Progress, EnrolmentError> {
        let mut open = self.open(entry).await?;
        let packed = open.state.challenge.take().ok_or(EnrolmentError::OutOfOrder)?;
        self.advance(&mut open).await?;
        let challenge = BindChallenge::unpack(packed).ok_or(EnrolmentError::Broken("challenge"))?;
        let kind = AuthenticatorKind::Passkey;
        match self.verifier()?.bind(answer, challenge, self.now()) {
            Ok(key) => {
                let new = New { kind, id: key.cred_id(), stored: stored(&key)? };
                self.bind_credential(open, entry, new, &labelled(label, "Passkey")).await
            }
            Err(error) => self.refuse_credential(open, entry, kind, &error).await,
        }
    }

    /// Options for binding a security key, as [`Enrolment::passkey_options`]. What is bound already, also as a
    /// passkey, is excluded: it would be no second thing to hold.
    ///
    /// # Errors
    /// [`EnrolmentError::Gone`], [`EnrolmentError::Store`].
    pub async fn key_options(&self, entry: Entry<'_>) -> Result<String, EnrolmentError> {
        let mut open = self.open(entry).await?;
        let bound = authenticators::active(&self.0.store, open.person.account).await?;
        let bound: Result<Vec<CredentialID>, _> = bound.iter().filter_map(credential_id).take(MOST).collect();
        let person = &open.person;
        let (options, challenge) = self
            .verifier()?
            .bind_key_options(person.account.uuid(), person.staff_no.as_str(), &person.name, bound?, self.now())
            .map_err(|_| EnrolmentError::Broken("security key options"))?;
        open.state.key_challenge = Some(challenge.pack().ok_or(EnrolmentError::Broken("challenge"))?);
        self.advance(&mut open).await?;
        Ok(options)
    }

    /// Binds the security key whose answer this is; it goes with a password. Its challenge is used up whatever
    /// comes of it.
    ///
    /// # Errors
    /// As [`Enrolment::passkey`].
    pub async fn key(&self, entry: Entry<'_>, answer: &str, label: &str) -> Result<Progress, EnrolmentError> {
        let mut open = self.open(entry).await?;
        let packed = open.state.key_challenge.take().ok_or(EnrolmentError::OutOfOrder)?;
        self.advance(&mut open).await?;
        let challenge = KeyBindChallenge::unpack(packed).ok_or(EnrolmentError::Broken("challenge"))?;
        let kind = AuthenticatorKind::SecurityKey;
        match self.verifier()?.bind_key(answer, challenge, self.now()) {
            Ok(key) => {
                let new = New { kind, id: key.cred_id(), stored: stored(&key)? };
                self.bind_credential(open, entry, new, &labelled(label, "Security key")).await
            }
            Err(error) => self.refuse_credential(open, entry, kind, &error).await,
        }
    }

    async fn bind_credential(
        &self,
        mut open: Open,
        entry: Entry<'_>,
        new: New<'_>,
        label: &str,
    ) -> Result<Progress, EnrolmentError> {
        let detail = flags(&new.stored);
        let binding = Binding {
            kind: new.kind,
            id: AuthenticatorId::generate(),
            label,
            data: serde_json::to_vec(&new.stored).map_err(|_| EnrolmentError::Broken("credential"))?,
            credential_id: Some(new.id),
            last_step: detail.get("counter").and_then(Value::as_i64).filter(|counter| *counter > 0),
            detail,
        };
        match self.bind(&mut open, entry, binding).await {
            Err(EnrolmentError::Store(StoreError::Duplicate { .. })) => {
                self.refuse(&open, entry, new.kind, "bound-already").await
            }
            bound => bound,
        }
    }

    async fn refuse_credential(
        &self,
        open: Open,
        entry: Entry<'_>,
        kind: AuthenticatorKind,
        error: &PasskeyError,
    ) -> Result<Progress, EnrolmentError> {
        self.refuse(&open, entry, kind, &error.to_string()).await
    }
}

fn stored(key: &impl Serialize) -> Result<Value, EnrolmentError> {
    serde_json::to_value(key).map_err(|_| EnrolmentError::Broken("credential"))
}

/// The credential id of what has one.
fn credential_id(bound: &Authenticator) -> Option<Result<CredentialID, EnrolmentError>> {
    let broken = |_| EnrolmentError::Broken("stored credential");
    match bound.kind {
        AuthenticatorKind::Passkey => {
            Some(serde_json::from_slice::<Passkey>(&bound.data).map(|key| key.cred_id().clone()).map_err(broken))
        }
        AuthenticatorKind::SecurityKey => {
            Some(serde_json::from_slice::<SecurityKey>(&bound.data).map(|key| key.cred_id().clone()).map_err(broken))
        }
        AuthenticatorKind::Password | AuthenticatorKind::Totp => None,
    }
}

/// What a credential says of itself at binding (C-29): counter, backup eligibility and state.
fn flags(stored: &Value) -> Value {
    let member = |name: &str| stored.pointer(&format!("/cred/{name}")).cloned().unwrap_or_default();
    json!({
        "counter": member("counter"),
        "backup_eligible": member("backup_eligible"),
        "backup_state": member("backup_state"),
    })
}
