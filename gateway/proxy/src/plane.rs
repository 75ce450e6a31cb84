//! What is derived from a snapshot for the data plane: routes by host, clients, certificates.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use config::{AppSettings, HostHeader, Snapshot};
use http::header::HeaderValue;
use http::uri::Authority;
use policy::AppId;
use rustls::ServerConfig;

use crate::cookies::CookieRules;
use crate::forward::{Upstream, UpstreamKey};
use crate::location::Names;
use crate::tls::Foundation;

/// Everything that one request needs of a configuration. A request takes one and keeps it to its end.
pub struct Plane {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) tls: Arc<ServerConfig>,
    /// How we call ourselves in `Via`.
    pub(crate) pseudonym: String,
    pub(crate) via: HeaderValue,
    hosts: HashMap<Arc<str>, Site>,
    upstreams: HashMap<UpstreamKey, Arc<Upstream>>,
}

/// What a host name stands for.
#[derive(Clone)]
pub(crate) enum Site {
    /// The portal's host.
    Portal(Arc<str>),
    /// An app's.
    App(Arc<App>),
}

/// One protected system as requests need it.
pub(crate) struct App {
    pub(crate) id: AppId,
    pub(crate) name: Arc<str>,
    pub(crate) host: Arc<str>,
    /// As browsers write it in `Origin`.
    pub(crate) origin: String,
    /// The `Host` that goes upstream.
    pub(crate) host_header: HeaderValue,
    /// The authority that clients see, for `X-Forwarded-Host`.
    pub(crate) public_authority: HeaderValue,
    /// Keeps the client's pool to one key; the dialer doesn't look at it.
    pub(crate) authority: Authority,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) cookies: CookieRules,
    pub(crate) names: Names,
    pub(crate) websocket_origins: Vec<String>,
    pub(crate) identity_headers: bool,
    pub(crate) allow_authorization: bool,
    pub(crate) retry: bool,
    statics: matchit::Router<()>,
}

/// Why a snapshot can't be served.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// A certificate or key can't be used, or the system gave no randomness.
    #[error("TLS: {0}")]
    Tls(#[source] rustls::Error),
    /// No certificate covers a host.
    #[error("no certificate covers {0}")]
    NoCertificate(Arc<str>),
    /// A value of an app doesn't fit where HTTP needs it; the configuration's checks let none pass.
    #[error("app {app}: {what} can't be used")]
    App {
        /// The app's name.
        app: Arc<str>,
        /// What is wrong.
        what: &'static str,
    },
}

impl Plane {
    /// Derives a plane; upstream clients that `former` has already are taken over with their connections.
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        foundation: &Foundation,
        former: Option<&Self>,
    ) -> Result<Self, PlaneError> {
        let tls = foundation.server(&snapshot)?;
        let pseudonym = format!("sekimori-{}", snapshot.settings.server.node);
        let via = HeaderValue::from_str(&format!("1.1 {pseudonym}"))
            .map_err(|_| PlaneError::App { app: "sekimori".into(), what: "the node's name" })?;
        let portal = Arc::clone(&snapshot.settings.portal.host);
        let mut hosts = HashMap::from([(Arc::clone(&portal), Site::Portal(portal))]);
        let mut upstreams: HashMap<UpstreamKey, Arc<Upstream>> = HashMap::new();
        for settings in &snapshot.apps {
            let key = UpstreamKey::of(settings, &snapshot.settings.limits);
            let upstream = upstreams.entry(key.clone()).or_insert_with(|| {
                let kept = former.and_then(|former| former.upstreams.get(&key));
                kept.map_or_else(|| Arc::new(Upstream::new(&key)), Arc::clone)
            });
            let app = Arc::new(App::new(settings, &snapshot, Arc::clone(upstream))?);
            hosts.insert(Arc::clone(&app.host), Site::App(app));
        }
        Ok(Self { snapshot, tls, pseudonym, via, hosts, upstreams })
    }

    /// The configuration it was derived from.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// What a host name, in any case and without port, stands for here. There is no default.
    pub(crate) fn site(&self, host: &str) -> Option<&Site> {
        match self.hosts.get(host) {
            Some(site) => Some(site),
            None => self.hosts.get(host.to_ascii_lowercase().as_str()),
        }
    }

    /// The app that is at `host` now.
    pub(crate) fn app(&self, host: &str) -> Option<&Arc<App>> {
        match self.site(host)? {
            Site::App(app) => Some(app),
            Site::Portal(_) => None,
        }
    }
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("generation", &self.snapshot.generation).finish_non_exhaustive()
    }
}

impl Site {
    /// The configured host name.
    pub(crate) fn host(&self) -> &Arc<str> {
        match self {
            Self::Portal(host) => host,
            Self::App(app) => &app.host,
        }
    }
}

impl App {
    fn new(settings: &AppSettings, snapshot: &Snapshot, upstream: Arc<Upstream>) -> Result<Self, PlaneError> {
        let wrong = |what| PlaneError::App { app: Arc::clone(&settings.name), what };
        let origin = snapshot.settings.origin_of(&settings.host);
        let public = origin.strip_prefix("https://").unwrap_or(&origin);
        let authority = settings.upstream.authority();
        let header = |text: &str| HeaderValue::from_str(text).map_err(|_| wrong("its host"));
        let mut statics = matchit::Router::new();
        for pattern in &settings.cache_static {
            statics.insert(pattern.as_str(), ()).map_err(|_| wrong("a pattern of cache_static"))?;
        }
        Ok(Self {
            id: settings.id,
            name: Arc::clone(&settings.name),
            host: Arc::clone(&settings.host),
            host_header: match settings.host_header {
                HostHeader::Client => header(public)?,
                HostHeader::Upstream => header(&authority)?,
            },
            public_authority: header(public)?,
            names: Names::new(origin.clone(), &settings.host, &authority, settings.upstream.port()),
            origin,
            authority: authority.parse().map_err(|_| wrong("its upstream"))?,
            upstream,
            cookies: CookieRules { host: Arc::clone(&settings.host), listed: settings.client_cookies.clone() },
            websocket_origins: settings.websocket_origins.clone(),
            identity_headers: settings.identity_headers,
            allow_authorization: settings.allow_authorization,
            retry: settings.retry,
            statics,
        })
    }

    /// May browsers keep the answer (H-35)?
    pub(crate) fn is_static(&self, path: &str) -> bool {
        self.statics.at(path).is_ok()
    }
}
