//! A walk through the application: the first page, its scripts, a few pages that it links to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use config::UpstreamAddress;

use super::fetch::{Answered, Visitor};
use super::markup::{self, Tag};
use super::scripts::{self, Way};
use crate::output::Failure;

/// Redirects that are followed from the first page.
const REDIRECTS: usize = 5;
/// Pages beside the first, and scripts.
const PAGES: usize = 8;
const SCRIPTS: usize = 12;

/// What was seen.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) upstream: UpstreamAddress,
    /// Path of the first page that isn't a redirect.
    pub(super) start: String,
    pub(super) title: Option<String>,
    pub(super) answers: Vec<Answered>,
    /// What could not be fetched, and why.
    pub(super) failed: Vec<(String, String)>,
    /// Addresses in pages, redirects and scripts that name the upstream itself.
    pub(super) absolute: BTreeSet<String>,
    /// Origins of other hosts that pages take scripts, frames, pictures or forms to.
    pub(super) foreign: BTreeSet<String>,
    /// Paths of this application that pages refer to.
    pub(super) paths: BTreeSet<String>,
    /// Where forms go, by method; the method is upper-case.
    pub(super) forms: BTreeMap<String, BTreeSet<String>>,
    pub(super) uploads: bool,
    pub(super) frames: BTreeSet<String>,
    pub(super) ways: BTreeMap<Way, BTreeSet<String>>,
    pub(super) script_cookies: BTreeSet<String>,
    pub(super) script_methods: BTreeSet<&'static str>,
    pub(super) logout: Option<String>,
}

/// Walks.
pub(super) async fn survey(visitor: &mut Visitor, start: &str) -> Result<Survey, Failure> {
    let mut survey = Survey::new(visitor.upstream.clone());
    survey.enter(visitor, start).await?;
    let (mut pages, mut scripts) = (0, 0);
    let mut queue: VecDeque<String> = survey.next().into();
    let mut asked: BTreeSet<String> = survey.answers.iter().map(|answer| answer.target.clone()).collect();
    while let Some(target) = queue.pop_front() {
        let count = if is_script(&target) { &mut scripts } else { &mut pages };
        let most = if is_script(&target) { SCRIPTS } else { PAGES };
        if *count >= most || !asked.insert(target.clone()) {
            continue;
        }
        *count += 1;
        match visitor.get(&target).await {
            None => break,
            Some(Ok(answer)) => {
                survey.look_at(answer);
                queue.extend(survey.next());
            }
            Some(Err(why)) => survey.failed.push((target, why)),
        }
    }
    Ok(survey)
}

fn is_script(target: &str) -> bool {
    target.split('?').next().is_some_and(|path| path.ends_with(".js") || path.ends_with(".mjs"))
}

/// A link that could do more than show something is not followed.
fn is_harmless(target: &str) -> bool {
    const WORDS: [&str; 12] = [
        "logout",
        "logoff",
        "signout",
        "sign-out",
        "delete",
        "remove",
        "destroy",
        "reset",
        "shutdown",
        "disable",
        "cancel",
        "unsubscribe",
    ];
    let lower = target.to_ascii_lowercase();
    !WORDS.iter().any(|word| lower.contains(word))
}

impl Survey {
    fn new(upstream: UpstreamAddress) -> Self {
        Self {
            upstream,
            start: "/".to_owned(),
            title: None,
            answers: Vec::new(),
            failed: Vec::new(),
            absolute: BTreeSet::new(),
            foreign: BTreeSet::new(),
            paths: BTreeSet::new(),
            forms: BTreeMap::new(),
            uploads: false,
            frames: BTreeSet::new(),
            ways: BTreeMap::new(),
            script_cookies: BTreeSet::new(),
            script_methods: BTreeSet::new(),
            logout: None,
        }
    }

    /// How many answers there were.
    pub(super) fn asked(&self) -> usize {
        self.answers.len()
    }

