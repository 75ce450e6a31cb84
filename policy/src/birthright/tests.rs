use proptest::prelude::*;

use super::*;

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn nurse_of_ward_3() -> Birthright {
    Birthright {
        name: "ward-3".into(),
        role: "nurse".into(),
        occupation: texts(&["看護師"]),
        department: texts(&["3階病棟"]),
        ..Birthright::default()
    }
}

fn post(department: &str, occupation: &str, from: Option<i32>, until: Option<i32>) -> Affiliation {
    let (department, occupation) = (department.to_owned(), occupation.to_owned());
    Affiliation { department, occupation, from, until, ..Affiliation::default() }
}

fn facts(affiliations: Vec<Affiliation>) -> HrFacts {
    HrFacts { employment: "常勤".into(), affiliations, ..HrFacts::default() }
}

fn roles(rules: &[Birthright], facts: &HrFacts, today: i32) -> Vec<String> {
    Index::new(rules).held(rules, facts, today).held.into_iter().map(|held| held.role).collect()
}

#[test]
fn occupation_and_department_must_match_within_one_affiliation() {
    let rules = [nurse_of_ward_3()];
    let split = facts(vec![post("3階病棟", "医師", None, None), post("外来", "看護師", None, None)]);
    assert!(roles(&rules, &split, 0).is_empty());
    let one = facts(vec![post("外来", "看護師", None, None), post("3階病棟", "看護師", None, None)]);
    assert_eq!(roles(&rules, &one, 0), ["nurse"]);
}

#[test]
fn an_affiliation_counts_from_its_first_day_through_its_last() {
    let rules = [nurse_of_ward_3()];
    let facts = facts(vec![post("3階病棟", "看護師", Some(10), Some(20))]);
    let held: Vec<bool> = [9, 10, 20, 21].iter().map(|day| !roles(&rules, &facts, *day).is_empty()).collect();
    assert_eq!(held, [false, true, true, false]);
    let until = |day| Index::new(&rules).held(&rules, &facts, day).valid_until_day;
    assert_eq!((until(9), until(10), until(20), until(21)), (Some(10), Some(21), Some(21), None));
}

#[test]
fn a_leaver_has_no_birthright_after_the_last_day_whatever_the_posts_say() {
    let rules = [nurse_of_ward_3()];
    let facts = HrFacts {
        employed_from: Some(5),
        employed_until: Some(30),
        ..facts(vec![post("3階病棟", "看護師", None, None)])
    };
    let held: Vec<bool> = [4, 5, 30, 31].iter().map(|day| !roles(&rules, &facts, *day).is_empty()).collect();
    assert_eq!(held, [false, true, true, false]);
    assert_eq!(Index::new(&rules).held(&rules, &facts, 5).valid_until_day, Some(31));
}

#[test]
fn an_expired_qualification_gives_nothing() {
    let rules = [Birthright { qualification: texts(&["看護師免許"]), ..nurse_of_ward_3() }];
    let licence = Qualification { kind: "看護師免許".into(), expires: Some(7) };
    let facts = HrFacts { qualifications: vec![licence], ..facts(vec![post("3階病棟", "看護師", None, None)]) };
    assert_eq!(roles(&rules, &facts, 7), ["nurse"]);
    assert!(roles(&rules, &facts, 8).is_empty());
}

#[test]
fn who_has_no_post_has_no_birthright() {
    let everybody = [Birthright { name: "all".into(), role: "staff".into(), ..Birthright::default() }];
    assert!(roles(&everybody, &facts(vec![]), 0).is_empty());
    assert_eq!(roles(&everybody, &facts(vec![post("", "", None, None)]), 0), ["staff"]);
}

#[test]
fn a_last_day_that_no_calendar_follows_never_ends() {
    let rules = [nurse_of_ward_3()];
    let facts = facts(vec![post("3階病棟", "看護師", None, Some(i32::MAX))]);
    let answer = Index::new(&rules).held(&rules, &facts, i32::MAX);
    assert_eq!((answer.held.len(), answer.valid_until_day), (1, None));
}

/// Each rule against each post, nothing else.
fn naive(rules: &[Birthright], facts: &HrFacts, today: i32) -> Vec<Held> {
    let any = |list: &Vec<String>, value: &String| list.is_empty() || list.iter().any(|v| v == value);
    let mut held = Vec::new();
    for rule in rules {
        let employed =
            today >= facts.employed_from.unwrap_or(i32::MIN) && today <= facts.employed_until.unwrap_or(i32::MAX);
        let licensed = rule.qualification.is_empty()
            || facts
                .qualifications
                .iter()
                .any(|q| rule.qualification.contains(&q.kind) && today <= q.expires.unwrap_or(i32::MAX));
        let mut posted = false;
        for post in &facts.affiliations {
            posted |= today >= post.from.unwrap_or(i32::MIN)
                && today <= post.until.unwrap_or(i32::MAX)
                && any(&rule.department, &post.department)
                && any(&rule.occupation, &post.occupation)
                && any(&rule.position, &post.position);
        }
        if employed && licensed && posted && any(&rule.employment, &facts.employment) {
            held.push(Held { role: rule.role.clone(), rule: rule.name.clone() });
        }
    }
    held
}

fn list() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![Just(vec![]), prop::sample::subsequence(texts(&["a", "b", "c"]), 1..=2)]
}

fn value() -> impl Strategy<Value = String> {
    "[abc]"
}

fn day() -> impl Strategy<Value = Option<i32>> {
    prop::option::of(0..20)
}

fn rules() -> impl Strategy<Value = Vec<Birthright>> {
    let rule = (list(), list(), list(), list(), list(), "[rst]");
    prop::collection::vec(rule, 0..8).prop_map(|rules| {
        let numbered = rules.into_iter().enumerate();
        let rule = |(at, (occupation, department, position, qualification, employment, role))| Birthright {
            name: format!("rule-{at}"),
            role,
            occupation,
            department,
            position,
            qualification,
            employment,
        };
        numbered.map(rule).collect()
    })
}

fn people() -> impl Strategy<Value = HrFacts> {
    let post = (value(), value(), value(), day(), day()).prop_map(|(department, occupation, position, from, until)| {
        Affiliation { department, occupation, position, main: false, from, until }
    });
    let licence = (value(), day()).prop_map(|(kind, expires)| Qualification { kind, expires });
    let lists = (prop::collection::vec(post, 0..3), prop::collection::vec(licence, 0..3));
    (value(), day(), day(), lists).prop_map(|(employment, employed_from, employed_until, lists)| HrFacts {
        employment,
        employed_from,
        employed_until,
        affiliations: lists.0,
        qualifications: lists.1,
    })
}

proptest! {
    #[test]
    fn the_index_agrees_with_trying_every_rule_and_its_answer_lasts_as_long_as_it_says(
        rules in rules(),
        facts in people(),
        today in 0..20,
    ) {
        let answer = Index::new(&rules).held(&rules, &facts, today);
        prop_assert_eq!(&answer.held, &naive(&rules, &facts, today));
        for day in today..answer.valid_until_day.unwrap_or(40) {
            prop_assert_eq!(&answer.held, &naive(&rules, &facts, day), "day {}", day);
        }
    }
}
