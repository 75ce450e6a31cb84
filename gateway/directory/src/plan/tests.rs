use model::Timestamp;
use proptest::prelude::*;

use super::*;

fn person(staff_no: &str, name: &str, born: Option<i32>) -> PersonFacts {
    PersonFacts {
        staff_no: staff_no.parse().unwrap(),
        name: name.to_owned(),
        kana: None,
        birth_date: born,
        employment: "常勤".to_owned(),
        employed_from: None,
        employed_until: None,
        affiliations: vec![Affiliation {
            department: "内科".to_owned(),
            occupation: "医師".to_owned(),
            position: String::new(),
            main: true,
            from: None,
            until: None,
        }],
        qualifications: Vec::new(),
    }
}

fn roster(people: impl IntoIterator<Item = PersonFacts>) -> Roster {
    let people = people.into_iter().map(|p| (p.staff_no.clone(), p)).collect();
    Roster { people, ..Roster::default() }
}

fn stored(people: impl IntoIterator<Item = PersonFacts>) -> HashMap<StaffNo, StoredPerson> {
    let row = |facts: PersonFacts| StoredPerson {
        id: PersonId::generate(),
        facts,
        source: "csv".to_owned(),
        version: 1,
        changed_at: Timestamp::default(),
    };
    people.into_iter().map(|p| (p.staff_no.clone(), row(p))).collect()
}

#[test]
fn a_delta_leaves_the_absent_alone_and_counts_them() {
    let existing = stored([person("1", "a", None), person("2", "b", None), person("3", "c", None)]);
    let mut changed = person("2", "b", None);
    changed.employed_until = Some(20_000);
    let plan = plan(&roster([person("1", "a", None), changed, person("4", "d", None)]), &existing);
    assert_eq!(plan.counts(), Counts { added: 1, changed: 1, unchanged: 1, absent: 1 });
    let people: Vec<_> = plan.people().collect();
    assert_eq!((people[0].staff_no.as_str(), people[0].added), ("4", true));
    assert_eq!(people[1].fields.len(), 1);
    assert_eq!(people[1].change(), (json!({ "employed_until": null }), json!({ "employed_until": "2024-10-04" })));
}

#[test]
fn an_empty_roster_changes_nobody() {
    let plan = plan(&roster([]), &stored([person("1", "a", None)]));
    assert!(plan.is_empty());
    assert_eq!(plan.absent, 1);
}

#[test]
fn a_number_that_seems_to_be_another_persons_is_a_doubt() {
    let existing = stored([person("000123", "山﨑　美咲", Some(8_000))]);
    let doubts = |name, born| plan(&roster([person("000123", name, born)]), &existing).doubts.len();
    assert_eq!(doubts("別人 太郎", Some(9_000)), 1);
    // Married, or a corrected birth date: one at a time is ordinary.
    assert_eq!(doubts("倉橋 美咲", Some(8_000)), 0);
    assert_eq!(doubts("山﨑 美咲", Some(9_000)), 0);
    assert_eq!(doubts("倉橋 美咲", None), 0);
}

#[test]
fn req_g19_lost_zeros_are_a_doubt_if_it_looks_like_the_same_person() {
    let existing = stored([person("000123", "山﨑　美咲", Some(8_000))]);
    let doubts = |name, born| plan(&roster([person("123", name, born)]), &existing).doubts;
    assert!(matches!(doubts("山﨑 美咲", None)[..], [Doubt::LostZeros { .. }]));
    assert!(matches!(doubts("倉橋 美咲", Some(8_000))[..], [Doubt::LostZeros { .. }]));
    assert!(doubts("別人 太郎", Some(9_000)).is_empty());
}

prop_compose! {
    fn anybody()(
        number in 0u32..40, name in "[a-c]{1,2}", born in proptest::option::of(0i32..3),
        employed_until in proptest::option::of(0i32..3), department in "[x-z]", expires in proptest::option::of(0i32..3),
    ) -> PersonFacts {
        let mut facts = person(&format!("{number:04}"), &name, born);
        facts.employed_until = employed_until;
        facts.affiliations[0].department = department;
        facts.qualifications.push(Qualification { kind: "医師".to_owned(), number: None, expires });
        facts.sorted()
    }
}

proptest! {
    #[test]
    fn req_g24_a_plan_that_was_applied_leaves_nothing_to_plan(
        before in proptest::collection::vec(anybody(), 0..20), file in proptest::collection::vec(anybody(), 0..20),
    ) {
        let mut existing = stored(before);
        let roster = roster(file);
        let first = plan(&roster, &existing);
        let people = existing.len();
        existing.extend(stored(first.added.iter().cloned()));
        for change in &first.changed {
            existing.get_mut(&change.after.staff_no).unwrap().facts = change.after.clone();
        }
        prop_assert_eq!(first.changed.len() + first.unchanged + first.absent, people);
        let second = plan(&roster, &existing);
        prop_assert!(second.is_empty());
        prop_assert_eq!(second.unchanged, roster.people.len());
        prop_assert_eq!(second.absent, first.absent);
    }
}

#[test]
fn atk_c06_a_file_does_not_rename_somebody_without_a_known_day_of_birth() {
    let registrar = person("900001", "関 守", None);
    let file = |name| roster([person("900001", name, Some(8_000))]);
    let renamed = plan(&file("別人 次郎"), &stored([registrar.clone()]));
    assert!(matches!(renamed.doubts[..], [Doubt::AnotherPerson { .. }]));
    let kept = plan(&file("関　守"), &stored([registrar]));
    assert_eq!((kept.doubts.len(), kept.changed.len()), (0, 1));
}
