use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::{Aal, Edge, FetchMetadata, Method, Person, RequestId, Timestamp, Zone};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::laboratory::{Laboratory, node, record};
use crate::{Event, Kind, Outcome, Patient, What, Who, Why};

fn json_of(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

fn last(laboratory: &Laboratory) -> Value {
    json_of(laboratory.all().last().unwrap())
}

fn recover(journal: &Journal) -> Result<(), JournalError> {
    let shared = &journal.0.shared;
    shared.lock().recover(&shared.setup)
}

fn recoveries(laboratory: &Laboratory) -> Vec<Value> {
    let lines = laboratory.all();
    let whole = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    whole.filter(|line| line["event"] == "journal.recover").collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn person() -> Person {
    Person {
        id: "0197a3f0-0000-7000-8000-000000000001".parse().unwrap(),
        account: "0197a3f0-0000-7000-8000-000000000002".parse().unwrap(),
        staff_no: "000123".parse().unwrap(),
        name: "佐藤 \"花\"".to_owned(),
        kana: None,
        department: "3東病棟".to_owned(),
    }
}

fn edge() -> Edge {
    Edge {
        request: "0197a3f0-0000-7000-8000-000000000003".parse::<RequestId>().unwrap(),
        address: IpAddr::from([10, 1, 2, 3]),
        zone: Zone::named("ward"),
        host: Arc::from("chart.example.jp"),
        fetch: FetchMetadata::default(),
    }
}

fn permit() -> Record {
    let who = Who::person(&person(), "5e55", Aal::Aal2, [Method::PasskeyVerified], Some("ward-3-1"));
    Record::new(Event::RequestPermit, Outcome::Ok)
        .who(who)
        .roles(Arc::from(["nurse".to_owned()]))
        .from(&edge())
        .what(What::request("chart", Some("view"), "GET", "/patients/1", Patient::Known("1")))
        .why(Why { rule: Some("nurse chart:view"), generation: Some(3), ..Why::default() })
}

#[test]
fn req_d16_a_line_has_every_member_in_its_fixed_place() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    journal.append(&permit().change(&json!(null), &json!({"a": 1})).detail("n", 1)).unwrap();
    let text = laboratory.all().pop().unwrap();
    let start = text.find(",\"prev\"").unwrap();
    assert_eq!(
        &text[..start],
        "{\"v\":2,\"t\":\"2026-11-21T05:45:00.000000Z\",\"node\":\"n1\",\"seq\":2,\"event\":\"request.permit\",\
         \"outcome\":\"ok\",\"who\":{\"kind\":\"person\",\"staff_no\":\"000123\",\"name\":\"佐藤 \\\"花\\\"\",\
         \"account\":\"0197a3f0-0000-7000-8000-000000000002\",\"session\":\"5e55\",\"aal\":\"aal2\",\"amr\":[\"pop\"],\
         \"roles\":[\"nurse\"]},\"from\":{\"zone\":\"ward\",\"address\":\"10.1.2.3\",\"host\":\"chart.example.jp\",\
         \"station\":\"ward-3-1\"},\"what\":{\"app\":\"chart\",\"action\":\"view\",\"method\":\"GET\",\
         \"target\":\"/patients/1\",\"patient\":\"1\"},\"why\":{\"rule\":\"nurse chart:view\",\"generation\":3},\
         \"change\":{\"before\":null,\"after\":{\"a\":1}},\
         \"request\":\"0197a3f0-0000-7000-8000-000000000003\",\"detail\":{\"n\":1}"
    );
    let first = json_of(&laboratory.all()[0]);
    assert_eq!((&first["event"], &first["detail"]["segment"]), (&json!("journal.segment"), &json!(1)));
    assert_eq!(json_of(&text)["prev"], first["hash"]);
}

#[test]
fn req_d16_no_text_can_begin_a_line_of_its_own() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let forged = "x\"}\n{\"v\":1,\"event\":\"login.ok\"}\r\u{2028}";
    let who = Who::claimed(forged);
    journal.append(&record(forged).who(who).why(Why::reason(forged)).what(What::thing(forged, forged))).unwrap();
    assert_eq!(laboratory.all().len(), 2);
    assert_eq!(last(&laboratory)["detail"]["text"], forged);
    assert_eq!(last(&laboratory)["who"]["name"], forged);
}

