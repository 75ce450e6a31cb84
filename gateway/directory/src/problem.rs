use std::fmt;

use serde::{Serialize, Serializer};

use crate::day::DayError;
use crate::person::ROWS_OF_ONE;
use crate::{CELL_BOUND, FILE_BOUND, ROW_BOUND};

/// One thing that is wrong with a file, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// The line in the file, from 1; the line where the row begins, if it spans several. 0: the file as a whole.
    pub line: u64,
    /// What the file calls the column, if it is about one.
    pub column: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl RowProblem {
    pub(crate) fn file(problem: Problem) -> Self {
        Self { line: 0, column: None, problem }
    }

    pub(crate) fn line(line: u64, problem: Problem) -> Self {
        Self { line, column: None, problem }
    }
}

/// `line 12, column 生年月日: …`
impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, &self.column) {
            (0, None) => {}
            (0, Some(column)) => write!(f, "column {column}: ")?,
            (line, None) => write!(f, "line {line}: ")?,
            (line, Some(column)) => write!(f, "line {line}, column {column}: ")?,
        }
        self.problem.fmt(f)
    }
}

impl Serialize for RowProblem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut row = serializer.serialize_struct("RowProblem", 3)?;
        row.serialize_field("line", &self.line)?;
        row.serialize_field("column", &self.column)?;
        row.serialize_field("message", &self.problem.to_string())?;
        row.end()
    }
}

/// What is wrong with a file, a row or a cell. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Larger than [`FILE_BOUND`].
    #[error("the file has more than {} MiB; split it, a part is as good as the whole", FILE_BOUND >> 20)]
    FileTooLarge,
    /// More rows than [`ROW_BOUND`].
    #[error("the file has more than {ROW_BOUND} rows; split it, a part is as good as the whole")]
    TooManyRows,
    /// Nothing in it, not even column names.
    #[error("the file is empty; its first line must name the columns")]
    Empty,
    /// Bytes that are no text in the declared encoding.
    #[error("the bytes {bytes} are no {encoding} text; save the file as {encoding}, or say in hr.encoding what it is")]
    Undecodable {
        /// The first of them, hex.
        bytes: String,
        /// What the configuration declares.
        encoding: &'static str,
    },
    /// It begins with the byte order mark of an encoding that isn't declared.
    #[error("the file begins with the mark of {found}, but hr.encoding says {declared}; correct one of the two")]
    OtherMark {
        /// Whose mark it is.
        found: &'static str,
        /// What the configuration declares.
        declared: &'static str,
    },
    /// A `"` that is never closed.
    #[error("the quotation mark that opens here is never closed; close it, or double it if it belongs to the text")]
    OpenQuote,
    /// A mapped column that the header doesn't have.
    #[error("there is no such column; add it (its cells may be empty) or say in [hr.columns] what the file calls it")]
    ColumnMissing,
    /// A mapped column that the header has twice.
    #[error("there are two columns of this name; rename one of them")]
    ColumnTwice,
    /// More or fewer cells than the header.
    #[error("{found} cells where the header has {expected}; look for a missing quotation mark or a cut line")]
    CellCount {
        /// As many as the header has.
        expected: usize,
        /// As many as the row has.
        found: usize,
    },
    /// Longer than [`CELL_BOUND`].
    #[error("more than {CELL_BOUND} characters; look for a missing quotation mark")]
    CellTooLong,
    /// A control character or one that turns the direction of text.
    #[error("holds the invisible character U+{:04X}; remove it", u32::from(*.0))]
    Invisible(char),
    /// Blank where something must stand.
    #[error("is blank; every row needs it")]
    Blank,
    /// No staff number.
    #[error("{0} is no staff number: 1 to 32 letters, digits, `-`, `_` or `.`")]
    StaffNo(Shown),
    /// No date.
    #[error("{cell} {error}")]
    Day {
        /// What stands there.
        cell: Shown,
        /// What is wrong with it.
        error: DayError,
    },
    /// An end before its beginning.
    #[error("{until} is before {from} in column {column}; correct one of the two")]
    Order {
        /// The end, ISO.
        until: String,
        /// The beginning, ISO.
        from: String,
        /// The column of the beginning.
        column: String,
    },
    /// Neither a word for a main post nor one for a concurrent post.
    #[error("{0} says neither main nor concurrent post; list the word in hr.main_words or hr.concurrent_words")]
    MainWord(Shown),
    /// Blank, and the person has several posts.
    #[error("is blank, and this person has several posts; say which is the main one")]
    MainUnsaid,
    /// Rows of one person that disagree about the person.
    #[error("{cell} differs from line {line}, which has the same staff number; a person has one of it")]
    Contradiction {
        /// What stands there.
        cell: Shown,
        /// The line where it says something else.
        line: u64,
    },
    /// Two main posts on the same day.
    #[error("a second main post at the same time as that of line {line}; end one, or make one concurrent")]
    TwoMainPosts {
        /// The line of the other.
        line: u64,
    },
    /// The same post twice on the same day, with other dates or another kind.
    #[error(
        "the same post as that of line {line}, at the same time, with other dates or of another kind; keep one of the two"
    )]
    SamePost {
        /// The line of the other.
        line: u64,
    },
    /// More rows than a person can have posts and licences.
    #[error("more than {ROWS_OF_ONE} rows with this staff number; look for a wrong number")]
    TooManyRowsOfOne,
    /// Only concurrent posts.
    #[error("this person has no main post; make one of the rows main")]
    NoMainPost,
    /// The same licence twice, with different dates.
    #[error("the same licence as in line {line} with another date; keep one of the two")]
    SameLicence {
        /// The line of the other.
        line: u64,
    },
    /// A number or date of a licence without a licence.
    #[error("belongs to a licence, but the row names none")]
    WithoutLicence,
    /// Not an error: a character that only the sender's fonts can show.
    #[error("holds the private character U+{:04X} (外字), which only the source's own font shows", u32::from(*.0))]
    PrivateCharacter(char),
    /// Not an error: the last line has no line break.
    #[error("the last line doesn't end with a line break; make sure that the file wasn't cut off")]
    LastLineOpen,
    /// The list of problems was cut.
    #[error("and {0} more problems; correct these first")]
    More(usize),
}

/// A cell as messages quote it: short, and with nothing invisible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    pub(crate) fn of(cell: &str) -> Self {
        const LONGEST: usize = 40;
        let mut shown: String = cell.chars().take(LONGEST).flat_map(char::escape_debug).collect();
        if cell.chars().nth(LONGEST).is_some() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "“{}”", self.0)
    }
}
