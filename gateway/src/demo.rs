//! `sekimori demo`: a fictional hospital on this machine, by the same parts as a real one.

mod sheet;

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::demo::certificates::{self, Issued};
use ::demo::hospital::{self, Character, DOMAIN, Ports, REGISTRARS, VISITORS};
use audit::Who;
use config::{LogFormat, LogLevel, Snapshot};
use directory::Actor;
use identity::{Enrolment, Officer, Proofing};
use model::Clock;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::failure::Failure;
use crate::log::Log;
use crate::parts::Parts;
use crate::run::{self, Beside, stopped};
use crate::signals::{Signals, Told};
use sheet::sheet;

/// What the registrars of the demo may do; in a real site each is granted by itself.
const REGISTRAR_ROLES: [&str; 3] = ["registrar", "auditor", "sysadmin"];
/// Under whose name the demo acts on its own host.
const OPERATOR: &str = "demo";
/// Where the example's policy has the chart.
const CHART: u16 = 9101;

/// Where the demo stands.
pub(crate) struct Place {
    pub(crate) var: PathBuf,
    pub(crate) https: u16,
    pub(crate) http: u16,
}

/// Makes the folder, starts the ward chart and the gateway in front of it, and tells what to do.
pub(crate) fn run(place: &Place) -> Result<(), Failure> {
    let log = Log::begin(LogFormat::Text, LogLevel::Info);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let chart = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let ports = Ports { https: place.https, http: place.http, chart: chart.local_addr()?.port() };
        let (file, issued) = furnish(&place.var, ports)?;
        let snapshot = run::load(&file)?;
        let parts = Parts::build(snapshot).await?;
        let desk = Desk {
            store: parts.store.clone(),
            enrolment: parts.enrolment.clone(),
            snapshot: parts.current.load(),
            sheet: sheet(&place.var, &issued, &parts.current.load()),
        };
        let beside: Vec<Beside> = vec![
            Box::new(move |stopping| Box::pin(serve_chart(chart, stopping))),
            Box::new(move |stopping| Box::pin(desk.keep(stopping))),
        ];
        let outcome = run::run(parts, &log, Some(&file), beside).await;
        if matches!(outcome, Err(Failure::Listen { .. })) {
            say("Choose other ports: sekimori demo --https 9443 --http 9080");
        }
        outcome
    })
}

/// Makes the folder and stops: for whoever starts the parts by himself.
pub(crate) fn prepare(place: &Place) -> Result<(), Failure> {
    Log::begin(LogFormat::Text, LogLevel::Info);
    furnish(&place.var, Ports { https: place.https, http: place.http, chart: CHART })?;
    Ok(())
}

/// The ward chart alone.
pub(crate) fn chart(listen: SocketAddr) -> Result<(), Failure> {
    Log::begin(LogFormat::Text, LogLevel::Info);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let failed = |source| Failure::Listen { place: listen.to_string(), source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let mut signals = Signals::new()?;
        let stop = async move { while !matches!(signals.next().await, Told::Stop(_)) {} };
        Ok(::demo::chart::serve(listener, stop).await?)
    })
}

/// The folder with everything a site has: configuration, policy, certificates, master key, `cli.toml`.
fn furnish(var: &Path, ports: Ports) -> Result<(PathBuf, Issued), Failure> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::Write { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(var).map_err(failed(var))?;
    let file = hospital::write(var, ports)?;
    let hosts = hosts(&file);
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let issued = certificates::issue(var, DOMAIN, &hosts, Clock::system().now())?;
    let key = var.join("master.key");
    if !key.exists() {
        config::new_master_key(&key)?;
    }
    let client = var.join("cli.toml");
    let text = format!("api = \"https://auth.{DOMAIN}:{}\"\nca = \"ca.pem\"\n", ports.https);
    fs::write(&client, text).map_err(failed(&client))?;
    Ok((file, issued))
}

