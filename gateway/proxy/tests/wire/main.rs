//! The proxy from outside: raw bytes in, raw bytes at the upstream, records in the journal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod browser;
mod carrying;
mod client_headers;
mod cookies;
mod errands;
mod explain;
mod framing;
mod fuzz;
mod limits;
mod pool;
mod records;
mod reload;
mod responses;
mod secured;
mod sessions;
mod streams;
mod tls;
mod upstream;
mod websocket;
mod world;
