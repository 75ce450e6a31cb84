//! What holds over the whole workspace: which row a crate stands in, and what may be in the tree.
//!
//! The rows are the picture of ARCHITECTURE.md as data. End-to-end suites live beside this crate in
//! `tests/e2e` and drive the real binaries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

pub mod rows;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");

/// The row of each crate, lowest first. A crate uses only lower rows.
pub const ROWS: &[(&str, u8)] = &[
    ("sekimori-policy", 0),
    ("sekimori-model", 1),
    ("sekimori-audit", 2),
    ("sekimori-config", 2),
    ("sekimori-store", 3),
    ("sekimori-identity", 4),
    ("sekimori-directory", 4),
    ("sekimori-access", 4),
    ("sekimori-acme", 4),
    ("sekimori-proxy", 5),
    ("sekimori-portal", 5),
    ("sekimori-demo", 5),
    ("sekimori-gateway", 6),
    ("sekimori-admin-cli", 6),
    ("sekimori-tests", 7),
];

/// What tests of any row share. It uses none of our crates, and none uses it outside its tests.
const FOR_TESTS: &str = "sekimori-fuzz";

/// The workspace as cargo sees it, with every resolved dependency.
///
/// # Errors
/// What cargo says when it can't resolve.
pub fn metadata() -> Result<Metadata, cargo_metadata::Error> {
    MetadataCommand::new()
        .manifest_path(MANIFEST)
        .other_options(["--filter-platform".to_owned(), "x86_64-unknown-linux-gnu".to_owned()])
        .exec()
}

/// Every edge between our crates that doesn't lead to a lower row, and every crate without a row.
pub fn wrong_edges(metadata: &Metadata) -> Vec<String> {
    let rows: BTreeMap<&str, u8> = ROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let row = match (rows.get(package.name.as_str()), package.name.as_str()) {
            (Some(row), _) => *row,
            (None, FOR_TESTS) => 0,
            (None, name) => {
                wrong.push(format!("{name} has no row"));
                continue;
            }
        };
        for dependency in &package.dependencies {
            let lower = match dependency.name.as_str() {
                FOR_TESTS => dependency.kind == DependencyKind::Development,
                name => rows.get(name).is_none_or(|below| *below < row),
            };
            if !lower {
                wrong.push(format!("{} uses {}", package.name, dependency.name));
            }
        }
    }
    wrong
}

/// Names of all packages that are compiled into our binaries on Linux (normal and build edges), as
/// `cargo tree` resolves their features; `cargo metadata` also lists optional edges nobody turned on.
///
/// # Errors
/// When cargo doesn't start or refuses.
pub fn compiled() -> io::Result<BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--edges", "normal,build", "--prefix", "none"])
        .args(["--target", "x86_64-unknown-linux-gnu", "--format", "{p}"])
        .arg("--manifest-path")
        .arg(MANIFEST)
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let tree = String::from_utf8_lossy(&output.stdout);
    Ok(tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// The codes (`C-08`, `A40`) that comments and docs of our Rust sources cite.
///
/// # Errors
/// When a source can't be read.
pub fn cited_codes() -> io::Result<BTreeSet<String>> {
    let mut codes = BTreeSet::new();
    for path in sources("rs")? {
        codes.extend(fs::read_to_string(path)?.lines().filter_map(comment).flat_map(codes_in));
    }
    Ok(codes)
}

/// The names of the fuzz targets: what the files `fuzz.rs` hand to `fuzz::run`.
///
/// # Errors
/// When a source can't be read.
pub fn fuzz_targets() -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for path in sources("rs")?.iter().filter(|path| path.ends_with("fuzz.rs")) {
        let text = fs::read_to_string(path)?;
        let calls = text.split("::fuzz::run").skip(1);
        names.extend(calls.filter_map(|call| call.split('"').nth(1)).map(str::to_owned));
    }
    Ok(names)
}

/// Every source of ours whose name ends so.
fn sources(ending: &str) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![Path::new(MANIFEST).with_file_name("")]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if path.is_dir() && !hidden && !path.ends_with("target") && !path.ends_with("var") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn comment(line: &str) -> Option<&str> {
    line.split_once("//").map(|(_, comment)| comment)
}

/// Words such as `S-01`, `H-37`, `A13-9`, `D-7.2.4`, `A40`: a letter of the catalogue and numbers.
fn codes_in(comment: &str) -> Vec<String> {
    comment
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.')))
        .map(|word| word.trim_end_matches(['.', '-']))
        .filter(|word| is_code(word))
        .map(str::to_owned)
        .collect()
}

fn is_code(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
    let numbers = |text: &str| text.split('.').all(digits);
    let Some(rest) = word.strip_prefix(['S', 'C', 'H', 'X', 'G', 'F', 'D']) else {
        let Some(rest) = word.strip_prefix('A') else { return false };
        return match rest.split_once('-') {
            Some((chapter, number)) => digits(chapter.trim_end_matches('N')) && digits(number),
            None => digits(rest),
        };
    };
    rest.strip_prefix('-').is_some_and(numbers)
}
