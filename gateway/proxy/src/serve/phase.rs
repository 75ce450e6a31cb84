//! What an HTTP/1.1 connection is doing: it decides how long it may be silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::timed::{Awaited, Pace};

/// One request after the other.
#[derive(Debug)]
pub(super) struct Phase {
    now: AtomicU8,
    /// A request was refused before its body had come: the client is probably still sending.
    lingers: AtomicBool,
}

/// Nothing has come yet; browsers open connections ahead of need.
const FRESH: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;
/// Between two requests: the idle limit holds.
const IDLE: u8 = 3;
/// It is a WebSocket now, which may be silent for as long as its lease lasts.
const OVER: u8 = 4;

impl Phase {
    /// A new connection: the first head is due.
    pub(super) fn fresh() -> Arc<Self> {
        Arc::new(Self { now: AtomicU8::new(FRESH), lingers: AtomicBool::new(false) })
    }

    /// A request begins; the connection is busy until it has ended.
    pub(super) fn begin(&self) {
        self.now.store(BUSY, Ordering::Relaxed);
    }

    /// A request has ended.
    pub(super) fn rest(&self) {
        let _ = self.now.compare_exchange(BUSY, IDLE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// No further request comes: the protocol changes.
    pub(super) fn hand_over(&self) {
        self.now.store(OVER, Ordering::Relaxed);
    }

    /// The connection will be closed over an unread body.
    pub(super) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }
}

impl Pace for Arc<Phase> {
    fn read(&mut self, _: &[u8]) -> bool {
        match self.now.load(Ordering::Relaxed) {
            FRESH => {
                self.now.store(HEAD, Ordering::Relaxed);
                false
            }
            IDLE => {
                self.now.store(HEAD, Ordering::Relaxed);
                true
            }
            _ => false,
        }
    }

    fn wrote(&mut self, _: &[u8]) {}

    fn awaited(&self) -> Awaited {
        match self.now.load(Ordering::Relaxed) {
            FRESH => Awaited::Greeting,
            HEAD => Awaited::Head,
            IDLE => Awaited::Request,
            _ => Awaited::Nothing,
        }
    }

    fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_awaited_then_nothing_then_the_next_request() {
        let mut phase = Phase::fresh();
        assert_eq!(phase.awaited(), Awaited::Greeting);
        assert!(!phase.read(b"G") && phase.awaited() == Awaited::Head);
        phase.begin();
        assert_eq!(phase.awaited(), Awaited::Nothing);
        phase.rest();
        assert_eq!(phase.awaited(), Awaited::Request);
        assert!(phase.read(b"G") && phase.awaited() == Awaited::Head);
    }

    #[test]
    fn a_web_socket_may_be_silent() {
        let mut phase = Phase::fresh();
        phase.begin();
        phase.hand_over();
        phase.rest();
        assert!(!phase.read(b"frame") && phase.awaited() == Awaited::Nothing);
    }
}
