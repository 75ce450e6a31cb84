//! What an HTTP/2 connection is doing (H-23).
//!
//! hyper bounds what a client may have open and how often it may take back what it asked. It has no clock:
//! for a head that begins and doesn't end, for answers that the client asks for and doesn't take, for a
//! connection that nothing is asked on. That clock is here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::frames::{Frame, Walk};
use super::timed::{Awaited, Pace, Patience};

/// Shared by a connection, its requests and its clock.
#[derive(Debug)]
pub(super) struct Streams(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests under way, and those of them whose answer is being handed to hyper.
    open: usize,
    answering: usize,
    idle_since: Instant,
    inward: Walk,
    outward: Walk,
    /// A head, or the greeting, is on its way since then.
    head_since: Option<Instant>,
    /// Streams on which an answer has begun and not ended on the wire.
    unfinished: BTreeMap<u32, Moved>,
    spoken: bool,
    /// What hyper complained of to the client, and how often.
    faults: BTreeMap<&'static str, u32>,
}

/// How an answer moves on the wire. A byte now and then is no movement: it would hold the rest for ever.
#[derive(Clone, Copy, Debug)]
struct Moved {
    at: Instant,
    /// Bytes since then.
    bytes: u32,
}

impl Moved {
    /// Bytes by which an answer has moved on.
    const LEAST: u32 = 1_024;

    fn by(&mut self, bytes: u32) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= Self::LEAST {
            *self = Self { at: Instant::now(), bytes: 0 };
        }
    }
}

/// What the clock finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing to be said against it.
    Fine,
    /// Nothing was asked for too long.
    Idle,
    /// A head, or the greeting, didn't come to its end. `true`: it had begun.
    SlowHead(bool),
    /// Answers are there that the client doesn't take.
    Stuck,
}

impl Streams {
    pub(super) fn new() -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self(Mutex::new(State {
            open: 0,
            answering: 0,
            idle_since: now,
            inward: Walk::of_client(),
            outward: Walk::of_server(),
            head_since: Some(now),
            unfinished: BTreeMap::new(),
            spoken: false,
            faults: BTreeMap::new(),
        })))
    }

    /// A request begins.
    pub(super) fn begin(&self) {
        self.state().open += 1;
    }

    /// Its answer is handed over.
    pub(super) fn answer(&self) {
        self.state().answering += 1;
    }

    /// It has ended; `answered`, if [`Self::answer`] was called.
    pub(super) fn rest(&self, answered: bool) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        state.answering = state.answering.saturating_sub(usize::from(answered));
        state.idle_since = Instant::now();
    }

    /// Has the client said anything at all?
    pub(super) fn has_spoken(&self) -> bool {
        self.state().spoken
    }

    /// Has it greeted as HTTP/2 wants it?
    pub(super) fn has_greeted(&self) -> bool {
        self.state().inward.greeted()
    }

    /// What hyper complained of since the last time.
    pub(super) fn faults(&self) -> BTreeMap<&'static str, u32> {
        std::mem::take(&mut self.state().faults)
    }

    /// Looks at the clock.
    pub(super) fn look(&self, patience: &Patience) -> Finding {
        let state = self.state();
        if state.head_since.is_some_and(|since| since.elapsed() >= patience.head) {
            Finding::SlowHead(state.spoken)
        } else if state.is_stuck(patience.stall) {
            Finding::Stuck
        } else if state.open == 0 && state.idle_since.elapsed() >= patience.idle {
            Finding::Idle
        } else {
            Finding::Fine
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// An answer that doesn't move may wait for the upstream as long as it is still being handed over. If
    /// more than those don't, some are whole and wait for the client alone.
    fn is_stuck(&self, stall: Duration) -> bool {
        self.unfinished.values().filter(|moved| moved.at.elapsed() >= stall).count() > self.answering
    }

    fn read(&mut self, bytes: &[u8]) {
        self.spoken = true;
        let (mut moved, unfinished) = (false, &mut self.unfinished);
        self.inward.advance(bytes, |frame| {
            moved |= !frame.continues();
            if frame.resets() {
                unfinished.remove(&frame.stream);
            }
        });
        let midway = self.inward.is_midway() || !self.inward.greeted();
        self.head_since = match self.head_since {
            Some(since) if midway && !moved => Some(since),
            _ => midway.then(Instant::now),
        };
    }

    fn wrote(&mut self, bytes: &[u8]) {
        let (unfinished, faults) = (&mut self.unfinished, &mut self.faults);
        self.outward.advance(bytes, |frame| {
            if frame.ends() {
                unfinished.remove(&frame.stream);
            } else if frame.is_message() {
                let begun = || Moved { at: Instant::now(), bytes: 0 };
                unfinished.entry(frame.stream).or_insert_with(begun).by(frame.length);
            }
            if let Some(fault) = fault(frame) {
                *faults.entry(fault).or_default() += 1;
            }
        });
    }
}

/// What a frame of ours accuses the client of (RFC 9113 7). Nothing else does: what we ourselves give up is
/// `INTERNAL_ERROR` or `CANCEL`, and frames that cross a reset on their way are nobody's fault.
fn fault(frame: &Frame) -> Option<&'static str> {
    match frame.error()? {
        1 => Some("http2-protocol"),
        3 => Some("http2-flow-control"),
        6 => Some("http2-frame-size"),
        7 => Some("http2-refused"),
        9 => Some("http2-compression"),
        11 => Some("http2-calm"),
        _ => None,
    }
}

