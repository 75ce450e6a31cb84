//! What begins an enrolment.

use std::sync::Arc;

use audit::{Event, Outcome, Record, What, Who, Why};
use model::{Edge, StaffNo, Token, matching_form};
use serde_json::json;
use store::accounts::AccountState;
use store::authenticators::{self, Holder};
use store::{Changed, Facts, Notice, Tx, Unrecorded, accounts, enrolments, grants, people};
use uuid::Uuid;

use super::code::Code;
use super::state::{Basis, State, may_enrol};
use super::{Enrolment, EnrolmentError, Issued, Officer, Proofing, Started};
use crate::Live;
use crate::rules::CODE_LIFE;
use crate::session::proved_lately;

const METHOD_CHARS: usize = 200;
const EVIDENCE_CHARS: usize = 1_000;

impl Officer<'_> {
    /// As rows name him.
    fn name(&self) -> String {
        match self {
            Self::Person(live, _) => live.person().staff_no.as_str().to_owned(),
            Self::Host(user) => format!("operating system user {user}"),
        }
    }

    fn record(&self, event: Event) -> Record {
        let record = Record::new(event, Outcome::Ok);
        match self {
            Self::Person(live, edge) => record.who(live.who().clone()).from(edge),
            Self::Host(user) => record.who(Who::operator(user)),
        }
    }
}

impl Enrolment {
    /// Records the proofing, makes the account if there is none, and gives the code (desk, 10 min, once).
    /// An earlier unused code of the person is over. On return the records are in the journal, but for
    /// [`Officer::Host`], who may work while no server runs.
    ///
    /// # Errors
    /// [`EnrolmentError::NotProofed`], [`EnrolmentError::OwnProofing`], [`EnrolmentError::UnknownPerson`],
    /// [`EnrolmentError::AccountClosed`], [`EnrolmentError::Privileged`], [`EnrolmentError::Store`].
    pub async fn issue(
        &self,
        officer: Officer<'_>,
        staff_no: &StaffNo,
        proofing: Proofing<'_>,
    ) -> Result<Issued, EnrolmentError> {
        let (method, evidence) = said(proofing).ok_or(EnrolmentError::NotProofed)?;
        if matches!(officer, Officer::Person(live, _) if live.person().staff_no == *staff_no) {
            return Err(EnrolmentError::OwnProofing);
        }
        let code = Code::generate().ok_or(EnrolmentError::Broken("randomness"))?;
        let hash = code.hash(&self.0.master, staff_no).ok_or(EnrolmentError::Broken("code key"))?;
        let now = self.now();
        let expires_at = now.after(CODE_LIFE);

        let mut tx = self.0.store.begin().await?;
        let (holder, created) = self.account_for(&mut tx, staff_no).await?;
        let account = holder.person.account;
        if matches!(officer, Officer::Person(..))
            && holder.state == AccountState::Active
            && !grants::of_account(&mut tx, account, now).await?.is_empty()
        {
            return Err(EnrolmentError::Privileged);
        }
        let proofing =
            enrolments::Proofing { id: Uuid::now_v7(), account, officer: officer.name(), method, evidence, at: now };
        enrolments::insert_proofing(&mut tx, &proofing).await?;
        enrolments::insert(&mut tx, &hash, &proofing, expires_at).await?;
        let committed = tx.commit(facts(officer, &holder, created, &proofing, &expires_at.to_string())).await?;
        if matches!(officer, Officer::Person(..)) {
            committed.journaled().await?;
        }
        Ok(Issued { code: code.shown(), expires_at, account })
    }

    async fn account_for(&self, tx: &mut Tx, staff_no: &StaffNo) -> Result<(Holder, bool), EnrolmentError> {
        let today = self.rules().today(self.now());
        if let Some(holder) = authenticators::holder_by_staff_no(&mut *tx, staff_no, today).await? {
            return if may_enrol(&holder, today) { Ok((holder, false)) } else { Err(EnrolmentError::AccountClosed) };
        }
        let person = people::by_staff_no(&mut *tx, staff_no).await?.ok_or(EnrolmentError::UnknownPerson)?;
        accounts::insert(tx, person.id).await?;
        let holder = authenticators::holder_by_staff_no(&mut *tx, staff_no, today).await?;
        let holder = holder.filter(|holder| may_enrol(holder, today)).ok_or(EnrolmentError::AccountClosed)?;
        Ok((holder, true))
    }

