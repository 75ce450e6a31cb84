use proptest::prelude::*;

use super::*;
use crate::{Action, AppRules, Hours, Permission, Role, RuleSet, Weekday};

const MONDAY_NOON: LocalTime = LocalTime { weekday: Weekday::Monday, minute: 12 * 60 };

fn apps() -> Vec<AppRules> {
    let action = |name: &str| Action {
        name: name.into(),
        methods: vec!["GET".into()],
        paths: vec![format!("/{name}")],
        ..Action::default()
    };
    let app = |name: &str| AppRules {
        name: name.into(),
        actions: vec![action("view"), action("order")],
        ..AppRules::default()
    };
    vec![app("chart"), app("pacs")]
}

fn permission(what: &str, condition: Option<&str>) -> Permission {
    let (app, action) = what.split_once(':').unwrap();
    Permission { app: app.into(), action: action.into(), condition: condition.map(str::to_owned) }
}

fn role(name: &str, permits: &[(&str, Option<&str>)], denies: &[&str]) -> Role {
    Role {
        name: name.into(),
        permits: permits.iter().map(|(what, condition)| permission(what, *condition)).collect(),
        denies: denies.iter().map(|what| permission(what, None)).collect(),
        ..Role::default()
    }
}

fn condition(name: &str, zones: &[&str], hours: &[(u16, u16)]) -> crate::Condition {
    let hours =
        hours.iter().map(|(from, to)| Hours { days: vec![], from_minute: from * 60, to_minute: to * 60 }).collect();
    crate::Condition { name: name.into(), zones: zones.iter().map(|z| (*z).into()).collect(), hours, note: None }
}

fn hospital() -> Policy {
    Policy::compile(RuleSet {
        apps: apps(),
        roles: vec![
            Role { privileged: true, ..role("admin", &[("chart:view", None), ("pacs:order", None)], &[]) },
            role("nurse", &[("chart:view", None), ("chart:order", Some("day-ward"))], &[]),
            role("doctor", &[("chart:view", None), ("chart:order", Some("ward")), ("chart:order", Some("day"))], &[]),
            role("trainee", &[], &["chart:order"]),
            role("clerk", &[("chart:view", Some("day"))], &[]),
        ],
        conditions: vec![
            condition("day", &[], &[(8, 17)]),
            condition("ward", &["ward"], &[]),
            condition("day-ward", &["ward", "office"], &[(8, 17)]),
        ],
        ..RuleSet::default()
    })
    .unwrap()
}

fn at(hour: u16) -> LocalTime {
    LocalTime { minute: hour * 60, ..MONDAY_NOON }
}

fn ask(policy: &Policy, what: &str, roles: &[&str], zone: &str, local: LocalTime) -> Decision {
    let (app, action) = what.split_once(':').unwrap();
    let app = policy.app(app).unwrap();
    let action = policy.action_named(app, action).unwrap();
    let roles = policy.role_set(roles.iter().copied());
    policy.decide(&Query { app, action, roles: &roles, zone, local, aal2: true })
}

fn denial(decision: Decision) -> Denial {
    match decision {
        Decision::Deny(denial) => denial,
        Decision::Permit(permit) => panic!("permitted: {permit:?}"),
    }
}

fn permit(decision: Decision) -> Permit {
    match decision {
        Decision::Permit(permit) => permit,
        Decision::Deny(denial) => panic!("denied: {denial:?}"),
    }
}

#[test]
fn a_permit_names_what_it_is_for_and_the_rule_behind_it() {
    let permit = permit(ask(&hospital(), "chart:order", &["nurse"], "office", at(16)));
    assert_eq!((permit.app(), permit.action(), permit.role()), ("chart", "order", "nurse"));
    assert_eq!(permit.rule(), "nurse permits chart:order when day-ward");
    assert!(!permit.privileged());
}

