use std::collections::{BTreeMap, BTreeSet, HashMap};

use config::{HrCodes, HrSettings};
use model::{StaffNo, matching_form};
use store::people::{PersonFacts, Qualification};

use crate::columns::{Column, Columns};
use crate::day::{self, End};
use crate::decode::decode;
use crate::person;
use crate::problem::{Problem, RowProblem, Shown};
use crate::sheet::{self, Row};
use crate::{CELL_BOUND, PROBLEM_BOUND};

/// A whole file, sound in itself: everybody in it with posts and licences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// By staff number.
    pub people: BTreeMap<StaffNo, PersonFacts>,
    /// Rows read, without header and blank lines.
    pub rows: usize,
    /// What deserves a look and stops nothing.
    pub warnings: Vec<RowProblem>,
    /// Columns that the configuration doesn't name.
    pub ignored_columns: Vec<String>,
}

/// Reads a file as the settings say. Pure.
///
/// # Errors
/// Every problem of the file at once, by line, at most [`PROBLEM_BOUND`] and then how many more.
pub fn parse(bytes: &[u8], settings: &HrSettings) -> Result<Roster, Vec<RowProblem>> {
    let text = decode(bytes, settings.encoding).map_err(|p| vec![p])?;
    let sheet = sheet::read(&text).map_err(|p| vec![p])?;
    let columns = Columns::find(&sheet.header, &settings.columns)?;
    let mut reader = RowReader::new(&columns, settings);
    if let Some(last) = sheet.rows.last().filter(|_| !text.ends_with(['\n', '\r'])) {
        reader.warnings.push(RowProblem::line(last.line, Problem::LastLineOpen));
    }
    let width = sheet.header.cells.len();
    let mut entries: BTreeMap<StaffNo, Vec<Entry>> = BTreeMap::new();
    let mut incomplete: BTreeSet<StaffNo> = BTreeSet::new();
    for row in &sheet.rows {
        match reader.read(row, width) {
            Ok(entry) => entries.entry(entry.staff_no.clone()).or_default().push(entry),
            Err(staff_no) => incomplete.extend(staff_no),
        }
    }
    // Rows are compared with each other only where all of them could be read.
    entries.retain(|staff_no, _| !incomplete.contains(staff_no));
    let mut problems = reader.problems;
    let people = entries
        .into_iter()
        .filter_map(|(staff_no, rows)| Some((staff_no, person::combine(&rows, &columns, &mut problems)?)))
        .collect();
    if problems.listed.is_empty() {
        let warnings = reader.warnings.cut();
        Ok(Roster { people, rows: sheet.rows.len(), warnings, ignored_columns: columns.ignored })
    } else {
        Err(problems.cut())
    }
}

/// What rules know of a person of the roster; `None` if the number isn't in it.
pub fn facts(roster: &Roster, staff_no: &StaffNo) -> Option<policy::HrFacts> {
    roster.people.get(staff_no).map(PersonFacts::hr_facts)
}

/// One row, read cell by cell.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) line: u64,
    pub(crate) staff_no: StaffNo,
    pub(crate) name: String,
    pub(crate) kana: Option<String>,
    pub(crate) birth_date: Option<i32>,
    pub(crate) employment: String,
    pub(crate) employed_from: Option<i32>,
    pub(crate) employed_until: Option<i32>,
    pub(crate) department: String,
    pub(crate) occupation: String,
    pub(crate) position: String,
    /// `None`: the row doesn't say.
    pub(crate) main: Option<bool>,
    pub(crate) from: Option<i32>,
    pub(crate) until: Option<i32>,
    pub(crate) licence: Option<Qualification>,
}

/// Problems in the order they were found, bounded.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    listed: Vec<RowProblem>,
    more: usize,
}

