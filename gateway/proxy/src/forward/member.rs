//! A member of an upstream: its idle connections, and whether it is well.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use config::{HealthSettings, UpstreamAddress};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;

use super::dial::{Dialer, Dialled};
use crate::body::Inward;

/// Idle connections kept to one member.
const IDLE: usize = 256;

/// One member.
pub(super) struct Member {
    address: UpstreamAddress,
    keep_alive: Duration,
    /// Those given back last stand last.
    idle: Mutex<Vec<Idle>>,
    pub(super) standing: Standing,
}

struct Idle {
    line: Dialled,
    since: Instant,
}

impl Member {
    pub(super) fn new(address: UpstreamAddress, keep_alive: Duration) -> Arc<Self> {
        let (idle, standing) = (Mutex::default(), Standing::default());
        Arc::new(Self { address, keep_alive, idle, standing })
    }

    pub(super) const fn address(&self) -> &UpstreamAddress {
        &self.address
    }

    /// The connection that was used last of those whose last answer is whole: hyper calls a connection ready
    /// when both messages have come to their ends, and not before (H-21).
    pub(super) fn idle_line(self: &Arc<Self>) -> Option<Line> {
        let mut idle = self.idle();
        let at = idle.iter().rposition(|idle| idle.line.sender.is_ready() && idle.since.elapsed() < self.keep_alive)?;
        let Dialled { sender, driver } = idle.remove(at).line;
        Some(Line { sender, driver, member: Arc::clone(self), used: true })
    }

    /// A new connection.
    pub(super) async fn connect(self: &Arc<Self>, dialer: &Dialer) -> io::Result<Line> {
        let Dialled { sender, driver } = dialer.dial(&self.address).await?;
        Ok(Line { sender, driver, member: Arc::clone(self), used: false })
    }

    /// Closes what has been idle for too long.
    pub(super) fn prune(&self) {
        self.idle().retain(|idle| !idle.line.sender.is_closed() && idle.since.elapsed() < self.keep_alive);
    }

    fn keep(&self, line: Dialled) {
        if self.keep_alive.is_zero() || line.sender.is_closed() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() >= IDLE {
            idle.remove(0);
        }
        idle.push(Idle { line, since: Instant::now() });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in the hands of one request. Dropped, it is closed when what is on it has ended.
pub(crate) struct Line {
    sender: SendRequest<Inward>,
    driver: AbortHandle,
    member: Arc<Member>,
    used: bool,
}

impl Line {
    /// Has it carried a request before?
    pub(super) const fn is_used(&self) -> bool {
        self.used
    }

    /// Sends the one request. What was never begun to be written comes back with the error.
    pub(super) fn send(
        &mut self,
        request: Request<Inward>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Inward>>>> {
        self.sender.try_send_request(request)
    }

    /// Gives it back, after the last byte of the answer.
    pub(crate) fn done(self) {
        self.member.keep(Dialled { sender: self.sender, driver: self.driver });
    }

    /// Closes it at once: after a doubtful answer, or half of one, no other request may meet what is left on it.
    pub(crate) fn discard(self) {
        self.driver.abort();
    }
}

/// Whether a member is well: a few results in a row turn it.
#[derive(Debug, Default)]
pub(super) struct Standing {
    down: AtomicBool,
    /// Results in a row that speak against what it is.
    against: AtomicU32,
}

impl Standing {
    pub(super) fn is_well(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }

    pub(super) fn good(&self, health: &HealthSettings, member: &UpstreamAddress) {
        if self.told(true, health.up_after) {
            tracing::info!(upstream = %member, "a member is well again");
        }
    }

    pub(super) fn bad(&self, health: &HealthSettings, member: &UpstreamAddress) {
        if self.told(false, health.down_after) {
            tracing::warn!(upstream = %member, "a member is down");
        }
    }

    /// True if that turned it.
    fn told(&self, well: bool, enough: u32) -> bool {
        if well == self.is_well() {
            self.against.store(0, Ordering::Relaxed);
            return false;
        }
        if self.against.fetch_add(1, Ordering::Relaxed).saturating_add(1) < enough {
            return false;
        }
        self.against.store(0, Ordering::Relaxed);
        self.down.swap(!well, Ordering::Relaxed) == well
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_turns_after_so_many_results_in_a_row() {
        let standing = Standing::default();
        let told = |well| standing.told(well, if well { 3 } else { 2 });
        assert!(standing.is_well() && !told(false) && !told(true) && !told(false));
        assert!(standing.is_well(), "the failures were not in a row");
        assert!(told(false) && !standing.is_well());
        assert!(!told(false) && !told(true) && !told(true) && !told(false) && !told(true) && !told(true));
        assert!(told(true) && standing.is_well());
    }
}
