use audit::{Event, Outcome, Record, What, Why};
use model::{AuthenticatorId, Edge, EndReason, Secret, Token};
use serde_json::json;
use store::authenticators::{self, AuthenticatorKind, NewAuthenticator};
use store::{Changed, Notice};

use super::{Own, OwnError, about};
use crate::Live;
use crate::enrolment::EnrolmentError;
use crate::login::Whence;
use crate::password::normalise;
use crate::session::Others;

impl Own {
    /// Changes the password of somebody who knows the current one, and ends all his other sessions; how many.
    /// `binder` names the browser on the portal host.
    ///
    /// # Errors
    /// [`OwnError::Stale`], [`OwnError::Refused`] for a wrong current password, [`OwnError::Same`],
    /// [`OwnError::Password`]. Others as named.
    pub async fn change_password(
        &self,
        live: &Live,
        edge: &Edge,
        binder: &Token,
        current: Secret<String>,
        new: Secret<String>,
    ) -> Result<usize, OwnError> {
        self.fresh(live)?;
        let same = normalise(current.expose()) == normalise(new.expose());
        self.logins.prove_current(Whence { binder, edge }, live, current).await?;
        if same {
            return Err(OwnError::Same);
        }
        self.enrolment.judge_for(live, new.clone()).await.map_err(unfit)?;
        let kept = self.enrolment.keep_password(new).await.map_err(unfit)?;
        self.replace_password(live, edge, &kept).await
    }

    async fn replace_password(&self, live: &Live, edge: &Edge, kept: &[u8]) -> Result<usize, OwnError> {
        let (account, id, kind) = (live.account(), AuthenticatorId::generate(), AuthenticatorKind::Password);
        let mut tx = self.logins.store().begin().await?;
        let basis = format!("session {}", live.id());
        let new = NewAuthenticator {
            id,
            account,
            kind,
            label: "Password",
            data: kept,
            credential_id: None,
            last_step: None,
            bound_by: &basis,
        };
        authenticators::insert(&mut tx, &new).await?;
        let bound = Record::new(Event::AuthenticatorBind, Outcome::Ok).who(live.who().clone()).from(edge);
        let bound = bound.what(What::thing("authenticator", &id.to_string())).detail("kind", kind.name());
        let mut records = vec![bound.detail("basis", &basis)];
        for old in authenticators::end_others(&mut tx, account, kind, id).await? {
            records.push(about(live, edge, Event::AuthenticatorOff, old, kind).why(Why::reason("replaced")));
        }
        let others = Others {
            reason: EndReason::Revoked,
            records,
            notice: Notice { account, kind: "password-changed", body: json!({}).to_string() },
            changed: Changed::authenticators(account),
        };
        self.end_others(tx, live, edge, others).await
    }
}

fn unfit(error: EnrolmentError) -> OwnError {
    match error {
        EnrolmentError::Password(problem) => OwnError::Password(problem),
        EnrolmentError::Busy { retry_after } => OwnError::Login(crate::LoginError::Busy { retry_after }),
        EnrolmentError::Store(error) => OwnError::Store(error),
        EnrolmentError::Stale => OwnError::Stale,
        _ => OwnError::Broken("password"),
    }
}
