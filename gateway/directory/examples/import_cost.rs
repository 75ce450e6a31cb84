//! What an import of 50,000 people costs, and how long it keeps everybody else from writing (design.md §7:
//! at most a second at a time).
//!
//! A second writer asks for its turn every millisecond all the while; the longest that it waited is what a
//! login would have waited. The journal's pump writes meanwhile as it always does.
//!
//! `cargo run --release -p sekimori-directory --example import_cost -- [DIRECTORY [SOCKET_FOLDER]]`: with the folder
//! of a PostgreSQL server's Unix socket, in its empty database `sekimori` of the user `sekimori`.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audit::{Journal, NodeKey, Options, Who};
use config::{Encoding, HrSettings};
use directory::Actor;
use model::{Clock, DatabaseHost, DatabaseServer, MasterKey, NodeId, StorePlace};
use store::{Pump, Store};
use tokio::sync::oneshot;

const PEOPLE: usize = 50_000;
const MOVED: usize = 5_000;
const HEADER: &str = "職員番号,氏名,フリガナ,生年月日,雇用区分,部署,職種,役職,主務区分,発令日,終了日,入職日,退職日,資格,資格番号,資格期限\n";

fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = place.join(format!("import-cost-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(run(&folder));
    std::fs::remove_dir_all(&folder)?;
    result
}

async fn run(folder: &Path) -> Result<(), Box<dyn Error>> {
    let node = NodeId::try_from("bench".to_owned())?;
    let store = Store::open(place(folder), node.clone(), Clock::system()).await?;
    let key = NodeKey::load_or_create(&folder.join("journal.key"), &MasterKey::generate()?)?;
    let options = Options::new(folder.join("journal"), folder.join("elsewhere"), node);
    let pump = Pump::new(store.clone(), Journal::open(options, key, Clock::system())?);
    let (stop, stopped) = oneshot::channel::<()>();
    let pump = tokio::spawn(pump.run(async { stopped.await.unwrap_or_default() }));
    let snapshot =
        config::load_texts(folder, config::demo::MAIN, config::demo::POLICY).map_err(|report| report.to_string())?;
    let mut settings = snapshot.settings.hr.clone();
    settings.encoding = Encoding::Utf8;
    let runs = [
        ("50,000 joiners", file(PEOPLE, 0)),
        ("50,000 unchanged", file(PEOPLE, 0)),
        ("5,000 of 50,000 changed", file(PEOPLE, MOVED)),
    ];
    for (what, bytes) in runs {
        measured(&store, &settings, what, bytes).await?;
    }
    let _ = stop.send(());
    pump.await?;
    Ok(())
}

fn place(folder: &Path) -> StorePlace {
    let Some(socket) = std::env::args().nth(2) else { return folder.join("store.db").into() };
    StorePlace::Server(DatabaseServer {
        host: DatabaseHost::Socket(socket.into()),
        port: 5432,
        database: "sekimori".to_owned(),
        user: "sekimori".to_owned(),
        password: None,
    })
}

async fn measured(store: &Store, settings: &HrSettings, what: &str, bytes: Vec<u8>) -> Result<(), Box<dyn Error>> {
    let over = Arc::new(AtomicBool::new(false));
    let other = tokio::spawn(other_writer(store.clone(), Arc::clone(&over)));
    let actor = Actor { who: Who::operator("bench"), name: "bench", edge: None };
    let begun = Instant::now();
    let report = directory::import(store, bytes, settings, &actor).await?;
    let took = begun.elapsed();
    over.store(true, Ordering::Relaxed);
    let waits = other.await?;
    let (longest, turns) = (waits.iter().max().copied().unwrap_or_default(), waits.len());
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{what}: {:.2} s; another writer waited {:.3} s at most, in {turns} turns ({} added, {} changed)",
        took.as_secs_f64(),
        longest.as_secs_f64(),
        report.counts.added,
        report.counts.changed,
    )?;
    Ok(())
}

/// How long each of its turns let it wait.
async fn other_writer(store: Store, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut waits = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let turn = store.begin().await;
        waits.push(asked.elapsed());
        drop(turn);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    waits
}

/// Everybody a nurse with one post and a licence; the first `moved` of them moved to another ward.
fn file(people: usize, moved: usize) -> Vec<u8> {
    let mut text = HEADER.to_owned();
    for number in 0..people {
        let ward = if number < moved { "4階西病棟" } else { "3階東病棟" };
        let _ = writeln!(
            text,
            "{number:06},山田　花子,ヤマダ ハナコ,19800401,常勤,{ward},看護師,,主務,20100401,,20100401,,看護師,{number:06},"
        );
    }
    text.into_bytes()
}
