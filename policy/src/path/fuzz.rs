//! Fuzz target (`tests/fuzz`): whatever path is let through, no server reads another one out of it.

use super::*;
use crate::{Action, Policy, Routing, RuleSet};

const PARAMETER: &str = "jsessionid";

fn rules(path_encoding: PathEncoding) -> AppRules {
    let action = |name: &str, paths: &[&str]| Action {
        name: name.to_owned(),
        methods: vec!["GET".to_owned()],
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        ..Action::default()
    };
    AppRules {
        name: "chart".to_owned(),
        actions: vec![
            action("browse", &["/{*rest}"]),
            action("view", &["/patients/{id}", "/patients/{id}/{*rest}"]),
            action("admin", &["/admin", "/admin/{*rest}", "/patients/{id}/keys"]),
        ],
        path_parameters: vec![PARAMETER.to_owned()],
        path_encoding,
    }
}

/// Every escape replaced, once; what is none stays.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| text[at] == b'%').and_then(|d| std::str::from_utf8(d).ok());
        let byte = digits.filter(|d| !d.starts_with('+')).and_then(|d| u8::from_str_radix(d, 16).ok());
        out.push(byte.unwrap_or(text[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    out
}

/// The text with `\` as `/`, where it isn't half of a character of CP932.
fn unslashed(text: &[u8], encoding: PathEncoding) -> Vec<u8> {
    let leads = |b: &u8| encoding == PathEncoding::Opaque && matches!(*b, 0x81..=0x9f | 0xe0..=0xfc);
    let mut out: Vec<u8> = Vec::new();
    let mut second = false;
    for byte in text {
        out.push(if *byte == b'\\' && !second { b'/' } else { *byte });
        second = !second && leads(byte);
    }
    out
}

/// The segments as a server has them that first decodes, then folds `\` into `/`, takes parameters off, and leaves
/// empty and dot segments out.
fn normalised(raw: &str, encoding: PathEncoding) -> Vec<Vec<u8>> {
    let decoded = unslashed(&unescaped(raw.as_bytes()), encoding);
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in decoded.split(|b| *b == b'/') {
        match segment.split(|b| *b == b';').next().unwrap_or_default() {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            name => segments.push(name.to_vec()),
        }
    }
    segments
}

/// What an accepted path is, whoever reads it.
fn one_reading(path: &Path<'_>, encoding: PathEncoding) {
    let raw = path.raw;
    assert!(raw.starts_with('/') && raw.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\".contains(&b)));
    let parts: Vec<&str> = raw[1..].split('/').collect();
    assert_eq!(path.segments.len(), parts.len());
    for (at, (segment, part)) in path.segments.iter().zip(&parts).enumerate() {
        assert_eq!(part.split(';').next(), Some(*segment));
        assert!(part.split(';').skip(1).all(|p| p.split('=').next() == Some(PARAMETER)), "{part}");
        let (once, last) = (unescaped(part.as_bytes()), at + 1 == parts.len());
        assert_eq!(unescaped(&once), once, "decoded twice it is something else");
        assert!(!once.iter().any(|b| *b == b'/' || b.is_ascii_control()));
        assert!(encoding == PathEncoding::Opaque || (!once.contains(&b'\\') && std::str::from_utf8(&once).is_ok()));
        assert!(!segment.is_empty() || (last && part.is_empty()), "only a final slash makes an empty segment");
    }
    let own: Vec<Vec<u8>> = path.segments.iter().map(|s| unescaped(s.as_bytes())).collect();
    let cut = |segment: &[u8]| segment.split(|b| *b == b';').next().unwrap_or_default().to_vec();
    let named: Vec<Vec<u8>> = own.iter().map(|segment| cut(segment)).filter(|segment| !segment.is_empty()).collect();
    assert_eq!(normalised(raw, encoding), named);
    assert_eq!((0..path.segments.len()).map(|at| path.tail_at(at)).collect::<Vec<_>>(), tails(raw));
}

fn tails(raw: &str) -> Vec<&str> {
    raw.match_indices('/').map(|(at, _)| &raw[at + 1..]).collect()
}

/// Whose action is it to a server that decodes and doesn't mind case? The administrator's paths are his however
/// they are spelled.
fn is_admins(raw: &str, encoding: PathEncoding) -> bool {
    let folded: Vec<String> = normalised(raw, encoding)
        .iter()
        .map(|segment| String::from_utf8_lossy(segment).to_ascii_lowercase().trim_end_matches(['.', ' ']).to_owned())
        .collect();
    let names: Vec<&str> = folded.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    matches!(names.as_slice(), ["admin", ..] | ["patients", _, "keys"])
}

#[test]
fn atk_a02_no_server_reads_another_path_out_of_one_that_is_let_through() {
    let policies = [PathEncoding::Strict, PathEncoding::Opaque].map(|encoding| {
        let policy = Policy::compile(RuleSet { apps: vec![rules(encoding)], ..RuleSet::default() }).unwrap();
        (encoding, policy.app("chart").unwrap(), policy)
    });
    ::fuzz::run("path", |bytes| {
        let Ok(target) = std::str::from_utf8(bytes) else { return };
        for (encoding, app, policy) in &policies {
            let parsed = Path::parse(target, &rules(*encoding));
            assert_eq!(policy.check_path(*app, target), parsed.as_ref().map(drop).map_err(|fault| *fault));
            if let Ok(path) = &parsed {
                one_reading(path, *encoding);
            }
            match (policy.route(*app, "GET", target), parsed) {
                (Routing::NoPath, _) => {}
                (other, Err(fault)) => panic!("{other:?} for {fault}"),
                (Routing::MethodNotAllowed(_), Ok(_)) => {}
                (Routing::Action(routed), Ok(path)) => {
                    let admin = policy.action_name(routed.action) == "admin";
                    assert_eq!(admin, is_admins(path.raw, *encoding), "{routed:?}");
                    assert!(routed.params.iter().all(|(_, text)| path.raw.contains(text.as_str())));
                }
            }
        }
    });
}
