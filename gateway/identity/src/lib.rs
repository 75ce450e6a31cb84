//! Who somebody is and for how long we believe it: authenticators, logins, sessions, assertions.
//!
//! - [`Logins`] takes a browser through a stored interaction, step by step, until distinct verified
//!   factors add up to AAL2 (C-01); only then is there a session. It also unlocks a locked one.
//! - [`Sessions`] knows every living session as a [`Live`], whose state the request path reads from
//!   atomics: active, locked, ended (design.md §4). The store has what a restart needs.
//! - [`Enrolment`] binds authenticators to a proofed account, [`Own`] is for what their owner does with them,
//!   [`Assertions`] tells upstreams who asks.
//!
//! The crate speaks no HTTP and knows no role: cookies, pages and rights belong to the crates above.
//! It never keeps a secret in the clear (tokens and codes hashed, passwords as argon2id, TOTP seeds
//! sealed), never lets an AAL be asserted, and answers "unknown name", "wrong secret" and "closed after
//! failures" alike. `proxy`, `portal` and the binaries may use it.

mod assertion;
mod enrolment;
mod failures;
mod login;
mod own;
mod passkey;
mod password;
mod rules;
mod session;
#[cfg(test)]
mod testing;
mod totp;

pub use assertion::{AssertionError, Assertions, Audience};
pub use enrolment::{Bound, Enrolment, EnrolmentError, Issued, Officer, Progress, Proofing, Started, TotpSetup};
pub use login::{
    Begin, Completed, Destination, Entry, Interaction, LoginError, Logins, Next, Outcome, Purpose, Target, TargetError,
};
pub use own::{BoundBy, Own, OwnError, Owned, Use};
pub use password::{PasswordPool, Passwords, Problem, Profile};
pub use rules::{Rules, RulesSource};
pub use session::{Attended, Bearer, By, Counted, Entered, Listed, Live, NewSession, SessionError, Sessions};
pub use totp::newest_totp_step;
