use std::path::PathBuf;

use audit::{Journal, NodeKey, Options};
use config::Encoding;
use model::{Clock, MasterKey, NodeId, StaffNo, Timestamp};
use serde_json::Value;
use store::people::{Affiliation, PersonFacts, StoredPerson};
use store::{Change as Heard, ChangeKind, Pump};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;

const FILE: &[u8] = include_bytes!("../../../../config/examples/demo/hr.csv");

/// A store with a journal behind it.
struct House {
    store: Store,
    settings: HrSettings,
    journal: PathBuf,
    _folder: TempDir,
    _stop: oneshot::Sender<()>,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node: NodeId = "n1".to_owned().try_into().unwrap();
        let clock = Clock::manual(Timestamp::from_seconds(1_795_000_000));
        let store = Store::open(&folder.path().join("store.db"), node.clone(), clock.clone()).await.unwrap();
        let key = NodeKey::load_or_create(&folder.path().join("node.key"), &MasterKey::generate().unwrap()).unwrap();
        let directory = folder.path().join("journal");
        let options = Options::new(&directory, folder.path().join("checkpoints"), node);
        let pump = Pump::new(store.clone(), Journal::open(options, key, clock).unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(pump.run(async { stopped.await.unwrap_or_default() }));
        let snapshot = config::load_texts(folder.path(), config::demo::MAIN, config::demo::POLICY);
        let settings = snapshot.unwrap_or_else(|report| panic!("{report}")).settings.hr.clone();
        Self { store, settings, journal: directory, _folder: folder, _stop: stop }
    }

    async fn import(&self, bytes: &[u8]) -> Result<Report, ImportError> {
        import(&self.store, bytes.to_vec(), &self.settings, &actor()).await
    }

    async fn people(&self) -> Vec<StoredPerson> {
        let mut people: Vec<_> = people::all(&self.store).await.unwrap().into_values().collect();
        people.sort_by(|a, b| a.facts.staff_no.cmp(&b.facts.staff_no));
        people
    }

    async fn person(&self, staff_no: &str) -> StoredPerson {
        people::by_staff_no(&self.store, &staff_no.parse().unwrap()).await.unwrap().unwrap()
    }

    /// The journal's records of one event, oldest first.
    fn records(&self, event: &str) -> Vec<Value> {
        let filter = audit::read::Filter { event: Some(event.to_owned()), ..Default::default() };
        let found = audit::read::search(&self.journal, &filter, None, 1_000).unwrap();
        found.lines.into_iter().rev().map(|line| line.record).collect()
    }
}

fn actor() -> Actor<'static> {
    Actor { who: Who::operator("root"), name: "operating system user root", edge: None }
}

fn text() -> String {
    encoding_rs::SHIFT_JIS.decode(FILE).0.into_owned()
}

#[tokio::test]
async fn req_g24_an_import_is_idempotent_and_its_file_operator_and_counts_are_recorded() {
    let house = House::open().await;
    let first = house.import(FILE).await.unwrap();
    assert_eq!(first.counts, crate::Counts { added: 60, ..Default::default() });
    let people = house.people().await;
    let again = house.import(FILE).await.unwrap();
    assert_eq!(again.counts, crate::Counts { unchanged: 60, ..Default::default() });
    assert!(again.people.is_empty());
    assert_eq!(house.people().await, people);

    let imports = house.records("hr.import");
    assert_eq!(imports.len(), 2);
    for (record, report) in imports.iter().zip([&first, &again]) {
        assert_eq!(record["outcome"], "ok");
        assert_eq!(record["who"]["name"], "root");
        assert_eq!(record["detail"]["sha256"], report.sha256.as_str());
        assert_eq!(record["detail"]["counts"], json!(report.counts));
    }
    assert_eq!(house.records("hr.person").len(), 60);
}

#[tokio::test]
async fn req_g24_one_bad_row_and_nothing_of_the_file_is_applied() {
    let house = House::open().await;
    let bad = text().replace("H30.10.1,", "H30.13.1,");
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(&bad);
    let Err(ImportError::File(problems)) = house.import(&bytes).await else { panic!("it was applied") };
    assert!(problems.iter().all(|p| p.line > 1 && p.column.is_some()));
    assert!(house.people().await.is_empty());
    let refused = house.records("hr.import");
    assert_eq!((refused.len(), refused[0]["outcome"].as_str()), (1, Some("failed")));
}

