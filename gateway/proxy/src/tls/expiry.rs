//! Says in the log which certificates end soon.

use std::sync::Arc;
use std::time::Duration;

use config::Standing;
use tokio::time::sleep;

use crate::Services;

/// How often, beside start and reload.
const EVERY: Duration = Duration::from_secs(12 * 3_600);

/// Looks at the certificates of the plane in force until the gateway stops.
pub(crate) async fn watch(services: Arc<Services>) {
    let (mut stopping, mut planes) = (services.stopping(), services.planes.changed());
    loop {
        let (plane, now) = (services.planes.load(), services.clock.now());
        for expiry in &plane.snapshot.expiries {
            match (expiry.standing(now), expiry.warning(now)) {
                (Standing::Over, Some(words)) => tracing::error!("{words}"),
                (_, Some(words)) => tracing::warn!("{words}"),
                (_, None) => {}
            }
        }
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            changed = planes.changed() => if changed.is_err() { return },
            () = sleep(EVERY) => {}
        }
    }
}
