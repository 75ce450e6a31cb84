//! What people see, and what programs of the administration speak to: pages, handshake, admin API.
//!
//! [`Portal::serve`] answers everything on the portal host and the reserved prefix `/.sekimori/` of app
//! hosts; [`Portal::refusal`] makes page, small page or problem document of what the data plane refuses.
//! Every route stands in one table (`routes.rs`) with who may use it and where a state change must come
//! from; a guard holds each request to it before its handler runs.
//!
//! The portal never forwards a request, never decides a right itself (`policy` does) and never keeps a
//! secret: session tokens are cookies here and hashes below, return addresses stay in stored
//! interactions and are never taken from an address (A15). Pages have no inline script or style, and
//! everything that isn't ours is escaped and stripped of direction marks (A43).
//!
//! Row 5, beside the proxy, which it doesn't know: the binary wires the two, and what the data plane
//! would decide is asked through [`Explain`]. Only the binary uses this crate.

mod api;
mod assets;
mod browser;
mod cookies;
mod explain;
mod form;
mod guard;
mod handlers;
mod headers;
#[cfg(test)]
mod house;
mod messages;
mod pages;
mod plain;
mod portal;
mod problem;
mod refusal;
mod refused;
mod routes;
#[cfg(any(test, feature = "samples"))]
#[doc(hidden)]
pub mod samples;
mod throttle;
mod visit;

pub use cookies::{BINDER, LANGUAGE, SESSION};
pub use explain::Explain;
pub use messages::{Language, MessagesError};
pub use portal::{Asked, Parts, Portal};