#[test]
fn req_a5_1_every_event_of_the_catalogue_can_be_written_and_read() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    for event in Event::ALL {
        journal.append(&Record::new(*event, event.outcomes()[0])).unwrap();
        assert_eq!(last(&laboratory)["event"], event.name());
        assert_eq!(last(&laboratory)["v"], event.version());
    }
    journal.close().unwrap();
    assert!(laboratory.verify().is_sound());
}

#[test]
fn threads_share_one_chain_without_gaps() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let journal = journal.clone();
            scope.spawn(move || {
                for _ in 0..250 {
                    journal.append(&record(&format!("{thread}"))).unwrap();
                }
            });
        }
    });
    journal.close().unwrap();
    let report = laboratory.verify_elsewhere();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.records, report.last_seq), (1_001, 1_001));
    assert_eq!(report.proven_to.unwrap().0, 1_001);
}

#[test]
fn whoever_waits_returns_when_the_record_is_on_disk() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let seen = journal.subscribe();
    runtime().block_on(async {
        let position = journal.append_synced(&record("a")).await.unwrap();
        journal.synced(position).await.unwrap();
        assert_eq!(position.seq(), 2);
    });
    journal.close().unwrap();
    assert_eq!(*seen.borrow(), 2);
    assert!(matches!(journal.append(&record("late")), Err(JournalError::Closed)));
    assert!(journal.close().is_ok());
}

#[test]
fn segments_follow_each_other_by_size_and_the_chain_goes_through() {
    let mut laboratory = Laboratory::new();
    laboratory.options.segment_bytes = 2_000;
    let journal = laboratory.open();
    for _ in 0..40 {
        journal.append(&record("x")).unwrap();
    }
    journal.close().unwrap();
    let segments = laboratory.lines();
    assert!(segments.len() > 4);
    let head = json_of(&segments[1][0]);
    let before = json_of(segments[0].last().unwrap());
    assert_eq!(head["detail"]["previous"]["hash"], before["hash"]);
    assert_eq!(head["detail"]["previous"]["records"], segments[0].len());
    assert!(laboratory.verify_elsewhere().is_sound());
}

#[test]
fn a_restart_goes_on_in_the_same_segment_and_tree() {
    let laboratory = Laboratory::new();
    for round in 0..3 {
        let journal = laboratory.open();
        assert!(matches!(
            Journal::open(laboratory.options.clone(), laboratory.key(), laboratory.clock.clone()),
            Err(JournalError::InUse(_))
        ));
        assert_eq!(journal.append(&record("x")).unwrap().seq(), round + 2);
        journal.close().unwrap();
        drop(journal);
    }
    let report = laboratory.verify_elsewhere();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.segments, report.records, report.proven_to.unwrap().0), (1, 4, 4));
}

#[test]
fn a_checkpoint_is_signed_when_its_time_has_come() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let runtime = runtime();
    runtime.block_on(journal.append_synced(&record("a"))).unwrap();
    assert_eq!(laboratory.verify().proven_to.unwrap().0, 1);
    laboratory.clock.advance(Duration::from_secs(60));
    runtime.block_on(journal.append_synced(&record("b"))).unwrap();
    // The thread signs after it has told who waits; its next round begins after that.
    runtime.block_on(journal.append_synced(&record("c"))).unwrap();
    assert_eq!(laboratory.verify_elsewhere().proven_to.unwrap().0, 3);
}

#[test]
fn a_checkpoint_that_is_asked_for_does_not_wait_for_its_time() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let runtime = runtime();
    runtime.block_on(journal.append_synced(&record("start"))).unwrap();
    assert_eq!(laboratory.verify().proven_to.unwrap().0, 1);
    journal.sign_soon();
    // Each round begins after the one before has signed; the clock stands still.
    for text in ["a", "b", "c"] {
        runtime.block_on(journal.append_synced(&record(text))).unwrap();
    }
    assert_eq!(laboratory.verify_elsewhere().proven_to.unwrap().0, 3, "once, and then by the clock again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_disk_that_fills_up_at_any_byte_glues_no_lines(room in 0_u64..1_500, truncates in any::<bool>()) {
        let laboratory = Laboratory::new();
        let journal = laboratory.open();
        laboratory.faults.room(Some(room));
        laboratory.faults.no_truncation.store(!truncates, Ordering::SeqCst);
        let taken = (0..20).take_while(|n| journal.append(&record(&format!("{n}"))).is_ok()).count();
        prop_assert!(taken < 20);
        prop_assert!(!journal.is_writable());
        let refused = matches!(journal.append(&record("refused")), Err(JournalError::Unwritable(_)));
        prop_assert!(refused);
        prop_assert!(recover(&journal).is_err(), "the disk is still full");
        laboratory.faults.room(None);
        recover(&journal).unwrap();
        journal.append(&record("after")).unwrap();
        journal.close().unwrap();
        let report = laboratory.verify_elsewhere();
        prop_assert!(report.is_sound(), "{}", report);
        prop_assert_eq!(report.records, 1 + taken as u64 + 3);
        let told = &recoveries(&laboratory)[0];
        prop_assert_eq!(&told["why"]["reason"], "write-failed");
        prop_assert_eq!(&told["detail"]["refused"], 1);
    }
}

