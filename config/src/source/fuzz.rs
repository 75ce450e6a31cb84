//! Fuzz target (`tests/fuzz`): any bytes are a configuration, or problems whose places are in the files.

use std::collections::BTreeSet;

use super::*;
use crate::demo;

/// Parts the main file from a policy file in one input. With nothing before it the main file is the demo's; without
/// it the policy is this.
const CUT: &[u8] = b"#---\n";
const RULES: &str = r#"
[[app]]
name = "chart"
title = { ja = "カルテ", en = "Chart" }
host = "chart.sekimori.localhost"
upstream = "http://127.0.0.1:9101"
action = [{ name = "view", methods = ["GET"], paths = ["/"] }]
[[role]]
name = "nurse"
title = { ja = "看護師", en = "Nurse" }
permit = [{ app = "chart", actions = ["view"], condition = "in-house" }]
[[condition]]
name = "in-house"
zones = ["ward"]
"#;

fn text(file: &str, name: &str, bytes: &[u8]) -> Text {
    Text { file: Arc::from(file), name: name.to_owned(), bytes: bytes.to_vec() }
}

fn source(input: &[u8]) -> Source {
    let cut = input.windows(CUT.len()).position(|part| part == CUT);
    let (main, rules) = cut.map_or((input, None), |at| (&input[..at], Some(&input[at + CUT.len()..])));
    let main = if main.is_empty() { demo::MAIN.as_bytes() } else { main };
    let policy = vec![text("policy/rules.toml", "rules.toml", rules.unwrap_or(RULES.as_bytes()))];
    Source { folder: PathBuf::from("/srv"), main: text(MAIN, MAIN, main), policy, unreadable: Vec::new() }
}

/// Each problem stands where somebody can look at it, on one line that can be printed.
fn placed(report: &Report, source: &Source) {
    assert!(!report.problems.is_empty() && report.problems.is_sorted());
    for problem in &report.problems {
        let files = || std::iter::once(&source.main).chain(&source.policy);
        let file = files().find(|file| file.file == problem.file).unwrap_or_else(|| panic!("{problem}"));
        let text = String::from_utf8_lossy(&file.bytes);
        let line = text.split('\n').nth(problem.line.checked_sub(1).unwrap()).unwrap_or_else(|| panic!("{problem}"));
        assert!((1..=line.chars().count() + 1).contains(&problem.column), "{problem}");
        assert!(!problem.message.is_empty() && !problem.message.contains(char::is_control), "{:?}", problem.message);
    }
}

/// What is taken hangs together.
fn whole(snapshot: &Snapshot, source: &Source) {
    let settings = &snapshot.settings;
    let domain = format!(".{}", settings.site.domain);
    let hosts: BTreeSet<&str> = snapshot.apps.iter().map(|app| &*app.host).collect();
    assert_eq!(hosts.len(), snapshot.apps.len(), "two apps on one host");
    assert!(!hosts.contains(&*settings.portal.host));
    assert!(hosts.iter().chain([&&*settings.portal.host]).all(|host| host.ends_with(&domain)));
    for app in &snapshot.apps {
        assert_eq!(snapshot.app_by_host(&app.host).map(|found| found.id), Some(app.id));
        assert!(!app.upstream.members.is_empty());
        assert!(snapshot.policy.app_rules(app.id).is_some());
    }
    for (at, zone) in settings.zones.iter().enumerate() {
        for other in settings.zones.iter().skip(at + 1) {
            assert!(zone.name != other.name);
            assert!(!zone.networks.iter().any(|a| other.networks.iter().any(|b| a.overlaps(b))));
        }
    }
    assert!(settings.session.lock_after < settings.session.absolute);
    // One key more, and it is none; told where it stands.
    let mut more = source.clone();
    more.main.bytes.extend(b"\nnobody_knows = 1\n");
    let line = source.main.bytes.iter().filter(|b| **b == b'\n').count() + 2;
    let report = more.parse().unwrap_err();
    assert!(report.problems.iter().any(|p| (p.line, p.column) == (line, 1) && &*p.file == MAIN), "{line}\n{report}");
}

#[test]
fn any_bytes_are_a_configuration_or_problems_with_their_places() {
    ::fuzz::run("toml", |input| {
        let source = source(input);
        let parsed = source.parse();
        if input.len() % 16 == 0 {
            let (first, again) = (parsed.as_ref().map(|s| &s.settings), source.parse().map(|s| s.settings));
            assert_eq!(first, again.as_ref(), "it depends on nothing else");
        }
        match parsed {
            Ok(snapshot) => whole(&snapshot, &source),
            Err(report) => placed(&report, &source),
        }
    });
}
