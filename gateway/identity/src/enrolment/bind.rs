//! The steps that bind an authenticator.

use std::sync::Arc;

use audit::{Event, Outcome, Record, What, Who, Why};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{AuthenticatorId, Person, Secret, Timestamp};
use serde_json::{Value, json};
use store::accounts::{self, AccountState};
use store::authenticators::{self, AuthenticatorKind, NewAuthenticator};
use store::{Changed, Facts, Notice, Tx, Unrecorded, interactions};

use super::state::{Basis, Open, reaches_aal2};
use super::{Enrolment, EnrolmentError, Progress, TotpSetup};
use crate::login::SEED_PURPOSE;
use crate::totp::Seed;
use crate::{Entry, Live};

const LABEL_CHARS: usize = 64;
/// Codes that one enrolment tries against a seed.
const MOST_TRIES: u32 = 30;
const SETUP_PURPOSE: &str = "totp-setup";

/// What is about to be bound.
pub(super) struct Binding<'a> {
    pub(super) kind: AuthenticatorKind,
    pub(super) id: AuthenticatorId,
    pub(super) label: &'a str,
    pub(super) data: Vec<u8>,
    pub(super) credential_id: Option<&'a [u8]>,
    pub(super) last_step: Option<i64>,
    pub(super) detail: Value,
}

impl Enrolment {
    /// Binds a password; an earlier one is ended. Whoever is logged in and has one changes it instead
    /// ([`Own::change_password`](crate::Own::change_password)).
    ///
    /// # Errors
    /// [`EnrolmentError::Password`] says what is wrong with it, [`EnrolmentError::Busy`]. Others as named.
    pub async fn password(&self, entry: Entry<'_>, password: Secret<String>) -> Result<Progress, EnrolmentError> {
        let mut open = self.open(entry).await?;
        if matches!(open.state.basis, Basis::Session(_)) && self.has_password(&open).await? {
            return Err(EnrolmentError::OutOfOrder);
        }
        self.judge(Arc::clone(&open.person), open.birth_date, password.clone()).await?;
        let kept = self.keep_password(password).await?;
        let binding = Binding {
            kind: AuthenticatorKind::Password,
            id: AuthenticatorId::generate(),
            label: "Password",
            data: kept,
            credential_id: None,
            last_step: None,
            detail: Value::Null,
        };
        self.bind(&mut open, entry, binding).await
    }

    /// A new seed, sealed into the enrolment and not bound until [`Enrolment::totp`].
    ///
    /// # Errors
    /// [`EnrolmentError::Gone`], [`EnrolmentError::Store`].
    pub async fn totp_setup(&self, entry: Entry<'_>) -> Result<TotpSetup, EnrolmentError> {
        let mut open = self.open(entry).await?;
        let seed = Seed::generate().ok_or(EnrolmentError::Broken("randomness"))?;
        let sealed = self.0.master.seal(SETUP_PURPOSE, open.hash.bytes(), seed.bytes());
        open.state.seed = Some(STANDARD.encode(sealed.map_err(|_| EnrolmentError::Broken("seal"))?));
        self.advance(&mut open).await?;
        let uri = seed.uri(&self.rules().site_name, open.person.staff_no.as_str());
        Ok(TotpSetup { uri, key: grouped(seed.base32().expose()) })
    }

