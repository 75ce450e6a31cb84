//! HTTP/2 as a hospital's browsers speak it: a connection for each session, a number of requests under way over all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::{Request, StatusCode};
use rustls::crypto::aws_lc_rs::kx_group::X25519;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::requests::Asked;
use crate::tls::Peer;
use crate::{Options, Result, percentile, processor_time, requests, tell, wait_for_word};

/// What a browser grants: no answer of the benchmark waits for more.
const WINDOW: u32 = 6 * 1_024 * 1_024;

struct Shared {
    requests: Vec<Asked>,
    connections: Vec<SendRequest<Bytes>>,
    next: AtomicUsize,
    least: usize,
    until: Instant,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(load(options))
}

async fn load(options: &Options) -> Result<()> {
    let peer = Peer::new(options, &[b"h2"], X25519)?;
    let (requests, sessions) = requests::streams(options.text("requests")?)?;
    let (least, at_once): (usize, usize) = (options.number("body")?, options.number("at_once")?);
    let length = Duration::from_secs(options.number("seconds")?);
    let mut connections = Vec::new();
    for session in 0..sessions {
        let sender = connect(&peer).await?;
        // Fields that both sides keep in their tables are there from the second request on.
        let first = requests.iter().find(|asked| asked.session == session).ok_or("a session's request")?;
        ask(&sender, first.request.clone(), least).await?;
        connections.push(sender);
    }
    wait_for_word()?;
    let (used, begin) = (processor_time()?, Instant::now());
    let shared = Shared { requests, connections, next: AtomicUsize::new(0), least, until: begin + length };
    let shared = Arc::new(shared);
    let tasks: Vec<_> = (0..at_once).map(|_| tokio::spawn(keep_asking(Arc::clone(&shared)))).collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    let (seconds, cpu) = (begin.elapsed().as_secs_f64(), processor_time()?.saturating_sub(used));
    waits.sort_unstable();
    tell(&format!(
        r#"{{"requests":{},"seconds":{seconds},"cpu_ns":{cpu},"p50":{},"p99":{}}}"#,
        waits.len(),
        percentile(&waits, 0.5),
        percentile(&waits, 0.99)
    ))
}

async fn connect(peer: &Peer) -> Result<SendRequest<Bytes>> {
    let socket = TcpStream::connect(("127.0.0.1", peer.port)).await?;
    socket.set_nodelay(true)?;
    let tls = TlsConnector::from(Arc::clone(&peer.config)).connect(peer.name.clone(), socket).await?;
    if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err("no HTTP/2 here".into());
    }
    let mut builder = Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).enable_push(false);
    let (sender, connection) = builder.handshake(tls).await?;
    // Should it fail, so does the request that is under way on it.
    tokio::spawn(connection);
    Ok(sender)
}

async fn keep_asking(shared: Arc<Shared>) -> Result<Vec<u64>> {
    let mut waits = Vec::new();
    while Instant::now() < shared.until {
        let at = shared.next.fetch_add(1, Ordering::Relaxed) % shared.requests.len();
        let asked = shared.requests.get(at).ok_or("a request")?;
        let sender = shared.connections.get(asked.session).ok_or("a connection")?;
        let (request, sent) = (asked.request.clone(), Instant::now());
        ask(sender, request, shared.least).await?;
        waits.push(u64::try_from(sent.elapsed().as_nanos())?);
    }
    Ok(waits)
}

async fn ask(sender: &SendRequest<Bytes>, request: Request<()>, least: usize) -> Result<()> {
    let mut sender = sender.clone().ready().await?;
    let response = sender.send_request(request, true)?.0.await?;
    let status = response.status();
    let (mut body, mut got) = (response.into_body(), 0);
    while let Some(part) = body.data().await {
        let length = part?.len();
        got += length;
        body.flow_control().release_capacity(length)?;
    }
    if status == StatusCode::OK && got >= least { Ok(()) } else { Err(format!("{status} with {got} bytes").into()) }
}