#[tokio::test]
async fn req_s10_a_changed_person_is_heard_on_the_feed_and_recorded_before_and_after() {
    let house = House::open().await;
    house.import(FILE).await.unwrap();
    let nurse = house.person("000123").await;
    let mut feed = house.store.feed().await.unwrap();
    let row = |line: &str| line.starts_with("000123,") || line.starts_with("職員番号");
    let left: String = text()
        .lines()
        .filter(|l| row(l))
        .map(|l| l.replace("平成28年4月1日,,看", "平成28年4月1日,R8.3.31,看") + "\r\n")
        .collect();
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(&left);
    let report = house.import(&bytes).await.unwrap();
    assert_eq!(report.counts, crate::Counts { changed: 1, absent: 59, ..Default::default() });
    let Heard::One { kind, key, .. } = feed.next().await else { panic!("flush") };
    assert_eq!((kind, key), (ChangeKind::Person, nurse.id.uuid()));
    let now = house.person("000123").await;
    assert_eq!((now.id, now.version), (nurse.id, nurse.version + 1));
    let day = crate::day::parse("2026-03-31").unwrap();
    assert!(now.facts.employed_on(day) && !now.facts.employed_on(day + 1));
    let record = house.records("hr.person").pop().unwrap();
    assert_eq!(record["what"]["id"], "000123");
    let change = json!({ "before": { "employed_until": null }, "after": { "employed_until": "2026-03-31" } });
    assert_eq!(record["change"], change);
    // The absent are as they were.
    assert_eq!(house.people().await.len(), 60);
}

#[tokio::test]
async fn atk_c06_a_doubtful_match_stops_the_whole_import() {
    let house = House::open().await;
    house.import(FILE).await.unwrap();
    let before = house.people().await;
    let other = text()
        .replace("山﨑　美咲", "別人　花子")
        .replace("平成5年3月8日", "平成6年3月8日")
        .replace("間宮　沙織", "間宮　伊織");
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(&other);
    let Err(ImportError::Doubtful(doubts)) = house.import(&bytes).await else { panic!("it was applied") };
    assert_eq!(doubts.len(), 1);
    assert_eq!(house.people().await, before);
    assert_eq!(house.records("hr.import").pop().unwrap()["outcome"], "denied");
}

#[tokio::test]
async fn atk_c06_a_plan_with_a_doubt_is_not_applied_by_whoever_holds_it() {
    let house = House::open().await;
    house.import(FILE).await.unwrap();
    let other = text().replace("間宮　沙織", "間宮　伊織").replace("山﨑　美咲", "別人　花子");
    let other = other.replace("平成5年3月8日", "平成6年3月8日");
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(&other);
    let roster = crate::parse(&bytes, &house.settings).unwrap();
    let doubtful = plan(&roster, &people::all(&house.store).await.unwrap());
    assert_eq!(doubtful.doubts.len(), 1);
    let before = house.people().await;
    let refused = apply(&house.store, &doubtful, [0; 32], &actor()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { what: "person" })), "{refused:?}");
    assert_eq!(house.people().await, before);
}

#[tokio::test]
async fn req_g24_a_plan_that_somebody_overtook_is_not_applied_at_all() {
    let house = House::open().await;
    house.import(FILE).await.unwrap();
    let changed = text().replace("3階西病棟", "4階西病棟");
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(&changed);
    let roster = crate::parse(&bytes, &house.settings).unwrap();
    let stale = plan(&roster, &people::all(&house.store).await.unwrap());
    assert!(stale.changed.len() > 1);
    let last = stale.changed.last().unwrap();
    let mut tx = house.store.begin().await.unwrap();
    let facts = PersonFacts { kana: None, ..last.before.clone() };
    people::update(&mut tx, last.id, last.version, &facts, "test").await.unwrap();
    let record = Record::new(Event::HrPerson, Outcome::Ok);
    tx.commit(Facts::recorded(record)).await.unwrap().journaled().await.unwrap();
    let before = house.people().await;
    let refused = apply(&house.store, &stale, [0; 32], &actor()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { what: "person" })), "{refused:?}");
    assert_eq!(house.people().await, before);
    assert_eq!(house.import(&bytes).await.unwrap().counts.changed, stale.changed.len());
}

