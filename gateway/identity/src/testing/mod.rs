//! A hospital of three for tests: a real store, journal and pump in a folder of their own, and a clock
//! that only the test moves.

mod softkey;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use audit::{Journal, NodeKey, Options};
use model::{
    AccountId, Clock, Edge, FetchMetadata, Limits, MasterKey, NodeId, RequestId, Secret, StaffNo, Timestamp, Token,
    Zone,
};
use store::people::{self, Affiliation, PersonFacts};
use store::{Facts, Pump, Store};
use tempfile::TempDir;

pub(crate) use softkey::{Forgery, SoftKey};

use crate::{
    Begin, Completed, Enrolment, Entry, Live, Logins, Officer, Outcome, Profile, Proofing, Purpose, Rules, RulesSource,
    Sessions, Target,
};

pub(crate) const DOMAIN: &str = "hosp.test";
pub(crate) const PORTAL: &str = "auth.hosp.test";
pub(crate) const ORIGIN: &str = "https://auth.hosp.test:8443";
pub(crate) const APP: &str = "chart.hosp.test";
pub(crate) const PASSWORD: &str = "Umigame 71 Dorobune";

/// Noon in Tokyo on 2026-11-21.
pub(crate) fn noon() -> Timestamp {
    Timestamp::from_seconds(1_795_230_000)
}

pub(crate) fn rules() -> Rules {
    Rules {
        limits: Limits {
            lock_after: Duration::from_secs(300),
            end_after: Duration::from_secs(1_800),
            absolute: Duration::from_secs(12 * 3_600),
        },
        profile: Profile::Mhlw7,
        argon2_memory: 64,
        argon2_passes: 1,
        hash_concurrency: 2,
        domain: DOMAIN.to_owned(),
        origin: ORIGIN.to_owned(),
        portal_host: PORTAL.to_owned(),
        site_name: "関守病院".to_owned(),
        hospital_words: vec!["sekimoribyouin".to_owned()],
        utc_offset: 9 * 3_600,
    }
}

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) sessions: Sessions,
    pub(crate) logins: Logins,
    pub(crate) enrolment: Enrolment,
    journal: Journal,
    pump: tokio::task::JoinHandle<()>,
}

/// A person who has enrolled.
pub(crate) struct Enrolled {
    pub(crate) number: StaffNo,
    pub(crate) account: AccountId,
    pub(crate) key: SoftKey,
    pub(crate) totp: String,
}