#[test]
fn a_read_only_disk_refuses_and_the_journal_goes_on_by_itself_when_it_may() {
    let mut laboratory = Laboratory::new();
    laboratory.options.sync_every = Duration::from_millis(1);
    let journal = laboratory.open();
    laboratory.faults.read_only.store(true, Ordering::SeqCst);
    assert!(journal.append(&record("x")).is_err());
    assert!(journal.reserve(permit()).is_err());
    laboratory.faults.read_only.store(false, Ordering::SeqCst);
    while !journal.is_writable() {
        std::thread::yield_now();
    }
    journal.append(&record("y")).unwrap();
    journal.close().unwrap();
    assert_eq!(recoveries(&laboratory).len(), 1);
    assert!(laboratory.verify_elsewhere().is_sound());
}

#[test]
fn a_failed_sync_fails_who_waits_and_is_told() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    laboratory.faults.no_sync.store(true, Ordering::SeqCst);
    let position = journal.append(&record("x")).unwrap();
    let runtime = runtime();
    assert!(matches!(runtime.block_on(journal.synced(position)), Err(JournalError::NotSynced(_))));
    laboratory.faults.no_sync.store(false, Ordering::SeqCst);
    while recover(&journal).is_err() {}
    assert!(matches!(runtime.block_on(journal.synced(position)), Err(JournalError::NotSynced(_))));
    runtime.block_on(journal.append_synced(&record("y"))).unwrap();
    journal.close().unwrap();
    let told = &recoveries(&laboratory)[0];
    assert_eq!(told["why"]["reason"], "sync-failed");
    assert_eq!(told["detail"]["unsynced"], json!({"from": 2, "to": 2}));
}

#[test]
fn a_deleted_directory_comes_back_with_what_the_open_file_still_holds() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    journal.append(&record("before")).unwrap();
    fs::remove_dir_all(laboratory.directory()).unwrap();
    journal.append(&record("into nothing")).unwrap();
    runtime().block_on(journal.append_synced(&record("waited for"))).unwrap();
    journal.append(&record("after")).unwrap();
    journal.close().unwrap();
    let told = &recoveries(&laboratory)[0];
    assert_eq!(told["why"]["reason"], "segment-gone");
    assert_eq!(told["detail"]["restored"]["segment"], 1);
    let report = laboratory.verify_elsewhere();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.records, 7);
}

#[test]
fn a_replaced_segment_is_put_aside_and_written_again() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    journal.append(&record("before")).unwrap();
    fs::remove_file(laboratory.path(1)).unwrap();
    fs::write(laboratory.path(1), "something else\n").unwrap();
    runtime().block_on(journal.append_synced(&record("x"))).unwrap();
    journal.close().unwrap();
    assert_eq!(recoveries(&laboratory)[0]["why"]["reason"], "segment-replaced");
    assert!(laboratory.verify_elsewhere().is_sound());
    let aside = laboratory.path(1).with_added_extension("displaced-1");
    assert_eq!(fs::read_to_string(aside).unwrap(), "something else\n");
}

#[test]
fn req_a17_2_a_line_added_by_somebody_else_is_noticed_at_once() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let runtime = runtime();
    runtime.block_on(journal.append_synced(&record("x"))).unwrap();
    let twin = laboratory.after_a_crash();
    twin.open().append(&record("forged")).unwrap();
    let forged = twin.all().pop().unwrap();
    OpenOptions::new()
        .append(true)
        .open(laboratory.path(1))
        .unwrap()
        .write_all(format!("{forged}\n").as_bytes())
        .unwrap();
    runtime.block_on(journal.append_synced(&record("y"))).unwrap();
    journal.append(&record("z")).unwrap();
    journal.close().unwrap();
    assert_eq!(recoveries(&laboratory)[0]["why"]["reason"], "foreign-bytes");
    let report = laboratory.verify();
    assert_eq!(report.findings.len(), 1, "{report}");
    assert_eq!((report.findings[0].kind, report.findings[0].place.line), (Kind::Inserted, 3), "{report}");
}