    /// Redeems a code in a browser: once, whatever comes of it.
    ///
    /// # Errors
    /// [`EnrolmentError::CodeRefused`], [`EnrolmentError::Store`].
    pub async fn start(
        &self,
        binder: &Token,
        edge: &Edge,
        staff_no: &str,
        code: &str,
    ) -> Result<Started, EnrolmentError> {
        let number = matching_form(staff_no).parse::<StaffNo>().ok();
        let hash = number.as_ref().zip(Code::parse(code)).and_then(|(number, code)| code.hash(&self.0.master, number));
        let now = self.now();
        let today = self.rules().today(now);
        let mut tx = self.0.store.begin().await?;
        let redeemed = match hash {
            Some(hash) => enrolments::redeem(&mut tx, &hash, now).await?,
            None => None,
        };
        let holder = match &number {
            Some(number) => authenticators::holder_by_staff_no(&mut tx, number, today).await?,
            None => None,
        };
        let who = holder.as_ref().map_or_else(|| Who::claimed("unknown"), |h| Who::without_session(&h.person));
        let record = |outcome| Record::new(Event::EnrolmentStart, outcome).who(who.clone()).from(edge);
        let good = redeemed
            .zip(holder)
            .filter(|((account, _), holder)| holder.person.account == *account && may_enrol(holder, today));
        let Some(((account, proofing), holder)) = good else {
            let _durable = tx.commit(Facts::recorded(record(Outcome::Failed).why(Why::reason("code")))).await?;
            return Err(EnrolmentError::CodeRefused);
        };
        let token = self.keep(&mut tx, binder, &State::new(account, Basis::Proofing(proofing))).await?;
        let proofing = proofing.to_string();
        let record = record(Outcome::Ok).what(What::thing("proofing", &proofing));
        tx.commit(Facts::recorded(record)).await?.journaled().await?;
        Ok(Started { token, person: Arc::new(holder.person) })
    }

    /// Begins with a login at AAL2 that is at most five minutes old instead of a code (A28, C-35).
    ///
    /// # Errors
    /// [`EnrolmentError::Stale`], [`EnrolmentError::Store`].
    pub async fn begin(&self, binder: &Token, live: &Live) -> Result<Started, EnrolmentError> {
        if !proved_lately(live, self.now()) {
            return Err(EnrolmentError::Stale);
        }
        let mut tx = self.0.store.begin().await?;
        let mut state = State::new(live.account(), Basis::Session(live.id()));
        state.changes = live.changes();
        let token = self.keep(&mut tx, binder, &state).await?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        Ok(Started { token, person: Arc::clone(live.person()) })
    }
}

fn said(proofing: Proofing<'_>) -> Option<(String, String)> {
    let text = |text: &str, most: usize| {
        let text = text.trim();
        (!text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control))
            .then(|| text.to_owned())
    };
    text(proofing.method, METHOD_CHARS).zip(text(proofing.evidence, EVIDENCE_CHARS))
}

fn facts(
    officer: Officer<'_>,
    holder: &Holder,
    created: bool,
    proofing: &enrolments::Proofing,
    expires: &str,
) -> Facts {
    let (account, id) = (holder.person.account, proofing.id.to_string());
    let (account_id, staff_no) = (account.to_string(), holder.person.staff_no.as_str());
    let proofed = officer
        .record(Event::ProofingRecord)
        .what(What::thing("proofing", &id))
        .detail("method", &proofing.method)
        .detail("evidence", &proofing.evidence)
        .detail("subject", staff_no);
    let issued = officer
        .record(Event::EnrolmentIssue)
        .what(What::thing("account", &account_id))
        .detail("subject", staff_no)
        .detail("proofing", &id)
        .detail("expires", expires);
    let facts = if created {
        let made =
            officer.record(Event::AccountCreate).what(What::thing("account", &account_id)).detail("subject", staff_no);
        let made = made.change(&json!(null), &json!({ "state": "pending", "staff_no": staff_no }));
        Facts::recorded(made).and(proofed).changed(Changed::account(account))
    } else {
        Facts::recorded(proofed)
    };
    let notice = Notice { account, kind: "enrolment-code", body: json!({ "officer": proofing.officer }).to_string() };
    facts.and(issued).notice(notice)
}
