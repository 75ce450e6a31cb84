use std::sync::Arc;
use std::time::Duration;

use policy::{AppId, Download};

use crate::settings::Words;
use crate::tls::TlsProfile;
use crate::upstream::{Upstream, UpstreamAuth, port_of};
use crate::values;

/// A protected system, as the data plane and the pages need it. Its actions are in the policy.
#[derive(Clone, Debug)]
pub struct AppSettings {
    /// The app in the policy of the same snapshot.
    pub id: AppId,
    /// The name that rules and records use.
    pub name: Arc<str>,
    /// What people read.
    pub title: Words,
    /// Its host, inside the site's domain.
    pub host: Arc<str>,
    /// Where its requests go.
    pub upstream: Upstream,
    /// How the gateway shows itself there.
    pub upstream_auth: UpstreamAuth,
    /// Where the launcher leads: a path on `host`.
    pub start: String,
    /// The `Host` that the upstream sees.
    pub host_header: HostHeader,
    /// How long an idle upstream connection is used again; zero: never.
    pub keep_alive: Duration,
    /// Bodyless idempotent requests are sent once more if no byte of an answer came.
    pub retry: bool,
    /// Upstream cookies that pass as they are.
    pub client_cookies: Vec<String>,
    /// `Remote-User`, `Remote-Name`, `Remote-Groups` go upstream.
    pub identity_headers: bool,
    /// The client's `Authorization` goes upstream.
    pub allow_authorization: bool,
    /// What becomes of downloads, where the action doesn't say.
    pub download: Download,
    /// The app may install service workers.
    pub service_workers: bool,
    /// Response headers that pass although they outlast the session.
    pub response_headers: Vec<Lasting>,
    /// What ends the app's own session.
    pub logout: Option<Logout>,
    /// Path patterns whose answers browsers may keep.
    pub cache_static: Vec<String>,
    /// Origins beside its own from which WebSockets may be opened (RFC 6454, serialised).
    pub websocket_origins: Vec<String>,
    /// Origins beside its own whose pages may read its answers.
    pub cors: Vec<String>,
    /// What TLS asks of clients of its host.
    pub tls_profile: TlsProfile,
    /// What the bytes of its paths are.
    pub path_encoding: policy::PathEncoding,
    /// The `;name=value` parameters that its paths may carry.
    pub path_parameters: Vec<String>,
}

/// A response header that outlasts the session (H-36).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// `Clear-Site-Data`
    ClearSiteData,
    /// `NEL` and `Report-To`
    Nel,
}

/// The request that ends an app's own session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logout {
    /// By which method.
    pub method: LogoutMethod,
    /// Path, perhaps with a query; ASCII.
    pub path: String,
}

/// How an app is told of the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutMethod {
    /// GET
    Get,
    /// POST, without a body
    Post,
}

/// The `Host` that an upstream sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The one the client sent.
    Client,
    /// The upstream's own authority.
    Upstream,
}

/// A serialised origin: scheme, host, perhaps a port that isn't the scheme's own.
pub(crate) fn origin(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not an origin: write scheme and host, as in `https://viewer.hospital.example`");
    let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
    let (host, port) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
    values::host(host)?;
    match port_of(port, 80).ok_or_else(wrong)? {
        443 => Err(format!("`{text}`: leave out the port 443, browsers do")),
        _ => Ok(text.to_owned()),
    }
}

/// The name of a cookie (RFC 6265 4.1.1, token), and none of ours.
pub(crate) fn cookie_name(text: &str) -> Result<String, String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || text.len() > 128 || !text.bytes().all(token) {
        return Err(format!("`{text}` is not a cookie name"));
    }
    let bare = text.strip_prefix("__Host-").or_else(|| text.strip_prefix("__Secure-")).unwrap_or(text);
    if bare == "sk" || bare == "sk-bind" || bare.starts_with("sk.") {
        return Err(format!("`{text}` is a name of the gateway's own cookies"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_would_send() {
        assert!(origin("https://viewer.hospital.example:8443").is_ok());
        for bad in ["", "null", "*", "http://a.b", "https://a.b/", "https://a.b:443", "https://a.b:", "https://*.b.c"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn atk_a48_no_app_can_list_the_gateways_own_cookies() {
        assert!(cookie_name("theme").is_ok());
        for bad in ["", "a b", "a=b", "__Host-sk", "sk", "__Host-sk-bind", "sk.1.JSESSIONID", "__Secure-sk.x"] {
            assert!(cookie_name(bad).is_err(), "{bad}");
        }
    }
}