#[test]
fn req_a17_2_a_line_added_after_closing_is_told_at_the_next_start() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    journal.append(&record("x")).unwrap();
    let twin = laboratory.after_a_crash();
    drop(journal);
    let other = twin.open();
    other.append(&record("forged")).unwrap();
    let forged = twin.all().pop().unwrap();
    OpenOptions::new()
        .append(true)
        .open(laboratory.path(1))
        .unwrap()
        .write_all(format!("{forged}\n").as_bytes())
        .unwrap();
    let report = laboratory.verify();
    assert_eq!((report.findings[0].kind, report.findings[0].place.seq), (Kind::Inserted, Some(3)), "{report}");
    laboratory.open().close().unwrap();
    let told = &recoveries(&laboratory)[0];
    assert_eq!(told["why"]["reason"], "added-after-close");
}

#[test]
fn lines_after_a_restart_are_not_taken_for_added_ones() {
    let laboratory = Laboratory::new();
    drop(laboratory.open());
    let journal = laboratory.open();
    journal.append(&record("x")).unwrap();
    let crashed = laboratory.after_a_crash();
    assert!(crashed.verify_elsewhere().is_sound());
    drop(crashed.open());
    assert!(recoveries(&crashed).is_empty());
}

#[test]
fn a_torn_line_stays_where_it_is_and_the_next_segment_says_so() {
    for cut in [1, 2, 40, 200] {
        let laboratory = Laboratory::new();
        let journal = laboratory.open();
        journal.append(&record("whole")).unwrap();
        journal.append(&record("torn")).unwrap();
        let crashed = laboratory.after_a_crash();
        let bytes = fs::read(crashed.path(1)).unwrap();
        fs::write(crashed.path(1), &bytes[..bytes.len() - cut]).unwrap();
        let report = crashed.verify();
        assert!(report.is_sound() && report.findings[0].kind == Kind::Torn, "{report}");
        let again = crashed.open();
        assert_eq!(again.append(&record("on")).unwrap().seq(), 5);
        again.close().unwrap();
        assert_eq!(recoveries(&crashed)[0]["why"]["reason"], "torn");
        let report = crashed.verify_elsewhere();
        assert!(report.is_sound() && report.findings[0].kind == Kind::Torn, "{report}");
        assert_eq!(fs::read(crashed.path(1)).unwrap().len(), bytes.len() - cut);
    }
}

#[test]
fn blocks_of_zeros_after_a_power_cut_are_torn_too() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    journal.append(&record("whole")).unwrap();
    let whole = fs::metadata(laboratory.path(1)).unwrap().len();
    journal.append(&record("lost")).unwrap();
    let crashed = laboratory.after_a_crash();
    let mut bytes = fs::read(crashed.path(1)).unwrap();
    let start = usize::try_from(whole).unwrap();
    bytes[start..start + 100].fill(0);
    fs::write(crashed.path(1), &bytes).unwrap();
    crashed.open().close().unwrap();
    let report = crashed.verify_elsewhere();
    assert!(report.is_sound() && report.findings[0].kind == Kind::Torn, "{report}");
}

#[test]
fn an_empty_segment_left_by_a_crash_is_told_and_passed_over() {
    let laboratory = Laboratory::new();
    laboratory.open().append(&record("x")).unwrap();
    fs::write(laboratory.path(2), "").unwrap();
    let journal = laboratory.open();
    assert_eq!(journal.append(&record("y")).unwrap().seq(), 5);
    journal.close().unwrap();
    assert!(laboratory.verify_elsewhere().is_sound());
    assert_eq!(laboratory.lines().len(), 3);
}

