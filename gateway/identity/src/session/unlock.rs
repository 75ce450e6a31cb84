//! What opens a session again, or makes its proof fresh. First the store agrees, then memory.

use std::sync::Arc;

use audit::{Event, Outcome, Record, Why};
use model::{Edge, LockReason, Method, SessionId, SessionState, Timestamp, Token, TokenKind};
use store::authenticators;
use store::sessions;
use store::{Committed, Tx};

use super::change::Done;
use super::life::Standing;
use super::live::Owed;
use super::promise::{Held, Promise};
use super::registry::Key;
use super::{By, Live, SessionError, Sessions, about, may_work};

impl Sessions {
    /// Unlocks with what was just verified for the session's own account (C-08). All earlier tokens of
    /// the session are dead, on every host; this is the portal's new one (A16).
    ///
    /// # Errors
    /// [`SessionError::Assurance`] for a method that doesn't unlock, [`SessionError::State`] if it isn't
    /// locked, [`SessionError::Gone`] if it is over, [`SessionError::Account`], [`SessionError::Store`].
    pub async fn unlock(&self, id: SessionId, method: Method, edge: &Edge) -> Result<Token, SessionError> {
        let tx = self.0.store.begin().await?;
        let (_, token) = self.unlock_in(tx, id, method, edge).await?.kept().await?;
        Ok(token)
    }

    /// [`Sessions::unlock`] at the end of a transaction that took the interaction.
    pub(crate) async fn unlock_in(
        &self,
        mut tx: Tx,
        id: SessionId,
        method: Method,
        edge: &Edge,
    ) -> Result<Promise, SessionError> {
        if !method.unlocks() {
            return Err(SessionError::Assurance);
        }
        let live = self.known(id).ok_or(SessionError::Gone)?;
        let now = self.now();
        let since = match live.standing(now) {
            Standing::Locked { since, .. } => since,
            Standing::Active => return Err(SessionError::State),
            Standing::Over(_) | Standing::Ended => return Err(SessionError::Gone),
        };
        let row = sessions::by_id(&mut tx, id).await?.ok_or(SessionError::Gone)?;
        let today = self.rules().today(now);
        let holder = authenticators::holder(&mut tx, row.account, today).await?;
        holder.filter(|holder| may_work(holder, today)).ok_or(SessionError::Account)?;

        let mut done = Done { others: vec![id], ..Done::default() };
        self.lock_overdue_in(&mut tx, &live, since, &mut done).await?;
        self.lock_others_in(&mut tx, &row, edge, &mut done).await?;
        let authenticated = method == Method::PasskeyVerified;
        let locked_after = now.before(self.0.limits.end_after());
        if !sessions::unlock(&mut tx, id, locked_after, authenticated, now).await? {
            return Err(SessionError::Gone);
        }
        sessions::delete_tokens(&mut tx, id).await?;
        let token = Token::generate()?;
        let host = self.rules().portal_host.clone();
        let key = Key { hash: token.hash(TokenKind::PortalSession), kind: TokenKind::PortalSession, host: &host };
        sessions::insert_token(&mut tx, id, &key.hash, key.kind, key.host, now).await?;
        let unlocked = about(Event::SessionUnlock, live.session_hash(), live.who(), By::Holder(edge));
        done.records.push(unlocked.detail("method", method.amr()));
        let committed = self.commit(tx, done).await?;
        self.unlock_in_memory(&live, key, since, authenticated, now);
        Ok(Promise::new(committed, token, Held::new(self, &live)))
    }

    /// A lock that holds by the clock, or in memory alone, is written and recorded before it is undone.
    async fn lock_overdue_in(
        &self,
        tx: &mut Tx,
        live: &Live,
        since: Timestamp,
        done: &mut Done,
    ) -> Result<(), SessionError> {
        let (reason, at) = match *live.owed() {
            Some(Owed::Lock(reason, at)) => (reason, at),
            _ => (LockReason::Idle, since),
        };
        if sessions::lock(tx, live.id(), reason, at).await? {
            let record = about(Event::SessionLock, live.session_hash(), live.who(), By::Gateway);
            done.records.push(record.why(Why::reason(reason.name())));
        }
        Ok(())
    }

    fn unlock_in_memory(&self, live: &Arc<Live>, key: Key<'_>, since: Timestamp, authenticated: bool, now: Timestamp) {
        self.0.registry.replace_tokens(live, key);
        live.life().lock(since);
        live.tell(SessionState::Locked);
        {
            let mut owed = live.owed();
            // An end that came meanwhile stays owed.
            if matches!(*owed, Some(Owed::Lock(..))) {
                *owed = None;
            }
        }
        if authenticated {
            live.confirmed(now);
        }
        live.life().unlock(now);
        live.tell(live.state(now));
    }

    /// The person of an active session has proved himself again at AAL2: a new portal token, the former
    /// one is dead. App hosts keep theirs, so that open pages go on.
    ///
    /// # Errors
    /// [`SessionError::Assurance`], [`SessionError::State`] if it isn't active, [`SessionError::Store`].
    pub(crate) async fn confirm_in(
        &self,
        mut tx: Tx,
        live: &Arc<Live>,
        record: Record,
        now: Timestamp,
    ) -> Result<(Token, Committed), SessionError> {
        if !sessions::confirm(&mut tx, live.id(), now).await? || live.standing(now) != Standing::Active {
            return Err(SessionError::State);
        }
        let host = self.rules().portal_host.clone();
        let kind = TokenKind::PortalSession;
        sessions::delete_tokens_of(&mut tx, live.id(), kind, &host, now).await?;
        let token = Token::generate()?;
        let key = Key { hash: token.hash(kind), kind, host: &host };
        sessions::insert_token(&mut tx, live.id(), &key.hash, kind, &host, now).await?;
        let done = Done { records: vec![record], others: vec![live.id()], ..Done::default() };
        let committed = self.commit(tx, done).await?;
        self.0.registry.replace_tokens_on(live, key);
        live.confirmed(now);
        live.touch(now);
        Ok((token, committed))
    }
}

/// The record of an unlock that failed.
pub(crate) fn failed_unlock(live: &Live, edge: &Edge, method: Method, reason: &str) -> Record {
    let mut record = Record::new(Event::SessionUnlock, Outcome::Failed);
    record = record.who(live.who().clone()).from(edge).detail("method", method.amr());
    record.what(audit::What::thing("session", live.session_hash())).why(Why::reason(reason))
}