/// What a file makes of the people as they are.
impl House {
    async fn planned(&self, bytes: &[u8]) -> (Roster, Plan) {
        let roster = crate::parse(bytes, &self.settings).unwrap();
        let plan = planned(&self.store, &roster).await.unwrap();
        (roster, plan)
    }

    /// How many imports the next start would find broken off.
    async fn left_staged(&self) -> usize {
        staging::sweep(&self.store, true).await.unwrap()
    }
}

/// Some lines of the file, under its header.
fn lines_of(wanted: impl Fn(&str) -> bool, altered: impl Fn(&str) -> String) -> Vec<u8> {
    let text = text();
    let (header, rows) = text.split_once("\r\n").unwrap();
    let rows = rows.lines().filter(|line| wanted(line)).map(|line| altered(line) + "\r\n");
    let file = format!("{header}\r\n{}", rows.collect::<String>());
    encoding_rs::SHIFT_JIS.encode(&file).0.into_owned()
}

#[tokio::test]
async fn req_g24_an_import_that_fails_while_it_is_applied_leaves_neither_people_nor_staged_rows() {
    let house = House::open().await;
    house.import(&lines_of(|line| line.starts_with("0001"), str::to_owned)).await.unwrap();
    let moved = lines_of(|_| true, |line| line.replace("3階東病棟", "4階東病棟"));
    let (_, stale) = house.planned(&moved).await;
    assert!(!stale.added.is_empty() && !stale.changed.is_empty());
    house.import(&lines_of(|line| line.starts_with("000901"), str::to_owned)).await.unwrap();
    let (before, records) = (house.people().await, house.records("hr.person").len());
    let refused = apply(&house.store, &stale, [0; 32], &actor()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. } | StoreError::Duplicate { .. })), "{refused:?}");
    assert_eq!((house.people().await, house.records("hr.person").len()), (before, records));
    assert_eq!(house.records("hr.import").len(), 2);
    assert_eq!(house.left_staged().await, 0);
}

#[tokio::test]
async fn req_g24_a_change_between_plan_and_apply_is_planned_anew_and_recorded_as_it_was() {
    let house = House::open().await;
    house.import(FILE).await.unwrap();
    let moved =
        lines_of(|line| line.starts_with("000123,"), |line| line.replace("ﾔﾏｻﾞｷ", "ﾔﾏｻｷ").replace("常勤", "非常勤"));
    let (roster, stale) = house.planned(&moved).await;
    let nurse = house.person("000123").await;
    let facts = PersonFacts { employment: "派遣".to_owned(), ..nurse.facts.clone() };
    let mut tx = house.store.begin().await.unwrap();
    people::update(&mut tx, nurse.id, nurse.version, &facts, "test").await.unwrap();
    tx.commit(Facts::recorded(Record::new(Event::HrPerson, Outcome::Ok))).await.unwrap().journaled().await.unwrap();
    let report = carried_out(&house.store, &roster, stale, [0; 32], &actor()).await.unwrap();
    assert_eq!(report.counts.changed, 1);
    let record = house.records("hr.person").pop().unwrap();
    assert_eq!(record["change"]["before"]["employment"], "派遣");
    assert_eq!(record["change"]["after"]["employment"], "非常勤");
    assert_eq!(house.person("000123").await.version, nurse.version + 2);
    assert_eq!(house.left_staged().await, 0);
}

#[tokio::test]
async fn req_g24_of_two_imports_at_once_one_finds_the_other_done() {
    let house = House::open().await;
    let ((roster, first), (_, second)) = (house.planned(FILE).await, house.planned(FILE).await);
    assert_eq!(first, second);
    let first = carried_out(&house.store, &roster, first, [0; 32], &actor()).await.unwrap();
    let second = carried_out(&house.store, &roster, second, [0; 32], &actor()).await.unwrap();
    assert_eq!((first.counts.added, second.counts.added, second.counts.unchanged), (60, 0, 60));

    let moved = lines_of(|_| true, |line| line.replace("3階東病棟", "4階東病棟"));
    let (one, other) = tokio::join!(house.import(&moved), house.import(&moved));
    let (one, other) = (one.unwrap().counts, other.unwrap().counts);
    assert_eq!(one.changed + other.changed, one.changed.max(other.changed), "each person changed once");
    assert!(house.people().await.iter().all(|person| person.version <= 2));
    assert_eq!(house.records("hr.person").len(), 60 + one.changed + other.changed);
    assert_eq!(house.left_staged().await, 0);
}