#[test]
fn atk_a51_a_journal_put_back_to_an_older_state_goes_on_where_the_checkpoint_was_and_shows_the_gap() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    journal.append(&record("a")).unwrap();
    let older = laboratory.after_a_crash();
    journal.append(&record("b")).unwrap();
    journal.close().unwrap();
    drop(journal);
    fs::remove_dir_all(laboratory.directory()).unwrap();
    fs::rename(older.directory(), laboratory.directory()).unwrap();
    assert_eq!(laboratory.verify_elsewhere().findings[0].kind, Kind::Rollback);
    let journal = laboratory.open();
    assert_eq!(journal.append(&record("c")).unwrap().seq(), 6);
    journal.close().unwrap();
    let told = &recoveries(&laboratory)[0];
    assert_eq!(told["why"]["reason"], "behind-checkpoint");
    assert_eq!(told["detail"]["missing"], json!({"from": 3, "to": 3}));
    let report = laboratory.verify_elsewhere();
    assert_eq!((report.findings[0].kind, report.findings[0].place.seq), (Kind::Deleted, Some(3)), "{report}");
}

#[test]
fn atk_a50_an_open_request_that_is_dropped_is_closed_as_aborted() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let open = journal.begin(permit()).unwrap();
    assert_eq!(
        (&last(&laboratory)["event"], &last(&laboratory)["outcome"]),
        (&json!("request.open"), &json!("pending"))
    );
    laboratory.clock.advance(Duration::from_millis(1_500));
    drop(open);
    let close = last(&laboratory);
    assert_eq!((&close["event"], &close["outcome"]), (&json!("request.close"), &json!("aborted")));
    assert_eq!((&close["detail"]["opened"], &close["detail"]["ms"]), (&json!(2), &json!(1_500)));
    assert_eq!(close["who"]["staff_no"], "000123");
    assert_eq!(close["request"], "0197a3f0-0000-7000-8000-000000000003");
}

#[test]
fn a_close_says_whose_chart_the_response_was() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let open = runtime().block_on(journal.begin_synced(permit())).unwrap();
    let closing = Closing {
        outcome: Outcome::Ok,
        status: Some(200),
        bytes_in: 10,
        bytes_out: 20,
        patient: Patient::Known("77"),
        ..Closing::ABORTED
    };
    open.close(closing).unwrap();
    let close = last(&laboratory);
    assert_eq!((&close["what"]["patient"], &close["detail"]["status"]), (&json!("77"), &json!(200)));
    assert_eq!(close["why"], Value::Null);
}

#[test]
fn a_read_is_one_record_and_a_dropped_one_is_aborted() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let closing = Closing {
        outcome: Outcome::Ok,
        status: Some(200),
        bytes_in: 0,
        bytes_out: 5,
        patient: Patient::Unknown,
        ..Closing::ABORTED
    };
    journal.reserve(permit()).unwrap().redeem(closing).unwrap();
    assert_eq!(
        (&last(&laboratory)["event"], &last(&laboratory)["what"]["patient"]),
        (&json!("request.permit"), &json!("unknown"))
    );
    drop(journal.reserve(permit()).unwrap());
    assert_eq!(
        (&last(&laboratory)["event"], &last(&laboratory)["outcome"]),
        (&json!("request.permit"), &json!("aborted"))
    );
    let open = journal.reserve(permit()).unwrap().begin().unwrap();
    assert_eq!(last(&laboratory)["event"], "request.open");
    open.close(closing).unwrap();
    assert_eq!(laboratory.all().len(), 5);
}

#[test]
fn what_ends_while_the_disk_is_full_is_written_when_it_is_not() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let (open, reserved) = (journal.begin(permit()).unwrap(), journal.reserve(permit()).unwrap());
    laboratory.faults.room(Some(0));
    drop(open);
    assert!(reserved.redeem(Closing { outcome: Outcome::Ok, status: Some(200), ..Closing::ABORTED }).is_err());
    assert!(matches!(journal.begin(permit()), Err(JournalError::Unwritable(_))));
    laboratory.faults.room(None);
    recover(&journal).unwrap();
    let all: Vec<Value> = laboratory.all().iter().map(|line| json_of(line)).collect();
    let events: Vec<_> =
        all[2..].iter().map(|line| (line["event"].as_str().unwrap(), line["outcome"].as_str().unwrap())).collect();
    assert_eq!(
        events,
        [
            ("journal.segment", "ok"),
            ("journal.recover", "ok"),
            ("request.close", "aborted"),
            ("request.permit", "failed")
        ]
    );
    assert_eq!(all[5]["detail"]["released"], false);
    journal.close().unwrap();
    assert!(laboratory.verify_elsewhere().is_sound());
}

