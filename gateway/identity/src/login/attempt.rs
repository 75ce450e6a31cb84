//! A try at a secret: counted before it is checked, recorded when it fails, taken back when it succeeds.

use std::collections::BTreeSet;

use audit::{Event, Outcome, Record, What, Who, Why};
use aws_lc_rs::hmac;
use model::{AccountId, AuthenticatorId, Edge, Method, hex};
use store::authenticators::{self, Authenticator, AuthenticatorKind};
use store::places::{self, Counted, Place};
use store::{Changed, Facts, Notice, Tx, Unrecorded, interactions};
use uuid::Uuid;

use super::place::Whence;
use super::state::{Open, State, Whom};
use super::{LoginError, Logins};
use crate::Live;
use crate::failures::{CLOSE_FROM, OFF_AT, pause_after};
use crate::session::failed_unlock;

/// Tries that one interaction takes; then it is over, for known and unknown names alike.
const MOST_TRIES: u32 = 30;
/// Why an authenticator that is there was not asked: too many failures, too short a while ago.
const CLOSED: &str = "closed";

/// A try that has been counted, if there was anything to count it on.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The authenticator that may be checked; none if there is none, or it is closed.
    pub(super) authenticator: Option<Authenticator>,
    /// Where it was counted.
    place: Place,
    /// Failures in a row, this one included.
    counted: Option<Counted>,
    /// Why nothing may be checked, for the record.
    barred: &'static str,
}

/// What failed, for the records.
#[derive(Debug)]
pub(super) struct Failure<'a> {
    pub(super) whom: &'a Whom,
    pub(super) method: Method,
    pub(super) whence: Whence<'a>,
    pub(super) reason: &'a str,
    pub(super) door: Door<'a>,
}

/// What a proof was to open. All doors count together (A23).
#[derive(Clone, Copy, Debug)]
pub(super) enum Door<'a> {
    /// A login, or a confirmation.
    Login,
    /// This locked session.
    Unlock(&'a Live),
    /// A change of the password, in this session.
    Change(&'a Live),
}

impl Failure<'_> {
    fn record(&self, who: &Who, reason: &str) -> Record {
        let edge = self.whence.edge;
        match self.door {
            Door::Login => login_fail(who, edge, self.method, reason),
            Door::Unlock(live) => failed_unlock(live, edge, self.method, reason),
            Door::Change(live) => {
                let record = Record::new(Event::AuthenticatorBind, Outcome::Failed).who(live.who().clone());
                let record = record.from(edge).detail("kind", AuthenticatorKind::Password.name());
                record.detail("proof", "current-password").why(Why::reason(reason))
            }
        }
    }
}

impl Logins {
    /// Counts a try of `kind` before it is checked, and moves the interaction on, in one transaction; the
    /// same writes whether or not there is such an account (A40).
    pub(super) async fn count(
        &self,
        open: &mut Open,
        whence: Whence<'_>,
        account: Option<AccountId>,
        kind: AuthenticatorKind,
    ) -> Result<Attempt, LoginError> {
        let mut tx = self.0.store.begin().await?;
        open.state.tries = open.state.tries.saturating_add(1);
        if open.state.tries > MOST_TRIES {
            interactions::take(&mut tx, &open.hash).await?;
            tx.commit_unrecorded(Unrecorded::Ceremony).await?;
            return Err(LoginError::Gone);
        }
        let attempt = self.count_in(&mut tx, whence, account, kind).await?;
        let next = open.state.to_bytes()?;
        interactions::advance(&mut tx, &open.hash, &open.bytes, &next).await?;
        tx.commit_unrecorded(Unrecorded::Failures).await?;
        open.bytes = next;
        Ok(attempt)
    }

    /// Counts a try where there is no interaction: somebody is logged in.
    pub(super) async fn count_alone(
        &self,
        whence: Whence<'_>,
        account: AccountId,
        kind: AuthenticatorKind,
    ) -> Result<Attempt, LoginError> {
        let mut tx = self.0.store.begin().await?;
        let attempt = self.count_in(&mut tx, whence, Some(account), kind).await?;
        tx.commit_unrecorded(Unrecorded::Failures).await?;
        Ok(attempt)
    }