impl Problems {
    pub(crate) fn push(&mut self, problem: RowProblem) {
        if self.listed.len() < PROBLEM_BOUND {
            self.listed.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// How many were found.
    pub(crate) fn count(&self) -> usize {
        self.listed.len() + self.more
    }

    /// Those listed, by line, and the count of the others.
    fn cut(mut self) -> Vec<RowProblem> {
        self.listed.sort_by_key(|p| p.line);
        if self.more > 0 {
            self.listed.push(RowProblem::file(Problem::More(self.more)));
        }
        self.listed
    }
}

struct RowReader<'s> {
    columns: &'s Columns,
    codes: Codes,
    main_words: HashMap<String, bool>,
    problems: Problems,
    warnings: Problems,
}

impl<'s> RowReader<'s> {
    fn new(columns: &'s Columns, settings: &HrSettings) -> Self {
        let words = |words: &[String], main| words.iter().map(|w| (matching_form(w), main)).collect::<Vec<_>>();
        let mut main_words = words(&settings.concurrent_words, false);
        main_words.extend(words(&settings.main_words, true));
        Self {
            columns,
            codes: Codes::new(&settings.codes),
            main_words: main_words.into_iter().collect(),
            problems: Problems::default(),
            warnings: Problems::default(),
        }
    }

    /// Reads every cell of a row, whatever is wrong with the ones before. The error is the row's staff
    /// number, if at least that could be read.
    fn read(&mut self, row: &Row, width: usize) -> Result<Entry, Option<StaffNo>> {
        if row.cells.len() != width {
            let problem = Problem::CellCount { expected: width, found: row.cells.len() };
            self.problems.push(RowProblem::line(row.line, problem));
            return Err(None);
        }
        let before = self.problems.count();
        let staff_no = self.staff_no(row);
        let (from, until) = (self.day(row, Column::PostFrom), self.end(row, Column::PostUntil));
        let (hired, left) = (self.day(row, Column::EmployedFrom), self.end(row, Column::EmployedUntil));
        self.in_order(row, Column::PostFrom, from, Column::PostUntil, until);
        self.in_order(row, Column::EmployedFrom, hired, Column::EmployedUntil, left);
        self.present(row, Column::Department);
        self.present(row, Column::Occupation);
        let entry = Entry {
            line: row.line,
            name: self.required(row, Column::Name),
            kana: Some(self.text(row, Column::Kana)).filter(|kana| !kana.is_empty()),
            birth_date: self.day(row, Column::BirthDate),
            employment: self.coded(row, Column::Employment),
            employed_from: hired,
            employed_until: left,
            department: self.coded(row, Column::Department),
            occupation: self.coded(row, Column::Occupation),
            position: self.coded(row, Column::Position),
            main: self.main(row),
            from,
            until,
            licence: self.licence(row),
            // Last: without it there is no entry, but every cell before has been looked at.
            staff_no: staff_no.clone().ok_or(None)?,
        };
        if self.problems.count() == before { Ok(entry) } else { Err(staff_no) }
    }

    fn staff_no(&mut self, row: &Row) -> Option<StaffNo> {
        let cell = self.required(row, Column::StaffNo);
        if cell.is_empty() {
            return None;
        }
        let number = StaffNo::try_from(matching_form(&cell));
        number.map_err(|_| self.problem(row, Column::StaffNo, Problem::StaffNo(Shown::of(&cell)))).ok()
    }

    fn present(&mut self, row: &Row, column: Column) {
        if self.columns.cell(row, column).is_empty() {
            self.problem(row, column, Problem::Blank);
        }
    }

    fn required(&mut self, row: &Row, column: Column) -> String {
        self.present(row, column);
        self.text(row, column)
    }