#[test]
fn a_row_of_the_outbox_is_written_once_also_after_a_crash_before_its_mark() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    let stored = StoredRecord::parse(record("granted").store().into()).unwrap();
    let row = |id| OutboxRow { node: node(), id, at: Timestamp::from_seconds(9) };
    let first = journal.append_outbox(&row(1), &stored).unwrap();
    assert_eq!(first, Appended::New(Position(2)));
    assert_eq!(journal.append_outbox(&row(1), &stored).unwrap(), Appended::Already(Position(2)));
    let crashed = laboratory.after_a_crash();
    let again = crashed.open();
    assert_eq!(again.append_outbox(&row(1), &stored).unwrap(), Appended::Already(Position(2)));
    assert_eq!(again.append_outbox(&row(2), &stored).unwrap(), Appended::New(Position(3)));
    assert_eq!(last(&crashed)["detail"]["text"], "granted");
    assert_eq!(last(&crashed)["outbox"], json!({"node": "n1", "id": 2, "at": "1970-01-01T00:00:09.000000Z"}));
}

/// A line with other words in it and the hash that fits them.
fn rewritten(old: &str, from: &str, to: &str) -> String {
    let changed = old.replace(from, to);
    let (body, _) = changed.rsplit_once(",\"hash\":\"").unwrap();
    let hash = model::hex::of(&crate::line::sha256(body.as_bytes()));
    format!("{body},\"hash\":\"{hash}\"}}")
}

#[test]
fn req_a5_2_a_line_rewritten_with_its_own_hash_is_told_at_the_next_start() {
    // The middle one no longer fits the line after it; the last one no longer fits the signed checkpoint.
    for (at, word, reason) in [(1, "first", "damaged"), (2, "second", "rewritten")] {
        let laboratory = Laboratory::new();
        let journal = laboratory.open();
        journal.append(&record("first")).unwrap();
        journal.append(&record("second")).unwrap();
        journal.close().unwrap();
        drop(journal);
        let mut lines = laboratory.lines();
        assert!(lines[0][at].contains(word));
        lines[0][at] = rewritten(&lines[0][at], word, "other");
        laboratory.write_lines(&lines);
        drop(laboratory.open());
        let told = recoveries(&laboratory);
        assert_eq!(told.len(), 1, "{word}");
        assert_eq!(told[0]["why"]["reason"], reason, "{word}");
    }
}

#[test]
fn the_outbox_smuggles_nothing_in() {
    let good = String::from(record("x").store());
    assert!(StoredRecord::parse(good.clone()).is_ok());
    for bad in [
        "{}".to_owned(),
        good.replace("session.lock", "session.unknown"),
        good.replace("\"outcome\":\"ok\"", "\"outcome\":\"fine\""),
        format!("{good}\n"),
        format!(" {good}"),
        good.replace("\"detail\"", "\"hash\""),
        good.replace("\"detail\"", "\"seq\""),
        good.replace("\"detail\"", "\"event\""),
        good.replace("\"v\":1", "\"v\":1.5"),
        format!("{good}{good}"),
        good.replace("text\":\"x\"", &format!("text\":\"{}\"", "x".repeat(300_000))),
    ] {
        assert!(StoredRecord::parse(bad.clone()).is_err(), "{}", &bad[..bad.len().min(200)]);
    }
}

#[test]
fn a_damaged_line_is_left_and_told_and_the_journal_goes_on() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    journal.append(&record("first")).unwrap();
    journal.append(&record("second")).unwrap();
    drop(journal);
    let mut lines = laboratory.lines();
    lines[0][1] = lines[0][1].replace("first", "thirst");
    laboratory.write_lines(&lines);
    drop(laboratory.open());
    assert_eq!(recoveries(&laboratory)[0]["why"]["reason"], "damaged");
    let report = laboratory.verify_elsewhere();
    assert_eq!(report.findings.len(), 1, "{report}");
    assert_eq!((report.findings[0].kind, report.findings[0].place.line), (Kind::Altered, 2));
}

#[test]
fn a_segment_begun_on_demand_continues_the_chain() {
    let laboratory = Laboratory::new();
    let journal = laboratory.open();
    journal.append(&record("before")).unwrap();
    journal.turn().unwrap();
    journal.append(&record("after")).unwrap();
    journal.close().unwrap();
    let segments = laboratory.lines();
    assert_eq!(segments.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    assert!(segments[1][0].contains("journal.segment") && segments[1][1].contains("after"));
    assert!(laboratory.verify().is_sound());
    assert!(matches!(journal.turn(), Err(JournalError::Closed)));
}
