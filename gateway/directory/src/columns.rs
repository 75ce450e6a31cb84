use config::HrColumns;
use model::matching_form;

use crate::problem::{Problem, RowProblem};
use crate::sheet::Row;

macro_rules! columns {
    ($($variant:ident $field:ident,)*) => {
        /// A column that the configuration names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Column { $($variant,)* }

        impl Column {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// What the file should call it.
            fn configured(self, names: &HrColumns) -> &str {
                match self { $(Self::$variant => &names.$field,)* }
            }
        }
    };
}

columns! {
    StaffNo staff_no,
    Name name,
    Kana kana,
    BirthDate birth_date,
    Employment employment,
    Department department,
    Occupation occupation,
    Position position,
    Main main,
    PostFrom post_from,
    PostUntil post_until,
    EmployedFrom employed_from,
    EmployedUntil employed_until,
    Qualification qualification,
    QualificationNumber qualification_number,
    QualificationUntil qualification_until,
}

/// Where each column stands in this file.
pub(crate) struct Columns {
    /// By `Column as usize`: the index in a row and the file's own name.
    found: Vec<(usize, String)>,
    /// What else the header names; nothing is read there.
    pub(crate) ignored: Vec<String>,
}

impl Columns {
    /// Finds every configured column in the header. All must be there: a column that is missing by
    /// mistake would read as blank, and a leaver's last day as open.
    pub(crate) fn find(header: &Row, names: &HrColumns) -> Result<Self, Vec<RowProblem>> {
        let titles: Vec<String> = header.cells.iter().map(matching_form).collect();
        let mut problems = Vec::new();
        let mut found = Vec::new();
        for column in Column::ALL {
            let configured = column.configured(names);
            let wanted = matching_form(configured);
            let mut at = titles.iter().enumerate().filter(|(_, title)| **title == wanted).map(|(index, _)| index);
            let problem = match (at.next(), at.next()) {
                (Some(index), None) => {
                    found.push((index, configured.to_owned()));
                    continue;
                }
                (Some(_), Some(_)) => Problem::ColumnTwice,
                (None, _) => Problem::ColumnMissing,
            };
            problems.push(RowProblem { line: header.line, column: Some(configured.to_owned()), problem });
        }
        let unread =
            titles.into_iter().enumerate().filter(|(i, title)| !title.is_empty() && found.iter().all(|f| f.0 != *i));
        let ignored = unread.map(|(_, title)| title).collect();
        if problems.is_empty() { Ok(Self { found, ignored }) } else { Err(problems) }
    }

    /// The trimmed cell of a column.
    pub(crate) fn cell<'r>(&self, row: &'r Row, column: Column) -> &'r str {
        self.found.get(column as usize).map_or("", |(index, _)| row.cell(*index))
    }

    /// What the file calls the column.
    pub(crate) fn title(&self, column: Column) -> &str {
        self.found.get(column as usize).map_or("", |(_, title)| title)
    }

    pub(crate) fn problem(&self, line: u64, column: Column, problem: Problem) -> RowProblem {
        RowProblem { line, column: Some(self.title(column).to_owned()), problem }
    }
}