/// The hosts to be certified: the demo's own, and those of apps that somebody has added to its policy folder.
/// What is wrong with those is told when the whole is loaded.
fn hosts(file: &Path) -> Vec<String> {
    let mut hosts = vec![format!("auth.{DOMAIN}"), format!("chart.{DOMAIN}")];
    if let Ok(snapshot) = config::Source::read(file).parse() {
        let added = snapshot.apps.iter().map(|app| app.host.to_string());
        hosts.extend(added.filter(|host| !hosts.contains(host)).collect::<Vec<_>>());
    }
    hosts
}

async fn serve_chart(listener: TcpListener, stopping: watch::Receiver<bool>) {
    if let Err(error) = ::demo::chart::serve(listener, stopped(stopping)).await {
        tracing::error!(%error, "the ward chart stopped");
    }
}

/// The registration desk: it imports the personnel file and hands out enrolment codes.
struct Desk {
    store: Store,
    enrolment: Enrolment,
    snapshot: Arc<Snapshot>,
    sheet: String,
}

impl Desk {
    async fn keep(self, stopping: watch::Receiver<bool>) {
        let mut asked = presses();
        let work = async {
            if let Err(reason) = self.open().await {
                tracing::error!(reason, "the desk did not open");
                return;
            }
            say(&self.sheet);
            self.hand_out().await;
            while asked.recv().await.is_some() {
                self.hand_out().await;
            }
            std::future::pending().await
        };
        tokio::select! { () = work => {}, () = stopped(stopping) => {} }
    }

    async fn open(&self) -> Result<(), String> {
        let actor = Actor { who: Who::operator(OPERATOR), name: OPERATOR, edge: None };
        directory::import(&self.store, hospital::HR_CSV.to_vec(), &self.snapshot.settings.hr, &actor)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Fresh codes, by the path that a registrar's take.
    async fn hand_out(&self) {
        let fresh = if io::stdin().is_terminal() { " Enter prints fresh ones." } else { "" };
        let mut lines = vec![format!("Enrolment codes, each good once and for ten minutes.{fresh}")];
        for person in VISITORS {
            lines.push(self.code(person, false).await);
        }
        lines.push("And for the one who issues such codes, ends sessions and reads the journal:".to_owned());
        for person in REGISTRARS.iter().take(1) {
            lines.push(self.code(*person, true).await);
        }
        say(&lines.join("\n"));
    }

    async fn code(&self, person: Character, registrar: bool) -> String {
        match self.issue(person, registrar).await {
            Ok(code) => format!("  {}  {code}   {} ({})", person.staff_no, person.name, person.work.1),
            Err(reason) => format!("  {}  no code: {reason}", person.staff_no),
        }
    }

    async fn issue(&self, person: Character, registrar: bool) -> Result<String, String> {
        let staff_no = person.staff_no.parse().map_err(|_| "not a staff number".to_owned())?;
        let proofing = Proofing { method: "fictional", evidence: "the demo's own personnel file" };
        let issued = self
            .enrolment
            .issue(Officer::Host(OPERATOR), &staff_no, proofing)
            .await
            .map_err(|error| error.to_string())?;
        if registrar {
            let roles = REGISTRAR_ROLES.map(str::to_owned);
            access::bootstrap(&self.store, issued.account, &roles, OPERATOR, &self.snapshot)
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(issued.code.expose().clone())
    }
}

/// Each press of Enter at the terminal; none ever if there is no terminal.
fn presses() -> mpsc::Receiver<()> {
    let (press, pressed) = mpsc::channel(1);
    // Reading a terminal can't be cancelled: a thread of its own ends with the process.
    std::thread::spawn(move || {
        for _line in io::stdin().lock().lines().map_while(Result::ok) {
            if press.blocking_send(()).is_err() {
                break;
            }
        }
    });
    pressed
}

fn say(text: &str) {
    // A closed terminal is no reason to stop serving.
    let _ = writeln!(io::stdout().lock(), "{text}");
}
