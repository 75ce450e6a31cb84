//! WebSocket (RFC 6455): the handshake as we allow it, the frames' boundaries, the relay.

mod frames;
mod handshake;
mod relay;

pub(crate) use handshake::{Handshake, Offer, offered};
pub(crate) use relay::{Cut, relay};