/// A browser: its binder on the portal.
pub(crate) struct Browser {
    pub(crate) binder: Token,
    pub(crate) edge: Edge,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let master = Arc::new(MasterKey::generate().unwrap());
        let clock = Clock::manual(noon());
        Self::open(folder, master, clock).await
    }

    async fn open(folder: TempDir, master: Arc<MasterKey>, clock: Clock) -> Self {
        let node: NodeId = "n1".to_owned().try_into().unwrap();
        let store = Store::open(&folder.path().join("store.db"), node.clone(), clock.clone()).await.unwrap();
        let key = NodeKey::load_or_create(&folder.path().join("node.key"), &master).unwrap();
        for directory in ["journal", "checkpoints"] {
            std::fs::create_dir_all(folder.path().join(directory)).unwrap();
        }
        let options = Options::new(folder.path().join("journal"), folder.path().join("checkpoints"), node);
        let journal = Journal::open(options, key, clock.clone()).unwrap();
        let pump = tokio::spawn(Pump::new(store.clone(), journal.clone()).run(std::future::pending()));
        let source = RulesSource::fixed(rules());
        let sessions = Sessions::new(store.clone(), source.clone(), clock.clone());
        let logins =
            Logins::new(store.clone(), sessions.clone(), source.clone(), Arc::clone(&master), clock.clone()).unwrap();
        let enrolment = Enrolment::new(store.clone(), source, Arc::clone(&master), clock.clone()).unwrap();
        Self { folder, clock, store, master, sessions, logins, enrolment, journal, pump }
    }

    /// The gateway dies and comes back on the same files.
    pub(crate) async fn restart(self) -> Self {
        let Self { folder, clock, store, master, sessions, logins, enrolment, journal, pump } = self;
        drop((sessions, logins, enrolment));
        pump.abort();
        let _ = pump.await;
        store.close().await;
        drop(store);
        journal.close().unwrap();
        drop(journal);
        Self::open(folder, master, clock).await
    }

    /// From now on no record reaches the journal.
    pub(crate) fn stop_pump(&self) {
        self.pump.abort();
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A person as HR has him.
    pub(crate) async fn hire(&self, number: &str) -> StaffNo {
        let staff_no: StaffNo = number.parse().unwrap();
        let facts = PersonFacts {
            staff_no: staff_no.clone(),
            name: "山田 花子".to_owned(),
            kana: Some("ヤマダ ハナコ".to_owned()),
            birth_date: Some(6_000),
            employment: "常勤".to_owned(),
            employed_from: None,
            employed_until: None,
            affiliations: vec![Affiliation {
                department: "3階東病棟".to_owned(),
                occupation: "看護師".to_owned(),
                position: "一般".to_owned(),
                main: true,
                from: None,
                until: None,
            }],
            qualifications: Vec::new(),
        };
        let mut tx = self.store.begin().await.unwrap();
        people::insert(&mut tx, &facts, "test").await.unwrap();
        let record = audit::Record::new(audit::Event::HrImport, audit::Outcome::Ok);
        let _ = tx.commit(Facts::recorded(record)).await.unwrap();
        staff_no
    }

    /// A desk code for a person.
    pub(crate) async fn code(&self, number: &StaffNo) -> String {
        let proofing = Proofing { method: "face-to-face", evidence: "staff card" };
        let issued = self.enrolment.issue(Officer::Host("test"), number, proofing).await.unwrap();
        issued.code.expose().clone()
    }

    /// Hired, proofed, with passkey, password and TOTP.
    pub(crate) async fn enrol(&self, number: &str) -> Enrolled {
        let number = self.hire(number).await;
        let code = self.code(&number).await;
        let browser = Browser::new(PORTAL);
        let started = self.enrolment.start(&browser.binder, &browser.edge, number.as_str(), &code).await.unwrap();
        let entry = browser.entry(&started.token, None);
        let mut key = SoftKey::new();
        let options = self.enrolment.passkey_options(entry).await.unwrap();
        self.enrolment.passkey(entry, &key.create(&options, &Forgery::default()), "鍵").await.unwrap();
        self.enrolment.password(entry, Secret::new(PASSWORD.to_owned())).await.unwrap();
        let setup = self.enrolment.totp_setup(entry).await.unwrap();
        let totp = setup.key.expose().replace(' ', "");
        self.enrolment.totp(entry, &code_of(&totp, self.now())).await.unwrap();
        self.enrolment.finish(entry).await.unwrap();
        // The next code is of another step.
        self.pass(90);
        Enrolled { number, account: started.person.account, key, totp }
    }

    /// A login interaction for an app, bound to `browser`.
    pub(crate) async fn interaction(&self, browser: &Browser) -> Token {
        let target = Target::parse("/patients/1?tab=2").unwrap();
        let app_binder = Some(browser.binder.hash(model::TokenKind::Binder));
        let begin = Begin {
            purpose: Purpose::Login,
            host: APP,
            target,
            app_binder,
            address: browser.edge.address,
            holder: false,
        };
        let token = self.logins.begin(begin).await.unwrap();
        self.logins.view(&token, &browser.binder, browser.edge.address).await.unwrap();
        token
    }

    /// A whole login with the passkey.
    pub(crate) async fn log_in(&self, who: &mut Enrolled, browser: &Browser, current: Option<&Arc<Live>>) -> Completed {
        let token = self.interaction(browser).await;
        let entry = browser.entry(&token, current);
        let next = self.logins.name(entry, who.number.as_str()).await.unwrap();
        let outcome = self.logins.passkey(entry, &who.key.get(&next.passkey, &Forgery::default())).await.unwrap();
        completed(outcome)
    }

    /// The journal's lines so far, once everything committed has arrived there.
    pub(crate) async fn journaled(&self) -> Vec<serde_json::Value> {
        let tx = self.store.begin().await.unwrap();
        let mark = audit::Record::new(audit::Event::AuditRead, audit::Outcome::Ok);
        tx.commit(Facts::recorded(mark)).await.unwrap().journaled().await.unwrap();
        let mut lines = Vec::new();
        let mut files: Vec<_> =
            std::fs::read_dir(self.folder.path().join("journal")).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            lines.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
        }
        lines
    }

    /// How often an event with this reason stands in the journal.
    pub(crate) async fn recorded(&self, event: &str, reason: Option<&str>) -> usize {
        let matches = |line: &&serde_json::Value| {
            line["event"] == event && reason.is_none_or(|reason| line["why"]["reason"] == reason)
        };
        self.journaled().await.iter().filter(matches).count()
    }
}

impl Browser {
    pub(crate) fn new(host: &str) -> Self {
        let edge = Edge {
            request: RequestId::generate(),
            address: IpAddr::from([10, 1, 2, 3]),
            zone: Zone::named("ward"),
            host: host.into(),
            fetch: FetchMetadata::default(),
        };
        Self { binder: Token::generate().unwrap(), edge }
    }

    /// Another browser, at an address that nobody else in these tests has.
    pub(crate) fn elsewhere() -> Self {
        let mut browser = Self::new(PORTAL);
        browser.edge.address = IpAddr::from([10, 9, 9, 9]);
        browser
    }

    /// The same browser as another host sees it.
    pub(crate) fn at(&self, host: &str) -> Edge {
        Edge { host: host.into(), ..self.edge.clone() }
    }

    pub(crate) fn entry<'a>(&'a self, interaction: &'a Token, current: Option<&'a Arc<Live>>) -> Entry<'a> {
        Entry { interaction, binder: &self.binder, edge: &self.edge, user_agent: "test browser", current }
    }
}

pub(crate) fn completed(outcome: Outcome) -> Completed {
    match outcome {
        Outcome::Complete(completed) => completed,
        Outcome::More(next) => panic!("not complete: {next:?}"),
    }
}

/// What an authenticator app shows for a base32 seed.
pub(crate) fn code_of(base32: &str, now: Timestamp) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut held, mut bits, mut bytes) = (0_u32, 0, Vec::new());
    for letter in base32.chars() {
        held = held << 5 | u32::try_from(ALPHABET.find(letter).unwrap()).unwrap();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).unwrap());
        }
    }
    crate::totp::Seed::from_bytes(bytes).unwrap().code_at(now)
}
