//! Which host a request names, if it names exactly one (H-08, A14).

use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Uri};

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
pub(crate) fn named<'r>(uri: &Uri, headers: &'r HeaderMap) -> Result<Named<'r>, &'static str> {
    let mut values = headers.get_all(HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err("host-count");
    };
    let host = parse(value.to_str().map_err(|_| "host-form")?).ok_or("host-form")?;
    match (uri.scheme(), uri.authority()) {
        (None, None) => Ok(host),
        (Some(scheme), Some(authority)) => agrees(scheme, authority, &host).map(|()| host),
        _ => Err("target-form"),
    }
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
        named(&uri.parse().unwrap(), &headers(hosts)).map(|_| ())
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
}
