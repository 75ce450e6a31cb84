//! What moves a session from one state to the next. Each is one transaction with its records.

use std::sync::Arc;

use audit::{Event, Outcome, Record, Who, Why};
use model::{Aal, Edge, EndReason, LockReason, SessionId, SessionState, Timestamp, Token, TokenKind};
use store::authenticators;
use store::sessions::{self, Session};
use store::{Changed, Committed, Facts, Notice, Tx};

use super::life::{Life, Standing};
use super::live::{Owed, line_hash};
use super::promise::{Held, Promise};
use super::registry::Key;
use super::{By, Live, NewSession, SessionError, Sessions, about, may_work};

/// Sessions of one account, locked ones included; a login beyond ends the oldest.
const MOST_PER_ACCOUNT: usize = 8;
const USER_AGENT_BYTES: usize = 256;

/// What a transaction did to sessions, to be done in memory once it is committed.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) records: Vec<Record>,
    pub(super) notices: Vec<Notice>,
    /// What has changed besides sessions.
    pub(super) beside: Option<Changed>,
    pub(super) locked: Vec<(SessionId, Timestamp)>,
    pub(super) ended: Vec<SessionId>,
    pub(super) others: Vec<SessionId>,
}

/// A change after which a person's other sessions are over.
#[derive(Debug)]
pub(crate) struct Others {
    pub(crate) reason: EndReason,
    /// Of the change itself, at least one.
    pub(crate) records: Vec<Record>,
    pub(crate) notice: Notice,
    pub(crate) changed: Changed,
}

impl Done {
    fn changed(&self) -> Vec<Changed> {
        let ids = self.locked.iter().map(|(id, _)| id).chain(&self.ended).chain(&self.others);
        ids.map(|id| Changed::session(*id)).chain(self.beside).collect()
    }
}

impl Sessions {
    /// Begins a session, and locks the one that the account has active elsewhere in the same
    /// transaction. The token is the portal's; it leaves this crate once.
    ///
    /// # Errors
    /// [`SessionError::Assurance`] below AAL2, [`SessionError::Account`], [`SessionError::Store`].
    pub async fn start(&self, new: NewSession<'_>) -> Result<(Arc<Live>, Token), SessionError> {
        let tx = self.0.store.begin().await?;
        self.start_in(tx, new, None).await?.kept().await
    }

    /// [`Sessions::start`] at the end of a transaction that took the login's interaction; what the person is
    /// told of it.
    pub(crate) async fn start_in(
        &self,
        mut tx: Tx,
        new: NewSession<'_>,
        notice: Option<Notice>,
    ) -> Result<Promise, SessionError> {
        let now = self.now();
        if Aal::of(&new.methods) != Some(Aal::Aal2) {
            return Err(SessionError::Assurance);
        }
        let today = self.rules().today(now);
        let holder = authenticators::holder(&mut tx, new.account, today).await?;
        let holder = holder.filter(|holder| may_work(holder, today)).ok_or(SessionError::Account)?;
        let row = self.row(&new, now);
        let live = Arc::new(Live::new(&row, holder.person, Arc::clone(&self.0.limits)));
        let mut done = Done { notices: notice.into_iter().collect(), ..Done::default() };
        done.records.push(login_ok(&live, new.edge));
        self.make_room(&mut tx, &new, &row, &mut done).await?;
        sessions::insert(&mut tx, &row).await?;
        let token = Token::generate()?;
        let host = self.rules().portal_host.clone();
        let key = Key { hash: token.hash(TokenKind::PortalSession), kind: TokenKind::PortalSession, host: &host };
        sessions::insert_token(&mut tx, row.id, &key.hash, key.kind, key.host, now).await?;
        let started = about(Event::SessionStart, live.session_hash(), live.who(), By::Holder(new.edge));
        done.records.push(started.detail("user_agent", row.user_agent.as_str()));
        // From before the commit on: dropped in the middle of it, nobody knows whether the store has the session.
        let held = Held::new(self, &live);
        let committed = self.commit(tx, done).await?;
        self.0.registry.install(&live, Some(key));
        Ok(Promise::new(committed, token, held))
    }

    fn row(&self, new: &NewSession<'_>, now: Timestamp) -> Session {
        Session {
            id: SessionId::generate(),
            account: new.account,
            state: SessionState::Active,
            station: new.edge.address.to_string(),
            zone: new.edge.zone.name().to_owned(),
            address: new.edge.address.to_string(),
            user_agent: cut(new.user_agent, USER_AGENT_BYTES).to_owned(),
            methods: new.methods.clone(),
            aal: Aal::Aal2,
            authenticated_at: now,
            started_at: now,
            last_act: now,
            locked_at: None,
            lock_reason: None,
            absolute_until: now.after(self.0.limits.absolute()),
        }
    }