#[test]
fn no_role_is_denied_and_told_which_roles_would_do() {
    let denial = denial(ask(&hospital(), "pacs:order", &["nurse"], "ward", MONDAY_NOON));
    assert_eq!(denial.reason, Reason::NoRole);
    assert_eq!(denial.missing, ["role:admin"]);
    let denial = self::denial(ask(&hospital(), "chart:view", &[], "ward", MONDAY_NOON));
    assert_eq!(denial.missing, ["role:admin", "role:nurse", "role:doctor", "role:clerk"]);
    // Nobody at all has a row for this one.
    let denial = self::denial(ask(&hospital(), "pacs:view", &["admin", "nurse"], "ward", MONDAY_NOON));
    assert_eq!((denial.reason, denial.missing.len()), (Reason::NoRole, 0));
}

#[test]
fn a_deny_in_any_held_role_wins() {
    for roles in [["doctor", "trainee"], ["trainee", "doctor"]] {
        let denial = denial(ask(&hospital(), "chart:order", &roles, "ward", MONDAY_NOON));
        assert_eq!(denial.reason, Reason::DenyRule);
        assert_eq!(denial.rule.as_deref(), Some("trainee denies chart:order"));
    }
    assert!(ask(&hospital(), "chart:view", &["doctor", "trainee"], "ward", MONDAY_NOON).is_permit());
}

#[test]
fn a_failed_condition_says_which_zone_or_hour_would_do() {
    let denial = denial(ask(&hospital(), "chart:order", &["nurse"], "remote", MONDAY_NOON));
    assert_eq!(denial.reason, Reason::Zone);
    assert_eq!(denial.missing, ["zone:ward", "zone:office"]);
    let denial = self::denial(ask(&hospital(), "chart:order", &["nurse"], "ward", at(3)));
    assert_eq!((denial.reason, denial.missing), (Reason::Hours, vec!["hours:day-ward".to_owned()]));
    let denial = self::denial(ask(&hospital(), "chart:order", &["nurse"], "remote", at(3)));
    assert_eq!(denial.reason, Reason::Zone);
    assert_eq!(denial.missing, ["zone:ward", "zone:office", "hours:day-ward"]);
    let denial = self::denial(ask(&hospital(), "chart:order", &["doctor"], "remote", at(3)));
    assert_eq!(denial.reason, Reason::Hours);
    assert_eq!(denial.missing, ["zone:ward", "hours:day"]);
}

#[test]
fn of_several_grounds_one_that_holds_is_taken_and_no_privilege_is_used_without_need() {
    let policy = hospital();
    for (hour, rule) in [(12, "nurse permits chart:order when day-ward"), (3, "doctor permits chart:order when ward")] {
        let permit = permit(ask(&policy, "chart:order", &["nurse", "doctor"], "ward", at(hour)));
        assert_eq!(permit.rule(), rule);
    }
    let plain = permit(ask(&policy, "chart:view", &["admin", "nurse"], "ward", MONDAY_NOON));
    assert_eq!((plain.role(), plain.privileged()), ("nurse", false));
    let plain = permit(ask(&policy, "chart:view", &["admin", "clerk"], "ward", MONDAY_NOON));
    assert_eq!(plain.role(), "clerk");
    let privileged = permit(ask(&policy, "chart:view", &["admin", "clerk"], "ward", at(3)));
    assert_eq!((privileged.role(), privileged.privileged()), ("admin", true));
}

#[test]
fn conditions_are_looked_at_every_time_though_the_verdict_is_kept() {
    let policy = hospital();
    for _ in 0..2 {
        assert!(ask(&policy, "chart:order", &["nurse"], "ward", MONDAY_NOON).is_permit());
        assert!(!ask(&policy, "chart:order", &["nurse"], "ward", at(17)).is_permit());
        assert!(!ask(&policy, "chart:order", &["nurse"], "remote", MONDAY_NOON).is_permit());
    }
}

#[test]
fn nothing_is_permitted_below_aal2() {
    let policy = hospital();
    let app = policy.app("chart").unwrap();
    let action = policy.action_named(app, "view").unwrap();
    let roles = policy.role_set(["admin", "nurse", "doctor"]);
    let query = Query { app, action, roles: &roles, zone: "ward", local: MONDAY_NOON, aal2: true };
    assert!(policy.decide(&query).is_permit());
    let denial = denial(policy.decide(&Query { aal2: false, ..query }));
    assert_eq!((denial.reason, denial.missing), (Reason::Assurance, vec!["aal2".to_owned()]));
}

