use super::super::{self as people, Affiliation, Qualification, StoredPerson};
use super::*;
use crate::fixture::{Fixture, facts as some_facts, node, on_both_engines, person, record};
use crate::statements::unlisted;
use crate::{Change, ChangeKind};

unlisted! {
    STAGED_ROWS = "SELECT (SELECT COUNT(*) FROM hr_staging) + (SELECT COUNT(*) FROM hr_staged_person) \
                   + (SELECT COUNT(*) FROM hr_staged_affiliation) + (SELECT COUNT(*) FROM hr_staged_qualification) \
                   + (SELECT COUNT(*) FROM hr_staged_record) AS seq";
    OTHER_NODE = "INSERT INTO node (id, name, outbox_seq, started_at) VALUES ($1, 'n2', 0, 0)";
    OF_OTHER_NODE = "UPDATE hr_staging SET node = 'n2'";
    LOSE_A_POST = "DELETE FROM hr_staged_affiliation WHERE place = 2";
    LOSE_A_RECORD = "DELETE FROM hr_staged_record WHERE place = 2";
}

fn somebody(number: usize, department: &str) -> PersonFacts {
    let post = |department: &str, main| Affiliation {
        department: department.to_owned(),
        occupation: "看護師".to_owned(),
        position: String::new(),
        main,
        from: Some(12),
        until: None,
    };
    let licence = Qualification { kind: "看護師".to_owned(), number: None, expires: Some(17) };
    let facts = PersonFacts {
        staff_no: format!("{number:06}").parse().unwrap(),
        name: "山﨑　美咲".to_owned(),
        kana: number.is_multiple_of(2).then(|| "ﾔﾏｻﾞｷ".to_owned()),
        birth_date: Some(-1),
        employment: "常勤".to_owned(),
        employed_from: Some(10),
        employed_until: None,
        affiliations: vec![post(department, true), post("外来", false)],
        qualifications: if number.is_multiple_of(3) { vec![licence] } else { Vec::new() },
    };
    facts.sorted()
}

fn ward(count: usize) -> Vec<PersonFacts> {
    (1..=count).map(|number| somebody(number, "3階東病棟")).collect()
}

/// A store, and how to bring a plan into it.
struct House(Fixture);

impl House {
    async fn staged(&self, plan: &[(Option<&StoredPerson>, PersonFacts)]) -> Staging {
        let mut staging = Staging::open(&self.0.store).await.unwrap();
        let rows = plan.iter().map(|(known, facts)| {
            let known = known.map(|known| (known.id, known.version));
            Entry { known, facts, record: record(facts.staff_no.as_str()) }
        });
        let entries: Vec<Entry<'_>> = rows.collect();
        for batch in entries.chunks(40) {
            staging.stage(batch).await.unwrap();
        }
        staging
    }

    async fn applied(&self, staging: &Staging, seen: Option<i64>) -> Result<(), StoreError> {
        let mut tx = self.0.store.begin().await.unwrap();
        let facts = staging.apply(&mut tx, seen, "csv", Facts::recorded(record("import"))).await?;
        tx.commit(facts).await.map(drop)
    }

    /// Stages, applies and clears people that are new.
    async fn joined(&self, people: Vec<PersonFacts>) {
        let plan: Vec<_> = people.into_iter().map(|facts| (None, facts)).collect();
        let staging = self.staged(&plan).await;
        self.applied(&staging, None).await.unwrap();
        staging.discard().await.unwrap();
    }

    async fn people(&self) -> Vec<StoredPerson> {
        let mut people: Vec<_> = people::all(&self.0.store).await.unwrap().into_values().collect();
        people.sort_by(|a, b| a.facts.staff_no.cmp(&b.facts.staff_no));
        people
    }

    async fn staged_rows(&self) -> i64 {
        Reader::from(&self.0.store).one::<Seq>(STAGED_ROWS, args![]).await.unwrap().unwrap().seq
    }

    /// The marks of all records that wait for the journal, in order.
    async fn marks(&self) -> Vec<String> {
        let unsent = outbox::unsent(&self.0.store, &node(), 1_000).await.unwrap();
        let numbers: Vec<i64> = unsent.iter().map(|row| row.seq).collect();
        assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{numbers:?}");
        let mark = |record: String| record.split('"').rev().nth(1).unwrap().to_owned();
        unsent.into_iter().map(|row| mark(row.record)).collect()
    }
}