    async fn count_in(
        &self,
        tx: &mut Tx,
        whence: Whence<'_>,
        account: Option<AccountId>,
        kind: AuthenticatorKind,
    ) -> Result<Attempt, LoginError> {
        let now = self.now();
        let asked = account.unwrap_or(AccountId::from(Uuid::nil()));
        let place = self.marks(whence)?.place(&mut *tx, asked).await?;
        let bound = authenticators::active(&mut *tx, asked).await?;
        let authenticator = bound.into_iter().find(|a| a.kind == kind);
        let id = authenticator.as_ref().map_or(AuthenticatorId::from(Uuid::nil()), |a| a.id);
        let counted = places::count(tx, id, place, OFF_AT, now).await?;
        if let Some(pause) = counted.and_then(|counted| pause_after(counted.here)) {
            places::close(tx, id, place, now.after(pause)).await?;
        }
        let barred = match (account, &authenticator) {
            (None, _) => "unknown-name",
            (_, None) => "not-bound",
            _ => CLOSED,
        };
        let authenticator = authenticator.filter(|_| counted.is_some());
        Ok(Attempt { authenticator, place, counted, barred })
    }

    /// Takes the failures back after a success: those of its place, and the sum. False if the authenticator
    /// is off or ended meanwhile.
    pub(super) async fn refund(&self, tx: &mut Tx, id: AuthenticatorId, attempt: &Attempt) -> Result<bool, LoginError> {
        places::clear(tx, id, attempt.place).await?;
        Ok(authenticators::refund(tx, id, self.now()).await?)
    }

    /// Records a failed try. At a hundred failures the authenticator is off; from ten on what else was
    /// verified in this interaction is void (A25).
    pub(super) async fn fail(
        &self,
        open: Option<&mut Open>,
        attempt: &Attempt,
        failure: Failure<'_>,
    ) -> Result<(), LoginError> {
        let mut tx = self.0.store.begin().await?;
        let who = self.named(&mut tx, failure.whom).await?;
        let checked = attempt.authenticator.is_some();
        let reason = if checked { failure.reason } else { attempt.barred };
        let mut facts = Facts::recorded(failure.record(&who, reason));
        if let Some(authenticator) = &attempt.authenticator {
            let counted = attempt.counted.unwrap_or(Counted { here: 0, everywhere: 0 });
            facts = self.fail_authenticator(&mut tx, facts, authenticator, counted, &who, &failure).await?;
        }
        if let Some(sweep) = self.sweeping(failure.whence, &failure.whom.name)? {
            facts = facts.and(sweep);
        }
        let closes = attempt.counted.is_some_and(|counted| counted.here >= CLOSE_FROM);
        let closed = closes || (!checked && attempt.barred == CLOSED);
        if let Some(open) = open.filter(|_| closed) {
            self.void(&mut tx, open).await?;
        }
        let _durable = tx.commit(facts).await?;
        Ok(())
    }

    async fn fail_authenticator(
        &self,
        tx: &mut Tx,
        mut facts: Facts,
        authenticator: &Authenticator,
        counted: Counted,
        who: &Who,
        failure: &Failure<'_>,
    ) -> Result<Facts, LoginError> {
        let id = authenticator.id.to_string();
        let about = |event, outcome| {
            let record = Record::new(event, outcome).who(who.clone()).from(failure.whence.edge);
            record.what(What::thing("authenticator", &id)).detail("kind", authenticator.kind.name())
        };
        let failed = about(Event::AuthenticatorFail, Outcome::Failed).detail("failures", counted.everywhere);
        let failed = failed.detail("failures_here", counted.here);
        facts = facts.and(failed.why(Why::reason(failure.reason)));
        let told = |kind| Notice {
            account: authenticator.account,
            kind,
            body: serde_json::json!({ "kind": authenticator.kind.name(), "zone": failure.whence.edge.zone.name() })
                .to_string(),
        };
        if counted.everywhere >= OFF_AT && authenticators::turn_off(tx, authenticator.id).await? {
            let off = about(Event::AuthenticatorOff, Outcome::Ok).why(Why::reason("failures"));
            facts = facts.and(off).changed(Changed::authenticators(authenticator.account));
            facts = facts.notice(told("authenticator-off"));
        } else if counted.here == CLOSE_FROM {
            facts = facts.notice(told("authenticator-closed"));
        }
        Ok(facts)
    }

