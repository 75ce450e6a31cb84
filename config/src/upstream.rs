//! Where an app's requests go, and how the gateway shows itself there.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use model::Secret;
use rustls::pki_types::CertificateDer;

use crate::certificates::Certificate;
use crate::rules_file::HealthSettings;
use crate::settings::TlsVersion;
use crate::values;

/// An upstream: one system, reached at one of its members.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// For logs: the name of the `[[upstream]]`, or of the app that writes out the address.
    pub name: Arc<str>,
    /// In order of preference; at least one, all with the same scheme.
    pub members: Vec<UpstreamAddress>,
    /// What members' certificates are held to, if they speak TLS.
    pub tls: Option<UpstreamTls>,
    /// Requests under way at once.
    pub requests_at_once: usize,
    /// How members are watched.
    pub health: HealthSettings,
}

/// How the certificates of an upstream's members are verified. There is no way not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The authorities; none if the configuration came from texts, and then no member is believed.
    pub roots: Vec<CertificateDer<'static>>,
    /// The name on the certificates, where it isn't the one in the address.
    pub server_name: Option<Arc<str>>,
    /// The oldest version spoken.
    pub minimum_version: TlsVersion,
}

/// How the gateway shows itself to an upstream (`upstream_auth`).
#[derive(Clone, Debug)]
pub enum UpstreamAuth {
    /// Not at all, but by the signed assertion.
    None,
    /// By this `Authorization`: `Basic …` (RFC 7617) or `Bearer …` (RFC 6750).
    Authorization(Secret<String>),
    /// By a client certificate (RFC 8446 4.4.2).
    Certificate(Arc<Certificate>),
    /// By something whose file was not looked at: the configuration came from texts.
    Unread,
}

/// A member of an upstream: scheme, host and port that speak HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamAddress {
    secure: bool,
    host: Arc<str>,
    port: u16,
}

impl UpstreamAddress {
    /// Reads `http://host[:port]` or `https://host[:port]`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not an upstream: write `http://` or `https://`, host or address, and port, as in \
                 `http://10.0.5.10:8080`"
            )
        };
        let (secure, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(wrong()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let port = |text: &str| port_of(text, own_port(secure)).ok_or_else(wrong);
        if let Some(bracketed) = rest.strip_prefix('[') {
            let (address, after) = bracketed.split_once(']').ok_or_else(wrong)?;
            let address: std::net::Ipv6Addr = address.parse().map_err(|_| wrong())?;
            return Ok(Self { secure, host: address.to_string().into(), port: port(after)? });
        }
        let (host, after) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
        let port = port(after)?;
        let known = host.parse::<std::net::Ipv4Addr>().is_ok() || host == "localhost" || values::host_label(host);
        if !known {
            values::host(host)?;
        }
        Ok(Self { secure, host: host.into(), port })
    }

    /// Over TLS?
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// A host name or an address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// As `Host` and URIs write it (RFC 3986 3.2): `10.0.5.10:8080`, `[::1]:8080`; without the scheme's own port.
    pub fn authority(&self) -> String {
        let host = match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(v6)) => format!("[{v6}]"),
            _ => self.host.to_string(),
        };
        if self.port == own_port(self.secure) { host } else { format!("{host}:{}", self.port) }
    }
}

impl Default for HealthSettings {
    /// Of an upstream that an app writes out: it has one member, and none is watched.
    fn default() -> Self {
        let (every, timeout) = (Duration::from_secs(5), Duration::from_secs(2));
        Self { path: None, every, timeout, down_after: 2, up_after: 2 }
    }
}

/// `http://10.0.5.10:8080`
impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }
}

const fn own_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// `:8080`, or nothing and then `own`.
pub(crate) fn port_of(text: &str, own: u16) -> Option<u16> {
    match text.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().filter(|port| *port != 0),
        Some(_) => None,
        None => text.is_empty().then_some(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_scheme_host_and_port() {
        let authority = |text| UpstreamAddress::parse(text).map(|up| (up.is_secure(), up.authority()));
        assert_eq!(authority("http://10.0.5.10:8080"), Ok((false, "10.0.5.10:8080".into())));
        assert_eq!(authority("http://chart.internal/"), Ok((false, "chart.internal".into())));
        assert_eq!(authority("http://orthanc:8042"), Ok((false, "orthanc:8042".into())));
        assert_eq!(authority("http://[0:0::1]:80"), Ok((false, "[::1]".into())));
        assert_eq!(authority("https://chart.internal:443"), Ok((true, "chart.internal".into())));
        assert_eq!(authority("https://chart.internal:80"), Ok((true, "chart.internal:80".into())));
        assert_eq!(UpstreamAddress::parse("https://a.b").unwrap().port(), 443);
        for bad in [
            "",
            "10.0.0.1:80",
            "http://",
            "https://",
            "ftp://a.b",
            "http://a.b:0",
            "http://a.b:99999",
            "http://a.b/x",
            "http://u@a.b",
            "http://[::1",
            "http://a b",
            "http://a.b:+80",
        ] {
            assert!(UpstreamAddress::parse(bad).is_err(), "{bad}");
        }
    }
}
