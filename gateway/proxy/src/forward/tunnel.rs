//! A WebSocket, once both sides have agreed: frames both ways until the lease ends.

use std::sync::Arc;
use std::time::Duration;

use audit::Outcome;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Line;
use crate::body::Outgoing;
use crate::lease::{Breach, Lease};
use crate::listen::Connection;
use crate::record::Closer;
use crate::websocket::{Cut, Handshake, relay};

/// How long the two connections may take to change over.
const CHANGEOVER: Duration = Duration::from_secs(10);

/// Answers 101 and starts the relay.
pub(super) fn open(
    handshake: &Handshake,
    client: OnUpgrade,
    (response, line): (Response<Incoming>, Line),
    lease: Lease,
    closer: Closer,
    connection: Arc<Connection>,
    mut drained: watch::Receiver<bool>,
) -> Response<Outgoing> {
    let mut answer = Response::new(Outgoing::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = handshake.answer(response.headers());
    let upstream = hyper::upgrade::on(response);
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = carry(client, upstream, line, lease, closer) => {}
            _ = drained.wait_for(|drained| *drained) => {}
        }
        drop(connection);
    });
    answer
}

async fn carry(client: OnUpgrade, upstream: OnUpgrade, line: Line, lease: Lease, mut closer: Closer) {
    closer.status = Some(StatusCode::SWITCHING_PROTOCOLS.as_u16());
    let both = timeout(CHANGEOVER, async { tokio::try_join!(client, upstream) }).await;
    // What drove the connection as HTTP has let go of it.
    drop(line);
    let Ok(Ok((client, upstream))) = both else { return };
    let stop = async { cut(lease.breached().await) };
    let ended = relay(TokioIo::new(client), TokioIo::new(upstream), stop).await;
    closer.bytes_out = ended.bytes_out;
    closer.bytes_in(ended.bytes_in);
    closer.outcome = if ended.cut.is_some() || ended.failed { Outcome::Aborted } else { Outcome::Ok };
}

/// What both sides are told.
const fn cut(breach: Breach) -> Cut {
    match breach {
        Breach::Session => Cut { code: 1008, reason: "session locked or ended" },
        Breach::Policy => Cut { code: 1008, reason: "no longer permitted" },
        Breach::Stopping => Cut { code: 1001, reason: "gateway stopping" },
    }
}
