//! A hospital of one ward: store, journal, sessions and proxy as the binary wires them, on a manual clock.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::Roles;
use audit::{Event, Journal, NodeKey, Options, Outcome, Record};
use config::{Certificate, Current, Snapshot};
use http_body_util::{BodyExt as _, Full};
use identity::{Assertions, Live, NewSession, RulesSource, Sessions, Target};
use model::{
    AccountId, Clock, Edge, MasterKey, Method, NodeId, Refusal, RequestId, Timestamp, Token, TokenKind, Wants, Zone,
};
use proxy::{Handlers, Listeners, Parts, Proxy, Response};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use store::accounts::{self, AccountState};
use store::grants::{self, GrantKind, NewGrant};
use store::people::{self, PersonFacts};
use store::{Changed, Facts, Pump, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

use crate::browser::{Answer, Browser};
use crate::upstream::Upstream;

pub(crate) const CHART: &str = "chart.hospital.example";
pub(crate) const PACS: &str = "pacs.hospital.example";
pub(crate) const PORTAL: &str = "auth.hospital.example";

const RULES: &str = include_str!("rules.toml");
const MAIN: &str = include_str!("sekimori.toml");

pub(crate) struct World {
    pub(crate) upstream: Upstream,
    pub(crate) address: SocketAddr,
    pub(crate) plain: SocketAddr,
    pub(crate) ca: CertificateDer<'static>,
    pub(crate) clock: Clock,
    pub(crate) sessions: Sessions,
    pub(crate) journal: Journal,
    pub(crate) proxy: Proxy,
    pub(crate) serving: JoinHandle<()>,
    /// Writes locks down and wakes who waits for them.
    pub(crate) sweeper: AbortHandle,
    key: PrivateKeyDer<'static>,
    main: String,
    current: Current,
    store: Store,
    stop: watch::Sender<bool>,
    folder: tempfile::TempDir,
}

/// Somebody logged in on an app host.
pub(crate) struct Staff {
    pub(crate) live: Arc<Live>,
    pub(crate) account: AccountId,
    /// `Cookie: __Host-sk=…` with its line end.
    pub(crate) cookie: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|main| main).await
    }

    /// With the main file changed.
    pub(crate) async fn with(edit: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::start().await;
        let clock = Clock::manual(Timestamp::from_seconds(1_795_240_000));
        let (certificate, key) = certificate();
        let main = edit(MAIN.to_owned());
        let current = Current::new(snapshot(&main, RULES, upstream.address, &certificate, &key));
        let node: NodeId = "n1".to_owned().try_into().unwrap();
        let master = Arc::new(MasterKey::generate().unwrap());
        let store = Store::open(&folder.path().join("store.db"), node.clone(), clock.clone()).await.unwrap();
        let journal_key = NodeKey::load_or_create(&folder.path().join("journal.key"), &master).unwrap();
        let options = Options::new(folder.path().join("journal"), folder.path().join("checkpoints"), node);
        let journal = Journal::open(options, journal_key, clock.clone()).unwrap();
        let rules = RulesSource::of(current.clone());
        let sessions = Sessions::new(store.clone(), rules.clone(), clock.clone());
        let roles = Roles::new(store.clone());
        let assertions = Assertions::load_or_create(&folder.path().join("assertion.key"), &master, rules).unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(Pump::new(store.clone(), journal.clone()).run(until(stopped.clone())));
        let (running, ends) = (roles.clone(), until(stopped.clone()));
        tokio::spawn(async move { running.run(ends).await });
        let (running, ends) = (sessions.clone(), until(stopped.clone()));
        let sweeper = tokio::spawn(async move { running.run(ends).await }).abort_handle();
        let parts = Parts {
            sessions: sessions.clone(),
            roles,
            assertions,
            journal: journal.clone(),
            clock: clock.clone(),
            master,
            handlers: handlers(),
        };
        let proxy = Proxy::new(parts, current.load()).unwrap();
        let https = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, plain) = (https.local_addr().unwrap(), http.local_addr().unwrap());
        let listeners = Listeners { https, http: Some(http), drain: Duration::from_secs(5) };
        let (serving, ends) = (proxy.clone(), until(stopped));
        let serving = tokio::spawn(async move { serving.serve(listeners, ends).await });
        Self {
            upstream,
            address,
            plain,
            ca: certificate,
            key,
            main,
            clock,
            sessions,
            journal,
            proxy,
            serving,
            sweeper,
            current,
            store,
            stop,
            folder,
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Serves other policy rules from now on.
    pub(crate) fn reload(&self, edit: impl FnOnce(String) -> String) {
        self.reload_with(edit, |_| {});
    }

    /// The same, with what files would have held put in by `fill`.
    pub(crate) fn reload_with(&self, edit: impl FnOnce(String) -> String, fill: impl FnOnce(&mut Snapshot)) {
        let mut next = snapshot(&self.main, &edit(RULES.to_owned()), self.upstream.address, &self.ca, &self.key);
        fill(&mut next);
        let next = self.current.prepare(next).unwrap();
        self.current.install(Arc::clone(&next));
        self.proxy.install(self.proxy.plane(next).unwrap());
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load()
    }

    /// A person with an active account and these roles.
    pub(crate) async fn account(&self, staff_no: &str, roles: &[&str]) -> AccountId {
        let mut tx = self.store.begin().await.unwrap();
        let facts = PersonFacts {
            staff_no: staff_no.parse().unwrap(),
            name: "山田 花子".into(),
            kana: None,
            birth_date: None,
            employment: String::new(),
            employed_from: None,
            employed_until: None,
            affiliations: vec![],
            qualifications: vec![],
        };
        let person = people::insert(&mut tx, &facts, "test").await.unwrap();
        let account = accounts::insert(&mut tx, person).await.unwrap();
        accounts::set_state(&mut tx, &account, AccountState::Active).await.unwrap();
        for role in roles {
            let grant = NewGrant {
                account: account.id,
                role: (*role).to_owned(),
                kind: GrantKind::Request,
                reason: "test".into(),
                paper: None,
                valid_from: Timestamp::from_seconds(0),
                valid_until: None,
            };
            grants::insert(&mut tx, &grant).await.unwrap();
        }
        let _ = tx.commit(recorded().changed(Changed::account(account.id))).await.unwrap();
        account.id
    }

    /// Takes every role from an account.
    pub(crate) async fn end_grants(&self, account: AccountId) {
        let mut tx = self.store.begin().await.unwrap();
        for grant in grants::of_account(&mut tx, account, self.clock.now()).await.unwrap() {
            grants::end(&mut tx, grant.id).await.unwrap();
        }
        let _ = tx.commit(recorded().changed(Changed::grants(account))).await.unwrap();
    }

    /// Logs somebody new in on the chart's host.
    pub(crate) async fn login(&self, staff_no: &str, roles: &[&str]) -> Staff {
        let account = self.account(staff_no, roles).await;
        self.login_again(account).await
    }

    pub(crate) async fn login_again(&self, account: AccountId) -> Staff {
        let edge = edge(PORTAL);
        let new = NewSession {
            account,
            methods: BTreeSet::from([Method::PasskeyVerified]),
            edge: &edge,
            user_agent: "test",
            replaces: None,
        };
        let (live, _portal) = self.sessions.start(new).await.unwrap();
        let binder = Token::generate().unwrap();
        let hash = binder.hash(TokenKind::Binder);
        let code = self.sessions.handshake_code(&live, CHART, hash, &Target::root(), edge.address).await.unwrap();
        let entered = self.sessions.enter(&code, &binder, &self::edge(CHART)).await.unwrap().unwrap();
        Staff { account, live: entered.live, cookie: format!("Cookie: __Host-sk={}\r\n", entered.token.text()) }
    }

    pub(crate) async fn connect(&self) -> Browser {
        self.connect_to(CHART).await
    }

    pub(crate) async fn connect_to(&self, sni: &str) -> Browser {
        Browser::connect(self.address, &self.ca, sni).await.unwrap()
    }

    /// One request to the chart on a connection of its own.
    pub(crate) async fn ask(&self, line: &str, headers: &str) -> Answer {
        self.connect().await.ask(format!("{line} HTTP/1.1\r\nHost: {CHART}\r\n{headers}\r\n")).await
    }

    pub(crate) fn journal_folder(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// The journal's lines so far.
    pub(crate) fn records(&self) -> Vec<String> {
        journal_lines(&self.journal_folder())
    }

    /// The lines of an event.
    pub(crate) fn records_of(&self, event: &str) -> Vec<String> {
        let mark = format!("\"event\":\"{event}\"");
        self.records().into_iter().filter(|line| line.contains(&mark)).collect()
    }

    /// The lines of an event, once there are `count`.
    pub(crate) async fn await_records(&self, event: &str, count: usize) -> Vec<String> {
        for _ in 0..500 {
            let found = self.records_of(event);
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{count} of {event}: {:#?}", self.records());
    }
}

pub(crate) fn journal_lines(folder: &Path) -> Vec<String> {
    let mut segments: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    segments.sort();
    let text = |path: &PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    segments.iter().flat_map(|path| text(path).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn recorded() -> Facts {
    Facts::recorded(Record::new(Event::AccountCreate, Outcome::Ok))
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn edge(host: &str) -> Edge {
    Edge {
        request: RequestId::generate(),
        address: "127.0.0.1".parse().unwrap(),
        zone: Zone::named("ward"),
        host: host.into(),
        fetch: model::FetchMetadata::default(),
    }
}

/// Says what was refused, and for whom, in words that tests can read.
fn handlers() -> Handlers {
    let text = |status: u16, text: String| {
        let mut response = Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status.try_into().unwrap();
        response
    };
    Handlers {
        reserved: Arc::new(move |request, edge, _| {
            Box::pin(async move { text(200, format!("portal {} {}", edge.host, request.uri().path())) })
        }),
        refusal: Arc::new(move |refusal: Refusal, wants: Wants, context| {
            let session = context.session.is_some();
            Box::pin(async move { text(refusal.status(), format!("{refusal:?} {wants:?} session={session}")) })
        }),
    }
}

fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let names = [CHART, PACS, PORTAL].map(str::to_owned).to_vec();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.der().clone(), PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap())
}

fn snapshot(
    main: &str,
    rules: &str,
    upstream: SocketAddr,
    certificate: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> Snapshot {
    let rules = rules.replace("UPSTREAM", &upstream.to_string());
    let mut snapshot = config::load_texts(Path::new("/nowhere"), main, &[("rules.toml", &rules)])
        .unwrap_or_else(|report| panic!("{report}"));
    snapshot.certificates = vec![Certificate { chain: vec![certificate.clone()], key: key.clone_key() }];
    snapshot
}