    /// Binds the seed last shown, if `code` proves that an app has it; an earlier one is ended. The code
    /// is used up by this.
    ///
    /// # Errors
    /// [`EnrolmentError::TotpRefused`], [`EnrolmentError::OutOfOrder`] without a seed before. Others as named.
    pub async fn totp(&self, entry: Entry<'_>, code: &str) -> Result<Progress, EnrolmentError> {
        let mut open = self.open(entry).await?;
        let sealed = open.state.seed.clone().ok_or(EnrolmentError::OutOfOrder)?;
        open.state.tries += 1;
        if open.state.tries > MOST_TRIES {
            return self.give_up(&open).await;
        }
        self.advance(&mut open).await?;
        let sealed = STANDARD.decode(sealed).map_err(|_| EnrolmentError::Broken("stored seed"))?;
        let seed = self.0.master.open(SETUP_PURPOSE, open.hash.bytes(), &sealed).ok().and_then(Seed::from_bytes);
        let seed = seed.ok_or(EnrolmentError::Broken("stored seed"))?;
        let Some(step) = seed.step_of(code, self.now()) else { return Err(EnrolmentError::TotpRefused) };
        let id = AuthenticatorId::generate();
        let data = self.0.master.seal(SEED_PURPOSE, id.uuid().as_bytes(), seed.bytes());
        let binding = Binding {
            kind: AuthenticatorKind::Totp,
            id,
            label: "Authenticator app",
            data: data.map_err(|_| EnrolmentError::Broken("seal"))?,
            credential_id: None,
            last_step: Some(step),
            detail: Value::Null,
        };
        open.state.seed = None;
        self.bind(&mut open, entry, binding).await
    }

    async fn give_up(&self, open: &Open) -> Result<Progress, EnrolmentError> {
        let mut tx = self.0.store.begin().await?;
        interactions::take(&mut tx, &open.hash).await?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        Err(EnrolmentError::Gone)
    }

    async fn has_password(&self, open: &Open) -> Result<bool, EnrolmentError> {
        let bound = authenticators::active(&self.0.store, open.person.account).await?;
        Ok(bound.iter().any(|one| one.kind == AuthenticatorKind::Password))
    }

    /// May whoever is logged in choose this password?
    pub(crate) async fn judge_for(&self, live: &Live, password: Secret<String>) -> Result<(), EnrolmentError> {
        let today = self.rules().today(self.now());
        let holder = authenticators::holder(&self.0.store, live.account(), today).await?;
        let holder = holder.ok_or(EnrolmentError::AccountClosed)?;
        self.judge(Arc::new(holder.person), holder.birth_date, password).await
    }

    /// A password as the store keeps it.
    pub(crate) async fn keep_password(&self, password: Secret<String>) -> Result<Vec<u8>, EnrolmentError> {
        let turn = self.0.hasher.turn().await?;
        let kept = self.0.hasher.keep(turn, password, &self.rules()).await?;
        serde_json::to_vec(&kept).map_err(|_| EnrolmentError::Broken("password hash"))
    }

    async fn judge(
        &self,
        person: Arc<Person>,
        birth_date: Option<i32>,
        password: Secret<String>,
    ) -> Result<(), EnrolmentError> {
        let (passwords, rules) = (Arc::clone(&self.0.passwords), self.rules());
        let birth_date = birth_date.map(calendar);
        let judged = tokio::task::spawn_blocking(move || {
            passwords.judge(password.expose(), rules.profile, &person, birth_date, &rules.hospital_words)
        });
        judged.await.map_err(|_| EnrolmentError::Broken("password rules"))?.map_err(EnrolmentError::Password)
    }

    /// Binds, ends what it takes the place of, activates the account if that reaches AAL2, tells the
    /// person: one transaction (C-35).
    pub(super) async fn bind(
        &self,
        open: &mut Open,
        entry: Entry<'_>,
        binding: Binding<'_>,
    ) -> Result<Progress, EnrolmentError> {
        let account = open.person.account;
        let (basis, id) = (open.state.basis.name(), binding.id.to_string());
        open.state.added = true;
        let mut tx = self.0.store.begin().await?;
        interactions::advance(&mut tx, &open.hash, &open.bytes, &open.state.to_bytes()?).await?;
        authenticators::insert(
            &mut tx,
            &NewAuthenticator {
                id: binding.id,
                account,
                kind: binding.kind,
                label: binding.label,
                data: &binding.data,
                credential_id: binding.credential_id,
                last_step: binding.last_step,
                bound_by: &basis,
            },
        )
        .await?;
        let bound = self.record(open, entry, Event::AuthenticatorBind, Outcome::Ok);
        let bound = bound.what(What::thing("authenticator", &id)).detail("kind", binding.kind.name());
        let bound = bound.detail("label", binding.label).detail("basis", &basis).detail("flags", &binding.detail);
        let body = json!({ "kind": binding.kind.name(), "label": binding.label }).to_string();
        let mut facts = Facts::recorded(bound).changed(Changed::authenticators(account));
        facts = facts.notice(Notice { account, kind: "authenticator-bound", body });
        facts = self.replace(&mut tx, open, entry, &binding, facts).await?;
        facts = self.activate(&mut tx, open, entry, facts).await?;
        tx.commit(facts).await?.journaled().await?;
        self.progress_of(open).await
    }

