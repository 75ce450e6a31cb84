use super::*;
use crate::Changed;
use crate::fixture::{Fixture, facts as some_facts, on_both_engines};

fn somebody(staff_no: &str) -> PersonFacts {
    let post = |department: &str, main, from, until| Affiliation {
        department: department.to_owned(),
        occupation: "看護師".to_owned(),
        position: String::new(),
        main,
        from,
        until,
    };
    PersonFacts {
        staff_no: staff_no.parse().unwrap(),
        name: "山﨑　美咲".to_owned(),
        kana: Some("ﾔﾏｻﾞｷ".to_owned()),
        birth_date: Some(-1),
        employment: "常勤".to_owned(),
        employed_from: Some(10),
        employed_until: Some(20),
        affiliations: vec![
            post("手術室", true, Some(16), None),
            post("３階東病棟", true, None, Some(15)),
            post("外来", false, Some(12), Some(18)),
            post("外来", false, Some(12), Some(18)),
        ],
        qualifications: vec![Qualification { kind: "看護師".to_owned(), number: None, expires: Some(17) }],
    }
}

async fn insert_committed(fixture: &Fixture, facts: &PersonFacts) -> PersonId {
    let mut tx = fixture.store.begin().await.unwrap();
    let id = insert(&mut tx, facts, "csv").await.unwrap();
    let _ = tx.commit(some_facts().changed(Changed::person(id))).await.unwrap();
    id
}

async fn a_person_is_read_as_he_was_written_and_sorted(fixture: Fixture) {
    let facts = somebody("000123").sorted();
    let id = insert_committed(&fixture, &facts).await;
    let stored = by_id(&fixture.store, id).await.unwrap().unwrap();
    assert_eq!((&stored.facts, stored.version, stored.source.as_str()), (&facts, 1, "csv"));
    assert_eq!(stored.facts.affiliations.len(), 3);
    assert_eq!(by_staff_no(&fixture.store, &facts.staff_no).await.unwrap().as_ref(), Some(&stored));
    let all = all(&mut fixture.store.view().await.unwrap()).await.unwrap();
    assert_eq!(all.values().collect::<Vec<_>>(), [&stored]);
    assert_eq!(by_staff_no(&fixture.store, &"123".parse().unwrap()).await.unwrap(), None);
}

async fn a_staff_number_is_one_persons(fixture: Fixture) {
    insert_committed(&fixture, &somebody("000123")).await;
    let mut tx = fixture.store.begin().await.unwrap();
    let again = insert(&mut tx, &somebody("000123"), "csv").await;
    assert!(matches!(again, Err(StoreError::Duplicate { .. })));
}

async fn an_update_replaces_posts_and_refuses_a_version_that_is_past(fixture: Fixture) {
    let id = insert_committed(&fixture, &somebody("000123")).await;
    let mut facts = somebody("000123");
    facts.affiliations.truncate(1);
    facts.qualifications.clear();
    facts.employed_until = None;
    let mut tx = fixture.store.begin().await.unwrap();
    update(&mut tx, id, 1, &facts, "csv").await.unwrap();
    let late = update(&mut tx, id, 1, &facts, "csv").await;
    assert!(matches!(late, Err(StoreError::Conflict { what: "person" })));
    let stored = by_id(&mut tx, id).await.unwrap().unwrap();
    assert_eq!((stored.facts, stored.version), (facts.sorted(), 2));
}

#[test]
fn the_first_and_the_last_day_are_inside() {
    let facts = somebody("1");
    let employed: Vec<_> = (8..23).filter(|day| facts.employed_on(*day)).collect();
    assert_eq!((employed.first(), employed.last()), (Some(&10), Some(&20)));
    let post = |day| facts.post_on(day).map(|post| post.department.as_str());
    assert_eq!((post(15), post(16)), (Some("３階東病棟"), Some("手術室")));
    let mut concurrent_only = somebody("1");
    concurrent_only.affiliations.retain(|post| !post.main);
    assert_eq!(concurrent_only.post_on(12).map(|p| p.department.as_str()), Some("外来"));
    assert_eq!(concurrent_only.post_on(11), None);
}

#[test]
fn req_g18_rules_see_the_matching_form_and_pages_the_original() {
    let facts = somebody("1").sorted();
    let departments: Vec<_> = facts.hr_facts().affiliations.into_iter().map(|post| post.department).collect();
    assert!(departments.contains(&"3階東病棟".to_owned()), "{departments:?}");
    assert!(facts.affiliations.iter().any(|post| post.department == "３階東病棟"));
}

on_both_engines! {
    a_person_is_read_as_he_was_written_and_sorted,
    a_staff_number_is_one_persons,
    an_update_replaces_posts_and_refuses_a_version_that_is_past,
}
