//! Addresses in response headers that name the upstream are made to name the app's own origin.

use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LOCATION, HeaderMap, HeaderName, HeaderValue, LINK, LOCATION, REFRESH,
};

/// The names under which an upstream may speak of itself, and what browsers call it.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The app's origin: `https://chart.example:8443`.
    pub(crate) origin: String,
    /// Authorities that mean the upstream or, over plain HTTP, the app's host: `127.0.0.1:9000`.
    pub(crate) aliases: Vec<String>,
}

impl Names {
    /// What `host` (of the app) and the upstream's members may be written as.
    pub(crate) fn new(origin: String, host: &str, upstream: &config::Upstream) -> Self {
        let mut aliases = vec![host.to_owned()];
        for member in &upstream.members {
            let (authority, port) = (member.authority(), member.port());
            let bare = authority.strip_suffix(&format!(":{port}")).unwrap_or(&authority);
            let named = upstream.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
            for name in [bare, host].into_iter().chain(named) {
                aliases.push(format!("{name}:{port}"));
            }
            if matches!(port, 80 | 443) {
                aliases.extend([bare].into_iter().chain(named).map(str::to_owned));
            }
        }
        if let Some(authority) = origin.strip_prefix("https://") {
            aliases.push(authority.to_owned());
        }
        aliases.sort();
        aliases.dedup();
        Self { origin, aliases }
    }

    /// `address` under our origin, if it names the upstream.
    fn renamed(&self, address: &str) -> Option<String> {
        let rest = strip_scheme(address)?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        let names_upstream = self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(authority));
        names_upstream.then(|| format!("{}{rest}", self.origin))
    }
}