#[test]
fn a_client_in_no_zone_is_denied_everything() {
    for zone in ["", UNKNOWN_ZONE] {
        let denial = denial(ask(&hospital(), "chart:view", &["nurse"], zone, MONDAY_NOON));
        assert_eq!(denial.reason, Reason::UnknownZone);
    }
}

#[test]
fn atk_a32_a_kept_verdict_of_one_role_set_never_answers_for_another() {
    let policy = hospital();
    let all = ["admin", "nurse", "doctor", "trainee", "clerk"];
    let subset = |bits: usize| all.iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1).map(|(_, r)| *r);
    let whats = ["chart:view", "chart:order", "pacs:view", "pacs:order"];
    let answer = |policy: &Policy, bits: usize, what| {
        let roles: Vec<_> = subset(bits).collect();
        format!("{:?}", ask(policy, what, &roles, "ward", MONDAY_NOON)).split("ActionId").next().unwrap().to_owned()
    };
    // Each answer by a policy that has never been asked anything, then by one that has answered all the
    // others before, in both directions.
    let fresh: Vec<_> = (0..32).flat_map(|bits| whats.map(|what| answer(&hospital(), bits, what))).collect();
    for order in [(0..32).collect::<Vec<_>>(), (0..32).rev().collect()] {
        for bits in order {
            for (at, what) in whats.iter().enumerate() {
                assert_eq!(answer(&policy, bits, what), fresh[bits * 4 + at], "{bits:05b} {what}");
            }
        }
    }
    let distinct: std::collections::BTreeSet<_> = fresh.iter().collect();
    assert!(distinct.len() > 8);
}

#[test]
fn atk_a32_a_kept_verdict_of_one_action_never_answers_for_another() {
    // More actions than lie near, in two apps whose actions fall on the same places there; each role permits
    // one kind of them and denies another.
    let name = |at: usize| format!("a{at}");
    let whats: Vec<String> =
        ["chart", "pacs"].iter().flat_map(|app| (0..20).map(move |at| format!("{app}:{}", name(at)))).collect();
    let app = |app: &str| AppRules {
        name: app.into(),
        actions: (0..20)
            .map(|at| Action {
                name: name(at),
                methods: vec!["GET".into()],
                paths: vec![format!("/{at}")],
                ..Action::default()
            })
            .collect(),
        ..AppRules::default()
    };
    let kind = |at: usize| at * 7 / 3 % 3;
    let pick = |wanted: usize| {
        let picked = whats.iter().enumerate().filter(move |(at, _)| kind(*at) == wanted);
        picked.map(|(_, what)| permission(what, None)).collect::<Vec<_>>()
    };
    let role = |name: &str, permits, denies| Role { name: name.into(), permits, denies, ..Role::default() };
    let between = (0..7).map(|at| AppRules { name: format!("app-{at}"), ..AppRules::default() });
    let rules = RuleSet {
        apps: std::iter::once(app("chart")).chain(between).chain([app("pacs")]).collect(),
        roles: vec![role("r0", pick(0), pick(2)), role("r1", pick(2), pick(0))],
        ..RuleSet::default()
    };
    let policy = Policy::compile(rules).unwrap();
    let turns = (0..40).chain((0..40).rev());
    for (at, roles) in turns.flat_map(|at| [(at, ["r0"]), (at, ["r1"])]) {
        let expected = match (kind(at), roles[0]) {
            (1, _) => Some(Reason::NoRole),
            (0, "r0") | (2, "r1") => None,
            _ => Some(Reason::DenyRule),
        };
        let found = match ask(&policy, &whats[at], &roles, "ward", MONDAY_NOON) {
            Decision::Deny(denial) => Some(denial.reason),
            Decision::Permit(permit) => {
                assert_eq!(format!("{}:{}", permit.app(), permit.action()), whats[at]);
                None
            }
        };
        assert_eq!(found, expected, "{} {roles:?}", whats[at]);
    }
    // And each was kept where it is found again.
    for role in ["r0", "r1"] {
        let set = policy.role_set([role]);
        for what in &whats {
            let (app, action) = what.split_once(':').unwrap();
            let action = policy.action_named(policy.app(app).unwrap(), action).unwrap();
            assert!(set.shared.kept(action).is_some(), "{what}");
        }
    }
}

