//! Watches over an upstream beside its requests: idle connections are closed, members are tried.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::member::{Line, Member};
use super::upstream::Upstream;
use crate::body::Inward;

/// How often at most idle connections are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// Starts the watch. It ends with the upstream.
pub(super) fn keep(upstream: &Arc<Upstream>) {
    if !upstream.keep_alive().is_zero() {
        let every = SWEEP.max(upstream.keep_alive() / 2);
        tokio::spawn(sweep(Arc::downgrade(upstream), ticks(every)));
    }
    if upstream.is_watched() {
        for member in upstream.members() {
            let every = upstream.health().every;
            tokio::spawn(watch(Arc::downgrade(upstream), Arc::clone(member), ticks(every)));
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn sweep(upstream: Weak<Upstream>, mut ticks: Interval) {
    loop {
        ticks.tick().await;
        let Some(upstream) = upstream.upgrade() else { return };
        upstream.members().iter().for_each(|member| member.prune());
    }
}

async fn watch(upstream: Weak<Upstream>, member: Arc<Member>, mut ticks: Interval) {
    loop {
        ticks.tick().await;
        let Some(upstream) = upstream.upgrade() else { return };
        let health = upstream.health();
        match timeout(health.timeout, is_well(&upstream, &member)).await {
            Ok(true) => member.standing.good(health, member.address()),
            Ok(false) | Err(_) => member.standing.bad(health, member.address()),
        }
    }
}

async fn is_well(upstream: &Upstream, member: &Arc<Member>) -> bool {
    let Ok(line) = member.connect(upstream.dialer()).await else { return false };
    match &upstream.health().path {
        None => true,
        Some(path) => ask(line, member, path).await.is_some_and(|status| !status.is_server_error()),
    }
}

/// One request, on a connection of its own.
async fn ask(mut line: Line, member: &Member, path: &str) -> Option<StatusCode> {
    let request = Request::get(path)
        .header(HOST, HeaderValue::from_str(&member.address().authority()).ok()?)
        .header(USER_AGENT, HeaderValue::from_static("sekimori-health"))
        .body(Inward::Empty)
        .ok()?;
    let status = line.send(request).await.ok()?.status();
    line.discard();
    Some(status)
}
