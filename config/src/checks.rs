//! Checks across groups and files. Each runs on what could be read, so that all problems come at once.

mod upstreams;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::Zone;

use crate::database::UrlHost;
use crate::listener::HealthListener;
use crate::report::{Place, Problem};
use crate::rules::Rules;
use crate::schema::Places;
use crate::settings::{Draft, HrSettings, SessionSettings};
use crate::{suggest, tls};

pub(crate) use upstreams::upstream_of;

/// The main file as far as it could be read.
pub(crate) struct Main<'m> {
    pub(crate) file: &'m Arc<str>,
    pub(crate) draft: &'m Draft,
    pub(crate) places: &'m Places,
    /// Nothing of it was lost while reading.
    pub(crate) complete: bool,
}

impl Main<'_> {
    /// Where an option stands in the main file.
    pub(crate) fn place(&self, path: &str) -> Place {
        self.places.of(path, &Place::start(self.file))
    }
}

/// Everything that can be told without looking at other files than these.
pub(crate) fn check(main: &Main<'_>, rules: &Rules, problems: &mut Vec<Problem>) {
    let draft = main.draft;
    if let Some(session) = &draft.session {
        sessions(main, session, problems);
    }
    if let Some(hr) = &draft.hr {
        hr_words(main, hr, problems);
    }
    store(main, problems);
    listeners(main, problems);
    clock(main, problems);
    directories(main, problems);
    zones(main, problems);
    condition_zones(main, rules, problems);
    domain(main, problems);
    hosts(main, rules, problems);
    upstreams::check(rules, problems);
    tls::check(main, rules, problems);
}

/// C-07: without an act, a session must be over within an hour. C-06 is the bound of `absolute` itself.
fn sessions(main: &Main<'_>, session: &SessionSettings, problems: &mut Vec<Problem>) {
    let unattended = session.lock_after.saturating_add(session.end_after);
    if unattended > std::time::Duration::from_secs(3_600) {
        let place = main.place("session.end_after");
        problems.push(place.problem("`lock_after` and `end_after` together exceed one hour (C-07)"));
    }
    if session.absolute < session.lock_after {
        let place = main.place("session.absolute");
        problems.push(place.problem("`absolute` is shorter than `lock_after`"));
    }
}

fn hr_words(main: &Main<'_>, hr: &HrSettings, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (option, column) in hr.columns.named() {
        if let Some(other) = seen.insert(column, option) {
            let place = main.place(&format!("hr.columns.{option}"));
            problems.push(place.problem(format!("`{option}` and `{other}` name the same column `{column}`")));
        }
    }
    for word in hr.concurrent_words.iter().filter(|word| hr.main_words.contains(word)) {
        let place = main.place("hr.concurrent_words");
        problems.push(place.problem(format!("`{word}` can't mean both a main and a concurrent post")));
    }
}

fn store(main: &Main<'_>, problems: &mut Vec<Problem>) {
    let Some(store) = &main.draft.store else { return };
    let mut tell = |option: &str, why: &str| problems.push(main.place(option).problem(why));
    let host = store.url.as_ref().map(|url| &url.host);
    if let (Some(UrlHost::Tls(name)), None) = (host, &store.ca_file) {
        tell("store.url", &format!("`{name}` must prove itself: name who signed its certificate in `ca_file`"));
    }
    if store.ca_file.is_some() && !matches!(host, Some(UrlHost::Tls(_))) {
        tell("store.ca_file", "`ca_file` is of no use without a `url` that leads over TLS");
    }
    if store.password_file.is_some() && host.is_none() {
        tell("store.password_file", "`password_file` is of no use without `url`");
    }
}

fn listeners(main: &Main<'_>, problems: &mut Vec<Problem>) {
    let Some(server) = &main.draft.server else { return };
    if server.http.is_some_and(|http| http.port() == server.https.port()) {
        problems.push(main.place("server.http").problem("`http` and `https` need different ports"));
    }
    if let HealthListener::Address(health) = &server.health
        && [Some(server.https), server.http].into_iter().flatten().any(|other| other.port() == health.port())
    {
        problems.push(main.place("server.health").problem("`health` needs a port of its own"));
    }
}

fn clock(main: &Main<'_>, problems: &mut Vec<Problem>) {
    let Some(clock) = &main.draft.clock else { return };
    if clock.alarm_after < clock.warn_after {
        problems.push(main.place("clock.alarm_after").problem("`alarm_after` is less than `warn_after`"));
    }
}

