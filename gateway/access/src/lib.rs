//! What an account may be, now: the roles that HR data gives today, and those that a paper grants.
//!
//! [`Roles::of`] answers from memory and is right even if the memory is not kept up: an answer is only
//! remembered while [`Roles::run`] hears the change feed, for the generation of rules and the moment it
//! was made for, and never for another account.
//!
//! The only grant it gives is that of [`bootstrap()`]; the papers come with people and rights.
//!
//! [`ask`] is the one place that puts a question to the policy, and [`Explanation`] what is told of the answer
//! when somebody only wants to know.
//!
//! The crate decides nothing (that is `policy`'s) and speaks no HTTP. The data plane and
//! the portal use it; it doesn't know its neighbours of row 4.

mod ask;
mod bootstrap;
mod cache;
mod effective;
mod error;
mod explain;
#[cfg(test)]
mod fixture;
mod roles;

pub use ask::{Question, ask};
pub use bootstrap::bootstrap;
pub use effective::{Effective, Held, Why};
pub use error::AccessError;
pub use explain::{Described, DescribedError, Explanation, PolicyTest, Verdict};
pub use roles::Roles;