    /// Ends what the new session replaces, locks what is active elsewhere, keeps the number bounded.
    async fn make_room(
        &self,
        tx: &mut Tx,
        new: &NewSession<'_>,
        row: &Session,
        done: &mut Done,
    ) -> Result<(), SessionError> {
        if let Some(id) = new.replaces {
            self.end_in(tx, id, EndReason::Replaced, By::Holder(new.edge), done).await?;
        }
        self.lock_others_in(tx, row, new.edge, done).await?;
        let living = sessions::living(&mut *tx, row.account).await?;
        for surplus in living.iter().skip(MOST_PER_ACCOUNT - 1) {
            self.end_in(tx, surplus.id, EndReason::Replaced, By::Gateway, done).await?;
        }
        Ok(())
    }

    /// Locks what the account has active elsewhere. What the clock had locked or ended before is written
    /// as that, with its own moment: another login must not give it new time.
    pub(super) async fn lock_others_in(
        &self,
        tx: &mut Tx,
        row: &Session,
        edge: &Edge,
        done: &mut Done,
    ) -> Result<(), SessionError> {
        let now = tx.now();
        let living = sessions::living(&mut *tx, row.account).await?;
        for other in living.iter().filter(|other| other.id != row.id && other.state == SessionState::Active) {
            let owed = self.known(other.id).and_then(|live| *live.owed());
            let (reason, since, by) = match (self.standing_of(other, now), owed) {
                (_, Some(Owed::End(reason))) | (Standing::Over(reason), _) => {
                    self.end_in(tx, other.id, reason, By::Gateway, done).await?;
                    continue;
                }
                // Ended in memory this very moment; the reason is still on its way.
                (Standing::Ended, _) => {
                    self.end_in(tx, other.id, EndReason::Replaced, By::Gateway, done).await?;
                    continue;
                }
                (_, Some(Owed::Lock(reason, since))) => (reason, since, By::Gateway),
                (Standing::Locked { since, .. }, _) => (LockReason::Idle, since, By::Gateway),
                (Standing::Active, _) => (LockReason::OtherStation, now, By::Holder(edge)),
            };
            if sessions::lock(tx, other.id, reason, since).await? {
                let (hash, who) = self.named(tx, other.id).await?;
                let record = about(Event::SessionLock, &hash, &who, by);
                done.records.push(record.why(Why::reason(reason.name())));
                done.locked.push((other.id, since));
            }
        }
        Ok(())
    }

    /// Memory knows later acts than the store.
    fn standing_of(&self, row: &Session, now: Timestamp) -> Standing {
        match self.known(row.id) {
            Some(live) => live.standing(now),
            None => Life::of(row).standing(&self.0.limits, now),
        }
    }

    /// Commits what was done in `tx`, and with it the end of all the person's sessions but this one; how many.
    pub(crate) async fn end_others_in(
        &self,
        mut tx: Tx,
        live: &Live,
        edge: &Edge,
        others: Others,
    ) -> Result<(usize, Committed), SessionError> {
        let Others { reason, records, notice, changed } = others;
        let mut done = Done { records, notices: vec![notice], beside: Some(changed), ..Done::default() };
        for row in sessions::living(&mut tx, live.account()).await?.iter().filter(|row| row.id != live.id()) {
            self.end_in(&mut tx, row.id, reason, By::Holder(edge), &mut done).await?;
        }
        let ended = done.ended.len();
        Ok((ended, self.commit(tx, done).await?))
    }

    async fn end_in(
        &self,
        tx: &mut Tx,
        id: SessionId,
        reason: EndReason,
        by: By<'_>,
        done: &mut Done,
    ) -> Result<bool, SessionError> {
        let (hash, who) = self.named(tx, id).await?;
        let now = tx.now();
        let ended = sessions::end(tx, id, reason, now).await?;
        if ended {
            done.records.push(about(Event::SessionEnd, &hash, &who, by).why(Why::reason(reason.name())));
            done.ended.push(id);
        }
        Ok(ended)
    }

    /// What records call a session and its holder.
    async fn named(&self, tx: &mut Tx, id: SessionId) -> Result<(String, Who), SessionError> {
        if let Some(live) = self.known(id) {
            return Ok((live.session_hash().to_owned(), live.who().clone()));
        }
        let row = sessions::by_id(&mut *tx, id).await?;
        let today = self.rules().today(self.now());
        let holder = match &row {
            Some(row) => authenticators::holder(&mut *tx, row.account, today).await?,
            None => None,
        };
        let hash = line_hash(id);
        let who = match (row, holder) {
            (Some(row), Some(holder)) => {
                Who::person(&holder.person, &hash, row.aal, row.methods.iter().copied(), Some(&row.station))
            }
            _ => Who::system("session"),
        };
        Ok((hash, who))
    }

