//! One GET after another, in bounds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use config::UpstreamAddress;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::trust;
use crate::output::Failure;

/// Requests of one probe.
const REQUESTS: usize = 30;
/// Bytes read of one answer.
const MOST: usize = 2 << 20;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What Debian's machines trust.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// An answer of the application.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) target: String,
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    /// Its beginning, at most 2 MiB.
    pub(super) body: Vec<u8>,
}

impl Answered {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All values of a header, as far as they are text.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.header("content-type").is_some_and(|value| value.to_ascii_lowercase().contains(kind))
    }
}

/// Asks one upstream, so many times and no more.
pub(super) struct Visitor {
    pub(super) upstream: UpstreamAddress,
    tls: Option<Arc<ClientConfig>>,
    left: usize,
}

impl Visitor {
    pub(super) fn new(upstream: UpstreamAddress, ca: Option<&Path>) -> Result<Self, Failure> {
        let tls = upstream.is_secure().then(|| trust(ca.unwrap_or(Path::new(SYSTEM)))).transpose()?;
        Ok(Self { upstream, tls, left: REQUESTS })
    }

    /// The answer to a GET; `None` when the probe has asked enough.
    pub(super) async fn get(&mut self, target: &str) -> Option<Result<Answered, String>> {
        self.left = self.left.checked_sub(1)?;
        let exchange = self.exchange(target);
        Some(timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err("no answer within 10 s".to_owned())))
    }

    async fn exchange(&self, target: &str) -> Result<Answered, String> {
        let address = &self.upstream;
        let tcp = TcpStream::connect((address.host(), address.port())).await.map_err(|error| error.to_string())?;
        match &self.tls {
            None => self.converse(tcp, target).await,
            Some(tls) => {
                let name = ServerName::try_from(address.host().to_owned()).map_err(|error| error.to_string())?;
                let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
                self.converse(stream.map_err(|error| error.to_string())?, target).await
            }
        }
    }

    async fn converse<S>(&self, stream: S, target: &str) -> Result<Answered, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let told = |error: hyper::Error| error.to_string();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
        let driver = tokio::spawn(connection);
        let host = HeaderValue::from_str(&self.upstream.authority()).map_err(|error| error.to_string())?;
        let request = Request::get(target)
            .header(HOST, host)
            .header(USER_AGENT, concat!("sekimorictl/", env!("CARGO_PKG_VERSION"), " (app probe)"))
            .header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
            .header(ACCEPT_ENCODING, "identity")
            .header(CONNECTION, "close")
            .body(Empty::<bytes::Bytes>::new())
            .map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(told)?;
        let (head, body) = response.into_parts();
        let body = beginning(body).await;
        driver.abort();
        let (status, version, headers) = (head.status, head.version, head.headers);
        Ok(Answered { target: target.to_owned(), status, version, headers, body })
    }
}

/// What came before the limit, or before the answer broke off.
async fn beginning(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() >= MOST {
            bytes.truncate(MOST);
            break;
        }
    }
    bytes
}
