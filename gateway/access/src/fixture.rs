//! A store with staff, and rules to judge them by.

use std::path::Path;
use std::sync::Arc;

use audit::{Event, Outcome, Record};
use config::Snapshot;
use model::{AccountId, Clock, PersonId, Timestamp};
use store::accounts::{self, Account, AccountState};
use store::grants::{self, GrantKind, NewGrant};
use store::people::{self, Affiliation, PersonFacts};
use store::{Changed, Facts, Store};
use tempfile::TempDir;
use uuid::Uuid;

/// Noon in Tokyo on a Saturday.
pub(crate) const NOON: Timestamp = Timestamp::from_seconds(1_795_230_000);

const RULES: &str = r#"
[[role]]
name = "nurse"
title = { ja = "看護師", en = "Nurse" }
permit = [{ app = "sekimori", actions = ["session"] }]

[[role]]
name = "lead"
title = { ja = "リーダー", en = "Lead" }
permit = [{ app = "sekimori", actions = ["session"] }]

[[role]]
name = "auditor"
title = { ja = "監査", en = "Auditor" }
privileged = true
permit = [{ app = "sekimori", actions = ["audit"] }]

[[birthright]]
name = "nurses"
role = "nurse"
occupation = ["看護師"]

[[birthright]]
name = "leads"
role = "lead"
position = ["主任"]
"#;

/// Rules of the house, and what `more` adds, in force as `generation`.
pub(crate) fn snapshot(generation: u64, more: &str) -> Arc<Snapshot> {
    let mut snapshot = rules(&format!("{RULES}{more}")).unwrap_or_else(|report| panic!("{report}"));
    snapshot.generation = generation;
    Arc::new(snapshot)
}

pub(crate) fn rules(text: &str) -> Result<Snapshot, config::Report> {
    config::load_texts(Path::new("/etc/sekimori"), &config::sample_file(), &[("rules.toml", text)])
}

pub(crate) struct Fixture {
    pub(crate) store: Store,
    _folder: TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = "n1".to_owned().try_into().unwrap();
        let store = Store::open(&folder.path().join("store.db"), node, Clock::manual(NOON)).await.unwrap();
        Self { store, _folder: folder }
    }

    /// A person with one post and an active account.
    pub(crate) async fn hire(&self, staff_no: &str, post: Affiliation) -> Account {
        let mut tx = self.store.begin().await.unwrap();
        let person = people::insert(&mut tx, &facts(staff_no, post), "test").await.unwrap();
        let pending = accounts::insert(&mut tx, person).await.unwrap();
        let account = accounts::set_state(&mut tx, &pending, AccountState::Active).await.unwrap();
        let _ = tx.commit(done().changed(Changed::account(account.id))).await.unwrap();
        account
    }

    pub(crate) async fn transfer(&self, person: PersonId, post: Affiliation) {
        let mut tx = self.store.begin().await.unwrap();
        let seen = people::by_id(&mut tx, person).await.unwrap().unwrap();
        let facts = facts(seen.facts.staff_no.as_str(), post);
        people::update(&mut tx, person, seen.version, &facts, "test").await.unwrap();
        let _ = tx.commit(done().changed(Changed::person(person))).await.unwrap();
    }

    pub(crate) async fn suspend(&self, account: &Account) {
        let mut tx = self.store.begin().await.unwrap();
        accounts::set_state(&mut tx, account, AccountState::Suspended).await.unwrap();
        let _ = tx.commit(done().changed(Changed::account(account.id))).await.unwrap();
    }

    pub(crate) async fn grant(
        &self,
        account: AccountId,
        role: &str,
        from: Timestamp,
        until: Option<Timestamp>,
    ) -> Uuid {
        let mut tx = self.store.begin().await.unwrap();
        let grant = NewGrant {
            account,
            role: role.into(),
            kind: GrantKind::Request,
            reason: "当直".into(),
            paper: Some("R-1".into()),
            valid_from: from,
            valid_until: until,
        };
        let id = grants::insert(&mut tx, &grant).await.unwrap();
        let _ = tx.commit(done().changed(Changed::grants(account))).await.unwrap();
        id
    }

    pub(crate) async fn end_grant(&self, id: Uuid) {
        let mut tx = self.store.begin().await.unwrap();
        let account = grants::end(&mut tx, id).await.unwrap();
        let _ = tx.commit(done().changed(Changed::grants(account))).await.unwrap();
    }
}

fn done() -> Facts {
    Facts::recorded(Record::new(Event::GrantAdd, Outcome::Ok))
}

pub(crate) fn post(occupation: &str) -> Affiliation {
    Affiliation {
        department: "3西".into(),
        occupation: occupation.into(),
        position: String::new(),
        main: true,
        from: None,
        until: None,
    }
}

fn facts(staff_no: &str, post: Affiliation) -> PersonFacts {
    PersonFacts {
        staff_no: staff_no.parse().unwrap(),
        name: "山田 花子".into(),
        kana: None,
        birth_date: None,
        employment: "常勤".into(),
        employed_from: None,
        employed_until: None,
        affiliations: vec![post],
        qualifications: Vec::new(),
    }
}
