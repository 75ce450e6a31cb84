use csv::{ReaderBuilder, StringRecord};

use crate::ROW_BOUND;
use crate::problem::{Problem, RowProblem};

/// The rows of a CSV file (RFC 4180: quotes, doubled quotes, line breaks in quotes), each with the line
/// it begins on.
pub(crate) struct Sheet {
    pub(crate) header: Row,
    pub(crate) rows: Vec<Row>,
}

pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) cells: StringRecord,
}

impl Row {
    /// The cell without the spaces around it.
    pub(crate) fn cell(&self, index: usize) -> &str {
        self.cells.get(index).unwrap_or("").trim()
    }
}

/// Reads the text into rows; cells are still anything.
pub(crate) fn read(text: &str) -> Result<Sheet, RowProblem> {
    open_quote(text)?;
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut lines = Lines { text, at: 0, line: 1 };
    let mut header = None;
    let mut rows = Vec::new();
    let mut cells = StringRecord::new();
    // The text is UTF-8 and in memory: reading can't fail.
    while reader.read_record(&mut cells).unwrap_or(false) {
        let at = cells.position().and_then(|p| usize::try_from(p.byte()).ok()).unwrap_or(0);
        let row = Row { line: lines.of(at), cells: std::mem::take(&mut cells) };
        if header.is_none() {
            header = Some(row);
        } else if rows.len() >= ROW_BOUND {
            return Err(RowProblem::file(Problem::TooManyRows));
        } else if row.cells.iter().any(|cell| !cell.trim().is_empty()) {
            rows.push(row);
        }
    }
    let header = header.filter(|h| h.cells.iter().any(|cell| !cell.trim().is_empty()));
    Ok(Sheet { header: header.ok_or_else(|| RowProblem::file(Problem::Empty))?, rows })
}

/// The reader takes a quotation mark that is never closed for one that the end of the file closes, and
/// half a file for a whole one. In a sound file the marks are even.
fn open_quote(text: &str) -> Result<(), RowProblem> {
    if text.bytes().filter(|b| *b == b'"').count().is_multiple_of(2) {
        return Ok(());
    }
    let (mut line, mut opened) = (1, None);
    for byte in text.bytes() {
        match byte {
            b'\n' => line += 1,
            b'"' => opened = if opened.is_some() { None } else { Some(line) },
            _ => {}
        }
    }
    Err(RowProblem::line(opened.unwrap_or(line), Problem::OpenQuote))
}

/// Counts lines forward. The reader's own positions lie before line breaks that it skips.
struct Lines<'t> {
    text: &'t str,
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, byte: usize) -> u64 {
        let rest = self.text.as_bytes().get(byte..).unwrap_or_default();
        let start = byte + rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let passed = self.text.as_bytes().get(self.at..start).unwrap_or_default();
        self.line += passed.iter().filter(|b| **b == b'\n').count() as u64;
        self.at = start;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<u64> {
        read(text).unwrap_or_else(|e| panic!("{e}")).rows.iter().map(|row| row.line).collect()
    }

    #[test]
    fn each_row_knows_its_line_whatever_ends_the_lines() {
        assert_eq!(lines("h\r\na\r\nb\r\nc"), [2, 3, 4]);
        assert_eq!(lines("h\na\n\n\nb\n"), [2, 5]);
        assert_eq!(lines("h,i\r\n\"a\r\nb\",x\r\n\r\n  , \r\nc,d\r\n"), [2, 6]);
        assert_eq!(lines("\r\n\r\nh\r\na\r\n"), [4]);
    }

    #[test]
    fn req_g17_quotes_doubled_quotes_and_embedded_line_breaks_are_read() {
        let sheet = read("a,b\r\n\"x, \"\"y\"\"\",\"1\r\n2\"\r\n").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(sheet.rows[0].cells.iter().collect::<Vec<_>>(), ["x, \"y\"", "1\r\n2"]);
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_is_found_where_it_opens() {
        let problem = read("a,b\r\n1,\"2\"\r\n3,\"4\r\n5,6\r\n").err();
        assert_eq!(problem, Some(RowProblem::line(3, Problem::OpenQuote)));
    }

    #[test]
    fn atk_a41_rows_beyond_the_bound_are_refused() {
        let text = format!("h\n{}", "1\n".repeat(ROW_BOUND + 1));
        assert_eq!(read(&text).err(), Some(RowProblem::file(Problem::TooManyRows)));
    }

    #[test]
    fn a_file_without_a_header_is_empty() {
        for text in ["", "\r\n\r\n", " , \r\n"] {
            assert_eq!(read(text).err(), Some(RowProblem::file(Problem::Empty)), "{text:?}");
        }
    }
}