/// A connection's own view of its [`Streams`].
pub(super) struct Observed(pub(super) Arc<Streams>);

impl Pace for Observed {
    fn read(&mut self, bytes: &[u8]) -> bool {
        self.0.state().read(bytes);
        false
    }

    fn wrote(&mut self, bytes: &[u8]) {
        self.0.state().wrote(bytes);
    }

    fn awaited(&self) -> Awaited {
        Awaited::Nothing
    }

    fn lingers(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Patience = Patience { head: Duration::ZERO, idle: Duration::MAX, stall: Duration::ZERO };
    const LONG: Patience = Patience { head: Duration::MAX, idle: Duration::MAX, stall: Duration::MAX };

    /// A frame with `length` bytes of payload.
    fn frame(kind: u8, flags: u8, stream: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
        bytes.extend(vec![0; length.into()]);
        bytes
    }

    fn greeted() -> (Arc<Streams>, Observed) {
        let streams = Streams::new();
        let mut line = Observed(Arc::clone(&streams));
        line.read(&[0; 24]);
        line.read(&frame(4, 0, 0, 0));
        (streams, line)
    }

    #[test]
    fn req_h23_a_connection_that_never_greets_and_a_head_that_never_ends_are_slow() {
        let streams = Streams::new();
        assert_eq!(streams.look(&SHORT), Finding::SlowHead(false));
        assert_eq!(streams.look(&LONG), Finding::Fine);
        let (streams, mut line) = greeted();
        assert_eq!(streams.look(&SHORT), Finding::Fine);
        line.read(&frame(1, 0, 1, 5));
        assert_eq!(streams.look(&SHORT), Finding::SlowHead(true));
        line.read(&frame(9, 4, 1, 5));
        assert_eq!(streams.look(&SHORT), Finding::Fine);
    }

    #[test]
    fn req_h23_an_answer_that_ended_here_and_not_on_the_wire_is_stuck() {
        let (streams, mut line) = greeted();
        streams.begin();
        streams.answer();
        line.wrote(&frame(1, 4, 1, 3));
        assert_eq!(streams.look(&SHORT), Finding::Fine, "it is still being handed over");
        streams.rest(true);
        assert_eq!(streams.look(&SHORT), Finding::Stuck);
        line.wrote(&frame(0, 1, 1, 3));
        assert_eq!(streams.look(&SHORT), Finding::Fine);
        line.wrote(&frame(1, 4, 3, 3));
        assert_eq!(streams.look(&SHORT), Finding::Stuck);
        line.read(&frame(3, 0, 3, 4));
        line.wrote(&frame(6, 0, 0, 8));
        assert_eq!(streams.look(&SHORT), Finding::Fine, "the client has given it up");
    }

    #[test]
    fn req_h23_an_answer_that_is_taken_byte_by_byte_does_not_move() {
        let before = Instant::now();
        let mut moved = Moved { at: before, bytes: 0 };
        for _ in 1..Moved::LEAST {
            moved.by(1);
        }
        assert_eq!(moved.at, before);
        moved.by(1);
        assert!(moved.at > before && moved.bytes == 0);
    }

    #[test]
    fn a_connection_is_idle_when_nothing_is_asked() {
        let (streams, _line) = greeted();
        let none = Patience { idle: Duration::ZERO, ..LONG };
        assert_eq!(streams.look(&none), Finding::Idle);
        streams.begin();
        assert_eq!(streams.look(&none), Finding::Fine);
        streams.rest(false);
        assert_eq!(streams.look(&none), Finding::Idle);
    }

    #[test]
    fn what_is_held_against_the_client_is_counted() {
        let (streams, mut line) = greeted();
        for code in [1, 1, 8, 2, 5, 11] {
            line.wrote(&[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, code]);
        }
        assert_eq!(streams.faults(), BTreeMap::from([("http2-protocol", 2), ("http2-calm", 1)]));
        assert_eq!(streams.faults(), BTreeMap::new());
    }
}
