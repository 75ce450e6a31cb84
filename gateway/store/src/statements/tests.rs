use std::collections::BTreeSet;

use super::{ALL, Statement};
use crate::fixture::{Fixture, on_both_engines};

fn all() -> impl Iterator<Item = Statement> {
    ALL.iter().flat_map(|module| module.iter().copied())
}

async fn the_engine_reads_every_statement(fixture: Fixture) {
    let mut tx = fixture.store.begin().await.unwrap();
    for statement in all() {
        if let Err(error) = tx.connection().prepare(statement).await {
            panic!("{}: {error:?}", statement.name);
        }
    }
}

#[test]
fn every_statement_has_its_own_name() {
    let names: BTreeSet<_> = all().map(|s| s.name).collect();
    assert_eq!(names.len(), all().count());
}

/// What one of the engines doesn't speak, or speaks differently.
const FOREIGN: &[&str] = &[
    "?",
    "`",
    "\"",
    "->",
    "::",
    " ILIKE ",
    " GLOB ",
    " REGEXP ",
    "INSERT OR ",
    "UPDATE OR ",
    "REPLACE INTO",
    "IFNULL(",
    "JSON",
    "STRFTIME",
    "DATETIME(",
    "NOW()",
    "RANDOM",
    "ROWID",
    "LAST_INSERT",
    "AUTOINCREMENT",
    "PRAGMA",
    "ANY(",
    "GROUP_CONCAT",
    "STRING_AGG",
    "FOR UPDATE",
    "USING (",
    " ISNULL",
    " NOTNULL",
    "= 1 AND MAIN",
    "MAIN = ",
    "TOTAL(",
    " SIMILAR ",
    "MAX($",
    "MIN($",
    "GREATEST(",
    "LEAST(",
];

#[test]
fn no_statement_uses_what_only_one_engine_speaks() {
    for statement in all() {
        let text = statement.sql.to_uppercase();
        for word in FOREIGN {
            assert!(!text.contains(word), "{} has {word:?}", statement.name);
        }
    }
}

#[test]
fn arguments_are_numbered_from_one_without_a_gap() {
    for statement in all() {
        let numbers: BTreeSet<usize> = statement
            .sql
            .split('$')
            .skip(1)
            .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap())
            .collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len()), "{}: {numbers:?}", statement.name);
    }
}

on_both_engines!(the_engine_reads_every_statement);
