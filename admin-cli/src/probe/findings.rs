//! What was seen, in words, and what to do about it.

use std::collections::BTreeSet;

use super::fetch::Answered;
use super::scripts::Way;
use super::survey::Survey;

/// One thing to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) about: &'static str,
    pub(super) found: String,
    pub(super) advice: String,
}

fn finding(about: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { about, found: found.into(), advice: advice.into() }
}

/// Everything there is to say, what stops the application first.
pub(super) fn of(survey: &Survey) -> Vec<Finding> {
    let mut findings = Vec::new();
    reached(survey, &mut findings);
    framing(survey, &mut findings);
    login(survey, &mut findings);
    addresses(survey, &mut findings);
    cookies(survey, &mut findings);
    ways(survey, &mut findings);
    frames(survey, &mut findings);
    headers(survey, &mut findings);
    texts(survey, &mut findings);
    bodies(survey, &mut findings);
    connection(survey, &mut findings);
    findings
}

/// A few of many, for a line.
fn some<'s>(all: impl IntoIterator<Item = &'s String>) -> String {
    let all: Vec<&str> = all.into_iter().map(String::as_str).collect();
    let shown = all.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(4) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

fn reached(survey: &Survey, findings: &mut Vec<Finding>) {
    let last = survey.answers.iter().find(|answer| answer.target == survey.start);
    let status = last.map_or_else(String::new, |answer| answer.status.to_string());
    let title = survey.title.as_deref().map_or_else(String::new, |title| format!(", \"{title}\""));
    findings.push(finding(
        "start",
        format!("{} answers {status}{title}", survey.start),
        format!("`start = \"{}\"` is where the launcher leads", survey.start),
    ));
    if !survey.upstream.is_secure() {
        findings.push(finding(
            "transport",
            "it speaks plain HTTP",
            "fine on the same machine or a closed network; elsewhere give it a certificate and write an `[[upstream]]` with `ca_file`",
        ));
    }
    for (target, why) in &survey.failed {
        findings.push(finding("trouble", format!("{target}: {why}"), "look whether it is so in a browser too"));
    }
}

fn framing(survey: &Survey, findings: &mut Vec<Finding>) {
    let doubtful =
        |answer: &&Answered| answer.header("transfer-encoding").is_some() && answer.header("content-length").is_some();
    if let Some(answer) = survey.answers.iter().find(doubtful) {
        findings.push(finding(
            "framing",
            format!("{} answers with Transfer-Encoding and Content-Length", answer.target),
            "the gateway answers 502 to that (two readings of one message): mend the application or what stands before it",
        ));
    }
}

fn login(survey: &Survey, findings: &mut Vec<Finding>) {
    let challenges: BTreeSet<String> = survey
        .answers
        .iter()
        .flat_map(|answer| answer.all("www-authenticate"))
        .filter_map(|value| value.split([' ', ',']).next())
        .map(str::to_ascii_lowercase)
        .collect();
    for scheme in &challenges {
        findings.push(match scheme.as_str() {
            "basic" | "digest" => finding(
                "login",
                format!("it asks for a password by itself ({scheme})"),
                "give the gateway an account of its own: `upstream_auth`, with `sekimorictl secret seal` for the password; its users never see the prompt",
            ),
            "ntlm" | "negotiate" => finding(
                "login",
                format!("it asks for Windows logon ({scheme}), which belongs to one connection"),
                "that does not pass a gateway that shares connections: switch it off in the application, and let it take the person from `Sekimori-Assertion` or `Remote-User`",
            ),
            _ => finding(
                "login",
                format!("it asks for {scheme} credentials"),
                "if its own pages send them, `allow_authorization = true`; if a program holds them, `upstream_auth`",
            ),
        });
    }
    if let Some(path) = &survey.logout {
        findings.push(finding(
            "logout",
            format!("it has a way out of its own: {path}"),
            "name it as `logout`, so that its session ends with the person's",
        ));
    }
}

fn addresses(survey: &Survey, findings: &mut Vec<Finding>) {
    if !survey.absolute.is_empty() {
        findings.push(finding(
            "absolute addresses",
            format!("it names itself: {}", some(&survey.absolute)),
            "in headers (Location, Link, Refresh) the gateway puts the new name; in pages and scripts it can't: set the application's own base address to its host here",
        ));
    }
    if !survey.foreign.is_empty() {
        findings.push(finding(
            "other hosts",
            format!("its pages refer to {}", some(&survey.foreign)),
            "browsers go there by themselves, not through the gateway; what must be protected needs an app of its own",
        ));
    }
}

fn cookies(survey: &Survey, findings: &mut Vec<Finding>) {
    let (mut sealed, mut domains) = (BTreeSet::new(), BTreeSet::new());
    for cookie in survey.answers.iter().flat_map(|answer| answer.all("set-cookie")) {
        let name = cookie.split('=').next().unwrap_or_default().trim().to_owned();
        let lower = cookie.to_ascii_lowercase();
        if lower.contains("domain=") {
            domains.insert(name.clone());
        }
        if !survey.script_cookies.contains(&name) {
            sealed.insert(name);
        }
    }
    if !sealed.is_empty() {
        findings.push(finding(
            "cookies",
            format!("it sets {}", some(&sealed)),
            "they reach the browser sealed and belong to the person's session; nothing to do",
        ));
    }
    if !survey.script_cookies.is_empty() {
        findings.push(finding(
            "cookies of scripts",
            format!("its scripts read or write {}", some(&survey.script_cookies)),
            "list them in `client_cookies`; they pass in the open, so no session of the application may hang on them",
        ));
    }
    if !domains.is_empty() {
        findings.push(finding(
            "cookies for several hosts",
            format!("{} carry a Domain", some(&domains)),
            "the Domain is taken away: each app has its own; a login shared between hosts by cookie won't work",
        ));
    }
}

fn ways(survey: &Survey, findings: &mut Vec<Finding>) {
    for (way, places) in &survey.ways {
        let places = some(places);
        findings.push(match way {
            Way::WebSocket => finding(
                "WebSocket",
                format!("opened in {places}"),
                "an action with GET must cover its path; pages of other origins need `websocket_origins`",
            ),
            Way::EventSource => finding(
                "event stream",
                format!("opened in {places}"),
                "an action with GET must cover its path; it closes when the session locks, and doesn't keep it awake",
            ),
            Way::ServiceWorker => finding(
                "service worker",
                format!("registered in {places}"),
                "refused unless `service_workers = true`: it would go on after the session, for whoever comes next",
            ),
            Way::Worker => finding("worker", format!("started in {places}"), "passes; nothing to do"),
            Way::Polling => finding(
                "timers",
                format!("set in {places}"),
                "what a page asks for by itself doesn't keep a session awake; give `human = true` to actions that only a person's hand causes",
            ),
            Way::Framed => finding(
                "frames",
                format!("{places} speak to the window around them"),
                "inside one app that works; frames across apps are two origins here as well",
            ),
            Way::Cookies | Way::Fetch => continue,
        });
    }
}

fn frames(survey: &Survey, findings: &mut Vec<Finding>) {
    if !survey.frames.is_empty() {
        findings.push(finding(
            "frames",
            format!("its pages frame {}", some(&survey.frames)),
            "its own pages work; those of other hosts must allow this host in their `frame-ancestors`",
        ));
    }
    let policies = || survey.answers.iter().flat_map(|answer| answer.all("content-security-policy"));
    let barred = survey.answers.iter().filter_map(|answer| answer.header("x-frame-options")).next().map(str::to_owned);
    let ancestors = policies().find_map(|policy| {
        policy.split(';').map(str::trim).find(|part| part.starts_with("frame-ancestors")).map(str::to_owned)
    });
    if let Some(rule) = barred.map(|value| format!("X-Frame-Options: {value}")).or(ancestors) {
        findings.push(finding(
            "framing by others",
            rule,
            "passes as it is; a portal page that should frame it must be named there",
        ));
    }
    let own = survey.upstream.to_string();
    if let Some(policy) = policies().find(|policy| policy.contains(&own) || policy.contains("http://")) {
        let shown: String = policy.chars().take(160).collect();
        findings.push(finding(
            "content security policy",
            format!("it names hosts: {shown}"),
            "put the app's host here in their place, with https:, or 'self'",
        ));
    }
}

fn headers(survey: &Survey, findings: &mut Vec<Finding>) {
    const REMOVED: [(&str, &str); 5] = [
        ("strict-transport-security", "the gateway says its own"),
        ("alt-svc", "it would lead browsers past the gateway"),
        ("clear-site-data", "let it through with `response_headers` if the application's logout needs it"),
        ("nel", "let it through with `response_headers` if you collect such reports"),
        ("service-worker-allowed", "goes with `service_workers`"),
    ];
    for (name, why) in REMOVED {
        if survey.answers.iter().any(|answer| answer.headers.contains_key(name)) {
            findings.push(finding("headers", format!("it sends {name}"), format!("removed: {why}")));
        }
    }
}

fn texts(survey: &Survey, findings: &mut Vec<Finding>) {
    let charsets: BTreeSet<String> = survey
        .answers
        .iter()
        .filter_map(|answer| {
            answer
                .header("content-type")?
                .to_ascii_lowercase()
                .split_once("charset=")
                .map(|(_, set)| set.trim_matches(['"', ' ']).to_owned())
        })
        .filter(|set| !matches!(set.as_str(), "utf-8" | "utf8" | "us-ascii"))
        .collect();
    if !charsets.is_empty() {
        findings.push(finding(
            "encoding",
            some(&charsets),
            "pages and forms pass byte for byte; only a patient in a form's field can't be read",
        ));
    }
    if has_opaque_paths(survey) {
        findings.push(finding("paths", "some are not UTF-8", "`path_encoding = \"opaque\"`"));
    }
    let parameters = path_parameters(survey);
    if !parameters.is_empty() {
        findings.push(finding(
            "paths",
            format!("they carry ;{}", some(&parameters)),
            "list them in `path_parameters`; others are refused",
        ));
    }
    if survey
        .paths
        .iter()
        .any(|path| path.get(1..).is_some_and(|rest| rest.split('?').next().unwrap_or_default().contains("//")))
    {
        findings.push(finding("paths", "some have an empty segment (//)", "refused as ambiguous: mend the links"));
    }
}

fn bodies(survey: &Survey, findings: &mut Vec<Finding>) {
    if survey.uploads {
        findings.push(finding(
            "uploads",
            "it has a form for files",
            "bodies of any size are streamed; give uploading an action of its own, for those who may",
        ));
    }
    let attached =
        |answer: &&Answered| answer.header("content-disposition").is_some_and(|value| !value.starts_with("inline"));
    if let Some(answer) = survey.answers.iter().find(attached) {
        findings.push(finding(
            "downloads",
            format!("{} is sent as a file", answer.target),
            "recorded as carried out, with its hash; `download = \"inline\"` or `\"deny\"` where that is not to be, `class = \"export\"` for actions that are for it",
        ));
    }
    if survey.paths.iter().any(|path| {
        ["patient", "karte", "study", "studies"].iter().any(|word| path.to_ascii_lowercase().contains(word))
    }) {
        findings.push(finding(
            "patients",
            "its addresses seem to name patients",
            "say where with `patient` on the action, so that the journal can tell who saw whose chart",
        ));
    }
}

fn connection(survey: &Survey, findings: &mut Vec<Finding>) {
    if survey.answers.iter().any(|answer| answer.version == http::Version::HTTP_10) {
        findings.push(finding("connection", "it answers with HTTP/1.0", "works, with a connection for each request"));
    }
    if let Some(seconds) = keep_alive(survey) {
        findings.push(finding(
            "connection",
            format!("it keeps an idle connection for {seconds} s"),
            "set `keep_alive` below that",
        ));
    }
}

/// The shortest time that it says it keeps idle connections, in seconds.
pub(super) fn keep_alive(survey: &Survey) -> Option<u64> {
    let timeouts = survey.answers.iter().flat_map(|answer| answer.all("keep-alive"));
    timeouts
        .filter_map(|value| value.split(',').find_map(|part| part.trim().strip_prefix("timeout=")?.parse().ok()))
        .min()
}

/// Bytes in its paths that are no UTF-8, or a backslash.
pub(super) fn has_opaque_paths(survey: &Survey) -> bool {
    survey.paths.iter().any(|path| {
        let path = path.split('?').next().unwrap_or_default();
        path.to_ascii_lowercase().contains("%5c") || std::str::from_utf8(&model::percent_decoded(path)).is_err()
    })
}

/// Names of `;name=value` in its paths.
pub(super) fn path_parameters(survey: &Survey) -> BTreeSet<String> {
    let paths = survey.paths.iter().map(|path| path.split('?').next().unwrap_or_default());
    let names = paths.flat_map(|path| path.split('/')).flat_map(|segment| segment.split(';').skip(1));
    names
        .filter_map(|parameter| parameter.split('=').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
