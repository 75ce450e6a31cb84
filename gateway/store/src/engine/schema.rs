//! The schema's history, once for each engine: the same versions, tables and columns, different types.

use std::borrow::Cow;

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// One step of the history on both engines.
struct Step {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// A step from its two files.
macro_rules! step {
    ($version:literal, $name:literal, $file:literal) => {
        Step {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $file)),
            postgres: include_str!(concat!("../../migrations/postgres/", $file)),
        }
    };
}

const HISTORY: &[Step] = &[
    step!(1, "schema", "0001_schema.sql"),
    step!(2, "hr staging", "0002_hr_staging.sql"),
    step!(3, "login", "0003_login.sql"),
];

pub(crate) fn sqlite() -> Migrator {
    migrator(|step| step.sqlite)
}

pub(crate) fn postgres() -> Migrator {
    migrator(|step| step.postgres)
}

fn migrator(text: impl Fn(&Step) -> &'static str) -> Migrator {
    let migration = |step: &Step| {
        let (name, sql) = (Cow::Borrowed(step.name), SqlStr::from_static(text(step)));
        Migration::new(step.version, name, MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(HISTORY.iter().map(migration).collect())
}

#[cfg(test)]
mod tests;
