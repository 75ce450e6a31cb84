//! Passwords: what one must be like (C-11 … C-19, X-01) and how it is kept (C-21).

mod blocklist;
mod hash;
mod romaji;

use model::Person;
use unicode_normalization::UnicodeNormalization as _;
use zxcvbn::Score;

pub use hash::PasswordPool;
pub(crate) use hash::{HashError, Hasher, Turn};

use blocklist::Blocklist;

/// Longest accepted, in bytes as typed; before anything else looks at it.
const LONGEST_BYTES: usize = 1_024;
/// Longest accepted, in code points after normalisation (C-12).
const LONGEST: usize = 128;
/// What is left of a password without the words about its owner must be this long.
const OWN_PART: usize = 8;
/// zxcvbn looks at this many inputs about the person.
const CONTEXT_WORDS: usize = 64;

/// Which rules a new password must meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// MHLW guideline 7.0: at least 13 characters with letters and digits, and the blocklist. The one
    /// composition rule departs from SP 800-63B-4 3.1.1.2(5), for domestic audits.
    Mhlw7,
    /// NIST SP 800-63B-4: at least 15 characters and the blocklist.
    Nist,
}

impl Profile {
    /// The fewest code points.
    pub const fn shortest(self) -> usize {
        match self {
            Self::Mhlw7 => 13,
            Self::Nist => 15,
        }
    }
}

/// Why a new password is not taken, for the person who chose it (C-19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Fewer characters than the profile wants.
    #[error("a password has at least {at_least} characters")]
    TooShort {
        /// How many it wants.
        at_least: usize,
    },
    /// More than 128 characters.
    #[error("a password has at most 128 characters")]
    TooLong,
    /// A control character.
    #[error("a password has no control characters")]
    Unprintable,
    /// No letter or no digit, where the profile wants both.
    #[error("a password has letters and digits")]
    NotMixed,
    /// On the list of well-known passwords.
    #[error("this password is widely known")]
    Known,
    /// Mostly made of the person's or the hospital's own names and numbers.
    #[error("this password is made of names or numbers about you or this hospital")]
    Personal,
    /// Easily guessed: repetition, keyboard runs, dates, common words.
    #[error("this password is easily guessed")]
    Guessable,
}

/// The rules for new passwords.
#[derive(Debug)]
pub struct Passwords {
    blocklist: Blocklist,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    /// With the embedded list.
    pub fn new() -> Self {
        Self { blocklist: Blocklist::embedded() }
    }

    /// May `password` be chosen by `person`, at a hospital with these words about it?
    ///
    /// # Errors
    /// [`Problem`]: the first rule it breaks.
    pub fn judge(
        &self,
        password: &str,
        profile: Profile,
        person: &Person,
        birth_date: Option<(i32, u8, u8)>,
        hospital_words: &[String],
    ) -> Result<(), Problem> {
        let normal = normalise(password).ok_or(Problem::TooLong)?;
        let length = normal.chars().count();
        if length < profile.shortest() {
            return Err(Problem::TooShort { at_least: profile.shortest() });
        }
        if length > LONGEST {
            return Err(Problem::TooLong);
        }
        if normal.chars().any(char::is_control) {
            return Err(Problem::Unprintable);
        }
        let mixed = normal.chars().any(char::is_alphabetic) && normal.chars().any(char::is_numeric);
        if profile == Profile::Mhlw7 && !mixed {
            return Err(Problem::NotMixed);
        }
        if self.blocklist.knows(&normal) {
            return Err(Problem::Known);
        }
        let context = context(person, birth_date, hospital_words);
        if own_part(&normal, &context) < OWN_PART {
            return Err(Problem::Personal);
        }
        let inputs: Vec<&str> = context.iter().map(String::as_str).take(CONTEXT_WORDS).collect();
        if zxcvbn::zxcvbn(&normal, &inputs).score() < Score::Three {
            return Err(Problem::Guessable);
        }
        Ok(())
    }
}

/// The form in which a password is judged and hashed: NFKC (C-14). `None` beyond any sensible length.
pub(crate) fn normalise(password: &str) -> Option<String> {
    (password.len() <= LONGEST_BYTES).then(|| password.nfkc().collect())
}

/// What others know or guess about a person, in small letters: number, names in every writing, birthday,
/// and the hospital's words.
fn context(person: &Person, birth_date: Option<(i32, u8, u8)>, hospital_words: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |text: &str| {
        let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
        for part in text.split(|c: char| c.is_whitespace() || matches!(c, '・' | '-' | '_' | '.')) {
            for form in [part.to_owned(), romaji::of_kana(part).unwrap_or_default()] {
                if form.chars().count() >= if form.is_ascii() { 3 } else { 2 } {
                    words.push(form);
                }
            }
        }
    };
    add(person.staff_no.as_str());
    add(&person.name);
    add(person.kana.as_deref().unwrap_or_default());
    add(&person.department);
    add("sekimori 関守");
    for word in hospital_words {
        add(word);
    }
    if let Some((year, month, day)) = birth_date {
        for date in [
            format!("{year:04}{month:02}{day:02}"),
            format!("{:02}{month:02}{day:02}", year.rem_euclid(100)),
            format!("{month:02}{day:02}{year:04}"),
            format!("{day:02}{month:02}{year:04}"),
            format!("{year:04}"),
            format!("{month:02}{day:02}"),
        ] {
            add(&date);
        }
    }
    // Longest first, so that a whole name goes before its parts.
    words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    words.dedup();
    words
}

/// How many code points are left of `password` without the context's words.
fn own_part(password: &str, context: &[String]) -> usize {
    let mut rest: String = password.chars().flat_map(char::to_lowercase).collect();
    let before = rest.chars().count();
    for word in context {
        rest = rest.replace(word.as_str(), "\u{0}");
    }
    let left = rest.chars().filter(|c| c.is_alphanumeric()).count();
    // A word or two about oneself inside a long password of one's own is nobody's business.
    if rest.contains('\u{0}') { left } else { before }
}

#[cfg(test)]
mod tests;
