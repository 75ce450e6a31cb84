//! The shape of the workspace: rows, bans, the commissioned packages, lints.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use sekimori_tests::{cited_codes, compiled, metadata, wrong_edges};

fn root(path: &str) -> io::Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path))
}

#[test]
fn a_crate_uses_only_lower_rows() {
    assert_eq!(wrong_edges(&metadata().unwrap()), Vec::<String>::new());
}

#[test]
fn no_banned_crate_is_in_the_tree() {
    let deny: toml::Table = root("deny.toml").unwrap().parse().unwrap();
    let tree = compiled().unwrap();
    let bans = deny["bans"]["deny"].as_array().unwrap();
    assert!(bans.len() >= 5, "the list of bans is read");
    assert!(tree.contains("aws-lc-rs"), "the tree is read");
    for ban in bans {
        let name = ban["crate"].as_str().unwrap();
        assert!(!tree.contains(name), "{name} is compiled in: {:?}", ban["reason"]);
    }
}

#[test]
fn the_commissioned_packages_are_compiled_in() {
    let tree = compiled().unwrap();
    for name in ["tokio", "hyper", "rustls", "jsonwebtoken", "webauthn-rs", "casbin", "governor"] {
        assert!(tree.contains(name), "{name}");
    }
}

#[test]
fn every_member_takes_lints_version_and_licence_from_the_workspace() {
    let metadata = metadata().unwrap();
    for package in metadata.workspace_packages() {
        let manifest: toml::Table = fs::read_to_string(&package.manifest_path).unwrap().parse().unwrap();
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{}", package.name);
        assert_eq!(package.license.as_deref(), Some("Apache-2.0"), "{}", package.name);
        for table in ["dependencies", "dev-dependencies"] {
            let Some(table) = manifest.get(table).and_then(|t| t.as_table()) else {
                continue;
            };
            for (name, dependency) in table {
                assert_eq!(
                    dependency.get("workspace").and_then(|w| w.as_bool()),
                    Some(true),
                    "{}: {name} is declared once, in the workspace",
                    package.name
                );
            }
        }
    }
}

#[test]
fn every_code_that_a_comment_cites_is_explained() {
    let page = root("docs/rules.md").unwrap();
    let explained: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()).collect();
    assert!(explained.contains("C-08") && explained.contains("A40"), "the page is read");
    let cited = cited_codes().unwrap();
    assert!(cited.len() > 60, "the sources are read");
    let missing: Vec<&String> = cited.iter().filter(|code| !explained.contains(code.as_str())).collect();
    assert_eq!(missing, Vec::<&String>::new(), "docs/rules.md has no row for these");
}