#[test]
fn atk_a32_ids_and_roles_of_another_policy_are_refused() {
    let (old, new) = (hospital(), hospital());
    let (old_app, new_app) = (old.app("chart").unwrap(), new.app("chart").unwrap());
    let (old_view, new_view) = (old.action_named(old_app, "view").unwrap(), new.action_named(new_app, "view").unwrap());
    let (old_roles, new_roles) = (old.role_set(["nurse"]), new.role_set(["nurse"]));
    let ask =
        |app, action, roles| new.decide(&Query { app, action, roles, zone: "ward", local: MONDAY_NOON, aal2: true });
    assert!(ask(new_app, new_view, &new_roles).is_permit());
    let pacs = new.app("pacs").unwrap();
    for decision in [
        ask(old_app, old_view, &old_roles),
        ask(new_app, new_view, &old_roles),
        ask(new_app, old_view, &new_roles),
        ask(old_app, new_view, &new_roles),
        ask(pacs, new_view, &new_roles),
    ] {
        assert_eq!(denial(decision).reason, Reason::StalePolicy);
    }
}

#[test]
fn the_names_of_reasons_are_a_catalogue() {
    let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
    assert_eq!(Denial::no_action().reason.name(), "no-action");
}

/// The interpreter that the compiled policy is held against: the typed rules read one after the other,
/// the clock turned minute by minute.
mod naive {
    use super::*;
    fn open(hours: &Hours, now: u32) -> bool {
        let on = |day: u32| hours.days.is_empty() || hours.days.contains(&Weekday::ALL[day as usize % 7]);
        let (today, minute) = (now / 1440, now % 1440);
        let (from, to) = (u32::from(hours.from_minute), u32::from(hours.to_minute));
        if from < to {
            on(today) && from <= minute && minute < to
        } else {
            on(today) && from <= minute || on(today + 6) && minute < to
        }
    }

    fn holds(rules: &RuleSet, name: Option<&str>, zone: &str, now: u32) -> bool {
        let Some(name) = name else { return true };
        let condition = rules.conditions.iter().find(|c| c.name == name).unwrap();
        let in_zone = condition.zones.is_empty() || condition.zones.iter().any(|z| z == zone);
        in_zone && (condition.hours.is_empty() || condition.hours.iter().any(|h| open(h, now)))
    }

    /// Reason of the denial, or the role's privilege.
    pub(super) fn decide(
        rules: &RuleSet,
        what: (&str, &str),
        roles: &[&str],
        zone: &str,
        now: u32,
    ) -> Result<bool, Reason> {
        if zone == "unknown" {
            return Err(Reason::UnknownZone);
        }
        let held: Vec<_> = rules.roles.iter().filter(|role| roles.contains(&role.name.as_str())).collect();
        let same = |p: &&Permission| p.app == what.0 && p.action == what.1;
        if held.iter().any(|role| role.denies.iter().any(|p| same(&p))) {
            return Err(Reason::DenyRule);
        }
        let permits: Vec<_> =
            held.iter().flat_map(|role| role.permits.iter().filter(same).map(|p| (role.privileged, p))).collect();
        if permits.is_empty() {
            return Err(Reason::NoRole);
        }
        for privileged in [false, true] {
            let mut of_kind = permits.iter().filter(|(kind, _)| *kind == privileged);
            if of_kind.any(|(_, p)| holds(rules, p.condition.as_deref(), zone, now)) {
                return Ok(privileged);
            }
        }
        let in_zone = |p: &Permission| {
            let zones = &rules.conditions.iter().find(|c| Some(&c.name) == p.condition.as_ref()).unwrap().zones;
            zones.is_empty() || zones.iter().any(|z| z == zone)
        };
        Err(if permits.iter().any(|(_, p)| in_zone(p)) { Reason::Hours } else { Reason::Zone })
    }
}

