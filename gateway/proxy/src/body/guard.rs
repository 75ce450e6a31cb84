//! Watches over finite exchanges.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use identity::Live;
use model::{Clock, SessionState, Timestamp};
use tokio::time::{Instant, Sleep, sleep};

use crate::lease::{Breach, TICK};

/// Why a body was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    /// The session ended.
    #[error("the session has ended")]
    Ended,
    /// Nothing moved for too long.
    #[error("nothing moved for too long")]
    Stalled,
    /// The permit of a stream was not renewed.
    #[error("the permit lapsed: {0}")]
    Lapsed(Breach),
}

/// Watches over one direction of a finite exchange: the end of the session cuts it, a lock doesn't.
pub(crate) struct Guard {
    live: Arc<Live>,
    clock: Clock,
    patience: Duration,
    moved: Instant,
    tick: Option<Pin<Box<Sleep>>>,
}

impl Guard {
    pub(crate) fn new(live: Arc<Live>, clock: Clock, patience: Duration) -> Self {
        Self { live, clock, patience, moved: Instant::now(), tick: None }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn check(&self) -> Result<(), Cut> {
        let ended = self.live.state(self.clock.now()) == SessionState::Ended;
        if ended { Err(Cut::Ended) } else { Ok(()) }
    }

    /// Something moved.
    pub(super) fn moved(&mut self) -> Result<(), Cut> {
        if self.tick.is_some() {
            self.moved = Instant::now();
        }
        self.check()
    }

    /// Nothing moves: wakes the task twice a second to look at the session.
    pub(super) fn waiting(&mut self, cx: &mut Context<'_>) -> Result<(), Cut> {
        if self.tick.is_none() {
            self.moved = Instant::now();
        }
        let tick = self.tick.get_or_insert_with(|| Box::pin(sleep(TICK)));
        while tick.as_mut().poll(cx).is_ready() {
            let ended = self.live.state(self.clock.now()) == SessionState::Ended;
            if ended {
                return Err(Cut::Ended);
            }
            if self.moved.elapsed() >= self.patience {
                return Err(Cut::Stalled);
            }
            tick.as_mut().reset(Instant::now() + TICK);
        }
        Ok(())
    }
}
