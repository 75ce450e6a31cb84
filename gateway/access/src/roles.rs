use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use config::Snapshot;
use model::{AccountId, PersonId, StaffNo, Timestamp};
use store::accounts::{self, AccountState};
use store::people::{self, StoredPerson};
use store::{Change, ChangeKind, Feed, Store, View, grants};

use crate::cache::Memory;
use crate::{AccessError, Effective};

/// How long to wait before the feed is asked for again.
const RETRY: Duration = Duration::from_millis(250);

/// The roles of accounts. Clones share one memory.
#[derive(Clone, Debug)]
pub struct Roles {
    store: Store,
    memory: Arc<Memory>,
}

impl Roles {
    /// Roles out of `store`. Nothing is remembered until [`Self::run`].
    pub fn new(store: Store) -> Self {
        Self { store, memory: Arc::new(Memory::new()) }
    }

    /// The roles that an account holds at `now` by the rules of `snapshot`: birthrights of its person's
    /// HR data on that day at the site, and its grants at that moment. An account that isn't active
    /// holds none.
    ///
    /// # Errors
    /// [`AccessError::NoAccount`]; [`AccessError::Store`] if it had to be asked and didn't answer.
    pub async fn of(
        &self,
        account: AccountId,
        snapshot: &Arc<Snapshot>,
        now: Timestamp,
    ) -> Result<Arc<Effective>, AccessError> {
        if let Some(known) = self.memory.get(account, snapshot.generation, now) {
            return Ok(known);
        }
        // Boxed: requests ask here, and most find the answer in memory.
        Box::pin(self.work_out(account, snapshot, now)).await
    }

    async fn work_out(
        &self,
        account: AccountId,
        snapshot: &Arc<Snapshot>,
        now: Timestamp,
    ) -> Result<Arc<Effective>, AccessError> {
        let epoch = self.memory.epoch();
        let answer = Arc::new(self.ask(account, snapshot, now).await?);
        for role in &answer.unknown {
            tracing::warn!(%account, role, "a grant names a role that the policy doesn't have");
        }
        self.memory.keep(epoch, account, snapshot.generation, &answer);
        Ok(answer)
    }

    /// What somebody would hold at `now` if his account were active, for `policy test`; with or without
    /// an account. `None`: nobody has this staff number.
    ///
    /// # Errors
    /// [`AccessError::Store`].
    pub async fn expected(
        &self,
        staff_no: &StaffNo,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<Effective>, AccessError> {
        let mut view = self.store.view().await?;
        let Some(person) = people::by_staff_no(&mut view, staff_no).await? else { return Ok(None) };
        let account = accounts::by_person(&mut view, person.id).await?.map(|account| account.id);
        worked_out(&mut view, &person, account, snapshot, now).await.map(Some)
    }

    /// Hears the change feed until `shutdown` completes; only meanwhile answers are remembered.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        tokio::select! {
            biased;
            () = shutdown => {}
            () = self.listen() => {}
        }
    }

    async fn listen(&self) {
        let mut feed = self.feed().await;
        // After the feed has begun: what is read from now on, a later change will be heard of.
        let _listening = self.memory.listen();
        loop {
            match feed.next().await {
                Change::One { kind: ChangeKind::Account | ChangeKind::Grant, key, .. } => {
                    self.memory.forget(key.into())
                }
                Change::One { kind: ChangeKind::Person, key, .. } => self.person_changed(key.into()).await,
                Change::One { .. } => {}
                Change::Flush => self.memory.forget_all(),
            }
        }
    }

    async fn feed(&self) -> Feed {
        loop {
            match self.store.feed().await {
                Ok(feed) => return feed,
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "no change feed for roles"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn person_changed(&self, person: PersonId) {
        self.memory.turn();
        match accounts::by_person(&self.store, person).await {
            Ok(Some(account)) => self.memory.forget(account.id),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "whose account changed can't be asked");
                self.memory.forget_all();
            }
        }
    }

    async fn ask(&self, account: AccountId, snapshot: &Snapshot, now: Timestamp) -> Result<Effective, AccessError> {
        let mut view = self.store.view().await?;
        let account = accounts::by_id(&mut view, account).await?.ok_or(AccessError::NoAccount)?;
        if account.state != AccountState::Active {
            return Ok(Effective::nothing(snapshot, now));
        }
        let person = people::by_id(&mut view, account.person).await?.ok_or(AccessError::NoAccount)?;
        worked_out(&mut view, &person, Some(account.id), snapshot, now).await
    }
}

async fn worked_out(
    view: &mut View,
    person: &StoredPerson,
    account: Option<AccountId>,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Effective, AccessError> {
    let grants = match account {
        Some(account) => grants::of_account(view, account, now).await?,
        None => Vec::new(),
    };
    Ok(Effective::of_facts(&person.facts.hr_facts(), &grants, snapshot, now))
}

#[cfg(test)]
mod tests;
