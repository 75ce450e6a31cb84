//! Bodies on their way through: streamed, watched, counted, never gathered but where a rule must look in.

mod guard;
mod hold;
mod inward;
mod outgoing;
mod tee;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

pub(crate) use guard::{Cut, Guard};
pub(crate) use hold::{Held, hold};
pub(crate) use inward::{Inward, Progress, Upload};
pub(crate) use outgoing::{Download, Outgoing, Watch};
pub(crate) use tee::Tee;

/// An error of any body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of a page or a problem document.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;