const WHATS: [(&str, &str); 4] = [("chart", "view"), ("chart", "order"), ("pacs", "view"), ("pacs", "order")];

/// What a role says of one action: nothing, permits always, permits under some conditions, denies.
fn say() -> impl Strategy<Value = (u8, Vec<String>)> {
    let names = ["c0", "c1", "c2"].map(str::to_owned).to_vec();
    (0u8..6, prop::sample::subsequence(names, 1..=3))
}

fn rules() -> impl Strategy<Value = RuleSet> {
    let role = (prop::collection::vec(say(), 4), any::<bool>());
    let minute = || prop_oneof![0u16..1440, Just(0u16), Just(720u16)];
    let days = prop::sample::subsequence(Weekday::ALL.to_vec(), 0..=7);
    let hours = (days, minute(), minute()).prop_filter("not empty", |(_, from, to)| from != to);
    let zones = prop::sample::subsequence(vec!["ward".to_owned(), "office".to_owned()], 1..=2);
    let condition = (zones, prop::collection::vec(hours, 0..3), any::<bool>());
    (prop::collection::vec(role, 4), prop::collection::vec(condition, 3)).prop_map(|(roles, conditions)| RuleSet {
        apps: apps(),
        roles: roles.into_iter().enumerate().map(|(at, (says, privileged))| said(at, says, privileged)).collect(),
        conditions: conditions
            .into_iter()
            .enumerate()
            .map(|(at, (zones, hours, anywhere))| crate::Condition {
                name: format!("c{at}"),
                zones: if anywhere && !hours.is_empty() { vec![] } else { zones },
                hours: hours
                    .into_iter()
                    .map(|(days, from_minute, to_minute)| Hours { days, from_minute, to_minute })
                    .collect(),
                note: None,
            })
            .collect(),
        ..RuleSet::default()
    })
}

fn said(at: usize, says: Vec<(u8, Vec<String>)>, privileged: bool) -> Role {
    let mut role = Role { name: format!("r{at}"), privileged, ..Role::default() };
    for ((app, action), (kind, conditions)) in WHATS.into_iter().zip(says) {
        let permission = |condition| Permission { app: app.into(), action: action.into(), condition };
        match kind {
            0 => role.permits.push(permission(None)),
            1 => role.denies.push(permission(None)),
            2..=4 => role.permits.extend(conditions.into_iter().map(|c| permission(Some(c)))),
            _ => {}
        }
    }
    role
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_compiled_policy_agrees_with_a_naive_interpreter(
        rules in rules(),
        queries in prop::collection::vec(
            (
                0usize..4,
                prop::sample::subsequence(vec!["r0", "r1", "r2", "r3", "gone"], 0..=5),
                prop::sample::select(vec!["ward", "office", "remote", "unknown"]),
                0u32..10_080,
            ),
            24,
        ),
    ) {
        let policy = Policy::compile(rules.clone()).unwrap();
        // Twice: the second time with verdicts that are kept.
        for (what, roles, zone, now) in queries.iter().chain(&queries) {
            let expected = naive::decide(&rules, WHATS[*what], roles, zone, *now);
            let local = LocalTime {
                weekday: Weekday::ALL[*now as usize / 1440],
                minute: u16::try_from(now % 1440).unwrap(),
            };
            let (app, action) = WHATS[*what];
            match ask(&policy, &format!("{app}:{action}"), roles, zone, local) {
                Decision::Permit(permit) => {
                    prop_assert_eq!(Ok(permit.privileged()), expected);
                    prop_assert!(roles.contains(&permit.role()));
                    prop_assert_eq!((permit.app(), permit.action()), (app, action));
                }
                Decision::Deny(denial) => prop_assert_eq!(Err(denial.reason), expected),
            }
        }
    }
}
