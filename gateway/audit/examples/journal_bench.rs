//! What the journal costs beside a raw file (docs/performance.md, P11).
//!
//! Both sides take the same typical request records and sync once per batch. The raw side writes each record, made
//! beforehand, into a file whose blocks were written before, then calls `fdatasync`. The journal writes,
//! chains and appends each record, and its thread commits the group while the next one forms, never more than one ahead. Rounds
//! are interleaved and take turns in going first; the ratio is taken inside a round, median and range are printed.
//!
//! `cargo run --release -p sekimori-audit --example journal_bench -- [DIRECTORY]`

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Event, Journal, NodeKey, Options, Outcome, Patient, Record, What, Who, Why, verify};
use model::{Aal, AccountId, Clock, Edge, FetchMetadata, MasterKey, Method, NodeId, Person, PersonId, RequestId, Zone};

const BATCHES: [usize; 6] = [1, 8, 32, 64, 256, 1_024];
const RECORDS: usize = 1_000;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(400);

fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = place.join(format!("journal-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let result = run(&folder);
    fs::remove_dir_all(&folder)?;
    result
}

fn run(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let options = Options::new(folder.join("journal"), folder.join("elsewhere"), NodeId::try_from("bench".to_owned())?);
    let key = NodeKey::load_or_create(&folder.join("journal.key"), &MasterKey::generate()?)?;
    let public = key.public();
    let journal = Journal::open(options.clone(), key, Clock::system())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let who = who()?;
    let line = sample(&journal, &who)?;
    writeln!(out, "record of {} bytes in the journal", line.len())?;
    let (lowest, middle) = append_alone(&journal, &who)?;
    writeln!(out, "append alone: {middle:.2} µs, at best {lowest:.2} µs")?;
    writeln!(out, "{:>6} {:>12} {:>12} {:>22}", "batch", "raw /s", "journal /s", "ratio (range)")?;
    for batch in BATCHES {
        let (mut raws, mut journals, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let mut raw = 0.0;
            if round % 2 == 0 {
                raw = raw_file(folder, &line, batch)?;
            }
            let ours = journalled(&journal, &runtime, &who, batch)?;
            if round % 2 == 1 {
                raw = raw_file(folder, &line, batch)?;
            }
            raws.push(raw);
            journals.push(ours);
            ratios.push(ours / raw);
        }
        let (raw, ours) = (median(&mut raws), median(&mut journals));
        let ratio = median(&mut ratios);
        let (low, high) = (ratios.first().copied().unwrap_or(0.0), ratios.last().copied().unwrap_or(0.0));
        writeln!(out, "{batch:>6} {raw:>12.0} {ours:>12.0} {ratio:>8.2} ({low:.2} … {high:.2})")?;
    }
    journal.close()?;
    let started = Instant::now();
    let report = verify(&options.directory, &public, None)?;
    write!(out, "{report}")?;
    writeln!(out, "verified in {:.1} s", started.elapsed().as_secs_f64())?;
    Ok(())
}

fn who() -> Result<Who, Box<dyn Error>> {
    let person = Person {
        id: PersonId::generate(),
        account: AccountId::generate(),
        staff_no: "000123".parse()?,
        name: "佐藤 花子".to_owned(),
        kana: None,
        department: "3東病棟".to_owned(),
    };
    Ok(Who::person(&person, "5e55a0b1c2d3e4f5", Aal::Aal2, [Method::PasskeyVerified], Some("ward-3e-02")))
}

fn records(who: &Who) -> Vec<Record> {
    let (roles, edge) = (roles(), edge());
    (0..RECORDS).map(|number| record(who, &roles, &edge, number)).collect()
}

fn record(who: &Who, roles: &Arc<[String]>, edge: &Edge, number: usize) -> Record {
    let target = format!("/patients/{:06}/orders", number % 500);
    let patient = format!("{:06}", number % 500);
    Record::new(Event::RequestPermit, Outcome::Ok)
        .who(who.clone())
        .roles(Arc::clone(roles))
        .from(edge)
        .what(What::request("chart", Some("view"), "GET", &target, Patient::Known(&patient)))
        .why(Why {
            rule: Some("nurse chart:view"),
            policy: Some("5f1c9a0e77b2"),
            generation: Some(7),
            ..Why::default()
        })
        .detail("status", 200_u16)
        .detail("bytes_out", 1_024_u64)
}

fn edge() -> Edge {
    Edge {
        request: RequestId::generate(),
        address: IpAddr::from([10, 1, 2, 3]),
        zone: Zone::named("ward"),
        host: Arc::from("chart.example.jp"),
        fetch: FetchMetadata::default(),
    }
}

fn roles() -> Arc<[String]> {
    Arc::from(["nurse".to_owned(), "ward-3e".to_owned()])
}

fn sample(journal: &Journal, who: &Who) -> Result<Vec<u8>, Box<dyn Error>> {
    journal.append(&record(who, &roles(), &edge(), 1))?;
    let line = audit::read::tail(journal.directory(), None, 1)?.pop().ok_or("no line")?;
    Ok(format!("{}\n", line.text).into_bytes())
}

fn append_alone(journal: &Journal, who: &Who) -> Result<(f64, f64), Box<dyn Error>> {
    let records = records(who);
    let mut spans = Vec::new();
    for _ in 0..100 {
        let started = Instant::now();
        for record in &records {
            black_box(journal.append(record)?);
        }
        spans.push(started.elapsed().as_secs_f64() * 1_000_000.0 / RECORDS as f64);
    }
    let middle = median(&mut spans);
    Ok((spans.first().copied().unwrap_or(0.0), middle))
}

/// The next group forms while the former one is synced, as it does under concurrent requests; never more than one
/// group ahead.
fn journalled(
    journal: &Journal,
    runtime: &tokio::runtime::Runtime,
    who: &Who,
    batch: usize,
) -> Result<f64, Box<dyn Error>> {
    let records = records(who);
    let mut next = records.iter().cycle();
    runtime.block_on(async {
        let (started, mut written) = (Instant::now(), 0_u32);
        let mut former: Option<tokio::task::JoinHandle<_>> = None;
        while started.elapsed() < ROUND {
            let mut last = None;
            for record in next.by_ref().take(batch) {
                last = Some(journal.append(record)?);
            }
            let last = last.ok_or("an empty batch")?;
            written += u32::try_from(batch)?;
            let waiting = journal.clone();
            let group = tokio::spawn(async move { waiting.synced(last).await });
            tokio::task::yield_now().await;
            if let Some(former) = former.replace(group) {
                former.await??;
            }
        }
        if let Some(former) = former {
            former.await??;
        }
        Ok(f64::from(written) / started.elapsed().as_secs_f64())
    })
}

fn raw_file(folder: &Path, line: &[u8], batch: usize) -> Result<f64, Box<dyn Error>> {
    const SIZE: usize = 64 * 1_024 * 1_024;
    let path = folder.join("raw");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    if file.metadata()?.len() == 0 {
        preallocate(&file, SIZE)?;
    }
    let (mut offset, mut written) = (0_usize, 0_u32);
    let started = Instant::now();
    while started.elapsed() < ROUND {
        for _ in 0..batch {
            if offset + line.len() > SIZE {
                offset = 0;
            }
            file.write_all_at(line, offset as u64)?;
            offset += line.len();
            written += 1;
        }
        file.sync_data()?;
    }
    Ok(f64::from(written) / started.elapsed().as_secs_f64())
}

fn preallocate(file: &File, size: usize) -> Result<(), std::io::Error> {
    let zeros = vec![0; 1_024 * 1_024];
    for megabyte in 0..size / zeros.len() {
        file.write_all_at(&zeros, (megabyte * zeros.len()) as u64)?;
    }
    file.sync_all()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
