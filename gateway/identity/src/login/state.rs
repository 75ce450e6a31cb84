use std::collections::BTreeSet;
use std::net::IpAddr;

use model::{AccountId, AuthenticatorId, Method, SessionId, Timestamp, Token, TokenHash, TokenKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Store, StoreError, interactions};

use super::{Destination, Interaction, LoginError, Purpose, Target};
use crate::Live;

/// Where a login stands, as it is stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Who was named.
    pub(super) whom: Option<Whom>,
    /// What was verified, by which authenticator.
    pub(super) verified: Vec<Verified>,
    /// The challenge that waits for its one answer.
    pub(super) challenge: Option<Value>,
    /// The same for a security key, once the password was right.
    #[serde(default)]
    pub(super) key_challenge: Option<Value>,
    /// The challenge is for unlocking this session, and good for nothing else.
    pub(super) unlocks: Option<SessionId>,
    /// The session that a confirmation belongs to.
    pub(super) session: Option<SessionId>,
    /// Tries so far, right or wrong.
    pub(super) tries: u32,
    /// Where it was begun, if on an app's host.
    #[serde(default)]
    pub(super) from: Option<IpAddr>,
}

/// The name that was given, and whose it is, if anybody's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Whom {
    pub(super) name: String,
    pub(super) account: Option<AccountId>,
}

impl Whom {
    /// Whoever is logged in.
    pub(super) fn of(live: &Live) -> Self {
        Self { name: live.person().staff_no.as_str().to_owned(), account: Some(live.account()) }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Verified {
    pub(super) method: Method,
    pub(super) authenticator: AuthenticatorId,
}

impl State {
    pub(super) fn methods(&self) -> BTreeSet<Method> {
        self.verified.iter().map(|verified| verified.method).collect()
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, LoginError> {
        serde_json::to_vec(self).map_err(|_| LoginError::Broken("interaction state"))
    }
}

/// An interaction that belongs to this browser and has time left.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) hash: TokenHash,
    pub(super) purpose: Purpose,
    pub(super) destination: Destination,
    pub(super) state: State,
    /// The state as it was read, for compare-and-set.
    pub(super) bytes: Vec<u8>,
}

impl Open {
    pub(super) fn view(self) -> Interaction {
        Interaction {
            purpose: self.purpose,
            destination: self.destination,
            verified: self.state.verified.iter().map(|verified| verified.method).collect(),
            name: self.state.whom.map(|whom| whom.name),
        }
    }
}

/// The row of an interaction that this browser may go on with; `None` if it is expired, another
/// browser's, or nobody's yet.
pub(crate) async fn open_row(
    store: &Store,
    interaction: &Token,
    binder: &Token,
    now: Timestamp,
) -> Result<Option<(TokenHash, interactions::Interaction)>, StoreError> {
    let hash = interaction.hash(TokenKind::Interaction);
    let row = interactions::by_hash(store, &hash).await?;
    let ours = |row: &interactions::Interaction| {
        now < row.expires_at && row.portal_binder == Some(binder.hash(TokenKind::Binder))
    };
    Ok(row.filter(ours).map(|row| (hash, row)))
}

/// Was the interaction begun at this address? What the portal itself has begun may be gone on with anywhere.
pub(super) fn began_here(row: &interactions::Interaction, address: IpAddr) -> Result<(), LoginError> {
    #[derive(Deserialize)]
    struct Beginning {
        #[serde(default)]
        from: Option<IpAddr>,
    }
    if row.app_binder.is_none() {
        return Ok(());
    }
    let Beginning { from } = serde_json::from_slice(&row.state).map_err(|_| LoginError::Broken("interaction state"))?;
    if from == Some(address.to_canonical()) { Ok(()) } else { Err(LoginError::Elsewhere) }
}

impl TryFrom<Option<(TokenHash, interactions::Interaction)>> for Open {
    type Error = LoginError;

    fn try_from(found: Option<(TokenHash, interactions::Interaction)>) -> Result<Self, LoginError> {
        let (hash, row) = found.ok_or(LoginError::Gone)?;
        let purpose = [Purpose::Login, Purpose::Confirm].into_iter().find(|purpose| purpose.kind() == row.kind);
        // An enrolment's interaction is no login.
        let purpose = purpose.ok_or(LoginError::Gone)?;
        let state: State = serde_json::from_slice(&row.state).map_err(|_| LoginError::Broken("interaction state"))?;
        Ok(Self {
            purpose,
            hash,
            destination: Destination {
                host: row.host,
                target: Target::parse(&row.target).unwrap_or_else(|_| Target::root()),
                app_binder: row.app_binder,
                address: state.from,
            },
            state,
            bytes: row.state,
        })
    }
}
