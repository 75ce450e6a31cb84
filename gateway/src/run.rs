//! Running and stopping: listeners, background work, drain.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audit::{Event, Outcome, Record, Who, Why};
use config::{LogFormat, LogLevel, Snapshot};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, sleep_until};

use crate::clock::Check;
use crate::failure::Failure;
use crate::health::{self, Desk, Gauges, Phase, Readiness};
use crate::log::Log;
use crate::notify;
use crate::parts::Parts;
use crate::reload::reload;
use crate::signals::{Signals, Told};

/// `sekimori serve`.
pub(crate) fn serve(file: &Path) -> Result<(), Failure> {
    let loaded = load(file);
    let settings = loaded.as_ref().ok().map(|snapshot| &snapshot.settings.log);
    let (format, level) = settings.map_or((LogFormat::Json, LogLevel::Info), |log| (log.format, log.level));
    let log = Log::begin(format, level);
    let snapshot = loaded?;
    runtime(&snapshot)?.block_on(async {
        let parts = Parts::build(snapshot).await?;
        run(parts, &log, Some(file), Vec::new()).await
    })
}

/// Reads and checks the configuration; also what a reload does.
pub(crate) fn load(file: &Path) -> Result<Snapshot, Failure> {
    Ok(config::load(file)?)
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
/// Once a stop is asked for, readiness says so first; after `server.stop_delay`, or the second time, no more
/// connections are taken. What carries records and revocations goes on until the last request has ended. Should
/// it end before, the gateway stops: it would be open without knowing who has left.
pub(crate) async fn run(parts: Parts, log: &Log, file: Option<&Path>, beside: Vec<Beside>) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let snapshot = parts.current.load();
    let listeners = listen(&snapshot).await?;
    let health = health::Listener::bind(&snapshot.settings.server.health).await?;
    let (stop, stopping) = watch::channel(false);
    let (rest, resting) = watch::channel(false);
    let mut background = background(&parts, &resting);
    let mut beside = together(beside, &stopping);
    let started = note(Event::ProcessStart, &snapshot).detail("pid", std::process::id());
    parts.journal.append_synced(&started).await?;
    parts.journal.sign_soon();
    let (phase, phases) = watch::channel(Phase::Starting);
    let mut watchers = watchers(&parts, health, phases);
    tracing::info!(https = %snapshot.settings.server.https, generation = snapshot.generation, "serving");
    let served = parts.proxy.serve(listeners, stopped(stopping));
    tokio::pin!(served);
    let mut course = Course::begin(phase, stop);
    let mut pulse = notify::pulse().map(tokio::time::interval);
    let mut broken = false;
    loop {
        tokio::select! {
            () = &mut served => break,
            told = signals.next() => match (told, file) {
                (Told::Stop(signal), _) => course.end(signal, parts.current.load().settings.server.stop_delay),
                (Told::Reload, Some(file)) if course.stopped_by.is_none() => {
                    notify::reloading();
                    reload(&parts, log, file).await;
                    notify::ready();
                }
                (Told::Reload, _) => {}
            },
            () = course.due() => course.close(),
            () = beat(&mut pulse) => notify::alive(),
            Some(_) = background.join_next(), if !broken => {
                tracing::error!("a part that must not stop has stopped; so does the gateway");
                broken = true;
                course.close();
            }
        }
    }
    course.close();
    while beside.join_next().await.is_some() {}
    rest.send_replace(true);
    while background.join_next().await.is_some() {}
    watchers.shutdown().await;
    let mut ended = note(Event::ProcessStop, &parts.current.load());
    if let Some(signal) = course.stopped_by {
        ended = ended.detail("signal", signal);
    }
    parts.journal.append_synced(&ended).await?;
    parts.journal.close()?;
    parts.store.close().await;
    if broken { Err(Failure::Broken) } else { Ok(()) }
}

/// From serving to stopping.
struct Course {
    phase: watch::Sender<Phase>,
    stop: watch::Sender<bool>,
    stopped_by: Option<&'static str>,
    /// When no more connections are taken.
    until: Option<Instant>,
}

impl Course {
    fn begin(phase: watch::Sender<Phase>, stop: watch::Sender<bool>) -> Self {
        phase.send_replace(Phase::Serving);
        notify::ready();
        Self { phase, stop, stopped_by: None, until: None }
    }

    /// The first time readiness says it and the others have `delay` to hear it; the second time it is now.
    fn end(&mut self, signal: &'static str, delay: Duration) {
        if self.stopped_by.is_some() {
            return self.close();
        }
        tracing::info!(signal, "stopping");
        self.stopped_by = Some(signal);
        self.phase.send_replace(Phase::Draining);
        notify::stopping();
        self.until = Some(Instant::now() + delay);
    }

    /// Ready once connections are to be refused.
    async fn due(&self) {
        match self.until {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Takes no more connections.
    fn close(&mut self) {
        self.until = None;
        self.phase.send_replace(Phase::Draining);
        self.stop.send_replace(true);
    }
}

async fn beat(pulse: &mut Option<Interval>) {
    match pulse {
        Some(pulse) => drop(pulse.tick().await),
        None => std::future::pending().await,
    }
}

/// A task that stops with the gateway.
pub(crate) type Beside = Box<dyn FnOnce(watch::Receiver<bool>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>;

/// Who stands beside the requests: the clock's check, health, and the keeper of certificates.
fn watchers(parts: &Parts, health: Option<health::Listener>, phases: watch::Receiver<Phase>) -> JoinSet<()> {
    let check = Check::new(parts.current.clone(), parts.journal.clone(), parts.clock.clone());
    let certificates = parts.certificates();
    let desk = Desk {
        readiness: Readiness::new(parts.journal.clone(), parts.store.clone(), check.standing(), phases),
        gauges: Gauges {
            current: parts.current.clone(),
            journal: parts.journal.clone(),
            sessions: parts.sessions.clone(),
            logins: parts.logins.clone(),
            proxy: parts.proxy.clone(),
            certificates: certificates.standing(),
            started_at: parts.clock.now(),
        },
    };
    let mut tasks = JoinSet::new();
    if let Some(listener) = health {
        tasks.spawn(health::serve(listener, Arc::new(desk)));
    }
    tasks.spawn(check.run());
    tasks.spawn(certificates.run());
    tasks
}

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

async fn listen(snapshot: &Snapshot) -> Result<proxy::Listeners, Failure> {
    let server = &snapshot.settings.server;
    let https = bind(server.https).await?;
    let http = match server.http {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    Ok(proxy::Listeners { https, http, drain: server.drain })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let failed = |source| Failure::Listen { place: address.to_string(), source };
    TcpListener::bind(address).await.map_err(failed)
}

/// What rules are in force.
pub(crate) fn in_force(snapshot: &Snapshot) -> Why<'_> {
    Why { policy: Some(&snapshot.policy_hash), generation: Some(snapshot.generation), ..Why::default() }
}

fn note(event: Event, snapshot: &Snapshot) -> Record {
    Record::new(event, Outcome::Ok)
        .who(Who::system("gateway"))
        .why(in_force(snapshot))
        .detail("version", env!("CARGO_PKG_VERSION"))
}
