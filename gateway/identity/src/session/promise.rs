use std::sync::Arc;

use model::{EndReason, Token};
use store::Committed;

use super::{By, Live, SessionError, Sessions};

/// A token of a session that was begun or unlocked, while the records of that are on their way to the
/// journal. Unless they arrive in time the session is over: nobody was given the token, and all others of
/// the session are dead.
#[derive(Debug)]
#[must_use = "dropped, the session ends"]
pub(crate) struct Promise {
    committed: Committed,
    token: Token,
    held: Held,
}

impl Promise {
    pub(super) const fn new(committed: Committed, token: Token, held: Held) -> Self {
        Self { committed, token, held }
    }

    /// The session and its token, once both may be told.
    ///
    /// # Errors
    /// [`SessionError::Store`] if the records did not arrive; the session has ended, in the store as well if it
    /// could be asked.
    pub(crate) async fn kept(self) -> Result<(Arc<Live>, Token), SessionError> {
        let Self { committed, token, mut held } = self;
        let arrived = committed.journaled().await;
        let live = held.live.take().ok_or(SessionError::Gone)?;
        let Err(error) = arrived else { return Ok((live, token)) };
        let sessions = held.sessions.clone();
        sessions.end_now(&live, EndReason::Unclaimed);
        // What the store doesn't take now stays owed to it.
        if let Err(error) = sessions.settle(&live, By::Gateway).await {
            tracing::warn!(%error, "the end of a session that nobody was given is not written yet");
        }
        Err(error.into())
    }
}

/// Ends the session if it is dropped with it: a client that leaves drops the request.
#[derive(Debug)]
pub(super) struct Held {
    sessions: Sessions,
    live: Option<Arc<Live>>,
}

impl Held {
    pub(super) fn new(sessions: &Sessions, live: &Arc<Live>) -> Self {
        Self { sessions: sessions.clone(), live: Some(Arc::clone(live)) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            self.sessions.end_now(&live, EndReason::Unclaimed);
        }
    }
}

#[cfg(test)]
mod tests;
