use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Aal, AccountId, Method, Person, SessionId, TokenHash};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::accounts::AccountState;
use store::authenticators::{Authenticator, AuthenticatorKind, Holder};
use uuid::Uuid;

use super::EnrolmentError;

/// The kind of an enrolment's interaction.
pub(super) const KIND: &str = "enrolment";

/// How the name of a basis begins that is a proofing record.
pub(crate) const PROOFED: &str = "proofing ";

/// Where an enrolment stands, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) account: AccountId,
    /// What the right to bind rests on.
    pub(super) basis: Basis,
    /// The registration challenge that waits for its one answer.
    pub(super) challenge: Option<Value>,
    /// The same of a security key.
    #[serde(default)]
    pub(super) key_challenge: Option<Value>,
    /// The seed last shown, sealed, in base64.
    pub(super) seed: Option<String>,
    /// Codes tried against it.
    pub(super) tries: u32,
    /// Something has been bound in this enrolment.
    pub(super) added: bool,
    /// How often the session had changed its state when it began this.
    #[serde(default)]
    pub(super) changes: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Basis {
    /// A proofing record, by its code.
    Proofing(Uuid),
    /// A fresh login at AAL2.
    Session(SessionId),
}

impl Basis {
    /// As an authenticator's row and record name it (C-34).
    pub(super) fn name(self) -> String {
        match self {
            Self::Proofing(id) => format!("{PROOFED}{id}"),
            Self::Session(id) => format!("session {id}"),
        }
    }
}

impl State {
    pub(super) fn new(account: AccountId, basis: Basis) -> Self {
        Self { account, basis, challenge: None, key_challenge: None, seed: None, tries: 0, added: false, changes: 0 }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, EnrolmentError> {
        serde_json::to_vec(self).map_err(|_| EnrolmentError::Broken("enrolment state"))
    }
}

/// An enrolment that belongs to this browser and has time left.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) hash: TokenHash,
    /// The state as it was read, for compare-and-set.
    pub(super) bytes: Vec<u8>,
    pub(super) state: State,
    pub(super) person: Arc<Person>,
    /// In days since 1970.
    pub(super) birth_date: Option<i32>,
}

/// May somebody bind authenticators to this account?
pub(super) fn may_enrol(holder: &Holder, today: i32) -> bool {
    matches!(holder.state, AccountState::Pending | AccountState::Active)
        && holder.employed_until.is_none_or(|last| today <= last)
}

/// Do these authenticators together reach AAL2 (C-01)?
pub(crate) fn reaches_aal2(bound: &[Authenticator]) -> bool {
    let methods: BTreeSet<Method> = bound
        .iter()
        .map(|authenticator| match authenticator.kind {
            AuthenticatorKind::Password => Method::Password,
            AuthenticatorKind::Totp => Method::Totp,
            AuthenticatorKind::Passkey => Method::PasskeyVerified,
            AuthenticatorKind::SecurityKey => Method::SecurityKey,
        })
        .collect();
    Aal::of(&methods) == Some(Aal::Aal2)
}
