//! What is derived from a snapshot for the data plane: routes by host, clients, certificates.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use config::{AppSettings, HostHeader, Lasting, Logout, Snapshot, UpstreamAuth};
use http::Version;
use http::header::HeaderValue;
use policy::{AppId, Download};

use crate::cookies::CookieRules;
use crate::forward::{Terms, Upstream};
use crate::headers::Allowed;
use crate::location::Names;
use crate::tls::{Doors, Foundation};

/// Everything that one request needs of a configuration. A request takes one and keeps it to its end.
pub struct Plane {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) doors: Doors,
    /// How we call ourselves in `Via`.
    pub(crate) pseudonym: String,
    pub(crate) via: HeaderValue,
    /// The same for what came over HTTP/2.
    via_http2: HeaderValue,
    hosts: HashMap<Arc<str>, Site>,
    upstreams: Vec<Arc<Upstream>>,
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
    pub(crate) upstream: Arc<Upstream>,
    /// By what the gateway shows itself upstream; no client's is ever in its place.
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) cookies: CookieRules,
    pub(crate) names: Names,
    pub(crate) websocket_origins: Vec<String>,
    /// Origins whose pages may read answers.
    pub(crate) cors: Vec<String>,
    pub(crate) identity_headers: bool,
    /// What passes to and fro that others' doesn't.
    pub(crate) allowed: Allowed,
    /// What becomes of downloads, where the action doesn't say.
    pub(crate) download: Download,
    /// What ends the app's own session.
    pub(crate) logout: Option<Logout>,
    pub(crate) retry: bool,
    statics: matchit::Router<()>,
}

/// Why a snapshot can't be served.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// A certificate or key can't be used, or the system gave no randomness.
    #[error("TLS: {0}")]
    Tls(#[source] rustls::Error),
    /// Nobody's client certificate could be verified.
    #[error("client certificates: {0}")]
    Clients(String),
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
        let doors = foundation.doors(&snapshot)?;
        let pseudonym = format!("sekimori-{}", snapshot.settings.server.node);
        let hop = |version: &str| {
            HeaderValue::from_str(&format!("{version} {pseudonym}"))
                .map_err(|_| PlaneError::App { app: "sekimori".into(), what: "the node's name" })
        };
        let (via, via_http2) = (hop("1.1")?, hop("2.0")?);
        let portal = Arc::clone(&snapshot.settings.portal.host);
        let mut hosts = HashMap::from([(Arc::clone(&portal), Site::Portal(portal))]);
        let mut upstreams: Vec<Arc<Upstream>> = Vec::new();
        for settings in &snapshot.apps {
            let terms = Terms::of(settings, &snapshot.settings.limits);
            let kept = upstreams.iter().chain(former.iter().flat_map(|former| &former.upstreams));
            let upstream = match kept.into_iter().find(|upstream| upstream.is_on(&terms)) {
                Some(upstream) => Arc::clone(upstream),
                None => Upstream::new(terms, foundation.provider()).map_err(PlaneError::Tls)?,
            };
            upstreams.push(Arc::clone(&upstream));
            let app = Arc::new(App::new(settings, &snapshot, upstream)?);
            hosts.insert(Arc::clone(&app.host), Site::App(app));
        }
        Ok(Self { snapshot, doors, pseudonym, via, via_http2, hosts, upstreams })
    }

    /// The configuration it was derived from.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Our hop of a request that came by `version` (RFC 9110 7.6.3).
    pub(crate) fn via_of(&self, version: Version) -> &HeaderValue {
        if version == Version::HTTP_2 { &self.via_http2 } else { &self.via }
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
        let first = settings.upstream.members.first().ok_or_else(|| wrong("its upstream"))?;
        let header = |text: &str| HeaderValue::from_str(text).map_err(|_| wrong("its host"));
        let authorization = match &settings.upstream_auth {
            UpstreamAuth::None | UpstreamAuth::Certificate(_) => None,
            UpstreamAuth::Authorization(text) => Some(secret(text.expose()).ok_or_else(|| wrong("its upstream_auth"))?),
            UpstreamAuth::Unread => return Err(wrong("its upstream_auth, whose file was not read,")),
        };
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
                HostHeader::Upstream => header(&first.authority())?,
            },
            public_authority: header(public)?,
            names: Names::new(origin.clone(), &settings.host, &settings.upstream),
            origin,
            upstream,
            authorization,
            cookies: CookieRules { host: Arc::clone(&settings.host), listed: settings.client_cookies.clone() },
            websocket_origins: settings.websocket_origins.clone(),
            cors: settings.cors.clone(),
            identity_headers: settings.identity_headers,
            allowed: Allowed {
                authorization: settings.allow_authorization,
                service_workers: settings.service_workers,
                clear_site_data: settings.response_headers.contains(&Lasting::ClearSiteData),
                nel: settings.response_headers.contains(&Lasting::Nel),
            },
            download: settings.download,
            logout: settings.logout.clone(),
            retry: settings.retry,
            statics,
        })
    }

    /// May browsers keep the answer (H-35)?
    pub(crate) fn is_static(&self, path: &str) -> bool {
        self.statics.at(path).is_ok()
    }
}

/// A value that doesn't print.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
