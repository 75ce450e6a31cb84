//! The words of the product as types: who, from where, when, and in what state.
//!
//! Everything above `policy` shares these. The crate does no I/O, knows no SQL and no HTTP; the only
//! thing it asks of the machine is the time ([`Clock`]) and randomness ([`Token`], [`MasterKey`]).

mod clock;
mod edge;
mod ids;
mod keys;
mod matching;
mod principal;
mod refusal;
mod secret;
mod session;

pub use clock::{Clock, Timestamp};
pub use edge::{Edge, FetchMetadata, Zone};
pub use ids::{AccountId, AuthenticatorId, IdError, NodeId, PersonId, RequestId, SessionId, StaffNo};
pub use keys::{KeyError, MasterKey, SealError};
pub use matching::matching_form;
pub use principal::{Aal, Factor, Method, Person, Principal, Service};
pub use refusal::{Refusal, Wants};
pub use secret::{Secret, Token, TokenError, TokenHash, TokenKind};
pub use session::{EndReason, Limits, LockReason, SessionState};
