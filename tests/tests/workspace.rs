//! The shape of the workspace: rows, bans, the commissioned packages, lints.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use sekimori_tests::rows::{Page, tested_codes};
use sekimori_tests::{cited_codes, compiled, fuzz_targets, metadata, wrong_edges};

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

/// A folder of tests that nobody runs proves nothing.
#[test]
fn the_test_command_runs_every_folder_of_python_tests() {
    let (command, mut folders) = (root("tests/run").unwrap(), 0);
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let folder = entry.unwrap().path();
        let is_test = |name: &str| name.starts_with("test_") && name.ends_with(".py");
        let holds_tests = fs::read_dir(&folder)
            .is_ok_and(|mut files| files.any(|file| file.unwrap().file_name().to_str().is_some_and(is_test)));
        if holds_tests {
            folders += 1;
            let name = folder.file_name().unwrap().to_str().unwrap();
            let runs =
                |line: &str| line.trim().starts_with("counted ") && line.contains(&format!("pytest tests/{name} "));
            assert!(command.lines().any(runs), "tests/run does not run tests/{name}");
        }
    }
    assert!(folders >= 2, "the folders are read");
}

/// Inputs that no target tries are kept for nothing.
#[test]
fn every_kept_corpus_belongs_to_a_fuzz_target_that_the_test_command_runs() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let targets = fuzz_targets().unwrap();
    let kept: BTreeSet<String> =
        fs::read_dir(corpora).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(kept.difference(&targets).cloned().collect::<Vec<_>>(), ["example"], "the example is the engine's own");
    assert_eq!(targets.difference(&kept).next(), None);
    let guided = root("tests/fuzz/guided").unwrap();
    let built = |name: &String| {
        guided.contains(name.as_str()) || guided.contains(&format!("{}-*", name.split('-').next().unwrap()))
    };
    assert!(targets.len() > 10 && targets.iter().all(built), "{targets:?}");
    assert!(
        root("tests/run")
            .unwrap()
            .lines()
            .any(|line| line.starts_with("SEKIMORI_FUZZ_SECONDS=") && line.ends_with("fuzz::"))
    );
}

#[test]
fn every_code_that_a_comment_or_a_test_cites_is_explained() {
    let explained = Page::read().unwrap().explained;
    assert!(explained.contains("C-08") && explained.contains("A40"), "the page is read");
    for (cited, least) in [(cited_codes().unwrap(), 60), (tested_codes().unwrap(), 100)] {
        assert!(cited.len() > least, "the sources are read");
        assert_eq!(
            cited.difference(&explained).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "docs/rules.md lacks these"
        );
    }
}

/// The protocol's rows and the attacks: each has a test of its name, or the page says what it waits for.
#[test]
fn every_row_has_a_test_of_its_name_or_the_page_says_what_it_waits_for() {
    let (page, tested) = (Page::read().unwrap(), tested_codes().unwrap());
    let mut rows = BTreeSet::new();
    for (series, last) in [("H-", 38), ("A", 54)] {
        let numbers = page.numbers(series);
        assert_eq!(numbers, (1..=last).collect(), "no row of {series} has fallen off the page");
        rows.extend(page.explained.iter().filter(|code| code.strip_prefix(series).is_some_and(is_number)).cloned());
    }
    assert_eq!(page.waiting.difference(&rows).next(), None, "what waits is one of these rows");
    let untested: BTreeSet<&String> = rows.difference(&tested).collect();
    assert_eq!(
        untested,
        page.waiting.iter().collect(),
        "on the left what no test carries, on the right what the page says"
    );
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