    /// The first page, through redirects.
    async fn enter(&mut self, visitor: &mut Visitor, start: &str) -> Result<(), Failure> {
        let mut target = start.to_owned();
        for _ in 0..=REDIRECTS {
            let answer = match visitor.get(&target).await {
                Some(Ok(answer)) => answer,
                Some(Err(why)) => return Err(Failure::unreachable(format!("{}: {why}", self.upstream))),
                None => break,
            };
            let next = answer.status.is_redirection().then(|| answer.header("location").map(str::to_owned)).flatten();
            self.start.clone_from(&target);
            self.look_at(answer);
            match next.and_then(|location| self.own(&location, &target)) {
                Some(next) if next != target => target = next,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Paths that were seen and may be asked for: scripts first.
    fn next(&self) -> Vec<String> {
        let plain =
            |path: &&String| is_harmless(path) && !path.contains('?') && (is_script(path) || looks_like_a_page(path));
        let (scripts, pages): (Vec<_>, Vec<_>) =
            self.paths.iter().filter(plain).cloned().partition(|path| is_script(path));
        scripts.into_iter().chain(pages).collect()
    }

    fn look_at(&mut self, answer: Answered) {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.is("html") {
            for tag in markup::tags(&text) {
                self.tag(&tag, &answer.target);
            }
        } else if answer.is("javascript") || is_script(&answer.target) {
            self.script(&text, &answer.target);
        }
        if let Some(location) = answer.header("location") {
            let location = location.to_owned();
            self.refers_to(&location, &answer.target);
        }
        self.answers.push(answer);
    }

    fn tag(&mut self, tag: &Tag, page: &str) {
        let refers = match tag.name.as_str() {
            "title" if self.title.is_none() && !tag.text.contains('\u{fffd}') => {
                self.title = Some(tag.text.trim().chars().take(60).collect());
                None
            }
            "script" => {
                self.script(&tag.text, page);
                tag.get("src")
            }
            "a" | "link" | "area" | "base" => tag.get("href"),
            "img" | "audio" | "video" | "source" | "embed" => tag.get("src"),
            "iframe" | "frame" => {
                let source = tag.get("src");
                self.frames.extend(source.map(str::to_owned));
                source
            }
            "form" => {
                let action = tag.get("action").filter(|action| !action.is_empty()).unwrap_or(page);
                let method = if tag.is("method", "post") { "POST" } else { "GET" };
                if let Some(path) = self.own(action, page) {
                    let path = path.split('?').next().unwrap_or_default().to_owned();
                    self.forms.entry(method.to_owned()).or_default().insert(path);
                }
                Some(action)
            }
            "input" => {
                self.uploads |= tag.is("type", "file");
                None
            }
            _ => None,
        };
        if let Some(address) = refers {
            self.refers_to(address, page);
        }
    }

    fn script(&mut self, text: &str, place: &str) {
        for way in scripts::ways(text) {
            self.ways.entry(way).or_default().insert(place.to_owned());
        }
        self.script_cookies.extend(scripts::cookie_names(text));
        self.script_methods.extend(scripts::methods(text));
        let own = self.upstream.to_string();
        if text.contains(&own) {
            self.absolute.insert(format!("{own} in {place}"));
        }
    }

    fn refers_to(&mut self, address: &str, page: &str) {
        let lower = address.to_ascii_lowercase();
        if ["javascript:", "data:", "mailto:", "blob:", "#", "tel:"].iter().any(|other| lower.starts_with(other)) {
            return;
        }
        match self.own(address, page) {
            Some(path) => {
                if lower.starts_with("http") || address.starts_with("//") {
                    self.absolute.insert(address.chars().take(120).collect());
                }
                if self.logout.is_none() && ["logout", "logoff", "signout"].iter().any(|word| lower.contains(word)) {
                    self.logout = Some(path.clone());
                }
                self.paths.insert(path);
            }
            None => {
                let origin: String = address.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
                self.foreign.insert(origin.chars().take(120).collect());
            }
        }
    }

    /// The path and query of an address, if it is one of this application, seen from `page`.
    fn own(&self, address: &str, page: &str) -> Option<String> {
        let address = address.trim().split('#').next().unwrap_or_default();
        let authority = self.upstream.authority();
        let absolute = ["http://", "https://", "//"]
            .iter()
            .find_map(|scheme| {
                Some((scheme, address.get(..scheme.len())?.eq_ignore_ascii_case(scheme))).filter(|(_, is)| *is)
            })
            .map(|(scheme, _)| address.get(scheme.len()..).unwrap_or_default());
        if let Some(rest) = absolute {
            let (host, path) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))?;
            let host = host.to_ascii_lowercase();
            let own = host == authority || host.split(':').next() == Some(self.upstream.host());
            return own.then(|| if path.starts_with('/') { path.to_owned() } else { format!("/{path}") });
        }
        if address.contains(':') && address.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
            return None;
        }
        Some(resolved(address, page.split('?').next().unwrap_or("/")))
    }
}

/// A relative address from a page's path (RFC 3986 5.2, as far as sensible pages need it).
fn resolved(address: &str, page: &str) -> String {
    if address.starts_with('/') {
        return address.to_owned();
    }
    if address.is_empty() || address.starts_with('?') {
        return format!("{page}{address}");
    }
    let (path, query) = address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
    let mut segments: Vec<&str> = page.rsplit_once('/').map_or("", |(folder, _)| folder).split('/').skip(1).collect();
    for segment in path.split('/') {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let path = format!("/{}", segments.join("/"));
    query.map_or(path.clone(), |query| format!("{path}?{query}"))
}

fn looks_like_a_page(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    match last.rsplit_once('.') {
        None => true,
        Some((_, kind)) => matches!(kind, "html" | "htm" | "php" | "jsp" | "aspx" | "do" | "cgi" | "xhtml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey() -> Survey {
        Survey::new(UpstreamAddress::parse("http://10.0.0.5:8042").unwrap())
    }

    #[test]
    fn an_address_of_a_page_is_the_applications_own_or_somebody_elses() {
        let survey = survey();
        let own = |address| survey.own(address, "/app/explorer.html?x=1");
        for (address, path) in [
            ("/a?b", "/a?b"),
            ("a.js", "/app/a.js"),
            ("./a.js", "/app/a.js"),
            ("../a.js?v=1", "/a.js?v=1"),
            ("../../a.js", "/a.js"),
            ("?y=2", "/app/explorer.html?y=2"),
            ("", "/app/explorer.html"),
            ("http://10.0.0.5:8042/x#top", "/x"),
            ("HTTP://10.0.0.5/x", "/x"),
            ("//10.0.0.5:8042", "/"),
        ] {
            assert_eq!(own(address).as_deref(), Some(path), "{address}");
        }
        for other in ["https://cdn.example/x.js", "//cdn.example/x.js", "ws:x"] {
            assert_eq!(own(other), None, "{other}");
        }
    }

    #[test]
    fn a_link_that_could_change_something_is_not_followed() {
        let mut survey = survey();
        for address in ["/patients", "/logout", "/patients/1/delete", "/x.js", "/y.png", "/z?cancel=1", "/Reset"] {
            survey.refers_to(address, "/");
        }
        assert_eq!(survey.next(), ["/x.js", "/patients"]);
        assert_eq!(survey.logout.as_deref(), Some("/logout"));
    }
}
