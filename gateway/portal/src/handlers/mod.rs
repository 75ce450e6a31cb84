//! What the routes do, one module a concern.

pub(crate) mod authenticators;
pub(crate) mod cli;
pub(crate) mod enrol;
pub(crate) mod files;
pub(crate) mod handshake;
pub(crate) mod launcher;
pub(crate) mod lock;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod notices;
pub(crate) mod password;
pub(crate) mod sessions;

use std::sync::Arc;

use axum::response::Response;

use crate::refused::Refused;
use crate::visit::Visit;

/// A request, ready for its handler.
pub(crate) type Guest = Arc<Visit>;

/// What a handler gives back.
pub(crate) type Answer = Result<Response, Refused>;

/// A code as typed: full-width digits count as digits, blanks don't count.
fn typed_code(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            '０'..='９' => char::from_digit(u32::from(c) - u32::from('０'), 10).unwrap_or(c),
            _ => c,
        })
        .collect()
}

#[cfg(test)]
mod tests;
