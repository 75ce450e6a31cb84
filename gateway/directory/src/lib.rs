//! What HR says about people, on its way into the store: the hospital's CSV file becomes a [`Roster`],
//! the roster and the store a [`Plan`], and the plan is applied as a whole or not at all (G-24).
//!
//! The file is a *delta*: whoever isn't in it is left alone, and the [`Report`] says how many those are.
//! Reading and planning are pure; only [`import`], [`apply`] and [`sweep`] touch the store.
//!
//! It never guesses (an encoding, a date, which of two rows is right), never makes accounts or ends
//! them, and knows no roles. Row 4: for the portal and the binaries; `identity` and `access` hear of
//! changes on the change feed.

mod apply;
mod columns;
pub mod day;
mod decode;
#[cfg(test)]
mod fuzz;
mod person;
mod plan;
mod problem;
mod roster;
mod sheet;

pub use apply::{Actor, ImportError, apply, import, sweep};
pub use plan::{Change, Counts, Doubt, FieldChange, PersonReport, Plan, Report, plan};
pub use problem::{Problem, RowProblem};
pub use roster::{Roster, facts, parse};

/// Largest file that is read, in bytes.
pub const FILE_BOUND: usize = 8 * 1024 * 1024;
/// Most rows of a file, without its header.
pub const ROW_BOUND: usize = 50_000;
/// Longest cell, in characters.
pub const CELL_BOUND: usize = 256;
/// Most problems that are listed; the last one says how many more there are.
pub const PROBLEM_BOUND: usize = 1_000;