    /// Commits, and makes memory agree. A commit needs a record; without one nothing was done.
    pub(super) async fn commit(&self, tx: Tx, mut done: Done) -> Result<Committed, SessionError> {
        let changed = done.changed();
        let mut records = std::mem::take(&mut done.records).into_iter();
        let first = records.next().ok_or(SessionError::State)?;
        let facts = records.fold(Facts::recorded(first), Facts::and).all_changed(changed);
        let facts = std::mem::take(&mut done.notices).into_iter().fold(facts, Facts::notice);
        self.0.registry.outdate();
        let committed = tx.commit(facts).await?;
        self.0.registry.outdate();
        for (id, since) in &done.locked {
            if let Some(live) = self.known(*id) {
                live.life().lock(*since);
                live.tell(SessionState::Locked);
            }
        }
        for id in &done.ended {
            self.end_in_memory(*id);
        }
        Ok(committed)
    }

    fn end_in_memory(&self, id: SessionId) {
        if let Some(live) = self.known(id) {
            live.life().end();
            *live.owed() = None;
            live.tell(SessionState::Ended);
        }
        self.0.registry.forget(id);
    }

    /// Locks. In memory it holds on return whatever the store says; what the store doesn't take now is
    /// written as soon as it does. False if it was not active.
    ///
    /// # Errors
    /// [`SessionError::Gone`]; [`SessionError::Store`] if it could not be written yet.
    pub async fn lock(&self, id: SessionId, reason: LockReason, by: By<'_>) -> Result<bool, SessionError> {
        let live = self.living(id).await?.ok_or(SessionError::Gone)?;
        let now = self.now();
        if live.standing(now) != Standing::Active {
            return Ok(false);
        }
        live.owe(Owed::Lock(reason, now));
        let locked = live.life().lock(now);
        self.0.registry.outdate();
        live.tell(SessionState::Locked);
        self.settle(&live, by).await?;
        Ok(locked)
    }

    /// Ends. In memory it holds on return whatever the store says: no token of it is good any more. False
    /// if it was over.
    ///
    /// # Errors
    /// [`SessionError::Store`] if it could not be written yet.
    pub async fn end(&self, id: SessionId, reason: EndReason, by: By<'_>) -> Result<bool, SessionError> {
        let Some(live) = self.living(id).await? else { return Ok(false) };
        let ended = self.end_now(&live, reason);
        self.settle(&live, by).await?;
        Ok(ended)
    }

    /// Ends in memory and owes it to the store.
    pub(super) fn end_now(&self, live: &Arc<Live>, reason: EndReason) -> bool {
        let alive = live.life().end();
        if alive {
            live.owe(Owed::End(reason));
            // Found again by its line until it is written.
            self.0.registry.install(live, None);
        }
        self.0.registry.shut(live.id());
        live.tell(SessionState::Ended);
        alive
    }

    /// Writes what is owed to the store, if the store isn't there already.
    pub(super) async fn settle(&self, live: &Arc<Live>, by: By<'_>) -> Result<(), SessionError> {
        let Some(owed) = *live.owed() else { return Ok(()) };
        let mut tx = self.0.store.begin().await?;
        let now = tx.now();
        let (written, record) = match owed {
            Owed::Lock(reason, at) => {
                let record = about(Event::SessionLock, live.session_hash(), live.who(), by);
                (sessions::lock(&mut tx, live.id(), reason, at).await?, record.why(Why::reason(reason.name())))
            }
            Owed::End(reason) => {
                let record = about(Event::SessionEnd, live.session_hash(), live.who(), by);
                (sessions::end(&mut tx, live.id(), reason, now).await?, record.why(Why::reason(reason.name())))
            }
        };
        if written {
            // Not awaited in the journal: a lock or end that holds is not taken back.
            let _durable = tx.commit(Facts::recorded(record).changed(Changed::session(live.id()))).await?;
        }
        self.paid(live, owed);
        Ok(())
    }

    fn paid(&self, live: &Live, owed: Owed) {
        let mut now_owed = live.owed();
        if *now_owed == Some(owed) {
            *now_owed = None;
            drop(now_owed);
            if matches!(owed, Owed::End(_)) {
                self.0.registry.forget(live.id());
            }
        }
    }
}

/// At most `bytes` of `text`, at a character's end.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

/// The record of a proof at AAL2.
pub(crate) fn login_ok(live: &Live, edge: &Edge) -> Record {
    Record::new(Event::LoginOk, Outcome::Ok).who(live.who().clone()).from(edge)
}
