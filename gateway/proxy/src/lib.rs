//! The data plane: every request to a protected system passes here or nowhere.
//!
//! Nine stages, each a module. Three bring a connection to the point where a request can be read:
//!
//! 1. `listen`: who connects, himself or introduced by a balancer; how many connections he may have
//! 2. `tls`: the certificate and what is asked of the client, by server name
//! 3. `serve`: HTTP/1.1 or HTTP/2 with every limit; one [`Plane`] for the whole request
//!
//! From there on each takes a proof that only the one before can make, so that leaving one out does not
//! compile:
//!
//! 4. `admit`: one form, one host, no ambiguity, no forged header → `Admitted`
//! 5. `route`: method and path to action; what is the portal's goes there → `Routed`
//! 6. `resolve`: the person in an active session → `Resolved`
//! 7. `decide`: what the policy says → `Permitted`, out of a [`policy::Permit`]
//! 8. `record`: in the journal, or a slot that must be redeemed; what waited for a body is decided again →
//!    `Recorded`
//! 9. `forward`: upstream with the signed assertion, streamed both ways
//!
//! `forward` spends the permit. An open stream has a `Lease` instead, which keeps the question and asks again.
//!
//! The bytes forwarded are the bytes decided on: nothing of method, path and query is rewritten, and what
//! two parsers could read differently is refused.
//!
//! The crate never shows a page (it is handed two functions, [`Handlers`]), never makes, locks or ends a
//! session, and never asks the store for a session it knows. Only the gateway's binary and tests use it;
//! [`explain`](explain()) also serves the admin API and the command on the host.

mod admit;
mod body;
mod companion;
mod cookies;
mod cors;
mod decide;
mod explain;
mod forward;
mod headers;
mod lease;
mod limits;
mod listen;
mod location;
mod logout;
mod meters;
mod patient;
mod plane;
mod proxy;
mod record;
mod redirect;
mod refuse;
mod resolve;
mod route;
mod serve;
mod tls;
mod websocket;

pub use body::{Body, BoxError};
pub use explain::explain;
pub use meters::{Counts, Meters, Stage, Times};
pub use plane::{Plane, PlaneError};
pub use proxy::{Context, Handlers, Listeners, Parts, Proxy, RefusalHandler, ReservedHandler, Response};

pub(crate) use proxy::{Services, request_id};
