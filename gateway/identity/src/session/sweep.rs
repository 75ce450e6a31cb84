//! The one task behind the sessions: wakes watchers at deadlines, writes what the clock has decided,
//! hears what others have changed, forgets what is over.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use audit::{Event, Record, Who, Why};
use model::{AccountId, EndReason, LockReason, SessionId, SessionState, Timestamp};
use store::sessions::{self, Overdue, Session};
use store::{Change, ChangeKind, Changed, Facts, Feed, Unrecorded, authenticators, interactions, notices};
use tokio::time::{Interval, MissedTickBehavior};

use super::life::Standing;
use super::live::{Owed, line_hash};
use super::{By, Live, READINGS, SessionError, Sessions, about, may_work};

/// Watchers are woken this long after a deadline at most.
const TICK: Duration = Duration::from_millis(200);
/// Last acts are written in one batch this often …
const FLUSH: Duration = Duration::from_secs(1);
/// … and each session's at most this often.
const FLUSH_EACH: Duration = Duration::from_secs(15);
/// Sessions that only the store knows are looked at this often.
const STORE: Duration = Duration::from_secs(5);
/// Another node may know of an act that it has not written yet.
const ELSEWHERE: Duration = Duration::from_secs(16);
const PURGE: Duration = Duration::from_secs(60);
/// What could not be followed is tried again this often.
const AGAIN: Duration = Duration::from_secs(1);
/// An ended session's row stays this long; the journal keeps it for good.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// What somebody was told stays this long, seen or not.
const TOLD: Duration = Duration::from_secs(400 * 24 * 3_600);
/// Rows per batch.
const BATCH: i64 = 200;
const FLUSH_BATCH: usize = 2_000;

