//! A process that commits and carries records to the real journal is killed at any moment, again and again.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use audit::{NodeKey, Options, read};
use model::{Clock, DatabaseHost, DatabaseServer, MasterKey, StorePlace};

use super::*;
use crate::Facts;
use crate::fixture::{Database, node, record};

const FOLDER: &str = "SEKIMORI_TEST_CRASH_FOLDER";
const FIRST: &str = "SEKIMORI_TEST_CRASH_FIRST";
/// Socket folder, port and name of the database, where the store is one.
const DATABASE: &str = "SEKIMORI_TEST_CRASH_DATABASE";
const ROUNDS: usize = 8;

struct Open {
    store: Store,
    journal: Journal,
    pump: tokio::task::JoinHandle<()>,
    stop: tokio::sync::oneshot::Sender<()>,
}

fn place(folder: &Path, database: Option<&str>) -> StorePlace {
    let Some(database) = database else { return folder.join("store.db").into() };
    let [socket, port, name] = database.split(' ').collect::<Vec<_>>().try_into().unwrap();
    StorePlace::Server(DatabaseServer {
        host: DatabaseHost::Socket(socket.into()),
        port: port.parse().unwrap(),
        database: name.to_owned(),
        user: "postgres".to_owned(),
        password: None,
    })
}

async fn open(folder: &Path, database: Option<&str>) -> Open {
    let master = MasterKey::parse(&std::fs::read_to_string(folder.join("master")).unwrap()).unwrap();
    let key = NodeKey::load_or_create(&folder.join("journal.key"), &master).unwrap();
    let options = Options::new(folder.join("journal"), folder.join("checkpoints"), node());
    let journal = Journal::open(options, key, Clock::system()).unwrap();
    let store = Store::open(place(folder, database), node(), Clock::system()).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let pump = tokio::spawn(Pump::new(store.clone(), journal.clone()).run(async {
        let _ = stopped.await;
    }));
    Open { store, journal, pump, stop }
}

/// Not a test by itself: what the killed process runs. It says each number when its commit is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_to_be_killed() {
    let (Some(folder), Ok(first)) = (std::env::var_os(FOLDER), std::env::var(FIRST)) else { return };
    let open = open(&PathBuf::from(folder), std::env::var(DATABASE).ok().as_deref()).await;
    for n in first.parse::<u32>().unwrap().. {
        let tx = open.store.begin().await.unwrap();
        let committed = tx.commit(Facts::recorded(record(&n.to_string()))).await.unwrap();
        println!("\ncommitted {n}");
        if n % 3 == 0 {
            committed.journaled().await.unwrap();
        }
    }
}

fn start(folder: &Path, database: Option<&str>, first: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "pump::crash::the_process_to_be_killed", "--nocapture"])
        .envs([(FOLDER, folder.as_os_str()), (FIRST, first.to_string().as_ref())])
        .envs(database.map(|database| (DATABASE, database)))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets it commit `count` times, kills it, and gives all numbers it said.
fn run_and_kill(folder: &Path, database: Option<&str>, first: u32, count: usize) -> Vec<u32> {
    let mut child = start(folder, database, first);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("committed ")?.parse().ok());
    let mut numbers: Vec<u32> = said.by_ref().take(count).collect();
    child.kill().unwrap();
    numbers.extend(said);
    child.wait().unwrap();
    numbers
}

fn journaled(journal: &Journal) -> Vec<u32> {
    let (mut marks, mut after) = (Vec::new(), 0);
    loop {
        let lines = read::tail(journal.directory(), Some(after), read::LIMIT).unwrap();
        let Some(last) = lines.last() else { return marks };
        after = last.seq;
        marks.extend(lines.iter().filter_map(|line| line.record["detail"]["mark"].as_str()?.parse::<u32>().ok()));
    }
}

#[tokio::test]
async fn atk_a50_whenever_the_process_is_killed_each_committed_record_is_journaled_once_and_in_order() {
    survives_kills(None).await;
}

#[tokio::test]
async fn atk_a50_so_it_is_on_a_database_server() {
    let server = Database::new().await.server();
    let DatabaseHost::Socket(socket) = &server.host else { panic!() };
    survives_kills(Some(&format!("{} {} {}", socket.display(), server.port, server.database))).await;
}

async fn survives_kills(database: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("master"), MasterKey::generate().unwrap().text()).unwrap();
    let (mut said, mut first) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        said.extend(run_and_kill(folder.path(), database, first, 5 + 7 * round));
        first += 10_000;
    }
    let open = open(folder.path(), database).await;
    let last = open.store.begin().await.unwrap().commit(Facts::recorded(record("4000000000"))).await.unwrap();
    last.journaled().await.unwrap();
    open.stop.send(()).unwrap();
    open.pump.await.unwrap();

    let journaled = journaled(&open.journal);
    assert!(journaled.is_sorted_by(|a, b| a < b), "out of order or twice: {journaled:?}");
    assert!(said.iter().all(|n| journaled.binary_search(n).is_ok()), "lost: {said:?} {journaled:?}");
    // What was on the disk when the kill came was not yet said: at most one in a round.
    assert!(journaled.len() <= said.len() + ROUNDS + 1, "{} of {}", journaled.len(), said.len());
}
