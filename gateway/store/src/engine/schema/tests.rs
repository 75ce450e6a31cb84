use sqlx::FromRow;

use super::HISTORY;
use crate::Reader;
use crate::fixture::Fixture;
use crate::statements::{Statement, unlisted};
use crate::value::args;

unlisted! {
    SQLITE_COLUMNS = "SELECT t.name AS of, c.name AS name, LOWER(c.type) AS kind, c.\"notnull\" = 1 AS required \
                      FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
                      WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' \
                      AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid";
    POSTGRES_COLUMNS = "SELECT table_name::TEXT AS of, column_name::TEXT AS name, \
                        data_type || COALESCE(' ' || collation_name, '') AS kind, is_nullable = 'NO' AS required \
                        FROM information_schema.columns WHERE table_schema = 'public' \
                        AND table_name NOT LIKE '\\_sqlx%' ORDER BY table_name COLLATE \"C\", ordinal_position";
    SQLITE_INDEXES = "SELECT tbl_name AS of, name, '' AS kind, sql LIKE '%UNIQUE%' AS required FROM sqlite_schema \
                      WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
    POSTGRES_INDEXES = "SELECT tablename::TEXT AS of, indexname::TEXT AS name, '' AS kind, \
                        indexdef LIKE '%UNIQUE%' AS required FROM pg_indexes \
                        WHERE schemaname = 'public' AND indexname !~ '_(key|pkey)$' ORDER BY indexname COLLATE \"C\"";
}

#[derive(FromRow, Debug, PartialEq)]
struct Part {
    of: String,
    name: String,
    kind: String,
    required: bool,
}

async fn parts(fixture: &Fixture, statement: Statement) -> Vec<Part> {
    Reader::from(&fixture.store).all(statement, args![]).await.unwrap()
}

/// What stands for a SQLite type on PostgreSQL.
fn fits(sqlite: &str, postgres: &str) -> bool {
    match sqlite {
        "blob" => matches!(postgres, "bytea" | "uuid"),
        "integer" => matches!(postgres, "bigint" | "integer" | "boolean"),
        "text" => postgres == "text C",
        _ => false,
    }
}

#[tokio::test]
async fn both_engines_have_the_same_tables_columns_and_indexes() {
    let (sqlite, postgres) = (Fixture::on_sqlite().await, Fixture::on_postgres().await);
    let mut columns = 0;
    let pairs = [(SQLITE_COLUMNS, POSTGRES_COLUMNS), (SQLITE_INDEXES, POSTGRES_INDEXES)];
    for (on_sqlite, on_postgres) in pairs {
        let (ours, theirs) = (parts(&sqlite, on_sqlite).await, parts(&postgres, on_postgres).await);
        for (one, other) in ours.iter().zip(&theirs) {
            let alike = (&one.of, &one.name, one.required) == (&other.of, &other.name, other.required);
            assert!(alike && (one.kind.is_empty() || fits(&one.kind, &other.kind)), "{one:?} {other:?}");
        }
        assert_eq!(ours.len(), theirs.len());
        columns = columns.max(ours.len());
    }
    assert!(columns > 100, "the catalogues are read");
}

#[test]
fn every_step_of_the_history_has_its_own_version_in_order() {
    assert!(HISTORY.iter().map(|step| step.version).eq(1..=i64::try_from(HISTORY.len()).unwrap()));
}
