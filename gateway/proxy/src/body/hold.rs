//! Bodies that a rule must look into before the upstream sees a byte.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use model::{Clock, Refusal};
use tokio::time::{Instant, timeout};

use crate::lease::TICK;

/// A body that was read before the first byte went upstream.
#[derive(Debug, Default)]
pub(crate) enum Held {
    /// None was.
    #[default]
    Nothing,
    /// All of it.
    Whole(Bytes),
}

/// How long a held body may take in all: it is forms and orders, not films, and nothing is decided
/// while it trickles.
const IN_ALL: Duration = Duration::from_secs(30);

/// Reads a body to its end: at most `most` bytes, no pause of `patience`, [`IN_ALL`] altogether, and only
/// as long as `still` has no objection.
pub(crate) async fn hold(
    body: Option<Incoming>,
    most: usize,
    patience: Duration,
    clock: &Clock,
    still: impl Fn() -> Result<(), Refusal>,
) -> Result<Bytes, Refusal> {
    let Some(mut body) = body else { return Ok(Bytes::new()) };
    if body.size_hint().lower() > most as u64 {
        return Err(Refusal::TooLarge);
    }
    let (began, mut moved, mut held) = (clock.now(), Instant::now(), BytesMut::new());
    loop {
        let frame = timeout(TICK.min(patience), body.frame()).await;
        still()?;
        if clock.now().since(began) >= IN_ALL {
            return Err(Refusal::SlowBody);
        }
        let Ok(frame) = frame else {
            if moved.elapsed() >= patience {
                return Err(Refusal::SlowBody);
            }
            continue;
        };
        let Some(frame) = frame else { return Ok(held.freeze()) };
        moved = Instant::now();
        let Ok(data) = frame.map_err(|_| Refusal::Malformed("body"))?.into_data() else { continue };
        if held.len() + data.len() > most {
            return Err(Refusal::TooLarge);
        }
        held.extend_from_slice(&data);
    }
}
