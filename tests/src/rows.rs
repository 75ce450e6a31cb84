//! The rows of docs/rules.md and the tests that carry them in their names: `req_h13_to_h16_and_atk_a08_…`.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use crate::{MANIFEST, sources};

/// What docs/rules.md says.
#[derive(Debug, Default)]
pub struct Page {
    /// Every code that has a row.
    pub explained: BTreeSet<String>,
    /// The codes that have no test yet, each with what it waits for.
    pub waiting: BTreeSet<String>,
}

const WAITING: &str = "## Rows without a test";

impl Page {
    /// Reads the page.
    ///
    /// # Errors
    /// When it isn't there.
    pub fn read() -> io::Result<Self> {
        let text = fs::read_to_string(Path::new(MANIFEST).with_file_name("docs/rules.md"))?;
        let (mut page, mut waits) = (Self::default(), false);
        for line in text.lines() {
            if line.starts_with("## ") {
                waits = line == WAITING;
            }
            let Some(code) = line.strip_prefix("| ").and_then(|rest| rest.split(" |").next()) else { continue };
            let rows = if waits { &mut page.waiting } else { &mut page.explained };
            rows.insert(code.to_owned());
        }
        page.waiting.remove("code");
        Ok(page)
    }

    /// The numbers of a series: `H-` (of the protocol) or `A` (attacks).
    pub fn numbers(&self, series: &str) -> BTreeSet<u8> {
        self.explained.iter().filter_map(|code| code.strip_prefix(series)?.parse().ok()).collect()
    }
}

/// The codes that tests in Rust and Python carry in their names. A function so named that is no test is
/// unused code, which clippy doesn't let pass; in Python only files that `tests/run` hands to pytest count.
///
/// # Errors
/// When a source can't be read.
pub fn tested_codes() -> io::Result<BTreeSet<String>> {
    let mut codes = BTreeSet::new();
    for path in sources("rs")? {
        let text = fs::read_to_string(path)?;
        codes.extend(names(&text, "fn ").flat_map(carried));
    }
    for path in sources("py")? {
        let collected = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"test_"));
        let text = fs::read_to_string(path)?;
        let tests = names(&text, "def test_").filter(|_| collected);
        codes.extend(tests.flat_map(carried));
    }
    Ok(codes)
}

/// What stands behind a keyword at the beginning of a line.
fn names<'a>(text: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a str> {
    let begun = move |line: &'a str| {
        let line = line.trim_start();
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix(keyword)?;
        name.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next()
    };
    text.lines().filter_map(begun)
}

/// The codes at the beginning of a test's name: `req_h13_to_h16_and_atk_a08_no_spelling` carries five.
fn carried(name: &str) -> Vec<String> {
    let (mut codes, mut attack, mut through) = (Vec::new(), false, None);
    let mut words = name.split('_').peekable();
    if !matches!(words.peek(), Some(&"req" | &"atk")) {
        return codes;
    }
    while let Some(word) = words.next() {
        match word {
            "req" | "atk" => attack = word == "atk",
            "and" => {}
            "to" => through = codes.last().cloned(),
            _ => {
                let Some((letter, number)) = lettered(word) else { break };
                let part = words.next_if(|part| letter == 'a' && !attack && is_number(part));
                codes.extend(between(through.take(), letter, number));
                codes.push(code(attack, letter, number, part));
            }
        }
    }
    codes
}

/// The rows after the one before `to`, up to the one after it.
fn between(first: Option<String>, letter: char, last: &str) -> impl Iterator<Item = String> + use<> {
    let number = |text: &str| text.parse::<u8>().ok();
    let first = first.and_then(|code| number(code.rsplit('-').next()?)).map(|first| first + 1);
    let rows = first.zip(number(last)).map(|(first, last)| first..last).unwrap_or_default();
    rows.map(move |row| format!("{}-{row:02}", letter.to_ascii_uppercase()))
}

/// `h12` or `a13n`: a letter of the catalogue and what follows it.
fn lettered(word: &str) -> Option<(char, &str)> {
    let mut rest = word.chars();
    let letter = rest.next().filter(char::is_ascii_lowercase)?;
    is_number(rest.as_str().trim_end_matches('n')).then_some((letter, rest.as_str()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The code as the page writes it: `A7`, `A13N-2`, `D-6.3.5`, `H-12`.
fn code(attack: bool, letter: char, number: &str, part: Option<&str>) -> String {
    let upper = letter.to_ascii_uppercase();
    match (letter, part) {
        ('a', Some(part)) => format!("A{}-{part}", number.to_ascii_uppercase()),
        ('a', None) if attack => format!("A{}", number.trim_start_matches('0')),
        ('d', _) if number.len() > 2 => {
            let digits: Vec<String> = number.chars().map(String::from).collect();
            format!("D-{}", digits.join("."))
        }
        _ => format!("{upper}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_carries_the_codes_that_it_begins_with() {
        for (name, codes) in [
            ("atk_a07_a_path", vec!["A7"]),
            ("atk_a45_a46_no_other_origin", vec!["A45", "A46"]),
            ("req_h13_to_h16_and_atk_a08_no", vec!["H-13", "H-14", "H-15", "H-16", "A8"]),
            ("req_h27_and_h37_a_certificate", vec!["H-27", "H-37"]),
            ("req_a13n_2_an_open_host", vec!["A13N-2"]),
            ("req_a5_1_every_event", vec!["A5-1"]),
            ("req_d635_a_login", vec!["D-6.3.5"]),
            ("req_d16_a_line", vec!["D-16"]),
            ("req_h20_204_has_no_body", vec!["H-20"]),
            ("a_name_without_codes_of_a12", vec![]),
        ] {
            assert_eq!(carried(name), codes, "{name}");
        }
    }
}
