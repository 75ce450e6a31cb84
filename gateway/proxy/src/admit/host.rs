//! Which host a request names, if it names exactly one (H-08, A14).

use http::header::{HOST, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Uri, Version};

/// A host name as the client wrote it, and the port if he wrote one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named<'r> {
    pub(crate) name: &'r str,
    pub(crate) port: Option<u16>,
}

impl Named<'_> {
    fn is(&self, other: &Self, default_port: u16) -> bool {
        self.name.eq_ignore_ascii_case(other.name)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

/// The one host of the request.
///
/// # Errors
/// The name of the rule that it breaks.
pub(crate) fn named<'r>(version: Version, uri: &'r Uri, headers: &'r HeaderMap) -> Result<Named<'r>, &'static str> {
    if version == Version::HTTP_2 { by_authority(uri, headers) } else { by_host(uri, headers) }
}

/// HTTP/1.1: the one `Host` says it, an absolute target must say the same.
fn by_host<'r>(uri: &Uri, headers: &'r HeaderMap) -> Result<Named<'r>, &'static str> {
    let mut values = headers.get_all(HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err("host-count");
    };
    let host = of_header(value)?;
    match (uri.scheme(), uri.authority()) {
        (None, None) => Ok(host),
        (Some(scheme), Some(authority)) => agrees(scheme, authority, &host).map(|()| host),
        _ => Err("target-form"),
    }
}

/// HTTP/2: `:authority` says it, and a `Host` beside it, which nobody need send, must say the same
/// (RFC 9113 8.3.1).
fn by_authority<'r>(uri: &'r Uri, headers: &HeaderMap) -> Result<Named<'r>, &'static str> {
    let authority = uri.authority().ok_or("host-count")?;
    let mut values = headers.get_all(HOST).iter();
    match (uri.scheme(), values.next(), values.next()) {
        (None, ..) => Err("target-form"),
        (_, _, Some(_)) => Err("host-count"),
        (Some(scheme), Some(value), None) => agrees(scheme, authority, &of_header(value)?),
        (Some(scheme), None, None) if *scheme != Scheme::HTTPS => Err("target-scheme"),
        (Some(_), None, None) => Ok(()),
    }?;
    parse(authority.as_str()).ok_or("host-form")
}

fn of_header(value: &HeaderValue) -> Result<Named<'_>, &'static str> {
    parse(value.to_str().map_err(|_| "host-form")?).ok_or("host-form")
}

fn agrees(scheme: &Scheme, authority: &Authority, host: &Named<'_>) -> Result<(), &'static str> {
    if *scheme != Scheme::HTTPS {
        return Err("target-scheme");
    }
    let target = parse(authority.as_str()).ok_or("target-form")?;
    if target.is(host, 443) { Ok(()) } else { Err("host-disagrees") }
}

/// `name` or `name:port`; no user information, no address literal in brackets.
pub(crate) fn parse(text: &str) -> Option<Named<'_>> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(parse_port(port)?)),
        None => (text, None),
    };
    let fits = (1..=253).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    fits.then_some(Named { name, port })
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(hosts: &[&str]) -> HeaderMap {
        hosts.iter().map(|h| (HOST, h.parse().unwrap())).collect()
    }

    fn rule(uri: &str, hosts: &[&str]) -> Result<(), &'static str> {
        named(Version::HTTP_11, &uri.parse().unwrap(), &headers(hosts)).map(|_| ())
    }

    /// The same over HTTP/2, where a request's URI is put together of its pseudo-header fields.
    fn rule2(uri: &str, hosts: &[&str]) -> Result<(), &'static str> {
        named(Version::HTTP_2, &uri.parse().unwrap(), &headers(hosts)).map(|_| ())
    }

    #[test]
    fn req_h08_exactly_one_well_formed_host() {
        assert_eq!(rule("/", &["chart.example"]), Ok(()));
        assert_eq!(rule("/", &["chart.example:8443"]), Ok(()));
        assert_eq!(rule("/", &[]), Err("host-count"));
        assert_eq!(rule("/", &["a", "a"]), Err("host-count"));
        for bad in ["", "a b", "a:", "a:+1", "a:65536", "u@a", "a/b", "a,b", "[::1]", "a:1:2", "a\u{e9}"] {
            assert_eq!(rule("/", &[bad]), Err("host-form"), "{bad}");
        }
    }

    #[test]
    fn atk_a14_an_absolute_target_must_agree_with_host() {
        assert_eq!(rule("https://chart.example/", &["Chart.Example"]), Ok(()));
        assert_eq!(rule("https://chart.example:443/", &["chart.example"]), Ok(()));
        assert_eq!(rule("https://pacs.example/", &["chart.example"]), Err("host-disagrees"));
        assert_eq!(rule("https://chart.example:1/", &["chart.example"]), Err("host-disagrees"));
        assert_eq!(rule("https://u@chart.example/", &["chart.example"]), Err("target-form"));
        assert_eq!(rule("http://chart.example/", &["chart.example"]), Err("target-scheme"));
        assert_eq!(rule("chart.example:443", &["chart.example"]), Err("target-form"));
    }

    #[test]
    fn req_h08_over_http_2_authority_names_the_host_and_host_may_only_agree() {
        assert_eq!(rule2("https://chart.example/", &[]), Ok(()));
        assert_eq!(rule2("https://chart.example/", &["Chart.Example:443"]), Ok(()));
        assert_eq!(rule2("https://chart.example/", &["pacs.example"]), Err("host-disagrees"));
        assert_eq!(rule2("https://chart.example/", &["chart.example", "chart.example"]), Err("host-count"));
        assert_eq!(rule2("https://chart.example/", &[""]), Err("host-form"));
        assert_eq!(rule2("http://chart.example/", &[]), Err("target-scheme"));
        assert_eq!(rule2("https://u@chart.example/", &[]), Err("host-form"));
        assert_eq!(rule2("/", &["chart.example"]), Err("host-count"), "nobody may leave it to Host alone");
        assert_eq!(rule2("chart.example:443", &[]), Err("target-form"), "CONNECT");
    }
}
