use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use model::Zone;
use policy::{AppId, Download, Policy};

use crate::apps::{AppSettings, Logout};
use crate::certificates::Certificate;
use crate::checks::upstream_of;
use crate::expiry::Expiry;
use crate::materials::Materials;
use crate::network;
use crate::portal_app;
use crate::rules::{Located, Rules};
use crate::rules_file::AppTable;
use crate::settings::{Settings, Words, ZoneSettings};
use crate::tls::ClientAuthorities;

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
    /// Who may have signed client certificates; nobody, if the configuration came from texts.
    pub clients: ClientAuthorities,
    /// Until when the certificates of the named files are valid, the first to end first.
    pub expiries: Vec<Expiry>,
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
            clients: parts.clients,
            expiries: parts.expiries,
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

    /// What people read of a zone, if the configuration says so.
    pub fn zone_title(&self, name: &str) -> Option<&Words> {
        self.settings.zones.iter().find(|zone| zone.name == name)?.title.as_ref()
    }

    /// What becomes of downloads in a zone; where nobody is expected, none.
    pub fn download_in(&self, zone: &Zone) -> Download {
        self.settings
            .zones
            .iter()
            .find(|known| known.name == zone.name())
            .map_or(Download::Deny, |known| known.download)
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
    clients: ClientAuthorities,
    expiries: Vec<Expiry>,
    portal: AppId,
}

impl Parts {
    /// Nothing, if an app isn't in the policy or its upstream isn't known (which has been told).
    pub(crate) fn new(settings: Settings, policy: Policy, rules: &Rules, materials: Materials) -> Option<Self> {
        let apps = rules
            .apps
            .iter()
            .map(|app| app_settings(app, rules, &policy, &settings, &materials))
            .collect::<Option<_>>()?;
        let portal = policy.app(portal_app::NAME)?;
        let Materials { certificates, clients, expiries, .. } = materials;
        Some(Self { settings, policy, apps, certificates, clients, expiries, portal })
    }
}

fn app_settings(
    at: &Located<AppTable>,
    rules: &Rules,
    policy: &Policy,
    settings: &Settings,
    materials: &Materials,
) -> Option<AppSettings> {
    let app = &at.table;
    Some(AppSettings {
        id: policy.app(&app.name)?,
        name: Arc::from(app.name.as_str()),
        title: app.title.clone(),
        host: Arc::clone(&app.host),
        upstream: upstream_of(at, rules, materials).ok()?,
        upstream_auth: materials.auth(at),
        start: app.start.clone(),
        host_header: app.host_header,
        keep_alive: app.keep_alive,
        retry: app.retry,
        client_cookies: app.client_cookies.clone(),
        identity_headers: app.identity_headers,
        allow_authorization: app.allow_authorization,
        download: app.download,
        service_workers: app.service_workers,
        response_headers: app.response_headers.clone(),
        logout: app.logout.as_ref().map(|logout| Logout { method: logout.method, path: logout.path.clone() }),
        cache_static: app.cache_static.clone(),
        websocket_origins: app.websocket_origins.clone(),
        cors: app.cors.clone(),
        tls_profile: app.tls_profile.unwrap_or(settings.tls.profile),
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
