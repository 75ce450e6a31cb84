//! The parts of a running gateway, built once and in this order: keys, journal, store, identity,
//! access, portal, proxy.

use std::sync::Arc;

use access::Roles;
use audit::{Journal, NodeKey, Options};
use config::{Current, Settings, Snapshot};
use identity::{Assertions, Enrolment, Logins, RulesSource, Sessions};
use model::{Clock, MasterKey};
use portal::Portal;
use proxy::Proxy;
use store::Store;

use crate::doors;
use crate::failure::Failure;

/// Everything that serves.
pub(crate) struct Parts {
    pub(crate) current: Current,
    pub(crate) journal: Journal,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) sessions: Sessions,
    pub(crate) logins: Logins,
    pub(crate) enrolment: Enrolment,
    pub(crate) roles: Roles,
    pub(crate) proxy: Proxy,
    /// Seals what is kept in files.
    pub(crate) master: Arc<MasterKey>,
}

impl Parts {
    /// Opens and connects them; nothing listens yet.
    pub(crate) async fn build(snapshot: Snapshot) -> Result<Self, Failure> {
        let clock = Clock::system();
        let current = Current::new(snapshot);
        let snapshot = current.load();
        let settings = &snapshot.settings;
        let master = Arc::new(config::master_key(&settings.keys.master_key_file)?);
        let journal = journal(settings, &master, &clock)?;
        let store = Store::open(settings.store.place()?, settings.server.node.clone(), clock.clone()).await?;
        directory::sweep(&store).await?;
        let rules = RulesSource::of(current.clone());
        let sessions = Sessions::new(store.clone(), rules.clone(), clock.clone());
        let logins = Logins::new(store.clone(), sessions.clone(), rules.clone(), Arc::clone(&master), clock.clone())?;
        let enrolment = Enrolment::new(store.clone(), rules.clone(), Arc::clone(&master), clock.clone())?;
        let assertions = Assertions::load_or_create(&settings.assertion_key(), &master, rules)?;
        let roles = Roles::new(store.clone());
        let portal = Portal::new(portal::Parts {
            current: current.clone(),
            sessions: sessions.clone(),
            logins: logins.clone(),
            enrolment: enrolment.clone(),
            roles: roles.clone(),
            assertions: assertions.clone(),
            journal: journal.clone(),
            store: store.clone(),
            explain: Arc::new(doors::DataPlane),
            clock: clock.clone(),
        })?;
        let plane = proxy::Parts {
            sessions: sessions.clone(),
            roles: roles.clone(),
            assertions,
            journal: journal.clone(),
            master: Arc::clone(&master),
            clock: clock.clone(),
            handlers: doors::handlers(portal),
        };
        let proxy = Proxy::new(plane, Arc::clone(&snapshot))?;
        Ok(Self { current, journal, store, clock, sessions, logins, enrolment, roles, proxy, master })
    }

    /// Who keeps certificates fresh. What is kept from before is served at once.
    pub(crate) fn certificates(&self) -> acme::Keeper {
        acme::Keeper::new(acme::Parts {
            current: self.current.clone(),
            journal: self.journal.clone(),
            clock: self.clock.clone(),
            master: Arc::clone(&self.master),
            edge: Arc::new(doors::Handshakes(self.proxy.clone())),
        })
    }
}

fn journal(settings: &Settings, master: &MasterKey, clock: &Clock) -> Result<Journal, Failure> {
    let key = NodeKey::load_or_create(&settings.journal_key(), master)?;
    let options = Options {
        segment_bytes: settings.journal.segment_size as u64,
        checkpoint_every: settings.journal.checkpoint_every,
        ..Options::new(
            &settings.journal.directory,
            &settings.journal.checkpoint_directory,
            settings.server.node.clone(),
        )
    };
    Ok(Journal::open(options, key, clock.clone())?)
}
