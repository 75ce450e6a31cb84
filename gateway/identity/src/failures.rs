//! When a guessed authenticator answers no more (C-22). The counting itself is done in the store, before
//! the check, and taken back after success, so that parallel tries can't slip past it (A24) and a crash
//! between the two counts as a failure.
//!
//! Delays and the quarter of an hour hold for one place: each browser and address that the account has
//! logged in from has a count of its own, everywhere else shares one. Whoever types a colleague's number
//! at another terminal closes that terminal for it, and not the colleague's own (A47).
//!
//! Passkeys are not counted: nobody guesses a signature, and whoever could close a colleague's passkey
//! by sending rubbish would have a weapon (A47).

use std::time::Duration;

/// From this many failures at a place on the next try there has to wait.
const DELAY_FROM: i64 = 5;
/// From this many on it waits [`CLOSED`], and a half-open login dies (A25).
pub(crate) const CLOSE_FROM: i64 = 10;
/// At this many in a row, whatever places they came from, the authenticator is off for good.
pub(crate) const OFF_AT: i64 = 100;
const FIRST_DELAY: Duration = Duration::from_secs(5);
const CLOSED: Duration = Duration::from_secs(15 * 60);

/// How long an authenticator stays closed for a place after its `failures`-th failure in a row there.
pub(crate) fn pause_after(failures: i64) -> Option<Duration> {
    match failures {
        ..DELAY_FROM => None,
        DELAY_FROM..CLOSE_FROM => Some(FIRST_DELAY * (1 << (failures - DELAY_FROM))),
        _ => Some(CLOSED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn req_c22_delays_grow_from_five_and_a_quarter_of_an_hour_begins_at_ten() {
        let seconds: Vec<u64> = (1..=11).map(|n| pause_after(n).map_or(0, |d| d.as_secs())).collect();
        assert_eq!(seconds, [0, 0, 0, 0, 5, 10, 20, 40, 80, 900, 900]);
    }
}
