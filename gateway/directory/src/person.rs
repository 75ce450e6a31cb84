use model::matching_form;
use store::people::{Affiliation, PersonFacts};

use crate::columns::{Column, Columns};
use crate::problem::{Problem, Shown};
use crate::roster::{Entry, Problems};

/// Rows that one person may have: they are compared each with each.
pub(crate) const ROWS_OF_ONE: usize = 100;

/// Makes one person of all rows with his staff number; `None` if they disagree, which is in `problems` then.
pub(crate) fn combine(rows: &[Entry], columns: &Columns, problems: &mut Problems) -> Option<PersonFacts> {
    let first = rows.first()?;
    let before = problems.count();
    if let Some(row) = rows.get(ROWS_OF_ONE) {
        problems.push(columns.problem(row.line, Column::StaffNo, Problem::TooManyRowsOfOne));
        return None;
    }
    for row in rows {
        agree(first, row, columns, problems);
    }
    let posts = posts(rows, columns, problems);
    let mut licences: Vec<(u64, &store::people::Qualification)> = Vec::new();
    for row in rows {
        let Some(licence) = &row.licence else { continue };
        let other = licences
            .iter()
            .find(|(_, l)| matching_form(&l.kind) == matching_form(&licence.kind) && l.number == licence.number);
        match other {
            Some((line, other)) if other.expires != licence.expires => {
                problems.push(columns.problem(
                    row.line,
                    Column::QualificationUntil,
                    Problem::SameLicence { line: *line },
                ));
            }
            Some(_) => {}
            None => licences.push((row.line, licence)),
        }
    }
    let person = PersonFacts {
        staff_no: first.staff_no.clone(),
        name: first.name.clone(),
        kana: first.kana.clone(),
        birth_date: first.birth_date,
        employment: first.employment.clone(),
        employed_from: first.employed_from,
        employed_until: first.employed_until,
        affiliations: posts,
        qualifications: licences.into_iter().map(|(_, licence)| licence.clone()).collect(),
    };
    (problems.count() == before).then(|| person.sorted())
}

/// What is said of the person, not of a post, must be the same in every row.
fn agree(first: &Entry, row: &Entry, columns: &Columns, problems: &mut Problems) {
    let same = |a: &str, b: &str| a == b || matching_form(a) == matching_form(b);
    let day = |day: Option<i32>| day.map_or_else(String::new, crate::day::iso);
    let kana = |entry: &Entry| entry.kana.clone().unwrap_or_default();
    let checks = [
        (Column::Name, same(&first.name, &row.name), row.name.clone()),
        (Column::Kana, same(&kana(first), &kana(row)), kana(row)),
        (Column::BirthDate, first.birth_date == row.birth_date, day(row.birth_date)),
        (Column::Employment, same(&first.employment, &row.employment), row.employment.clone()),
        (Column::EmployedFrom, first.employed_from == row.employed_from, day(row.employed_from)),
        (Column::EmployedUntil, first.employed_until == row.employed_until, day(row.employed_until)),
    ];
    for (column, agrees, cell) in checks {
        if !agrees {
            let problem = Problem::Contradiction { cell: Shown::of(&cell), line: first.line };
            problems.push(columns.problem(row.line, column, problem));
        }
    }
}

/// The distinct posts: exactly one main post at a time, no post twice at a time.
fn posts(rows: &[Entry], columns: &Columns, problems: &mut Problems) -> Vec<Affiliation> {
    let mut posts: Vec<(u64, Affiliation)> = Vec::new();
    let Some(first) = rows.first() else { return Vec::new() };
    let alone = rows.iter().all(|row| place(row) == place(first));
    for row in rows {
        let Some(main) = row.main.or(alone.then_some(true)) else {
            problems.push(columns.problem(row.line, Column::Main, Problem::MainUnsaid));
            continue;
        };
        let post = Affiliation {
            department: row.department.clone(),
            occupation: row.occupation.clone(),
            position: row.position.clone(),
            main,
            from: row.from,
            until: row.until,
        };
        // A row that only adds a licence repeats its post.
        if posts.iter().any(|(_, p)| *p == post) {
            continue;
        }
        for (line, other) in &posts {
            if !overlap(&post, other) {
                continue;
            }
            if key(&post) == key(other) {
                problems.push(columns.problem(row.line, Column::Department, Problem::SamePost { line: *line }));
            } else if post.main && other.main {
                problems.push(columns.problem(row.line, Column::Main, Problem::TwoMainPosts { line: *line }));
            }
        }
        posts.push((row.line, post));
    }
    if let Some((line, _)) = posts.first()
        && !posts.iter().any(|(_, post)| post.main)
    {
        problems.push(columns.problem(*line, Column::Main, Problem::NoMainPost));
    }
    posts.into_iter().map(|(_, post)| post).collect()
}

/// Which post a row is about, but for its kind.
fn place(row: &Entry) -> (&str, &str, &str, Option<i32>, Option<i32>) {
    (&row.department, &row.occupation, &row.position, row.from, row.until)
}

fn key(post: &Affiliation) -> [String; 3] {
    [&post.department, &post.occupation, &post.position].map(|text| matching_form(text))
}

fn overlap(a: &Affiliation, b: &Affiliation) -> bool {
    let begins_by_end = |a: &Affiliation, b: &Affiliation| match (a.from, b.until) {
        (Some(from), Some(until)) => from <= until,
        _ => true,
    };
    begins_by_end(a, b) && begins_by_end(b, a)
}