#[tokio::test]
async fn atk_c06_two_imports_at_once_do_not_make_two_people_of_one() {
    let house = House::open().await;
    let whole = lines_of(|line| line.starts_with("000123,"), str::to_owned);
    let cut = lines_of(|line| line.starts_with("000123,"), |line| line.replacen("000123", "123", 1));
    let (_, first) = house.planned(&whole).await;
    let (roster, second) = house.planned(&cut).await;
    apply(&house.store, &first, [0; 32], &actor()).await.unwrap();
    let refused = carried_out(&house.store, &roster, second, [0; 32], &actor()).await;
    assert!(matches!(&refused, Err(ImportError::Doubtful(doubts)) if doubts.len() == 1), "{refused:?}");
    assert_eq!(house.people().await.len(), 1);
}

#[tokio::test]
async fn many_people_are_imported_whole_and_told_as_one_flush() {
    const MANY: usize = 1_100;
    let house = House::open().await;
    let mut feed = house.store.feed().await.unwrap();
    let nurse = text().lines().find(|line| line.starts_with("000123,")).unwrap().to_owned();
    let crowd: String =
        (0..MANY).map(|number| nurse.replacen("000123", &format!("7{number:05}"), 1) + "\r\n").collect();
    let file = encoding_rs::SHIFT_JIS.encode(&format!("{}\r\n{crowd}", text().lines().next().unwrap())).0.into_owned();
    assert_eq!(house.import(&file).await.unwrap().counts.added, MANY);
    assert_eq!(feed.next().await, Heard::Flush);
    assert_eq!(house.people().await.len(), MANY);
    assert_eq!(house.records("hr.person").len(), MANY.min(1_000), "as many as a search shows");
    let again = house.import(&file).await.unwrap();
    assert_eq!(again.counts, crate::Counts { unchanged: MANY, ..Default::default() });
    assert_eq!(house.left_staged().await, 0);
}

#[tokio::test]
async fn a_person_made_at_bootstrap_is_the_person_of_the_file() {
    let house = House::open().await;
    let staff_no: StaffNo = "000901".parse().unwrap();
    let facts = PersonFacts {
        staff_no: staff_no.clone(),
        name: "倉橋 仁".to_owned(),
        kana: None,
        birth_date: None,
        employment: String::new(),
        employed_from: None,
        employed_until: None,
        affiliations: Vec::<Affiliation>::new(),
        qualifications: Vec::new(),
    };
    let mut tx = house.store.begin().await.unwrap();
    let id = people::insert(&mut tx, &facts, "bootstrap").await.unwrap();
    tx.commit(Facts::recorded(Record::new(Event::AccountCreate, Outcome::Ok)))
        .await
        .unwrap()
        .journaled()
        .await
        .unwrap();
    let report = house.import(FILE).await.unwrap();
    assert_eq!((report.counts.added, report.counts.changed), (59, 1));
    let person = house.person("000901").await;
    assert_eq!((person.id, person.source.as_str(), person.facts.affiliations.len()), (id, SOURCE, 2));
}

#[tokio::test]
async fn req_f07_the_leavers_licence_gives_nothing_without_the_post() {
    let house = House::open().await;
    house.import(FILE).await.unwrap();
    let snapshot = config::load_texts(std::path::Path::new("."), config::demo::MAIN, config::demo::POLICY).unwrap();
    let today = crate::day::parse("2026-11-21").unwrap();
    let held = async |staff_no: &str| {
        let facts = house.person(staff_no).await.facts.hr_facts();
        snapshot.policy.birthrights(&facts, today).held.len()
    };
    // A nurse at work; one who left with her licence valid; IT staff without one.
    assert_eq!((held("000123").await, held("000990").await, held("000901").await), (1, 0, 0));
}

#[tokio::test]
async fn another_encoding_than_the_declared_one_changes_nothing() {
    let house = House::open().await;
    let mut other = house.settings.clone();
    other.encoding = Encoding::Utf8;
    assert!(matches!(import(&house.store, FILE.to_vec(), &other, &actor()).await, Err(ImportError::File(_))));
    assert!(house.people().await.is_empty());
}
