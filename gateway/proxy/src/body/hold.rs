//! Bodies that a rule must look into before the upstream sees a byte.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use identity::Live;
use model::{Clock, SessionState};
use tokio::time::timeout;

/// A body that was read before the first byte went upstream.
#[derive(Debug, Default)]
pub(crate) enum Held {
    /// None was.
    #[default]
    Nothing,
    /// All of it.
    Whole(Bytes),
}

/// Why a body could not be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unheld {
    /// It is larger than the bound.
    TooLarge,
    /// It stopped coming.
    Slow,
    /// It broke off or was misframed.
    Broken,
    /// The session ended meanwhile.
    Ended,
}

/// Reads a body to its end, at most `most` bytes.
pub(crate) async fn hold(
    body: Option<Incoming>,
    most: usize,
    patience: Duration,
    live: &Live,
    clock: &Clock,
) -> Result<Bytes, Unheld> {
    let Some(mut body) = body else { return Ok(Bytes::new()) };
    if body.size_hint().lower() > most as u64 {
        return Err(Unheld::TooLarge);
    }
    let mut held = BytesMut::new();
    while let Some(frame) = timeout(patience, body.frame()).await.map_err(|_| Unheld::Slow)? {
        let frame = frame.map_err(|_| Unheld::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        if held.len() + data.len() > most {
            return Err(Unheld::TooLarge);
        }
        held.extend_from_slice(&data);
        if live.state(clock.now()) == SessionState::Ended {
            return Err(Unheld::Ended);
        }
    }
    Ok(held.freeze())
}
