use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Key to the variables its message uses, as the files have them.
fn entries(language: Language) -> BTreeMap<String, BTreeSet<String>> {
    let mut entries: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in Locales::iter().filter(|file| file.starts_with(language.tag())) {
        let data = Locales::get(&file).unwrap().data;
        let mut key = None;
        for line in std::str::from_utf8(&data).unwrap().lines() {
            if line.starts_with(|c: char| c.is_ascii_lowercase()) {
                key = line.split_once(" =").map(|(key, _)| key.to_owned());
            }
            let Some(key) = key.as_ref().filter(|_| !line.starts_with('#')) else { continue };
            let variables = entries.entry(key.clone()).or_default();
            for rest in line.split('$').skip(1) {
                variables.insert(rest.chars().take_while(char::is_ascii_alphanumeric).collect());
            }
        }
    }
    entries
}

/// All quoted words of the crate's sources and templates, tests left out.
fn quoted() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut words = BTreeSet::new();
    for file in [root.join("src"), root.join("templates")].iter().flat_map(|folder| files(folder)) {
        if file.file_name().is_some_and(|name| name == "tests.rs" || name == "samples.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        words.extend(text.split('"').map(str::to_owned));
    }
    words
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn both_languages_have_the_same_keys_and_variables() {
    let [japanese, english] = Language::ALL.map(entries);
    assert!(japanese.len() > 100, "the files were read: {}", japanese.len());
    assert_eq!(japanese, english);
}

#[test]
fn no_key_is_unused() {
    let quoted = quoted();
    let unused: Vec<_> = entries(Language::Japanese).into_keys().filter(|key| !quoted.contains(key)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn every_key_that_is_asked_for_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = entries(Language::Japanese);
    let mut asked = 0;
    for file in [root.join("src"), root.join("templates")].iter().flat_map(|folder| files(folder)) {
        let text = fs::read_to_string(&file).unwrap();
        for call in [".say(\"", ".with(\"", ".one(\"", ".count(\""] {
            for rest in text.split(call).skip(1) {
                let key = rest.split('"').next().unwrap();
                asked += 1;
                assert!(entries.contains_key(key) || file.ends_with("tests.rs"), "{key} in {}", file.display());
            }
        }
    }
    assert!(asked > 50);
}

#[test]
fn a_missing_key_or_variable_shows_itself() {
    let tongue = Messages::load().unwrap().tongue(Language::English);
    assert_eq!(tongue.say("no-such-key"), "⟨no-such-key⟩");
    assert_eq!(tongue.say("cli-until"), "⟨cli-until⟩");
    assert_eq!(tongue.one("cli-until", "until", "14:15"), "It works once, until 14:15.");
    assert_eq!(tongue.count("sessions-count", 1), "1 session");
    assert_eq!(tongue.count("sessions-count", 2), "2 sessions");
}

#[test]
fn the_language_follows_the_browsers_wish_and_else_is_japanese() {
    for (header, language) in [
        ("", Language::Japanese),
        ("en", Language::English),
        ("en-GB,en;q=0.9,ja;q=0.8", Language::English),
        ("ja,en-US;q=0.9,en;q=0.8", Language::Japanese),
        ("fr, de;q=0.9", Language::Japanese),
        ("fr, en;q=0.3", Language::English),
        ("en;q=0", Language::Japanese),
        ("en;q=NaN, ja;q=-1", Language::Japanese),
        ("*;q=0.5", Language::Japanese),
    ] {
        assert_eq!(Language::accepted(header), language, "{header:?}");
    }
}
