//! The thread that syncs, signs and recovers.

use super::state::Settled;
use super::{Setup, Shared};
use crate::JournalError;
use crate::checkpoint::Checkpoint;

/// Runs until the journal is closed: a round every `sync_every`, or at once when somebody waits.
pub(super) fn run(shared: &Shared) {
    loop {
        if wait(shared) {
            let result = finish(shared);
            shared.lock().end(result);
            return;
        }
        // What went wrong is in the state: appends fail until a later round recovers.
        let _ = round(shared);
    }
}

fn wait(shared: &Shared) -> bool {
    let tick = shared.setup.options.sync_every;
    let state = shared.lock();
    match shared.wake.wait_timeout_while(state, tick, |state| !state.is_urgent()) {
        Ok((state, _)) => state.is_closing(),
        // The next lock gives the segment up.
        Err(_) => false,
    }
}

/// One group commit. Nobody who waits is told before the segment was seen standing in its place.
fn round(shared: &Shared) -> Settled {
    let job = {
        let mut state = shared.lock();
        state.recover(&shared.setup)?;
        state.round(&shared.setup)
    };
    let result = job.as_ref().map_or(Ok(()), |job| job.sink.sync());
    let (settled, synced) = {
        let mut state = shared.lock();
        let settled = result.map_err(|error| state.doubt(&error));
        state.check_presence();
        if state.is_broken() {
            state.recover(&shared.setup)?;
        } else if let Some(job) = &job {
            state.settle(job.seq);
        }
        (settled, state.synced())
    };
    shared.synced.send_if_modified(|newest| synced != std::mem::replace(newest, synced));
    settled?;
    if let Some(checkpoint) = job.and_then(|job| job.checkpoint) {
        // The next one says all that this one said.
        let _ = sign(&shared.setup, &checkpoint);
    }
    Ok(())
}

/// Nothing is appended any more: what is on disk after one more round is signed as closed.
fn finish(shared: &Shared) -> Settled {
    round(shared)?;
    let checkpoint = shared.lock().checkpoint(&shared.setup, true);
    sign(&shared.setup, &checkpoint)
}

fn sign(setup: &Setup, checkpoint: &Checkpoint) -> Result<(), JournalError> {
    let note = checkpoint.note(&setup.key);
    let inside = setup.shelf.put_inside(&note);
    let outside = setup.shelf.put_outside(&note);
    inside.and(outside).inspect_err(|error| tracing::error!(%error, "a checkpoint could not be written"))
}