async fn what_was_staged_is_what_the_store_has_afterwards_with_records_and_news(fixture: Fixture) {
    let house = House(fixture);
    let mut feed = house.0.store.feed().await.unwrap();
    house.joined(ward(70)).await;
    let stored = house.people().await;
    assert_eq!(stored.iter().map(|p| p.facts.clone()).collect::<Vec<_>>(), ward(70));
    assert!(stored.iter().all(|p| p.version == 1 && p.source == "csv" && p.changed_at == house.0.store.now()));
    for person in &stored {
        let heard = tokio::time::timeout(Duration::from_secs(30), feed.next()).await.unwrap();
        let Change::One { kind: ChangeKind::Person, key, .. } = heard else { panic!("{heard:?}") };
        assert_eq!(key, person.id.uuid());
    }
    let expected = std::iter::once("import".to_owned()).chain(ward(70).into_iter().map(|p| p.staff_no.to_string()));
    assert_eq!(house.marks().await, expected.collect::<Vec<_>>());
    assert_eq!(house.staged_rows().await, 0);
}

async fn changed_people_get_the_staged_posts_and_nobody_else_is_touched(fixture: Fixture) {
    let house = House(fixture);
    house.joined(ward(70)).await;
    let before = house.people().await;
    let mut moved = PersonFacts { kana: None, employed_until: Some(30), ..somebody(6, "手術室") };
    moved.qualifications.clear();
    let plan =
        [(Some(&before[5]), moved.clone()), (Some(&before[6]), somebody(7, "手術室")), (None, somebody(71, "手術室"))];
    let staging = house.staged(&plan).await;
    let _of_another = house.staged(&[(Some(&before[8]), somebody(9, "透析室")), (None, somebody(72, "透析室"))]).await;
    house.applied(&staging, None).await.unwrap();
    let after = house.people().await;
    assert_eq!((&after[5].facts, after[5].version, after[5].id), (&moved, 2, before[5].id));
    assert_eq!((&after[6].facts, after[6].version), (&somebody(7, "手術室"), 2));
    assert_eq!((&after[70].facts, after[70].version), (&somebody(71, "手術室"), 1));
    assert_eq!((&after[..5], &after[7..70], after.len()), (&before[..5], &before[7..], 71));
}

async fn nobody_sees_a_plan_that_is_only_staged(fixture: Fixture) {
    let house = House(fixture);
    let _staging = house.staged(&[(None, somebody(1, "手術室"))]).await;
    assert_eq!((house.people().await, house.marks().await), (Vec::new(), Vec::new()));
    assert!(house.staged_rows().await > 0);
}

async fn req_g24_a_person_changed_since_the_plan_stops_all_of_it(fixture: Fixture) {
    let house = House(fixture);
    house.joined(ward(3)).await;
    let seen = house.people().await;
    let plan = [
        (Some(&seen[0]), somebody(1, "手術室")),
        (Some(&seen[1]), somebody(2, "手術室")),
        (None, somebody(4, "手術室")),
    ];
    let staging = house.staged(&plan).await;
    let mut tx = house.0.store.begin().await.unwrap();
    people::update(&mut tx, seen[1].id, seen[1].version, &somebody(2, "透析室"), "other").await.unwrap();
    let _ = tx.commit(some_facts()).await.unwrap();
    let (before, marks) = (house.people().await, house.marks().await);
    let refused = house.applied(&staging, None).await;
    assert!(matches!(refused, Err(StoreError::Conflict { what: "person" })), "{refused:?}");
    assert_eq!((house.people().await, house.marks().await), (before, marks));
    staging.discard().await.unwrap();
    assert_eq!(house.staged_rows().await, 0);
}

async fn req_g24_a_staff_number_taken_since_the_plan_stops_all_of_it(fixture: Fixture) {
    let house = House(fixture);
    house.joined(ward(1)).await;
    let seen = house.people().await;
    let plan = [(Some(&seen[0]), somebody(1, "手術室")), (None, somebody(2, "手術室"))];
    let staging = house.staged(&plan).await;
    let mut tx = house.0.store.begin().await.unwrap();
    person(&mut tx, "000002").await;
    let _ = tx.commit(some_facts()).await.unwrap();
    let (before, marks) = (house.people().await, house.marks().await);
    let refused = house.applied(&staging, None).await;
    assert!(matches!(refused, Err(StoreError::Duplicate { .. })), "{refused:?}");
    assert_eq!((house.people().await, house.marks().await), (before, marks));
}