fn strip_scheme(address: &str) -> Option<&str> {
    ["https://", "http://", "//"].iter().find_map(|scheme| {
        let (start, rest) = address.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// Rewrites `Location`, `Content-Location`, `Refresh`, `Link` and `Access-Control-Allow-Origin`.
pub(crate) fn rewrite(headers: &mut HeaderMap, names: &Names) {
    edit(headers, &LOCATION, |text| names.renamed(text.trim()));
    edit(headers, &CONTENT_LOCATION, |text| names.renamed(text.trim()));
    edit(headers, &ACCESS_CONTROL_ALLOW_ORIGIN, |text| names.renamed(text.trim()));
    edit(headers, &REFRESH, |text| refresh(text, names));
    edit(headers, &LINK, |text| links(text, names));
}

fn edit(headers: &mut HeaderMap, name: &HeaderName, change: impl Fn(&str) -> Option<String>) {
    if !headers.contains_key(name) {
        return;
    }
    for value in headers.iter_mut().filter_map(|(found, value)| (found == name).then_some(value)) {
        let changed = value.to_str().ok().and_then(&change).and_then(|text| HeaderValue::from_str(&text).ok());
        if let Some(changed) = changed {
            *value = changed;
        }
    }
}

/// `5; url=http://upstream/x`
fn refresh(text: &str, names: &Names) -> Option<String> {
    let (delay, address) = text.split_once([';', ','])?;
    let (key, address) = address.split_once('=')?;
    if !key.trim().eq_ignore_ascii_case("url") {
        return None;
    }
    let address = address.trim().trim_matches(['"', '\'']);
    names.renamed(address).map(|address| format!("{delay}; url={address}"))
}

/// `<http://upstream/x>; rel=next, </y>; rel=prev`
fn links(text: &str, names: &Names) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut changed) = (text, false);
    while let Some((before, after)) = rest.split_once('<') {
        let Some((address, tail)) = after.split_once('>') else { break };
        out.push_str(before);
        out.push('<');
        match names.renamed(address.trim()) {
            Some(ours) => {
                out.push_str(&ours);
                changed = true;
            }
            None => out.push_str(address),
        }
        out.push('>');
        rest = tail;
    }
    out.push_str(rest);
    changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new("https://chart.example:8443".into(), "chart.example", &upstream(&["http://10.0.0.5:9000"], None))
    }

    fn upstream(members: &[&str], server_name: Option<&str>) -> config::Upstream {
        let members: Vec<_> = members.iter().map(|text| config::UpstreamAddress::parse(text).unwrap()).collect();
        let tls = |name: &str| config::UpstreamTls {
            roots: vec![],
            server_name: Some(name.into()),
            minimum_version: config::TlsVersion::Tls12,
        };
        let (requests_at_once, health) = (1, config::HealthSettings::default());
        config::Upstream { name: "x".into(), members, tls: server_name.map(tls), requests_at_once, health }
    }

    fn rewritten(name: HeaderName, value: &str) -> String {
        let mut headers = HeaderMap::from_iter([(name.clone(), value.parse().unwrap())]);
        rewrite(&mut headers, &names());
        headers[name].to_str().unwrap().to_owned()
    }

    #[test]
    fn what_names_the_upstream_comes_to_name_the_app() {
        for (value, ours) in [
            ("http://10.0.0.5:9000/a?b#c", "https://chart.example:8443/a?b#c"),
            ("HTTP://10.0.0.5:9000", "https://chart.example:8443"),
            ("//10.0.0.5:9000/a", "https://chart.example:8443/a"),
            ("http://chart.example:8443/a", "https://chart.example:8443/a"),
            ("http://chart.example/a", "https://chart.example:8443/a"),
            ("http://Chart.Example:9000/a", "https://chart.example:8443/a"),
        ] {
            assert_eq!(rewritten(LOCATION, value), ours);
        }
    }

    #[test]
    fn what_names_anything_else_is_left_alone() {
        for value in [
            "/a",
            "a/b",
            "?x=http://10.0.0.5:9000/",
            "http://10.0.0.50:9000/",
            "http://10.0.0.5:90001/",
            "http://10.0.0.5/",
            "http://u@10.0.0.5:9000/",
            "http://10.0.0.5:9000.evil.example/",
            "https://other.example/",
        ] {
            assert_eq!(rewritten(LOCATION, value), value);
        }
    }

    #[test]
    fn every_member_and_the_name_on_its_certificate_are_the_upstream() {
        let members = ["https://10.0.0.5", "https://10.0.0.6:8443", "https://[::1]:8443"];
        let upstream = upstream(&members, Some("pacs.internal.example"));
        let names = Names::new("https://pacs.example".into(), "pacs.example", &upstream);
        for own in [
            "https://10.0.0.5/a",
            "https://10.0.0.5:443/a",
            "https://10.0.0.6:8443/a",
            "https://[::1]:8443/a",
            "https://pacs.internal.example/a",
            "https://pacs.internal.example:8443/a",
            "http://pacs.example:8443/a",
            "https://pacs.example/a",
        ] {
            assert_eq!(names.renamed(own).as_deref(), Some("https://pacs.example/a"), "{own}");
        }
        for other in ["https://10.0.0.6/a", "https://10.0.0.7/a", "https://internal.example/a"] {
            assert_eq!(names.renamed(other), None, "{other}");
        }
    }

    #[test]
    fn refresh_link_and_cors_are_rewritten_too() {
        assert_eq!(rewritten(REFRESH, "5; URL='http://10.0.0.5:9000/x'"), "5; url=https://chart.example:8443/x");
        assert_eq!(rewritten(REFRESH, "5"), "5");
        assert_eq!(
            rewritten(LINK, "<http://10.0.0.5:9000/2>; rel=\"next\", </1>; rel=prev"),
            "<https://chart.example:8443/2>; rel=\"next\", </1>; rel=prev"
        );
        assert_eq!(rewritten(ACCESS_CONTROL_ALLOW_ORIGIN, "http://10.0.0.5:9000"), "https://chart.example:8443");
        assert_eq!(rewritten(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), "*");
    }
}
