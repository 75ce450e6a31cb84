//! What goes wrong before there is an answer.

use std::error::Error;
use std::io;

/// Why an upstream gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No member accepted the connection in time.
    ConnectTimeout,
    /// No member could be connected to, or none showed the right certificate.
    Unreachable,
    /// The connection broke without an answer; a request that changes nothing may be sent again (H-22).
    Broken,
    /// Anything else, nonsense for an answer included.
    Other,
}

impl Failure {
    /// While connecting.
    pub(super) fn connecting(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut { Self::ConnectTimeout } else { Self::Unreachable }
    }

    /// After the request was written, or begun to be.
    pub(super) fn asking(error: &hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return Self::Broken;
        }
        let io = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
        match io {
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => Self::Broken,
            _ => Self::Other,
        }
    }
}