impl Sessions {
    /// Runs until `shutdown` is ready, and writes the last acts before it returns. Without it deadlines
    /// still hold for requests, but nobody is woken and nothing is written. Failures of the store are
    /// logged and tried again.
    ///
    /// # Errors
    /// [`SessionError::Store`] if the last acts could not be written at the end.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) -> Result<(), SessionError> {
        tokio::select! {
            () = shutdown => {}
            () = self.tick() => {}
            () = self.write() => {}
            () = self.follow() => {}
        }
        self.flush(self.now(), Duration::ZERO).await
    }

    /// Wakes watchers; never waits for the store, so that a slow disk delays no cut.
    async fn tick(&self) {
        let mut tick = every(TICK);
        loop {
            tick.tick().await;
            self.0.limits.set(self.rules().limits);
            let now = self.now();
            for live in self.0.registry.all() {
                live.tell(live.state(now));
            }
        }
    }

    /// Writes down what holds.
    async fn write(&self) {
        let mut tick = every(TICK);
        let (mut flushed, mut looked, mut purged) = (Timestamp::default(), Timestamp::default(), Timestamp::default());
        loop {
            tick.tick().await;
            let now = self.now();
            self.sweep(now).await;
            if now.since(flushed) >= FLUSH {
                flushed = now;
                report("last acts", self.flush(now, FLUSH_EACH).await);
            }
            if now.since(looked) >= STORE {
                looked = now;
                report("overdue sessions", self.sweep_store(now).await);
            }
            if now.since(purged) >= PURGE {
                purged = now;
                report("purge", self.purge(now).await);
            }
        }
    }

    /// Writes what is overdue or owed among the sessions in memory.
    pub(super) async fn sweep(&self, now: Timestamp) {
        for live in self.0.registry.all() {
            let standing = live.standing(now);
            live.tell(standing.state());
            let done = match standing {
                Standing::Locked { since, written: false } => self.lock_idle(&live, since).await,
                Standing::Over(reason) => {
                    self.end_now(&live, reason);
                    self.settle(&live, By::Gateway).await
                }
                _ => self.settle(&live, By::Gateway).await,
            };
            if standing == Standing::Ended && live.owed().is_none() {
                self.0.registry.forget(live.id());
            }
            report("session", done);
        }
    }

    /// The lock of an idle session is a compare-and-set on its last act in the store: another node may
    /// know of a later one. If the store can't say, it is locked.
    async fn lock_idle(&self, live: &Arc<Live>, since: Timestamp) -> Result<(), SessionError> {
        let written = self.write_idle(live.id(), live.life().last_act(), since, live.session_hash(), live.who()).await;
        match written {
            Ok(true) => {
                live.life().lock(since);
                self.0.registry.outdate();
                Ok(())
            }
            Ok(false) => self.reread(live).await,
            Err(error) => {
                live.owe(Owed::Lock(LockReason::Idle, since));
                live.life().lock(since);
                Err(error)
            }
        }
    }

    async fn write_idle(
        &self,
        id: SessionId,
        last_act: Timestamp,
        since: Timestamp,
        hash: &str,
        who: &Who,
    ) -> Result<bool, SessionError> {
        let mut tx = self.0.store.begin().await?;
        let locked = sessions::lock_idle(&mut tx, id, last_act, since).await?;
        if locked {
            let record = about(Event::SessionLock, hash, who, By::Gateway).why(Why::reason(LockReason::Idle.name()));
            let _durable = tx.commit(Facts::recorded(record).changed(Changed::session(id))).await?;
        }
        Ok(locked)
    }

    /// Writes the last acts that the store doesn't know, of sessions not written for `each`.
    pub(super) async fn flush(&self, now: Timestamp, each: Duration) -> Result<(), SessionError> {
        let due = |live: &Arc<Live>| {
            let act = live.unflushed()?;
            (act.since(live.flushed()) >= each || now.since(live.flushed()) >= each).then(|| (Arc::clone(live), act))
        };
        let due: Vec<_> = self.0.registry.all().iter().filter_map(due).collect();
        for batch in due.chunks(FLUSH_BATCH) {
            let mut tx = self.0.store.begin().await?;
            for (live, act) in batch {
                sessions::acted(&mut tx, live.id(), *act).await?;
            }
            tx.commit_unrecorded(Unrecorded::LastAct).await?;
            for (live, act) in batch {
                live.note_flushed(*act);
            }
        }
        Ok(())
    }

    /// Locks and ends sessions that nobody has asked this node about since it started.
    pub(super) async fn sweep_store(&self, now: Timestamp) -> Result<(), SessionError> {
        let limits = &self.0.limits;
        let due = Overdue {
            now,
            started: now.before(limits.absolute()),
            acted: now.before(limits.lock_after() + ELSEWHERE),
            locked: now.before(limits.end_after()),
        };
        for row in sessions::overdue(&self.0.store, due, BATCH).await? {
            if self.known(row.id).is_none() {
                self.write_overdue(&row, now).await?;
            }
        }
        Ok(())
    }

    async fn write_overdue(&self, row: &Session, now: Timestamp) -> Result<(), SessionError> {
        let hash = line_hash(row.id);
        let today = self.rules().today(now);
        let who = match authenticators::holder(&self.0.store, row.account, today).await? {
            Some(holder) => {
                Who::person(&holder.person, &hash, row.aal, row.methods.iter().copied(), Some(&row.station))
            }
            None => Who::system("session"),
        };
        let since = row.last_act.after(self.0.limits.lock_after());
        match super::life::Life::of(row).standing(&self.0.limits, now) {
            Standing::Over(reason) => self.write_end(row.id, reason, &hash, &who).await?,
            Standing::Locked { written: false, .. } => {
                self.write_idle(row.id, row.last_act, since, &hash, &who).await?;
            }
            _ => {}
        }
        self.0.registry.outdate();
        Ok(())
    }

    async fn write_end(&self, id: SessionId, reason: EndReason, hash: &str, who: &Who) -> Result<(), SessionError> {
        let mut tx = self.0.store.begin().await?;
        let now = tx.now();
        if sessions::end(&mut tx, id, reason, now).await? {
            let record: Record = about(Event::SessionEnd, hash, who, By::Gateway).why(Why::reason(reason.name()));
            let _durable = tx.commit(Facts::recorded(record).changed(Changed::session(id))).await?;
        }
        Ok(())
    }

    pub(super) async fn purge(&self, now: Timestamp) -> Result<(), SessionError> {
        let mut tx = self.0.store.begin().await?;
        let gone = sessions::purge(&mut tx, now, now.before(KEPT), BATCH).await?
            + interactions::purge(&mut tx, now, BATCH).await?
            + notices::purge(&mut tx, now.before(TOLD), BATCH).await?;
        if gone > 0 {
            tx.commit_unrecorded(Unrecorded::Housekeeping).await?;
        }
        Ok(())
    }

    async fn follow(&self) {
        loop {
            match self.0.store.feed().await {
                Ok(mut feed) => self.hear(&mut feed).await,
                Err(error) => report("change feed", Err(error.into())),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Hears revocations, leavers, and what other nodes have done. What could not be followed makes
    /// everybody be asked about until it can; so does a new day, on which somebody may have left.
    async fn hear(&self, feed: &mut Feed) {
        let (mut pending, mut day) = (false, self.rules().today(self.now()));
        loop {
            let heard = tokio::select! {
                change = feed.next() => Some(change),
                () = tokio::time::sleep(AGAIN) => None,
            };
            let today = self.rules().today(self.now());
            let change = match heard {
                _ if pending || today != day => Change::Flush,
                Some(change) => change,
                None => continue,
            };
            self.0.registry.outdate();
            let done = self.heard(change).await;
            (pending, day) = (done.is_err(), today);
            report("change", done);
        }
    }

    pub(super) async fn heard(&self, change: Change) -> Result<(), SessionError> {
        match change {
            Change::One { kind: ChangeKind::Session, key, .. } => {
                let Some(live) = self.known(key.into()) else { return Ok(()) };
                self.reread(&live).await
            }
            Change::One { kind: ChangeKind::Account, key, .. } => self.reconsider(key.into()).await,
            Change::One { kind: ChangeKind::Person, key, .. } => {
                let person = key.into();
                let concerned = self.0.registry.all().into_iter().find(|live| live.person().id == person);
                match concerned {
                    Some(live) => self.reconsider(live.account()).await,
                    None => Ok(()),
                }
            }
            Change::One { .. } => Ok(()),
            Change::Flush => {
                let mut done = Ok(());
                for live in self.0.registry.all() {
                    // One that can't be asked about keeps nobody else's end waiting.
                    let one = match self.reread(&live).await {
                        Ok(()) => self.reconsider(live.account()).await,
                        Err(error) => Err(error),
                    };
                    done = done.and(one);
                }
                done
            }
        }
    }

    /// What is read while something changes may be of before that change: it is read again.
    async fn reread(&self, live: &Arc<Live>) -> Result<(), SessionError> {
        for _ in 0..READINGS {
            let epoch = self.0.registry.epoch();
            let row = sessions::by_id(&self.0.store, live.id()).await?;
            if self.0.registry.epoch() == epoch {
                self.agree(live, row.as_ref());
                return Ok(());
            }
        }
        Err(SessionError::Busy)
    }

    /// Makes memory follow the store, but for what memory itself has decided and still owes.
    fn agree(&self, live: &Arc<Live>, row: Option<&Session>) {
        if live.owed().is_some() {
            return;
        }
        match row {
            None => self.ended_elsewhere(live),
            Some(row) => match row.state {
                SessionState::Ended => self.ended_elsewhere(live),
                SessionState::Locked => {
                    live.life().lock(row.locked_at.unwrap_or(row.last_act));
                    live.tell(live.state(self.now()));
                }
                SessionState::Active => self.active_elsewhere(live, row),
            },
        }
    }

    fn ended_elsewhere(&self, live: &Arc<Live>) {
        live.life().end();
        live.tell(SessionState::Ended);
        self.0.registry.forget(live.id());
    }

    /// A lock that was only this node's reckoning gives way to a later act; a written one to an unlock.
    fn active_elsewhere(&self, live: &Arc<Live>, row: &Session) {
        live.life().acted_elsewhere(row.last_act);
        let Standing::Locked { since, written: true } = live.standing(self.now()) else { return };
        if row.last_act > since {
            self.0.registry.shut(live.id());
            live.tell(SessionState::Locked);
            live.confirmed(row.authenticated_at);
            live.life().unlock(row.last_act);
            live.tell(live.state(self.now()));
        }
    }

    /// Ends the sessions of an account that is not open any more, or whose person has left.
    async fn reconsider(&self, account: AccountId) -> Result<(), SessionError> {
        let today = self.rules().today(self.now());
        let holder = authenticators::holder(&self.0.store, account, today).await?;
        if holder.is_some_and(|holder| may_work(&holder, today)) {
            return Ok(());
        }
        for live in self.0.registry.of(account) {
            self.end_now(&live, EndReason::Revoked);
            self.settle(&live, By::Gateway).await?;
        }
        // Those that only the store knows: nobody's requests, but their tokens must die too.
        for row in sessions::living(&self.0.store, account).await? {
            let hash = line_hash(row.id);
            self.write_end(row.id, EndReason::Revoked, &hash, &Who::system("session")).await?;
        }
        Ok(())
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn report(what: &str, done: Result<(), SessionError>) {
    if let Err(error) = done {
        tracing::error!(%error, what, "sessions: will be tried again");
    }
}
