//! A small hospital for tests: real store, journal, sessions and policy in a folder of its own, a
//! clock that tests move, and browsers that keep their cookies.

mod browser;
mod otp;

use std::path::Path;
use std::sync::Arc;

use ::audit::read::{self, Line};
use ::audit::{Event, Journal, NodeKey, Options, Outcome, Record, Who};
use access::{Described, Explanation, Roles, Verdict};
use config::{Current, Snapshot};
use identity::{Assertions, Enrolment, Logins, NewSession, Rules, RulesSource, Sessions};
use model::{
    Aal, AccountId, Clock, Edge, FetchMetadata, MasterKey, Method, NodeId, RequestId, SessionId, SessionState, StaffNo,
    Timestamp, Token, TokenKind, Zone,
};
use policy::RoleSet;
use store::accounts::{self, AccountState};
use store::grants::{self, GrantKind, NewGrant};
use store::people::{self, Affiliation, PersonFacts, Qualification};
use store::{Changed, Facts, Pump, Store};
use tempfile::TempDir;

use crate::{Explain, Parts, Portal};

pub(crate) use browser::{Browser, Got, navigation_from_elsewhere};
pub(crate) use otp::Otp;

pub(crate) const AUTH: &str = "auth.sekimori.localhost";
pub(crate) const CHART: &str = "chart.sekimori.localhost";
/// A nurse, and a password of hers.
pub(crate) const NURSE: &str = "000123";
/// Holds every role of the administration.
pub(crate) const ADMIN: &str = "000900";
/// In the HR data, without an account.
pub(crate) const NEWCOMER: &str = "000777";
/// Saturday 2026-11-21 14:05 in Tokyo.
pub(crate) const NOON: Timestamp = Timestamp::from_seconds(1_795_237_500);

/// A name that tries what names try.
pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{202e}花子\"'";

const MAIN: &str = r#"
[site]
name = { ja = "関守病院", en = "Sekimori Hospital" }
domain = "sekimori.localhost"
help_extension = "内線 1234"
[server]
https = "127.0.0.1:8443"
[tls]
certificate = "tls.pem"
key = "tls.key"
[portal]
host = "auth.sekimori.localhost"
[store]
path = "store.db"
[keys]
master_key_file = "master.key"
[journal]
directory = "journal"
checkpoint_directory = "checkpoints"
[login]
argon2_memory = "19MiB"
argon2_passes = 2
attempts_per_minute = 40
[[zones]]
name = "ward"
title = { ja = "病棟", en = "Ward" }
networks = ["10.1.0.0/16"]
[[zones]]
name = "office"
networks = ["10.2.0.0/16"]
"#;

const POLICY: &str = r#"
[[app]]
name = "chart"
title = { ja = "病棟カルテ", en = "Ward chart" }
host = "chart.sekimori.localhost"
upstream = "http://127.0.0.1:9101"
[[app.action]]
name = "view"
methods = ["GET"]
paths = ["/", "/patients/{id}"]
[[app.action]]
name = "admin"
title = { ja = "カルテの管理", en = "Administer the chart" }
methods = ["GET"]
paths = ["/admin"]

[[app]]
name = "lab"
title = { ja = "検査", en = "Laboratory" }
host = "lab.sekimori.localhost"
upstream = "http://127.0.0.1:9102"
[[app.action]]
name = "view"
methods = ["GET"]
paths = ["/"]

[[condition]]
name = "in-house"
zones = ["ward", "office"]
note = "院内に限る"

[[role]]
name = "nurse"
title = { ja = "看護師", en = "Nurse" }
[[role.permit]]
app = "chart"
actions = ["view"]
condition = "in-house"

[[role]]
name = "keeper"
title = { ja = "管理者", en = "Keeper" }
privileged = true
[[role.permit]]
app = "sekimori"
actions = ["hr", "enrolment", "session", "policy", "audit"]
condition = "in-house"
[[role.permit]]
app = "chart"
actions = ["admin"]