/// A checkpoint beside what it vouches for vouches for nothing.
fn directories(main: &Main<'_>, problems: &mut Vec<Problem>) {
    let Some(journal) = &main.draft.journal else { return };
    let within = |a: &Path, b: &Path| a.starts_with(b);
    let (segments, checkpoints) = (&journal.directory, &journal.checkpoint_directory);
    if within(segments, checkpoints) || within(checkpoints, segments) {
        let place = main.place("journal.checkpoint_directory");
        problems.push(place.problem("`checkpoint_directory` must be apart from `directory`, best on another disk"));
    }
}

fn zones(main: &Main<'_>, problems: &mut Vec<Problem>) {
    let zones = main.draft.zones.as_deref().unwrap_or_default();
    for (i, zone) in zones.iter().enumerate() {
        if zone.name == Zone::UNKNOWN {
            let place = main.place(&format!("zones[{i}].name"));
            problems.push(place.problem("`unknown` is where clients are that no zone claims; it can't be given"));
        }
        if zone.networks.is_empty() {
            let place = main.place(&format!("zones[{i}].networks"));
            problems.push(place.problem(format!("zone `{}` has no network", zone.name)));
        }
        let earlier = zones.iter().take(i);
        if earlier.clone().any(|other| other.name == zone.name) {
            let place = main.place(&format!("zones[{i}].name"));
            problems.push(place.problem(format!("there are two zones `{}`", zone.name)));
        }
        for (j, network) in zone.networks.iter().enumerate() {
            let clash = earlier.clone().find_map(|other| {
                let theirs = other.networks.iter().find(|theirs| theirs.overlaps(network))?;
                Some((other, theirs))
            });
            if let Some((other, theirs)) = clash {
                let place = main.place(&format!("zones[{i}].networks[{j}]"));
                let (name, their) = (&zone.name, &other.name);
                problems
                    .push(place.problem(format!("`{network}` of zone `{name}` overlaps `{theirs}` of zone `{their}`")));
            }
        }
    }
}

fn condition_zones(main: &Main<'_>, rules: &Rules, problems: &mut Vec<Problem>) {
    let Some(zones) = main.draft.zones.as_deref().filter(|_| main.complete) else { return };
    let known: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    for condition in &rules.conditions {
        for (i, zone) in condition.table.zones.iter().enumerate() {
            if zone != Zone::UNKNOWN && !known.contains(&zone.as_str()) {
                let place = rules.place(condition, &format!("zones[{i}]"));
                problems.push(place.problem(format!("there is no zone `{zone}`{}", did_you_mean(zone, &known))));
            }
        }
    }
}

/// The site's domain must be one that somebody has registered, or a part of it, never a suffix that strangers share.
fn domain(main: &Main<'_>, problems: &mut Vec<Problem>) {
    let Some(site) = &main.draft.site else { return };
    if psl::domain_str(&site.domain).is_none() {
        let place = main.place("site.domain");
        problems.push(place.problem(format!(
            "`{}` is a public suffix: others have names under it too; write the hospital's own domain",
            site.domain
        )));
    }
}

/// Every host is inside the site's domain and used once.
fn hosts(main: &Main<'_>, rules: &Rules, problems: &mut Vec<Problem>) {
    let mut taken: BTreeMap<&str, String> = BTreeMap::new();
    let portal = main.draft.portal.as_ref().map(|portal| &portal.host);
    let portal = portal.map(|host| (host, main.place("portal.host"), "the portal".to_owned()));
    let apps =
        rules.apps.iter().map(|app| (&app.table.host, rules.place(app, "host"), format!("app `{}`", app.table.name)));
    for (host, place, user) in portal.into_iter().chain(apps) {
        if let Some(site) = &main.draft.site
            && !inside(host, &site.domain)
        {
            problems.push(place.problem(format!("`{host}` is outside `site.domain`, `{}`", site.domain)));
        }
        if let Some(other) = taken.get(&**host) {
            problems.push(place.problem(format!("`{host}` is already the host of {other}")));
        } else {
            taken.insert(host, user);
        }
    }
}

fn inside(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

fn did_you_mean(name: &str, known: &[&str]) -> String {
    suggest::closest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_inside_a_domain_by_labels_not_by_letters() {
        assert!(inside("chart.hospital.example", "hospital.example"));
        assert!(inside("hospital.example", "hospital.example"));
        assert!(!inside("badhospital.example", "hospital.example"));
        assert!(!inside("hospital.example.org", "hospital.example"));
    }
}
