//! `app probe`: looks at a web application as it is, without the gateway, and says what it will need behind it.
//!
//! It asks for a few pages and scripts with GET and nothing else, follows no link that could change something,
//! and stops after a bounded number of requests. What it says are hints: an application shows some of its ways
//! only to somebody who has logged in.

mod fetch;
mod findings;
mod markup;
mod scripts;
mod skeleton;
mod survey;

use std::fs;
use std::io::Write as _;

use config::UpstreamAddress;
use serde_json::json;

use crate::arguments::AppCommand;
use crate::output::{Answer, Failure};
use fetch::Visitor;

/// Visits the application and reports.
pub(crate) async fn app(command: AppCommand) -> Result<Answer, Failure> {
    let AppCommand::Probe { url, name, host, ca, policy: file } = command;
    let (upstream, start) = address(&url)?;
    let name = name.unwrap_or_else(|| "app".to_owned());
    let host = host.unwrap_or_else(|| format!("{name}.hospital.example"));
    let mut visitor = Visitor::new(upstream.clone(), ca.as_deref())?;
    let survey = survey::survey(&mut visitor, &start).await?;
    let findings = findings::of(&survey);
    let policy = skeleton::of(&survey, &skeleton::Names { url: &url, name: &name, host: &host, ca: ca.as_deref() });
    let told: Vec<_> = findings
        .iter()
        .map(|finding| json!({ "about": finding.about, "found": finding.found, "advice": finding.advice }))
        .collect();
    let value = json!({ "asked": survey.asked(), "findings": told, "policy": policy });
    let last = match &file {
        Some(file) => {
            let written = fs::File::create_new(file).and_then(|mut file| file.write_all(policy.as_bytes()));
            written.map_err(|error| Failure::local(format!("{}: {error}", file.display())))?;
            vec![format!("The policy to begin with is in {}.", file.display())]
        }
        None => {
            let head = format!("# ---- policy/{name}.toml, to begin with ----");
            [head].into_iter().chain(policy.lines().map(str::to_owned)).collect()
        }
    };
    Ok(Answer::good(value).in_lines(lines(&survey, &findings, last)))
}

fn lines(survey: &survey::Survey, findings: &[findings::Finding], last: Vec<String>) -> Vec<String> {
    let mut lines =
        vec![format!("Asked for {} pages and scripts of {}.", survey.asked(), survey.upstream), String::new()];
    for finding in findings {
        lines.push(format!("{}: {}", finding.about, finding.found));
        lines.push(format!("  -> {}", finding.advice));
    }
    lines.push(String::new());
    lines.extend(last);
    lines
}

/// The upstream of an address, and the path to begin at.
fn address(url: &str) -> Result<(UpstreamAddress, String), Failure> {
    let wrong = |why: String| Failure::local(why);
    let after = url.find("://").map_or(0, |at| at.saturating_add(3));
    let end = url.get(after..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(url.len(), |at| after + at);
    let (origin, rest) = url.split_at_checked(end).unwrap_or((url, ""));
    let upstream = UpstreamAddress::parse(origin).map_err(wrong)?;
    let path = rest.split('#').next().unwrap_or_default();
    Ok((upstream, if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_upstream_and_where_to_begin() {
        let parsed = |url| address(url).map(|(upstream, path)| (upstream.to_string(), path)).ok();
        assert_eq!(parsed("http://10.0.0.5:8042"), Some(("http://10.0.0.5:8042".into(), "/".into())));
        assert_eq!(
            parsed("https://chart.internal/app/x.html?a=b#c"),
            Some(("https://chart.internal".into(), "/app/x.html?a=b".into()))
        );
        assert_eq!(parsed("http://a.b?x"), Some(("http://a.b".into(), "/?x".into())));
        for bad in ["chart.internal", "ftp://a.b/", "http://u@a.b/", ""] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
