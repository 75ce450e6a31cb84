//! The gateway's memory: people, accounts, grants, sessions and ceremonies, in one file that survives
//! a power cut, or in a database that several nodes share. What is committed is durable; a change commits
//! together with its record, or not at all.
//!
//! - A [`Tx`] holds the one writer, on either engine: what it reads holds until it commits, and a statement
//!   that fails is its end. [`Tx::commit`] takes [`Facts`]: the records (at least one), what
//!   changed, who is told. Rows without an act say why: [`Tx::commit_unrecorded`].
//! - Records go through an outbox in the same transaction; the [`Pump`] carries them to the journal,
//!   each exactly once, whatever crashes when. [`Committed::journaled`] waits for it.
//! - A [`Feed`] tells every committed change in commit order, so that caches of this and other nodes
//!   forget in time.
//!
//! It never decides anything, holds no cache, speaks no HTTP, and never reads the machine's clock.
//! Rows 4 and up may use it, each its own entity module; only `engine` knows which database it is.
//!
//! # How an entity module is written
//!
//! A module holds the rows of one kind of thing: a typed struct, its SQL, and functions on top.
//!
//! ```ignore
//! use crate::statements::statements;
//! use crate::value::args;
//! use crate::{Reader, StoreError, Tx};
//!
//! statements! {                      // named, listed in the registry, prepared by its test
//!     INSERT = "INSERT INTO thing (id, name, at) VALUES ($1, $2, $3)";
//!     BY_NAME = "SELECT id, name, at FROM thing WHERE name = $1";
//! }
//!
//! /// A thing.
//! pub struct Thing { pub id: ThingId, pub name: String, pub at: Timestamp }
//!
//! #[derive(sqlx::FromRow)]           // the plain kinds: Uuid, i64, i32, bool, String, Vec<u8>, Option<…>
//! struct ThingRow { id: Uuid, name: String, at: i64 }
//!
//! impl From<ThingRow> for Thing { /* … */ }   // TryFrom with StoreError::Corrupt where a text is an enum
//!
//! /// Writes take `&mut Tx` and leave the commit, with its records, to the caller.
//! pub async fn insert(tx: &mut Tx, thing: &Thing) -> Result<(), StoreError> {
//!     tx.run(INSERT, args![thing.id, &thing.name, thing.at]).await.map(drop)
//! }
//!
//! /// Reads take `&Store`, `&mut View` or `&mut Tx`.
//! pub async fn by_name<'a>(db: impl Into<Reader<'a>>, name: &str) -> Result<Option<Thing>, StoreError> {
//!     Ok(db.into().one::<ThingRow>(BY_NAME, args![name]).await?.map(Thing::from))
//! }
//! ```
//!
//! SQL is what SQLite and PostgreSQL both speak: `$1`, `ON CONFLICT`, `RETURNING`, `TRUE`; moments and
//! counts are `i64`, days are `i32`; a list is bounded by `LIMIT`. `accounts` is a real example. A table or
//! column is a step of `engine::schema`, in each engine's types; every test of a module runs on both.

pub mod accounts;
pub mod authenticators;
mod change;
mod engine;
pub mod enrolments;
mod error;
mod facts;
mod feed;
#[cfg(test)]
mod fixture;
pub mod grants;
pub mod interactions;
pub mod notices;
mod outbox;
pub mod people;
pub mod places;
mod pump;
pub mod restored;
pub mod sessions;
mod statements;
mod store;
mod tx;
mod value;
mod visitor;

pub use error::StoreError;
pub use facts::{ChangeKind, Changed, Facts, Notice, Unrecorded};
pub use feed::{Change, Feed};
pub use outbox::Backlog;
pub use pump::Pump;
pub use store::{Reader, Store, View};
pub use tx::{Committed, Tx};
pub use visitor::Visitor;
