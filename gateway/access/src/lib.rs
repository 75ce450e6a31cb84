//! What an account may be, now: the roles that HR data gives today, and those that a paper grants.
//!
//! [`Roles::of`] answers from memory and is right even if the memory is not kept up: an answer is only
//! remembered while [`Roles::run`] hears the change feed, for the generation of rules and the moment it
//! was made for, and never for another account.
//!
//! The only grant it gives is that of [`bootstrap()`]; the papers come with people and rights.
//!
//! The crate decides nothing (that is `policy`'s) and speaks no HTTP. The data plane and
//! the portal use it; it doesn't know its neighbours of row 4.

mod bootstrap;
mod cache;
mod effective;
mod error;
#[cfg(test)]
mod fixture;
mod roles;

pub use bootstrap::bootstrap;
pub use effective::{Effective, Held, Why};
pub use error::AccessError;
pub use roles::Roles;