[[birthright]]
name = "nurse-by-licence"
role = "nurse"
occupation = ["看護師"]
"#;

/// The hospital.
pub(crate) struct House {
    pub(crate) portal: Portal,
    pub(crate) current: Current,
    pub(crate) clock: Clock,
    pub(crate) sessions: Sessions,
    pub(crate) enrolment: Enrolment,
    pub(crate) store: Store,
    pub(crate) journal: Journal,
    /// Gone with the house.
    _folder: TempDir,
}

/// A data plane that permits what is called `/open`.
struct OpenOnly;

impl Explain for OpenOnly {
    fn explain(&self, _: &Snapshot, described: &Described, _: &RoleSet) -> Explanation {
        let permit = described.url().ends_with("/open");
        let decision = if permit { Verdict::Permit } else { Verdict::Deny };
        let reason = (!permit).then_some("no-role");
        Explanation { decision, app: Some("chart".to_owned()), reason, ..Explanation::default() }
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Clock::manual(NOON);
        let current = Current::new(config::load_texts(folder.path(), MAIN, &[("policy.toml", POLICY)]).unwrap());
        let master = Arc::new(MasterKey::generate().unwrap());
        let journal = journal(folder.path(), &master, &clock);
        let node = NodeId::try_from("n1".to_owned()).unwrap();
        let store = Store::open(&folder.path().join("store.db"), node, clock.clone()).await.unwrap();
        tokio::spawn(Pump::new(store.clone(), journal.clone()).run(std::future::pending()));
        let rules = RulesSource::fixed(Rules::from(&*current.load()));
        let sessions = Sessions::new(store.clone(), rules.clone(), clock.clone());
        let logins =
            Logins::new(store.clone(), sessions.clone(), rules.clone(), Arc::clone(&master), clock.clone()).unwrap();
        let enrolment = Enrolment::new(store.clone(), rules.clone(), Arc::clone(&master), clock.clone()).unwrap();
        let assertions = Assertions::load_or_create(&folder.path().join("assertion.key"), &master, rules).unwrap();
        let portal = Portal::new(Parts {
            current: current.clone(),
            sessions: sessions.clone(),
            logins,
            enrolment: enrolment.clone(),
            roles: Roles::new(store.clone()),
            assertions,
            journal: journal.clone(),
            store: store.clone(),
            explain: Arc::new(OpenOnly),
            clock: clock.clone(),
        })
        .unwrap();
        let house = Self { portal, current, clock, sessions, enrolment, store, journal, _folder: folder };
        house.people().await;
        house
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load()
    }

    async fn people(&self) {
        self.person(NURSE, "髙橋 花子", "看護師", true).await;
        let admin = self.person(ADMIN, "関 守", "事務職", true).await.unwrap();
        self.person(NEWCOMER, HOSTILE, "看護師", false).await;
        self.grant(admin).await;
    }

    /// Gives the administration's role.
    pub(crate) async fn grant(&self, account: AccountId) {
        let mut tx = self.store.begin().await.unwrap();
        let grant = NewGrant {
            account,
            role: "keeper".to_owned(),
            kind: GrantKind::Bootstrap,
            reason: "test".to_owned(),
            paper: None,
            valid_from: NOON,
            valid_until: None,
        };
        grants::insert(&mut tx, &grant).await.unwrap();
        tx.commit(made().changed(Changed::grants(account))).await.unwrap().journaled().await.unwrap();
    }