    /// The cell as HR wrote it, on one line.
    fn text(&mut self, row: &Row, column: Column) -> String {
        let cell = self.columns.cell(row, column);
        if cell.chars().nth(CELL_BOUND).is_some() {
            self.problem(row, column, Problem::CellTooLong);
            return String::new();
        }
        let text =
            cell.split(['\r', '\n', '\t']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        if let Some(invisible) = text.chars().find(|c| is_invisible(*c)) {
            self.problem(row, column, Problem::Invisible(invisible));
        }
        if let Some(private) = text.chars().find(|c| ('\u{E000}'..='\u{F8FF}').contains(c)) {
            self.warnings.push(self.columns.problem(row.line, column, Problem::PrivateCharacter(private)));
        }
        text
    }

    /// The cell, or what the configuration says it means.
    fn coded(&mut self, row: &Row, column: Column) -> String {
        let text = self.text(row, column);
        self.codes.meaning(column, &text).unwrap_or(text)
    }

    fn day(&mut self, row: &Row, column: Column) -> Option<i32> {
        let cell = self.text(row, column);
        if cell.is_empty() {
            return None;
        }
        day::parse(&cell)
            .map_err(|error| self.problem(row, column, Problem::Day { cell: Shown::of(&cell), error }))
            .ok()
    }

    fn end(&mut self, row: &Row, column: Column) -> Option<i32> {
        let cell = self.text(row, column);
        match day::parse_end(&cell) {
            Ok(End::Open) => None,
            Ok(End::On(day)) => Some(day),
            Err(error) => {
                self.problem(row, column, Problem::Day { cell: Shown::of(&cell), error });
                None
            }
        }
    }

    fn main(&mut self, row: &Row) -> Option<bool> {
        let cell = self.text(row, Column::Main);
        if cell.is_empty() {
            return None;
        }
        let main = self.main_words.get(&matching_form(&cell)).copied();
        if main.is_none() {
            self.problem(row, Column::Main, Problem::MainWord(Shown::of(&cell)));
        }
        main
    }

    fn licence(&mut self, row: &Row) -> Option<Qualification> {
        let kind = self.coded(row, Column::Qualification);
        let number = Some(self.text(row, Column::QualificationNumber)).filter(|n| !n.is_empty());
        let expires = self.end(row, Column::QualificationUntil);
        if !kind.is_empty() {
            return Some(Qualification { kind, number, expires });
        }
        if number.is_some() {
            self.problem(row, Column::QualificationNumber, Problem::WithoutLicence);
        } else if expires.is_some() {
            self.problem(row, Column::QualificationUntil, Problem::WithoutLicence);
        }
        None
    }

    fn in_order(&mut self, row: &Row, first: Column, from: Option<i32>, last: Column, until: Option<i32>) {
        if let (Some(from), Some(until)) = (from, until)
            && until < from
        {
            let column = self.columns.title(first).to_owned();
            self.problem(row, last, Problem::Order { until: day::iso(until), from: day::iso(from), column });
        }
    }

    fn problem(&mut self, row: &Row, column: Column, problem: Problem) {
        self.problems.push(self.columns.problem(row.line, column, problem));
    }
}

/// Characters that a reader can't see or that turn the text around him.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFD}')
}

/// What the file's codes mean, found by their matching form.
struct Codes(Vec<(Column, HashMap<String, String>)>);

impl Codes {
    fn new(codes: &HrCodes) -> Self {
        let HrCodes { employment, department, occupation, position, qualification } = codes;
        let tables = [
            (Column::Employment, employment),
            (Column::Department, department),
            (Column::Occupation, occupation),
            (Column::Position, position),
            (Column::Qualification, qualification),
        ];
        let folded =
            |table: &BTreeMap<String, String>| table.iter().map(|(k, v)| (matching_form(k), v.clone())).collect();
        Self(tables.into_iter().map(|(column, table)| (column, folded(table))).collect())
    }

    fn meaning(&self, column: Column, text: &str) -> Option<String> {
        let (_, table) = self.0.iter().find(|(c, _)| *c == column)?;
        if table.is_empty() { None } else { table.get(&matching_form(text)).cloned() }
    }
}

#[cfg(test)]
mod tests;