    /// What was verified counts no more; nobody is told.
    async fn void(&self, tx: &mut Tx, open: &mut Open) -> Result<(), LoginError> {
        if open.state.verified.is_empty() {
            return Ok(());
        }
        open.state.verified.clear();
        let next = open.state.to_bytes()?;
        interactions::advance(tx, &open.hash, &open.bytes, &next).await?;
        open.bytes = next;
        Ok(())
    }

    /// Is what was verified before still good? An authenticator that was closed for this place, turned off or
    /// ended meanwhile takes its half of the login with it (A25).
    pub(super) async fn still_good(
        &self,
        tx: &mut Tx,
        whence: Whence<'_>,
        account: AccountId,
        state: &State,
    ) -> Result<bool, LoginError> {
        let now = self.now();
        let place = self.marks(whence)?.place(&mut *tx, account).await?;
        let bound = authenticators::active(&mut *tx, account).await?;
        for verified in &state.verified {
            let there = bound.iter().any(|a| a.id == verified.authenticator);
            if !there || places::closed(&mut *tx, verified.authenticator, place, now).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A passkey's failure: recorded, not counted.
    pub(super) async fn fail_passkey(
        &self,
        known: Option<&Authenticator>,
        failure: Failure<'_>,
    ) -> Result<(), LoginError> {
        let mut tx = self.0.store.begin().await?;
        let who = self.named(&mut tx, failure.whom).await?;
        let mut facts = Facts::recorded(failure.record(&who, failure.reason));
        if let Some(authenticator) = known {
            let id = authenticator.id.to_string();
            let failed = Record::new(Event::AuthenticatorFail, Outcome::Failed).who(who).from(failure.whence.edge);
            let failed = failed.what(What::thing("authenticator", &id)).detail("kind", authenticator.kind.name());
            facts = facts.and(failed.why(Why::reason(failure.reason)));
            if failure.reason == "counter" {
                // Somebody holds a copy, or the device went wrong: its owner must know (D-6.3.5).
                let body = serde_json::json!({ "label": authenticator.label }).to_string();
                facts = facts.notice(Notice { account: authenticator.account, kind: "passkey-copied", body });
            }
        }
        let _durable = tx.commit(facts).await?;
        Ok(())
    }

    /// Whom a failed login's record names: a person if the account exists, else a keyed hash of what was
    /// typed, which may well have been a password.
    async fn named(&self, tx: &mut Tx, whom: &Whom) -> Result<Who, LoginError> {
        let today = self.today();
        let holder = match whom.name.parse() {
            Ok(number) => authenticators::holder_by_staff_no(&mut *tx, &number, today).await?,
            Err(_) => None,
        };
        if let Some(holder) = holder {
            return Ok(Who::without_session(&holder.person));
        }
        let key = self.0.master.derive("claimed-name", b"").map_err(|_| LoginError::Broken("name key"))?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), whom.name.as_bytes());
        Ok(Who::claimed(&hex::of(tag.as_ref().get(..8).unwrap_or_default())))
    }
}

fn login_fail(who: &Who, edge: &Edge, method: Method, reason: &str) -> Record {
    let record = Record::new(Event::LoginFail, Outcome::Failed).who(who.clone()).from(edge);
    record.detail("method", method.amr()).why(Why::reason(reason))
}

/// The methods that a login has when one more is added.
pub(super) fn with(state: &State, method: Method) -> BTreeSet<Method> {
    let mut methods = state.methods();
    methods.insert(method);
    methods
}
