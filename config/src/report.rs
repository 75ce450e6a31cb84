use std::fmt;
use std::sync::Arc;

/// Everything that is wrong with a configuration, found in one go and in reading order.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Report {
    /// At least one, sorted by file and place.
    pub problems: Vec<Problem>,
}

/// One problem a line: `file:line:column: message`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file as it was named to us.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message } = self;
        write!(f, "{file}:{line}:{column}: {message}")
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// The beginning of `file`: for what is missing from it altogether.
    pub(crate) fn start(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), line: 1, column: 1 }
    }

    /// The place of the byte at `offset` of `text`.
    pub(crate) fn of(file: &Arc<str>, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.get(line_start..).unwrap_or("").chars().count().saturating_add(1);
        Self { file: Arc::clone(file), line, column }
    }

    /// What is wrong here. A message repeats what stands in the file: nothing of that ends a line or moves a
    /// terminal's cursor.
    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        let mut message: String = message.into();
        if message.contains(is_unprintable) {
            let shown = |c: char| if is_unprintable(c) { c.escape_default().collect() } else { String::from(c) };
            message = message.chars().map(shown).collect();
        }
        Problem { file: Arc::clone(&self.file), line: self.line, column: self.column, message }
    }
}

fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let file: Arc<str> = "f".into();
        let text = "a = 1\n名前 = \"x\"\n";
        let at = |offset| {
            let place = Place::of(&file, text, offset);
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(4), (1, 5));
        assert_eq!(at(6), (2, 1));
        assert_eq!(at(text.find('"').unwrap()), (2, 6));
        assert_eq!(at(9_999), (3, 1));
    }

    /// Found by fuzzing: a name written `"a\u001b[2J"` cleared the screen of whoever checked the file.
    #[test]
    fn what_a_message_repeats_of_a_file_stays_on_its_line() {
        let problem = Place::start(&"a.toml".into()).problem("unknown key `a\n\u{1b}[2J\u{202e}山`");
        assert_eq!(problem.to_string(), "a.toml:1:1: unknown key `a\\n\\u{1b}[2J\\u{202e}山`");
    }

    #[test]
    fn a_report_is_one_problem_a_line() {
        let place = Place::start(&"a.toml".into());
        let report = Report { problems: vec![place.problem("one"), place.problem("two")] };
        assert_eq!(report.to_string(), "a.toml:1:1: one\na.toml:1:1: two");
    }
}
