use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::output::Failure;

const ANSWER_LIMIT: usize = 16 << 20;
/// Longer than the server waits for anything, so that what it says is heard.
const PATIENCE: Duration = Duration::from_secs(90);

/// The admin API of one gateway.
pub(crate) struct Client {
    origin: Uri,
    tls: Arc<ClientConfig>,
    bearer_file: PathBuf,
}

/// `cli.toml`: where the gateway is and whom to trust.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    api: String,
    ca: PathBuf,
}

impl Client {
    /// Reads `cli.toml`; `ca` is relative to it. The bearer is kept beside it (mode 0600).
    pub(crate) fn open(file: &Path) -> Result<Self, Failure> {
        let unreadable =
            |what: &Path, error: &dyn std::fmt::Display| Failure::local(format!("{}: {error}", what.display()));
        let text = fs::read_to_string(file).map_err(|error| {
            Failure::local(format!("{}: {error}; it names the gateway (`api`, `ca`), see --client", file.display()))
        })?;
        let settings: Settings = toml::from_str(&text).map_err(|error| unreadable(file, &error))?;
        let origin: Uri = settings.api.parse().map_err(|error| unreadable(file, &error))?;
        if origin.scheme_str() != Some("https") || origin.host().is_none() {
            return Err(Failure::local(format!("{}: `api` must be https://host[:port]", file.display())));
        }
        let folder = file.parent().unwrap_or(Path::new("."));
        let ca = folder.join(&settings.ca);
        Ok(Self { origin, tls: trust(&ca)?, bearer_file: folder.join("cli-session") })
    }

    /// A call with a JSON body or none.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let body = body.map(|value| ("application/json", Bytes::from(value.to_string())));
        self.send(method, path, body).await
    }

    /// A call whose body is a file.
    pub(crate) async fn upload(&self, path: &str, bytes: Vec<u8>) -> Result<Value, Failure> {
        self.send(Method::POST, path, Some(("text/csv", bytes.into()))).await
    }

    /// Keeps the bearer for later calls.
    pub(crate) fn remember(&self, bearer: &str) -> Result<(), Failure> {
        let kept = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.bearer_file)
            .and_then(|mut file| file.write_all(bearer.as_bytes()));
        kept.map_err(|error| Failure::local(format!("{}: {error}", self.bearer_file.display())))
    }

    async fn send(&self, method: Method, path: &str, body: Option<(&'static str, Bytes)>) -> Result<Value, Failure> {
        let exchange = self.exchange(method, path, body);
        let (parts, text) = tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| Failure::unreachable("the gateway did not answer within 90 s"))??;
        let value = serde_json::from_slice(&text).unwrap_or(Value::Null);
        if parts.status.is_success() {
            return Ok(value);
        }
        Err(Failure::refused(refusal(parts.status, &value)))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<(http::response::Parts, Bytes), Failure> {
        let lost = |error: &dyn std::fmt::Display| Failure::unreachable(format!("{}: {error}", self.origin));
        let stream = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(&error))?;
        let request = self.request(method, path, body)?;
        let answer = async {
            let response: Response<Incoming> = sender.send_request(request).await.map_err(|e| lost(&e))?;
            let (parts, body) = response.into_parts();
            let bytes = Limited::new(body, ANSWER_LIMIT).collect().await.map_err(|e| lost(&e))?.to_bytes();
            Ok((parts, bytes))
        };
        let driven = async {
            // The answer's own error says more than the connection's.
            let _ = connection.await;
            std::future::pending().await
        };
        tokio::select! { answer = answer => answer, never = driven => never }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let authority = self.origin.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/.sekimori/api/v1/{path}"))
            .header(header::HOST, authority)
            .header(header::ACCEPT, "application/json");
        if let Ok(bearer) = fs::read_to_string(&self.bearer_file) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", bearer.trim()));
        }
        let (kind, bytes) = body.unwrap_or_default();
        if !kind.is_empty() {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        request.body(Full::new(bytes)).map_err(|error| Failure::local(error.to_string()))
    }

    async fn connect(&self) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Failure> {
        let host = self.origin.host().unwrap_or_default();
        let port = self.origin.port_u16().unwrap_or(443);
        let lost = |error: std::io::Error| Failure::unreachable(format!("{host}:{port}: {error}"));
        // RFC 6761 6.3: names under `localhost` are this machine, whatever a resolver says.
        let tcp = if host == "localhost" || host.ends_with(".localhost") {
            TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
        } else {
            TcpStream::connect((host, port)).await
        }
        .map_err(lost)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| Failure::local(format!("{host}: {error}")))?;
        TlsConnector::from(self.tls.clone()).connect(name, tcp).await.map_err(lost)
    }
}

/// Trust in the authorities of a PEM file, and in nobody else.
pub(crate) fn trust(ca: &Path) -> Result<Arc<ClientConfig>, Failure> {
    let bad = |error: &dyn std::fmt::Display| Failure::local(format!("{}: {error}", ca.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|error| bad(&error))? {
        let certificate = certificate.map_err(|error| bad(&error))?;
        roots.add(certificate).map_err(|error| bad(&error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// One of a problem's list: a sentence, or a place in a file and what is wrong there.
fn listed(item: &Value) -> String {
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    let line = item.get("line").and_then(Value::as_u64).filter(|line| *line > 0).map(|line| format!("line {line}"));
    let column = text("column").map(|column| format!("column {column}"));
    let place: Vec<String> = [line, column].into_iter().flatten().collect();
    match (item.as_str(), text("message")) {
        (Some(sentence), _) => sentence.to_owned(),
        (None, Some(message)) if place.is_empty() => message.to_owned(),
        (None, Some(message)) => format!("{}: {message}", place.join(", ")),
        (None, None) => item.to_string(),
    }
}

/// The problem document (RFC 9457) as one sentence, with its list of problems below it.
fn refusal(status: http::StatusCode, problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
    let title = text("title").unwrap_or_else(|| status.to_string());
    let mut message = match text("detail") {
        Some(detail) => format!("{title}: {detail}"),
        None => title,
    };
    for item in problem.get("problems").and_then(Value::as_array).into_iter().flatten() {
        message.push_str("\n  ");
        message.push_str(&listed(item));
    }
    if status == http::StatusCode::UNAUTHORIZED {
        message.push_str("\n  log in first: sekimorictl login (the portal shows the code)");
    }
    message
}
