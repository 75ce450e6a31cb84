//! What holds over the whole workspace: which row a crate stands in, and what may be in the tree.
//!
//! The rows are the picture of ARCHITECTURE.md as data. End-to-end suites live beside this crate in
//! `tests/e2e` and drive the real binaries.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand};

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
    ("sekimori-proxy", 5),
    ("sekimori-portal", 5),
    ("sekimori-demo", 5),
    ("sekimori-gateway", 6),
    ("sekimori-admin-cli", 6),
    ("sekimori-tests", 7),
];

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
        let Some(row) = rows.get(package.name.as_str()) else {
            wrong.push(format!("{} has no row", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let lower = rows.get(dependency.name.as_str()).is_none_or(|below| below < row);
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
