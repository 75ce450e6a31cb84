//! What a decision costs, small and large: `cargo run --release -p sekimori-policy --example decide`.
//!
//! Two sites are compiled, of 100 people and 10 rules and of 100,000 people and 10,000 rules; every person
//! holds another set of roles. For each the median time of a decision with its explanation is printed:
//! cold (the engine is asked), within a page (a person's requests come sixteen at a time, and these are
//! the fifteen after the first) and scattered (the first of a page, of people in random order: mostly the
//! latency of memory).

#![expect(clippy::print_stdout, reason = "it is what the example is for")]

use std::collections::HashSet;
use std::hint::black_box;
use std::time::Instant;

use policy::{Action, ActionId, AppRules, LocalTime, Permission, Policy, Query, Role, RoleSet, RuleSet, Weekday};

/// Rows of each action.
const ROWS: usize = 10;
/// Roles of each person.
const HELD: usize = 5;
/// Actions that each person uses.
const USED: usize = 2;
/// Requests of a page.
const PAGE: u32 = 16;
/// Pages that are looked at.
const PAGES: usize = 200_000;

fn main() {
    let small = measure(100, 10);
    let large = measure(100_000, 10_000);
    println!("growth within a page: {:.2}, scattered: {:.2}", large.0 / small.0, large.1 / small.1);
}

/// The medians in pages and scattered, in nanoseconds.
fn measure(people: usize, rules: usize) -> (f64, f64) {
    let started = Instant::now();
    let site = match Policy::compile(site(rules)) {
        Ok(policy) => policy,
        Err(errors) => {
            println!("{errors:?}");
            return (f64::NAN, f64::NAN);
        }
    };
    println!("{people} people, {rules} rules: compiled in {:.2?}", started.elapsed());
    let mut random = Random(7);
    let requests = requests(&site, people, &mut random);
    let cold = requests.iter().map(|request| time(&site, request, 1)).collect();
    let (mut pages, mut scattered) = (Vec::new(), Vec::new());
    for _ in 0..PAGES {
        let Some(request) = requests.get(random.below(requests.len())) else { continue };
        scattered.push(time(&site, request, 1));
        pages.push(time(&site, request, PAGE - 1));
    }
    let (cold, pages, scattered) = (median(cold), median(pages), median(scattered) - timer());
    println!("  p50 cold {cold:.0} ns, within a page {pages:.0} ns, scattered {scattered:.0} ns");
    (pages, scattered)
}

/// Nanoseconds of one of `times` decisions.
fn time(policy: &Policy, (roles, action): &(RoleSet, ActionId), times: u32) -> f64 {
    let query = Query {
        app: action.app(),
        action: *action,
        roles,
        zone: "ward",
        local: LocalTime { weekday: Weekday::Monday, minute: 600 },
        aal2: true,
    };
    let started = Instant::now();
    for _ in 0..times {
        assert!(black_box(policy.decide(black_box(&query))).is_permit());
    }
    started.elapsed().as_nanos() as f64 / f64::from(times)
}

/// What asking the clock costs by itself.
fn timer() -> f64 {
    median((0..10_000).map(|_| Instant::now().elapsed().as_nanos() as f64).collect())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Apps of at most 20 actions, each with [`ROWS`] of the roles.
fn site(rules: usize) -> RuleSet {
    let actions = (rules / ROWS).max(1);
    let mut roles: Vec<Role> =
        (0..roles_of(rules)).map(|role| Role { name: format!("role-{role}"), ..Role::default() }).collect();
    let mut apps: Vec<AppRules> = Vec::new();
    for at in 0..actions {
        if at % 20 == 0 {
            apps.push(AppRules { name: format!("app-{}", at / 20), ..AppRules::default() });
        }
        let name = format!("action-{at}");
        let (app, paths) = (format!("app-{}", at / 20), vec![format!("/{name}/{{id}}")]);
        let methods = vec!["GET".to_owned()];
        for row in 0..ROWS {
            let role = (at * 7 + row * roles.len() / ROWS) % roles.len();
            let permission = Permission { app: app.clone(), action: name.clone(), condition: None };
            roles.iter_mut().skip(role).take(1).for_each(|role| role.permits.push(permission.clone()));
        }
        apps.iter_mut().last().into_iter().for_each(|app| {
            app.actions.push(Action {
                name: name.clone(),
                methods: methods.clone(),
                paths: paths.clone(),
                ..Action::default()
            });
        });
    }
    RuleSet { apps, roles, ..RuleSet::default() }
}

fn roles_of(rules: usize) -> usize {
    (rules / ROWS).clamp(10, 100)
}

/// For each person a set of roles that nobody else holds, and actions that it permits.
fn requests(policy: &Policy, people: usize, random: &mut Random) -> Vec<(RoleSet, ActionId)> {
    let roles = &policy.rules().roles;
    let mut seen = HashSet::new();
    let mut requests = Vec::with_capacity(people * USED);
    while seen.len() < people {
        let mut held: Vec<usize> = (0..HELD).map(|_| random.below(roles.len())).collect();
        held.sort_unstable();
        held.dedup();
        if held.len() < HELD || !seen.insert(held.clone()) {
            continue;
        }
        let held: Vec<&Role> = held.iter().filter_map(|role| roles.get(*role)).collect();
        let set = policy.role_set(held.iter().map(|role| role.name.as_str()));
        for role in held.iter().take(USED) {
            let permission = role.permits.get(random.below(role.permits.len()));
            let action = permission.and_then(|p| policy.action_named(policy.app(&p.app)?, &p.action));
            requests.extend(action.map(|action| (set.clone(), action)));
        }
    }
    requests
}

/// A small generator (xorshift64), so that each run asks the same.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap_or_default()
    }
}
