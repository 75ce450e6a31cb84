//! Running and stopping: listeners, background work, reload, drain.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audit::{Event, Outcome, Record, What, Who, Why};
use config::Snapshot;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::parts::Parts;

/// How long requests in flight may take to finish after SIGTERM.
const DRAIN: Duration = Duration::from_secs(20);

/// `sekimori serve`.
pub(crate) fn serve(file: &Path) -> Result<(), Failure> {
    log(Form::Json);
    let snapshot = load(file)?;
    runtime(&snapshot)?.block_on(async {
        let parts = Parts::build(snapshot).await?;
        run(parts, Some(file), Vec::new()).await
    })
}

/// Reads and checks the configuration; also what a reload does.
pub(crate) fn load(file: &Path) -> Result<Snapshot, Failure> {
    Ok(config::load(file)?)
}

/// How log lines look.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// For a log collector.
    Json,
    /// For a person at a terminal.
    Text,
}

/// Log lines go to standard error; `RUST_LOG` chooses which.
pub(crate) fn log(form: Form) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second call changes nothing: the first form stays.
    let _ = match form {
        Form::Json => lines.json().try_init(),
        Form::Text => lines.with_target(false).try_init(),
    };
}

/// The runtime with as many workers as configured.
pub(crate) fn runtime(snapshot: &Snapshot) -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if snapshot.settings.server.workers > 0 {
        builder.worker_threads(snapshot.settings.server.workers);
    }
    Ok(builder.enable_all().build()?)
}

/// Serves until SIGTERM or SIGINT. `beside` are tasks that stop with the gateway.
///
/// What carries records and revocations goes on until the last request has ended. Should it end before,
/// the gateway stops: it would be open without knowing who has left.
pub(crate) async fn run(parts: Parts, file: Option<&Path>, beside: Vec<Beside>) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let snapshot = parts.current.load();
    let https = listen(snapshot.settings.server.https).await?;
    let http = match snapshot.settings.server.http {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let (stop, stopping) = watch::channel(false);
    let (rest, resting) = watch::channel(false);
    let mut background = background(&parts, &resting);
    let mut beside = together(beside, &stopping);
    let started = note(Event::ProcessStart, &snapshot).detail("pid", std::process::id());
    parts.journal.append_synced(&started).await?;
    tracing::info!(https = %snapshot.settings.server.https, generation = snapshot.generation, "serving");
    let served = parts.proxy.serve(proxy::Listeners { https, http, drain: DRAIN }, stopped(stopping));
    tokio::pin!(served);
    let (mut stopped_by, mut broken) = (None, false);
    loop {
        tokio::select! {
            () = &mut served => break,
            told = signals.next() => match (told, file) {
                (Told::Stop(signal), _) => {
                    stopped_by = Some(signal);
                    stop.send_replace(true);
                }
                (Told::Reload, Some(file)) => reload(&parts, file).await,
                (Told::Reload, None) => {}
            },
            Some(_) = background.join_next(), if !broken => {
                tracing::error!("a part that must not stop has stopped; so does the gateway");
                broken = true;
                stop.send_replace(true);
            }
        }
    }
    stop.send_replace(true);
    while beside.join_next().await.is_some() {}
    rest.send_replace(true);
    while background.join_next().await.is_some() {}
    let mut ended = note(Event::ProcessStop, &parts.current.load());
    if let Some(signal) = stopped_by {
        ended = ended.detail("signal", signal);
    }
    parts.journal.append_synced(&ended).await?;
    parts.journal.close()?;
    parts.store.close().await;
    if broken { Err(Failure::Broken) } else { Ok(()) }
}

/// A task that stops with the gateway.
pub(crate) type Beside = Box<dyn FnOnce(watch::Receiver<bool>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>;

/// The pump, the sessions' keeper and the roles' memory.
fn background(parts: &Parts, resting: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let pump = store::Pump::new(parts.store.clone(), parts.journal.clone());
    tasks.spawn(pump.run(stopped(resting.clone())));
    let (sessions, until) = (parts.sessions.clone(), stopped(resting.clone()));
    tasks.spawn(async move {
        if let Err(error) = sessions.run(until).await {
            tracing::error!(%error, "the last human acts were not written");
        }
    });
    let (roles, until) = (parts.roles.clone(), stopped(resting.clone()));
    tasks.spawn(async move { roles.run(until).await });
    tasks
}

fn together(beside: Vec<Beside>, stopping: &watch::Receiver<bool>) -> JoinSet<()> {
    beside.into_iter().map(|task| task(stopping.clone())).collect()
}

/// Ready once `stopping` says so, or its sender is gone.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|source| Failure::Listen { address, source })
}

/// Swaps one snapshot for the next, or says why not and keeps the old one (design.md §10).
async fn reload(parts: &Parts, file: &Path) {
    let former = parts.current.load();
    let outcome = swap(parts, file).await;
    let (event, result, reason) = match &outcome {
        Ok(_) => (Event::ConfigLoad, Outcome::Ok, None),
        Err(reason) => (Event::ConfigReject, Outcome::Failed, Some(reason.as_str())),
    };
    let snapshot = parts.current.load();
    let mut record = Record::new(event, result)
        .who(Who::system("reload"))
        .what(What::thing("configuration", &file.display().to_string()))
        .why(Why { reason, ..in_force(&snapshot) });
    match outcome {
        Ok(generation) => {
            record = record.change(&described(&former), &described(&snapshot));
            tracing::info!(generation, "reloaded");
        }
        Err(reason) => tracing::error!(reason, "reload refused; the old configuration stays"),
    }
    if let Err(error) = parts.journal.append_synced(&record).await {
        tracing::error!(%error, "the reload is not on record");
    }
}

async fn swap(parts: &Parts, file: &Path) -> Result<u64, String> {
    let path = file.to_owned();
    let next = tokio::task::spawn_blocking(move || load(&path))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let snapshot = parts.current.prepare(next).map_err(|error| error.to_string())?;
    let plane = parts.proxy.plane(Arc::clone(&snapshot)).map_err(|error| error.to_string())?;
    parts.current.install(Arc::clone(&snapshot));
    parts.proxy.install(plane);
    Ok(snapshot.generation)
}

fn described(snapshot: &Snapshot) -> Value {
    json!({ "policy": snapshot.policy_hash, "generation": snapshot.generation })
}

fn in_force(snapshot: &Snapshot) -> Why<'_> {
    Why { policy: Some(&snapshot.policy_hash), generation: Some(snapshot.generation), ..Why::default() }
}

fn note(event: Event, snapshot: &Snapshot) -> Record {
    Record::new(event, Outcome::Ok)
        .who(Who::system("gateway"))
        .why(in_force(snapshot))
        .detail("version", env!("CARGO_PKG_VERSION"))
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}

/// What a signal asks for.
enum Told {
    Stop(&'static str),
    Reload,
}
