//! The ward chart of a hospital that doesn't exist: the kind of app that stands behind the gateway,
//! with everything such apps do to a gateway. It polls, keeps a WebSocket and an event stream open,
//! takes forms, JSON and uploads, streams downloads, and has a cookie session of its own.

mod believed;
mod body;
mod entries;
mod feed;
mod files;
mod pages;
mod requests;
mod routes;
mod socket;
mod visits;
mod ward;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time;

use self::entries::Entries;
use self::feed::Feed;
use self::files::Files;
use self::requests::Requests;
use self::routes::Chart;
use self::visits::Visits;

/// Connections at a time.
const CONNECTIONS: usize = 4_096;
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// What is under way when the server stops may take this long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves the chart on plain HTTP/1.1 until `shutdown` is ready; then it finishes what is under way,
/// for at most two seconds. Listen on loopback only: it believes its identity headers.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let clock = Clock::system();
    let feed = Feed::new(stopped.clone());
    let ticking = tokio::spawn(feed.clone().run(clock.clone()));
    let chart = Arc::new(Chart {
        clock,
        feed,
        visits: Visits::default(),
        entries: Entries::default(),
        files: Files::default(),
        requests: Requests::default(),
    });
    let mut connections = JoinSet::new();
    let result = accept(&listener, shutdown, &chart, &stopped, &mut connections).await;
    drop(listener);
    let _ = stop.send(true);
    let farewell = async { while connections.join_next().await.is_some() {} };
    if time::timeout(LAST_WORDS, farewell).await.is_err() {
        connections.shutdown().await;
    }
    let _ = ticking.await;
    result
}

async fn accept(
    listener: &TcpListener,
    shutdown: impl Future<Output = ()>,
    chart: &Arc<Chart>,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) -> io::Result<()> {
    let mut shutdown = pin!(shutdown);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = tokio::select! {
            () = &mut shutdown => return Ok(()),
            place = Arc::clone(&room).acquire_owned() => place.map_err(io::Error::other)?,
        };
        let stream = tokio::select! {
            () = &mut shutdown => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // The client was gone already, or there were no descriptors: wait a moment for one.
                Err(error) => {
                    tracing::debug!(%error, "accept");
                    time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        let (chart, stopped) = (Arc::clone(chart), stopped.clone());
        connections.spawn(async move {
            connection(stream, chart, stopped).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, chart: Arc<Chart>, mut stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let answer = Arc::clone(&chart).answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    tokio::select! {
        ended = &mut connection => return note(ended),
        _ = stopped.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    note(connection.await);
}

fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection");
    }
}

#[cfg(test)]
mod tests;