async fn a_plan_that_depends_on_everybody_is_refused_after_another_was_applied(fixture: Fixture) {
    let house = House(fixture);
    let seen = turn(&house.0.store).await.unwrap();
    let one = house.staged(&[(None, somebody(1, "手術室"))]).await;
    let other = house.staged(&[(None, somebody(2, "手術室"))]).await;
    house.applied(&one, Some(seen)).await.unwrap();
    let refused = house.applied(&other, Some(seen)).await;
    assert!(matches!(refused, Err(StoreError::Conflict { what: "people" })), "{refused:?}");
    assert_eq!(house.people().await.len(), 1);
    let now = turn(&house.0.store).await.unwrap();
    assert_eq!(now, seen + 1);
    house.applied(&other, Some(now)).await.unwrap();
    assert_eq!(house.people().await.len(), 2);
}

async fn a_plan_that_lost_staged_rows_is_not_applied_in_part(fixture: Fixture) {
    let house = House(fixture);
    for lost in [LOSE_A_POST, LOSE_A_RECORD] {
        let staging = house.staged(&ward(3).into_iter().map(|facts| (None, facts)).collect::<Vec<_>>()).await;
        let mut tx = house.0.store.begin().await.unwrap();
        assert!(tx.run(lost, args![]).await.unwrap() > 0);
        tx.commit_unrecorded(Unrecorded::Staging).await.unwrap();
        let refused = house.applied(&staging, None).await;
        assert!(matches!(refused, Err(StoreError::Conflict { what: STAGED })), "{}: {refused:?}", lost.name);
        assert_eq!((house.people().await, house.marks().await), (Vec::new(), Vec::new()));
        staging.discard().await.unwrap();
    }
}

async fn staged_records_count_towards_the_bound_of_a_commit(fixture: Fixture) {
    let house = House(fixture);
    let staging = house.staged(&[(None, somebody(1, "手術室"))]).await;
    let mut tx = house.0.store.begin().await.unwrap();
    let facts = (1..crate::tx::MAX_RECORDS).fold(some_facts(), |facts, _| facts.and(record("more")));
    let facts = staging.apply(&mut tx, None, "csv", facts).await.unwrap();
    assert!(matches!(tx.commit(facts).await, Err(StoreError::TooLarge { .. })));
    assert_eq!(house.people().await, Vec::new());
}

async fn an_import_that_broke_off_is_swept_at_the_start_of_its_node_and_by_anybody_after_an_hour(fixture: Fixture) {
    let house = House(fixture);
    let (store, clock) = (&house.0.store, &house.0.clock);
    let broken_off = async || {
        let mut staging = house.staged(&[(None, somebody(1, "手術室"))]).await;
        staging.open = false;
        house.staged_rows().await
    };
    let rows = broken_off().await;
    assert_eq!((sweep(store, false).await.unwrap(), house.staged_rows().await), (0, rows), "it may be under way");
    assert_eq!((sweep(store, true).await.unwrap(), house.staged_rows().await), (1, 0));

    broken_off().await;
    let mut tx = store.begin().await.unwrap();
    tx.run(OTHER_NODE, args![Uuid::now_v7()]).await.unwrap();
    tx.run(OF_OTHER_NODE, args![]).await.unwrap();
    tx.commit_unrecorded(Unrecorded::Staging).await.unwrap();
    assert_eq!((sweep(store, true).await.unwrap(), house.staged_rows().await), (0, rows), "another node's");
    clock.advance(ABANDONED + Duration::from_secs(1));
    assert_eq!((sweep(store, false).await.unwrap(), house.staged_rows().await), (1, 0));
}

async fn whoever_drops_a_plan_has_it_cleared(fixture: Fixture) {
    let house = House(fixture);
    let staging = house.staged(&ward(3).into_iter().map(|facts| (None, facts)).collect::<Vec<_>>()).await;
    assert!(house.staged_rows().await > 0);
    drop(staging);
    let cleared = async {
        while house.staged_rows().await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), cleared).await.unwrap();
}

on_both_engines! {
    what_was_staged_is_what_the_store_has_afterwards_with_records_and_news,
    changed_people_get_the_staged_posts_and_nobody_else_is_touched,
    nobody_sees_a_plan_that_is_only_staged,
    req_g24_a_person_changed_since_the_plan_stops_all_of_it,
    req_g24_a_staff_number_taken_since_the_plan_stops_all_of_it,
    a_plan_that_depends_on_everybody_is_refused_after_another_was_applied,
    a_plan_that_lost_staged_rows_is_not_applied_in_part,
    staged_records_count_towards_the_bound_of_a_commit,
    an_import_that_broke_off_is_swept_at_the_start_of_its_node_and_by_anybody_after_an_hour,
    whoever_drops_a_plan_has_it_cleared,
}
