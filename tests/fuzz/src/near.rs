//! Inputs near the kept ones: a few edits, of bytes, of words, of lines, each drawn from the engine's driver, so
//! that the engine can make a failing input smaller by drawing less.

use std::fmt;
use std::ops::{Bound, Range};

use bolero::{Driver, ValueGenerator};

use crate::corpus::Corpus;

/// No input is longer, in bytes.
const LONGEST: usize = 64 * 1_024;
/// Bytes that parsers stumble over.
const ODD: &[u8] = b"\0\t\n\r \"%&',-./:;=?\\_\x7f\x80\xc0\xff";
/// Numbers that parsers stumble over.
const NUMBERS: &[&str] = &["0", "00", "1", "-1", "99", "256", "65536", "4294967296", "18446744073709551616", "1e9"];

/// An input, which prints as text.
pub(crate) struct Input(Vec<u8>);

impl Input {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Makes inputs near a corpus.
pub(crate) struct Near<'c> {
    corpus: &'c Corpus,
}

impl ValueGenerator for Near<'_> {
    type Output = Input;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Input> {
        let mut bytes = self.kept(driver)?.to_vec();
        let most = 1 << below(driver, 4)?;
        for _ in 0..most {
            self.edit(&mut bytes, driver)?;
        }
        bytes.truncate(LONGEST);
        Some(Input(bytes))
    }
}

impl<'c> Near<'c> {
    pub(crate) fn new(corpus: &'c Corpus) -> Self {
        Self { corpus }
    }

    fn kept<D: Driver>(&self, driver: &mut D) -> Option<&'c [u8]> {
        below(driver, self.corpus.len()).map(|index| self.corpus.input(index))
    }

    fn edit<D: Driver>(&self, bytes: &mut Vec<u8>, driver: &mut D) -> Option<()> {
        let at = below(driver, bytes.len() + 1)?;
        let here = bytes.get_mut(at);
        match below(driver, 12)? {
            0 => here.into_iter().zip([1 << below(driver, 8)?]).for_each(|(byte, bit)| *byte ^= bit),
            1 => here.into_iter().zip([driver.produce()?]).for_each(|(byte, other)| *byte = other),
            2 => here.into_iter().zip([one_of(driver, ODD)?]).for_each(|(byte, odd)| *byte = odd),
            3 => drop(bytes.drain(stretch(driver, bytes.len(), at)?)),
            4 => {
                let part = bytes.get(stretch(driver, bytes.len(), at)?)?.to_vec();
                insert(bytes, below(driver, bytes.len() + 1)?, &part);
            }
            5 => insert(bytes, at, &[driver.produce()?, driver.produce()?]),
            6 => insert(bytes, at, self.word(driver)?),
            7 => {
                let word = self.word(driver)?;
                bytes.splice(at..bytes.len().min(at + word.len()), word.iter().copied());
            }
            8 => {
                let digits = run_from(bytes, at, u8::is_ascii_digit);
                bytes.splice(digits, one_of(driver, NUMBERS)?.bytes());
            }
            9 => {
                let other = self.kept(driver)?;
                bytes.truncate(at);
                bytes.extend(other.iter().skip(below(driver, other.len() + 1)?));
            }
            10 => drop(bytes.drain(line_at(bytes, at))),
            _ => {
                let line = bytes.get(line_at(bytes, at))?.to_vec();
                let other = line_at(bytes, below(driver, bytes.len() + 1)?);
                insert(bytes, other.start, &line);
            }
        }
        Some(())
    }

    fn word<D: Driver>(&self, driver: &mut D) -> Option<&'c [u8]> {
        let words = self.corpus.words();
        let index = below(driver, words.len())?;
        words.get(index).map(Vec::as_slice).or(Some(b"0"))
    }
}

/// A number below `end`, which isn't 0.
fn below<D: Driver>(driver: &mut D, end: usize) -> Option<usize> {
    driver.gen_usize(Bound::Included(&0), Bound::Excluded(&end.max(1)))
}

fn one_of<T: Copy, D: Driver>(driver: &mut D, list: &[T]) -> Option<T> {
    let index = below(driver, list.len())?;
    list.get(index).copied()
}

/// A stretch that begins at `at`: mostly short.
fn stretch<D: Driver>(driver: &mut D, length: usize, at: usize) -> Option<Range<usize>> {
    let most = 1 << below(driver, 12)?;
    let end = at.saturating_add(below(driver, most)? + 1);
    Some(at..end.min(length).max(at))
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.splice(at..at, part.iter().copied());
}

/// The next bytes from `at` on that are `such`.
fn run_from(bytes: &[u8], at: usize, such: impl Fn(&u8) -> bool) -> Range<usize> {
    let rest = bytes.get(at..).unwrap_or_default();
    let start = at + rest.iter().position(&such).unwrap_or(rest.len());
    let run = bytes.get(start..).unwrap_or_default().iter().take_while(|byte| such(byte)).count();
    start..start + run
}

/// The line that holds `at`, its line feed included.
fn line_at(bytes: &[u8], at: usize) -> Range<usize> {
    let feed = |byte: &u8| *byte == b'\n';
    let start = bytes.get(..at).and_then(|before| before.iter().rposition(feed)).map_or(0, |feed| feed + 1);
    let rest = bytes.get(start..).unwrap_or_default();
    start..start + rest.iter().position(feed).map_or(rest.len(), |feed| feed + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_numbers_are_found_around_a_place() {
        assert_eq!(line_at(b"ab\ncd\n", 1), 0..3);
        assert_eq!(line_at(b"ab\ncd\n", 3), 3..6);
        assert_eq!(line_at(b"ab\ncd\n", 6), 6..6);
        assert_eq!(run_from(b"a12b", 0, u8::is_ascii_digit), 1..3);
        assert_eq!(run_from(b"ab", 0, u8::is_ascii_digit), 2..2);
    }
}
