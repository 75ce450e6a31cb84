use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use config::{HealthListener, Source};
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

use crate::arguments::Health;
use crate::output::{Answer, Failure};

const PATIENCE: Duration = Duration::from_secs(10);
const LIMIT: usize = 64 * 1_024;

/// `health`: what `/readyz` says; for people, and for whatever restarts containers.
pub(crate) async fn health(arguments: &Health) -> Result<Answer, Failure> {
    // Whether its certificates are good is not asked here.
    let snapshot = Source::read(&arguments.config).parse();
    let snapshot = snapshot.map_err(|report| Failure::local(format!("the configuration has errors\n{report}")))?;
    let asked = async {
        match &snapshot.settings.server.health {
            HealthListener::Off => Err(Failure::local("`server.health` is off")),
            HealthListener::Address(address) => {
                let stream = TcpStream::connect(reachable(*address)).await.map_err(|error| lost(&error))?;
                ask(TokioIo::new(stream)).await
            }
            HealthListener::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| lost(&error))?;
                ask(TokioIo::new(stream)).await
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(lost(&"no answer in time")))?;
    let ready = told.get("ready").and_then(Value::as_bool) == Some(true);
    Ok(if ready { Answer::good(told) } else { Answer::bad(told) })
}

async fn ask(stream: impl Read + Write + Unpin + Send + 'static) -> Result<Value, Failure> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(|error| lost(&error))?;
    let request = Request::get("/readyz").header(header::HOST, "localhost").body(Empty::<Bytes>::new());
    let request = request.map_err(Failure::of)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
        let body = Limited::new(response.into_body(), LIMIT).collect().await.map_err(|error| lost(&error))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| lost(&error))
    };
    let driven = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! { answer = answer => answer, never = driven => never }
}

fn lost(error: &dyn std::fmt::Display) -> Failure {
    Failure::unreachable(format!("the gateway does not answer: {error}"))
}

/// Whoever listens on every address is found on this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}
