use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use policy::AppId;

use crate::settings::Words;
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
    /// Path patterns whose answers browsers may keep.
    pub cache_static: Vec<String>,
    /// Origins beside its own from which WebSockets may be opened (RFC 6454, serialised).
    pub websocket_origins: Vec<String>,
    /// What the bytes of its paths are.
    pub path_encoding: policy::PathEncoding,
    /// The `;name=value` parameters that its paths may carry.
    pub path_parameters: Vec<String>,
}

/// The `Host` that an upstream sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The one the client sent.
    Client,
    /// The upstream's own authority.
    Upstream,
}

/// Where an app's requests go: a host and a port that speak plain HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    host: Arc<str>,
    port: u16,
}

impl Upstream {
    /// A host name or an address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// As `Host` and URIs write it (RFC 3986 3.2): `10.0.5.10:8080`, `[::1]:8080`; without the port where it is 80.
    pub fn authority(&self) -> String {
        let host = match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(v6)) => format!("[{v6}]"),
            _ => self.host.to_string(),
        };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }
}

/// `http://10.0.5.10:8080`
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

/// Reads `http://host[:port]`.
pub(crate) fn upstream_address(text: &str) -> Result<Upstream, String> {
    let wrong = || {
        format!(
            "`{text}` is not an upstream: write `http://`, host or address, and port, as in `http://10.0.5.10:8080`"
        )
    };
    if text.starts_with("https://") {
        return Err(format!("`{text}`: upstreams speak plain HTTP in this version"));
    }
    let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if let Some(bracketed) = rest.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']').ok_or_else(wrong)?;
        let address: std::net::Ipv6Addr = address.parse().map_err(|_| wrong())?;
        return Ok(Upstream { host: address.to_string().into(), port: port_of(port).ok_or_else(wrong)? });
    }
    let (host, port) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
    let port = port_of(port).ok_or_else(wrong)?;
    let known = host.parse::<std::net::Ipv4Addr>().is_ok() || host == "localhost" || values::host_label(host);
    if !known {
        values::host(host)?;
    }
    Ok(Upstream { host: host.into(), port })
}

/// `:8080` or nothing.
fn port_of(text: &str) -> Option<u16> {
    match text.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().filter(|port| *port != 0),
        Some(_) => None,
        None => text.is_empty().then_some(80),
    }
}

/// A serialised origin: scheme, host, perhaps a port that isn't the scheme's own.
pub(crate) fn origin(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not an origin: write scheme and host, as in `https://viewer.hospital.example`");
    let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
    let (host, port) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
    values::host(host)?;
    match port_of(port).ok_or_else(wrong)? {
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
    fn an_upstream_is_host_and_port_over_plain_http() {
        let authority = |text| upstream_address(text).map(|up| up.authority());
        assert_eq!(authority("http://10.0.5.10:8080"), Ok("10.0.5.10:8080".into()));
        assert_eq!(authority("http://chart.internal/"), Ok("chart.internal".into()));
        assert_eq!(authority("http://orthanc:8042"), Ok("orthanc:8042".into()));
        assert_eq!(authority("http://[0:0::1]:80"), Ok("[::1]".into()));
        for bad in [
            "",
            "10.0.0.1:80",
            "https://a.b",
            "http://",
            "http://a.b:0",
            "http://a.b:99999",
            "http://a.b/x",
            "http://u@a.b",
            "http://[::1",
            "http://a b",
            "http://a.b:+80",
        ] {
            assert!(upstream_address(bad).is_err(), "{bad}");
        }
    }

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
