use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::load_texts;

/// Set to rewrite the files from the option table instead of comparing them with it.
const REWRITE: &str = "SEKIMORI_WRITE_REFERENCE";

fn agrees(file: &str, written: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, written).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == written, "{file} is not what the option table says: run the tests with {REWRITE}=1");
}

#[test]
fn the_reference_page_is_what_the_option_table_says() {
    agrees("../docs/configuration.md", &reference_page());
}

#[test]
fn the_sample_file_is_what_the_option_table_says() {
    agrees("examples/sekimori.toml", &sample_file());
}

const POLICY: &str = r#"
[[role]]
name = "nurse"
title = { ja = "看護師", en = "Nurse" }
permit = [{ app = "sekimori", actions = ["audit"] }]
"#;

#[test]
fn the_sample_is_a_valid_configuration() {
    let snapshot = load_texts(Path::new("/etc/sekimori"), &sample_file(), &[("roles.toml", POLICY)]);
    let settings = snapshot.unwrap_or_else(|report| panic!("{report}")).settings;
    assert_eq!(&*settings.portal.host, "auth.hospital.example");
    assert_eq!(settings.server.https.port(), 443);
}

#[test]
fn the_sample_with_every_option_uncommented_is_a_valid_configuration_with_the_same_defaults() {
    let uncommented: String = sample_file()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if !option.starts_with(' ') => format!("{option}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let policy = [("roles.toml", POLICY)];
    let folder = Path::new("/etc/sekimori");
    let full = load_texts(folder, &uncommented, &policy).unwrap_or_else(|report| panic!("{report}\n{uncommented}"));
    let bare = load_texts(folder, &sample_file(), &policy).unwrap();
    assert_eq!(full.settings.session, bare.settings.session);
    assert_eq!(full.settings.limits, bare.settings.limits);
    assert_eq!(full.settings.login, bare.settings.login);
    assert_eq!(full.settings.hr.columns, bare.settings.hr.columns);
    assert_eq!(full.settings.tls.certificates.len(), 1);
    assert!(bare.settings.tls.certificates.is_empty());
}

#[test]
fn every_option_says_what_it_is() {
    fn look(spec: &TableSpec, path: &str) {
        for option in &spec.options {
            let name = join(path, option.name);
            assert!(prose(option.doc).ends_with('.'), "{name}");
            match &option.form {
                Form::Value(words) => assert!(!words.is_empty() && !option.example.is_empty(), "{name}"),
                Form::Table(inner) | Form::Tables(inner) => look(inner, &name),
            }
        }
    }
    look(&Draft::spec(), "");
    look(&RulesFile::spec(), "");
}
