//! The list of passwords that everybody tries first. Made by `blocklist/generate.py`, from patterns and
//! words of our own; nothing was copied from a leaked or licensed list.

use std::collections::HashSet;

const LIST: &str = include_str!("../../blocklist/passwords.txt");

/// Well-known passwords, in small letters and without decoration.
#[derive(Debug)]
pub(super) struct Blocklist(HashSet<&'static str>);

impl Blocklist {
    pub(super) fn embedded() -> Self {
        Self(LIST.lines().filter(|line| !line.is_empty()).collect())
    }

    /// Is `password` (normalised) on the list: as it is, without what people put around it, with
    /// letters for the digits that stand for them, or as one of its words said several times?
    pub(super) fn knows(&self, password: &str) -> bool {
        let small: String = password.chars().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()).collect();
        let bare = small.trim_matches(|c: char| !c.is_alphanumeric());
        let joined: String = small.chars().filter(|c| c.is_alphanumeric()).collect();
        let plain = unleet(&joined);
        let stem = joined.trim_end_matches(|c: char| c.is_ascii_digit());
        let forms = [small.as_str(), bare, &joined, &plain, repeated(&joined)];
        forms.iter().any(|form| self.0.contains(form)) || (stem.len() >= 8 && self.0.contains(stem))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// `p4ssw0rd` as `password`.
fn unleet(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '0' => 'o',
            '1' => 'i',
            '3' => 'e',
            '4' => 'a',
            '5' => 's',
            '7' => 't',
            other => other,
        })
        .collect()
}

/// The shortest part that, repeated, makes the whole: `abcabcabc` is `abc`.
fn repeated(text: &str) -> &str {
    let ends = text.char_indices().map(|(at, _)| at).skip(1);
    ends.filter(|end| text.len().is_multiple_of(*end))
        .filter_map(|end| text.get(..end))
        .find(|part| part.repeat(text.len() / part.len()) == text)
        .unwrap_or(text)
}