    /// One password and one seed to an account; passkeys and security keys may be several.
    async fn replace(
        &self,
        tx: &mut Tx,
        open: &Open,
        entry: Entry<'_>,
        binding: &Binding<'_>,
        mut facts: Facts,
    ) -> Result<Facts, EnrolmentError> {
        if !matches!(binding.kind, AuthenticatorKind::Password | AuthenticatorKind::Totp) {
            return Ok(facts);
        }
        for ended in authenticators::end_others(tx, open.person.account, binding.kind, binding.id).await? {
            let id = ended.to_string();
            let off = self.record(open, entry, Event::AuthenticatorOff, Outcome::Ok);
            let off = off.what(What::thing("authenticator", &id)).detail("kind", binding.kind.name());
            facts = facts.and(off.why(Why::reason("replaced")));
        }
        Ok(facts)
    }

    async fn activate(
        &self,
        tx: &mut Tx,
        open: &Open,
        entry: Entry<'_>,
        facts: Facts,
    ) -> Result<Facts, EnrolmentError> {
        let id = open.person.account;
        let account = accounts::by_id(&mut *tx, id).await?.ok_or(EnrolmentError::AccountClosed)?;
        let bound = authenticators::active(&mut *tx, id).await?;
        if account.state != AccountState::Pending || !reaches_aal2(&bound) {
            return Ok(facts);
        }
        accounts::set_state(tx, &account, AccountState::Active).await?;
        let id_text = id.to_string();
        let activated = self.record(open, entry, Event::AccountActivate, Outcome::Ok);
        let activated = activated.what(What::thing("account", &id_text));
        let activated = activated.change(&json!({ "state": "pending" }), &json!({ "state": "active" }));
        Ok(facts.and(activated).changed(Changed::account(id)))
    }

    pub(super) async fn refuse(
        &self,
        open: &Open,
        entry: Entry<'_>,
        kind: AuthenticatorKind,
        reason: &str,
    ) -> Result<Progress, EnrolmentError> {
        let record = self.record(open, entry, Event::AuthenticatorBind, Outcome::Failed);
        let record = record.detail("kind", kind.name()).why(Why::reason(reason));
        let tx = self.0.store.begin().await?;
        let _durable = tx.commit(Facts::recorded(record)).await?;
        Err(EnrolmentError::PasskeyRefused)
    }

    fn record(&self, open: &Open, entry: Entry<'_>, event: Event, outcome: Outcome) -> Record {
        let who = match entry.current {
            Some(live) if live.account() == open.person.account => live.who().clone(),
            _ => Who::without_session(&open.person),
        };
        Record::new(event, outcome).who(who).from(entry.edge)
    }
}

/// A label as it is kept: one line, bounded.
pub(crate) fn labelled(label: &str, fallback: &str) -> String {
    let label: String = label.chars().filter(|c| !c.is_control()).take(LABEL_CHARS).collect();
    if label.trim().is_empty() { fallback.to_owned() } else { label.trim().to_owned() }
}

/// `ABCDEFGH` as `ABCD EFGH`.
fn grouped(key: &str) -> Secret<String> {
    let mut out = String::with_capacity(key.len() + key.len() / 4);
    for (i, letter) in key.chars().enumerate() {
        if i > 0 && i % 4 == 0 {
            out.push(' ');
        }
        out.push(letter);
    }
    Secret::new(out)
}

/// Days since 1970 as year, month, day.
fn calendar(days: i32) -> (i32, u8, u8) {
    let date = Timestamp::from_seconds(i64::from(days) * 24 * 3_600).utc();
    (date.year(), date.month().into(), date.day())
}