    /// Adds a person, perhaps with an active account.
    pub(crate) async fn person(&self, number: &str, name: &str, occupation: &str, account: bool) -> Option<AccountId> {
        let facts = PersonFacts {
            staff_no: number.parse().unwrap(),
            name: name.to_owned(),
            kana: Some("ハナコ".to_owned()),
            birth_date: Some(0),
            employment: "常勤".to_owned(),
            employed_from: None,
            employed_until: None,
            affiliations: vec![Affiliation {
                department: "3階東病棟".to_owned(),
                occupation: occupation.to_owned(),
                position: String::new(),
                main: true,
                from: None,
                until: None,
            }],
            qualifications: Vec::<Qualification>::new(),
        };
        let mut tx = self.store.begin().await.unwrap();
        let person = people::insert(&mut tx, &facts, "csv").await.unwrap();
        let mut id = None;
        if account {
            let made = accounts::insert(&mut tx, person).await.unwrap();
            id = Some(made.id);
            accounts::set_state(&mut tx, &made, AccountState::Active).await.unwrap();
        }
        tx.commit(made().changed(Changed::person(person))).await.unwrap().journaled().await.unwrap();
        id
    }

    pub(crate) async fn account(&self, number: &str) -> AccountId {
        let number: StaffNo = number.parse().unwrap();
        accounts::by_staff_no(&self.store, &number).await.unwrap().unwrap().id
    }

    /// A browser that nobody has logged in with, in the ward.
    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser::new(self)
    }

    /// A browser with a session at AAL2, as if somebody had just logged in.
    pub(crate) async fn logged_in(&self, number: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let token = self.session(number).await;
        browser.keep(AUTH, crate::SESSION, &token.text());
        browser.get(AUTH, "/login").await;
        browser
    }

    pub(crate) async fn session(&self, number: &str) -> Token {
        let edge = self.edge(AUTH, FetchMetadata::default());
        let new = NewSession {
            account: self.account(number).await,
            methods: [Method::PasskeyVerified].into_iter().collect(),
            edge: &edge,
            user_agent: "test",
            replaces: None,
        };
        self.sessions.start(new).await.unwrap().1
    }

    /// A session that only a store which was tampered with could hold: one factor.
    pub(crate) async fn weak_session(&self, number: &str) -> Token {
        let (now, id, token) = (self.clock.now(), SessionId::generate(), Token::generate().unwrap());
        let row = store::sessions::Session {
            id,
            account: self.account(number).await,
            state: SessionState::Active,
            station: "10.1.0.7".to_owned(),
            zone: "ward".to_owned(),
            address: "10.1.0.7".to_owned(),
            user_agent: "test".to_owned(),
            methods: [Method::Password].into_iter().collect(),
            aal: Aal::Aal1,
            authenticated_at: now,
            started_at: now,
            last_act: now,
            locked_at: None,
            lock_reason: None,
            absolute_until: now.after(std::time::Duration::from_secs(3_600)),
        };
        let kind = TokenKind::PortalSession;
        let mut tx = self.store.begin().await.unwrap();
        store::sessions::insert(&mut tx, &row).await.unwrap();
        store::sessions::insert_token(&mut tx, id, &token.hash(kind), kind, AUTH, now).await.unwrap();
        tx.commit(made()).await.unwrap().journaled().await.unwrap();
        token
    }

    pub(crate) fn edge(&self, host: &str, fetch: FetchMetadata) -> Edge {
        Edge {
            request: RequestId::generate(),
            address: "10.1.0.7".parse().unwrap(),
            zone: Zone::named("ward"),
            host: host.into(),
            fetch,
        }
    }

    /// The journal's newest lines of an event.
    pub(crate) fn records(&self, event: &str) -> Vec<Line> {
        let lines = read::tail(self.journal.directory(), None, 1_000).unwrap();
        lines.into_iter().filter(|line| line.record["event"] == event).collect()
    }
}

fn made() -> Facts {
    Facts::recorded(Record::new(Event::AccountCreate, Outcome::Ok).who(Who::system("test")))
}

fn journal(folder: &Path, master: &MasterKey, clock: &Clock) -> Journal {
    for name in ["journal", "checkpoints"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    let key = NodeKey::load_or_create(&folder.join("journal.key"), master).unwrap();
    let node = NodeId::try_from("n1".to_owned()).unwrap();
    let options = Options::new(folder.join("journal"), folder.join("checkpoints"), node);
    Journal::open(options, key, clock.clone()).unwrap()
}
