//! The words of the product as types: who, from where, when, and in what state.
//!
//! Everything above `policy` shares these. The crate does no I/O, knows no SQL and no HTTP; the only
//! thing it asks of the machine is the time ([`Clock`]) and randomness ([`Token`], [`MasterKey`]).

mod clock;
mod edge;
pub mod hex;
mod ids;
mod keys;
mod matching;
mod network;
mod percent;
mod place;
mod principal;
mod refusal;
mod secret;
mod session;
mod timestamp;

pub use clock::Clock;
pub use edge::{Edge, FetchMetadata, Zone};
pub use ids::{AccountId, AuthenticatorId, IdError, NodeId, PersonId, RequestId, SessionId, StaffNo};
pub use keys::{KeyError, MasterKey, SealError};
pub use matching::matching_form;
pub use network::client_network;
pub use percent::{percent_decoded, percent_encoded};
pub use place::{DatabaseHost, DatabaseServer, StorePlace};
pub use principal::{Aal, Factor, Method, Person, Principal, Service};
pub use refusal::{Refusal, Wants};
pub use secret::{Secret, Token, TokenError, TokenHash, TokenKind};
pub use session::{EndReason, Limits, LockReason, SessionState};
pub use timestamp::{Timestamp, TimestampError};
