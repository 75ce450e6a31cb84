use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use model::Zone;
use policy::{AppId, Policy};

use crate::apps::AppSettings;
use crate::certificates::Certificate;
use crate::checks::upstream_of;
use crate::network;
use crate::portal_app;
use crate::rules::{Located, Rules};
use crate::rules_file::AppTable;
use crate::settings::{Settings, ZoneSettings};

/// One configuration, checked whole and never changed: settings, policy, apps, certificates. A
/// request takes one and keeps it to its end. Only [`load`](crate::load) and its siblings make one.
#[derive(Debug)]
pub struct Snapshot {
    /// Which one it is since start, from 1; 0 until [`Current`](crate::Current) takes it over.
    pub generation: u64,
    /// The main file's options.
    pub settings: Settings,
    /// The compiled rules.
    pub policy: Policy,
    /// The apps with an upstream, in the order of the files; the portal is none of them.
    pub apps: Vec<AppSettings>,
    /// The certificates, each checked against its key; empty if the configuration came from texts.
    pub certificates: Vec<Certificate>,
    /// SHA-256 in hexadecimal over names and bytes of the policy files: nodes with different ones
    /// have different rules.
    pub policy_hash: String,
    /// The folder that relative paths were relative to.
    pub folder: PathBuf,
    portal: AppId,
    hosts: HashMap<Arc<str>, usize>,
    zones: Zones,
}

impl Snapshot {
    pub(crate) fn new(parts: Parts, policy_hash: String, folder: PathBuf) -> Self {
        let hosts = parts.apps.iter().enumerate().map(|(i, app)| (Arc::clone(&app.host), i)).collect();
        Self {
            generation: 0,
            zones: Zones::new(&parts.settings.zones),
            settings: parts.settings,
            policy: parts.policy,
            apps: parts.apps,
            certificates: parts.certificates,
            policy_hash,
            folder,
            portal: parts.portal,
            hosts,
        }
    }

    /// The zone of an address; an IPv4 address written in IPv6 counts as IPv4.
    pub fn zone_of(&self, address: IpAddr) -> Zone {
        self.zones.of(address)
    }

    /// The app of a host name, written in lower case and without port. The portal's host is no app's.
    pub fn app_by_host(&self, host: &str) -> Option<&AppSettings> {
        self.hosts.get(host).and_then(|i| self.apps.get(*i))
    }

    /// An app by its id in this snapshot's policy.
    pub fn app(&self, id: AppId) -> Option<&AppSettings> {
        self.apps.iter().find(|app| app.id == id)
    }

    /// Is it the portal's host, written in lower case and without port?
    pub fn is_portal(&self, host: &str) -> bool {
        *self.settings.portal.host == *host
    }

    /// The portal as an app of the policy: `sekimori`, whose actions are `hr`, `enrolment`,
    /// `session`, `policy` and `audit`.
    pub const fn portal_app(&self) -> AppId {
        self.portal
    }

    /// Options that differ in `next` and can't change while the gateway runs; a reload to `next` is
    /// refused unless there are none.
    pub fn needs_restart(&self, next: &Self) -> Vec<String> {
        self.settings.restarts(&next.settings)
    }
}

/// What a snapshot is made of.
pub(crate) struct Parts {
    settings: Settings,
    policy: Policy,
    apps: Vec<AppSettings>,
    certificates: Vec<Certificate>,
    portal: AppId,
}

impl Parts {
    /// Nothing, if an app isn't in the policy or its upstream isn't known (which has been told).
    pub(crate) fn new(
        settings: Settings,
        policy: Policy,
        rules: &Rules,
        certificates: Vec<Certificate>,
    ) -> Option<Self> {
        let apps = rules.apps.iter().map(|app| app_settings(app, rules, &policy)).collect::<Option<_>>()?;
        let portal = policy.app(portal_app::NAME)?;
        Some(Self { settings, policy, apps, certificates, portal })
    }
}

fn app_settings(at: &Located<AppTable>, rules: &Rules, policy: &Policy) -> Option<AppSettings> {
    let app = &at.table;
    Some(AppSettings {
        id: policy.app(&app.name)?,
        name: Arc::from(app.name.as_str()),
        title: app.title.clone(),
        host: Arc::clone(&app.host),
        upstream: upstream_of(at, rules).ok()?,
        start: app.start.clone(),
        host_header: app.host_header,
        keep_alive: app.keep_alive,
        retry: app.retry,
        client_cookies: app.client_cookies.clone(),
        identity_headers: app.identity_headers,
        allow_authorization: app.allow_authorization,
        cache_static: app.cache_static.clone(),
        websocket_origins: app.websocket_origins.clone(),
        path_encoding: app.path_encoding,
        path_parameters: app.path_parameters.clone(),
    })
}

/// The networks of all zones as disjoint spans in order, so that a look-up is a binary search.
#[derive(Debug)]
struct Zones {
    v4: Vec<Span>,
    v6: Vec<Span>,
    unknown: Zone,
}

#[derive(Debug)]
struct Span {
    first: u128,
    last: u128,
    zone: Zone,
}

impl Zones {
    fn new(settings: &[ZoneSettings]) -> Self {
        let spans = |ipv4: bool| {
            let mut spans = Vec::new();
            for settings in settings {
                let zone = Zone::named(&settings.name);
                for network in settings.networks.iter().filter(|network| network.is_ipv4() == ipv4) {
                    let (first, last) = network.span();
                    spans.push(Span { first, last, zone: zone.clone() });
                }
            }
            disjoint(spans)
        };
        Self { v4: spans(true), v6: spans(false), unknown: Zone::unknown() }
    }

    fn of(&self, address: IpAddr) -> Zone {
        let address = address.to_canonical();
        let spans = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let bits = network::bits(address);
        let at = spans.partition_point(|span| span.last < bits);
        let hit = spans.get(at).filter(|span| span.first <= bits);
        hit.map_or(&self.unknown, |span| &span.zone).clone()
    }
}

/// Sorted by their ends; a network within another of its own zone is dropped.
fn disjoint(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.first, std::cmp::Reverse(span.last)));
    spans.dedup_by(|inner, outer| inner.last <= outer.last);
    spans
}

#[cfg(test)]
mod tests;
