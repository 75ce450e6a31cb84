use proptest::prelude::*;

use super::*;
use crate::fixture::{NOON, rules, snapshot};

const HOUR: i64 = 3_600_000_000;

fn grant(role: &str, from: i64, until: Option<i64>) -> Grant {
    let at = |hours: i64| Timestamp::from_micros(NOON.micros() + hours * HOUR);
    Grant {
        id: Uuid::now_v7(),
        account: model::AccountId::generate(),
        role: role.into(),
        kind: GrantKind::Request,
        reason: String::new(),
        paper: None,
        valid_from: at(from),
        valid_until: until.map(at),
        created_at: NOON,
        ended_at: None,
    }
}

fn nurse(from: Option<i32>, until: Option<i32>) -> policy::Affiliation {
    policy::Affiliation { occupation: "看護師".into(), from, until, ..Default::default() }
}

fn hr(posts: Vec<policy::Affiliation>) -> HrFacts {
    HrFacts { affiliations: posts, ..Default::default() }
}

#[test]
fn a_birthright_rule_that_gives_a_privileged_role_is_no_rule() {
    let refused = rules(
        r#"
        [[role]]
        name = "auditor"
        title = { ja = "監査", en = "Auditor" }
        privileged = true
        permit = [{ app = "sekimori", actions = ["audit"] }]

        [[birthright]]
        name = "auditors"
        role = "auditor"
        department = ["監査室"]
        "#,
    );
    assert!(refused.is_err());
}

#[test]
fn req_s10_a_grant_does_not_outlast_employment() {
    let snapshot = snapshot(1, "");
    let today = snapshot.settings.site.time_zone.day(NOON);
    let audit = [grant("auditor", -1, None)];
    let roles = |from: Option<i32>, until: Option<i32>| {
        let facts = HrFacts { employed_from: from, employed_until: until, ..hr(vec![nurse(None, None)]) };
        Effective::of_facts(&facts, &audit, &snapshot, NOON)
    };
    assert_eq!(roles(Some(today), Some(today)).names.len(), 2);
    assert!(roles(None, Some(today - 1)).names.is_empty());
    assert!(roles(Some(today + 1), None).names.is_empty());
    let midnight = super::midnight(today + 1, &snapshot);
    assert_eq!(roles(None, Some(today)).valid_until, Some(midnight));
    assert_eq!(roles(Some(today + 1), None).valid_until, Some(midnight));
}

#[test]
fn roles_of_rules_and_grants_are_joined_and_each_says_why() {
    let snapshot = snapshot(1, "");
    let audit = grant("auditor", -1, None);
    let twice = grant("nurse", -1, None);
    let held = Effective::of_facts(&hr(vec![nurse(None, None)]), &[audit.clone(), twice.clone()], &snapshot, NOON);
    assert_eq!(*held.names, ["nurse".to_owned(), "auditor".to_owned()]);
    let why = |grant: &Grant| Why::Grant { kind: GrantKind::Request, id: grant.id, paper: None };
    assert_eq!(held.why("nurse").collect::<Vec<_>>(), [&Why::Rule("nurses".into()), &why(&twice)]);
    assert_eq!(held.why("auditor").collect::<Vec<_>>(), [&why(&audit)]);
    assert_eq!(held.why("lead").count(), 0);
    assert_eq!(held.valid_until, None);
}

#[test]
fn a_name_in_a_grant_that_is_no_role_gives_nothing_and_is_reported() {
    let held = Effective::of_facts(&hr(Vec::new()), &[grant("emperor", -1, None)], &snapshot(1, ""), NOON);
    assert!(held.set.is_empty() && held.held.is_empty() && held.names.is_empty());
    assert_eq!(held.unknown, ["emperor"]);
    let later = Effective::of_facts(&hr(Vec::new()), &[grant("emperor", 1, None)], &snapshot(1, ""), NOON);
    assert!(later.unknown.is_empty(), "it isn't held yet");
}

#[test]
fn the_day_of_hr_data_turns_at_midnight_of_the_site() {
    let snapshot = snapshot(1, "");
    let zone = snapshot.settings.site.time_zone;
    let last = zone.day(NOON);
    let facts = hr(vec![nurse(None, Some(last))]);
    let held = Effective::of_facts(&facts, &[], &snapshot, NOON);
    let midnight = held.valid_until.unwrap();
    assert_eq!(midnight.since(NOON).as_secs(), 12 * 3_600, "noon in Tokyo");
    let names = |now| Effective::of_facts(&facts, &[], &snapshot, now).names.len();
    assert_eq!(names(Timestamp::from_micros(midnight.micros() - 1)), 1);
    assert_eq!(names(midnight), 0);
}

proptest! {
    /// The one promise of `valid_until`: before it nothing changes by the calendar.
    #[test]
    fn an_answer_is_the_same_until_it_is_no_longer_valid(
        posts in proptest::collection::vec((proptest::option::of(-3..4_i32), proptest::option::of(-3..4_i32)), 0..4),
        papers in proptest::collection::vec((0..3_usize, -80..80_i64, proptest::option::of(-80..80_i64)), 0..5),
        ahead in 0..100 * HOUR,
    ) {
        let snapshot = snapshot(1, "");
        let today = snapshot.settings.site.time_zone.day(NOON);
        let posts = posts.into_iter().map(|(from, until)| nurse(from.map(|d| today + d), until.map(|d| today + d)));
        let facts = hr(posts.collect());
        let grants: Vec<_> = papers.iter().map(|(r, from, until)| grant(["nurse", "lead", "auditor"][*r], *from, *until)).collect();
        let held = Effective::of_facts(&facts, &grants, &snapshot, NOON);
        let later = Timestamp::from_micros(NOON.micros() + ahead);
        let then = Effective::of_facts(&facts, &grants, &snapshot, later);
        prop_assert!(held.covers(NOON));
        if held.covers(later) {
            prop_assert_eq!(held.held, then.held);
            prop_assert_eq!(held.valid_until, then.valid_until);
        }
    }
}
