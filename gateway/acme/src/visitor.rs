//! Asks the certificate authority: HTTPS by the authorities that the configuration names and no other, of the host
//! of the directory and no other, whatever addresses the answers hold (A44). One connection for each request.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::AcmeSettings;
use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest answer: a chain of certificates is a few KiB.
const LONGEST: usize = 256 * 1_024;
/// A request and its whole answer.
const PATIENCE: Duration = Duration::from_secs(20);

type Failed = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Asks one authority.
#[derive(Clone)]
pub(crate) struct Visitor {
    tls: TlsConnector,
    authority: Authority,
}

impl Visitor {
    /// # Errors
    /// The directory's address or the file of authorities can't be used.
    pub(crate) fn new(settings: &AcmeSettings) -> Result<Self, Failed> {
        let directory: Uri = settings.directory.parse()?;
        let authority = directory.authority().cloned().ok_or("the directory's address names no host")?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&settings.ca_file)? {
            roots.add(certificate?)?;
        }
        let mut tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(tls)), authority })
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<Response<Full<Bytes>>, Failed> {
        let (mut parts, body) = request.into_parts();
        if parts.uri.scheme() != Some(&Scheme::HTTPS) || parts.uri.authority() != Some(&self.authority) {
            return Err(format!("{} is not at the directory's host", parts.uri).into());
        }
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        parts.uri = target.parse()?;
        parts.headers.insert(HOST, HeaderValue::from_str(self.authority.as_str())?);
        parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        parts.headers.insert(USER_AGENT, HeaderValue::from_static(concat!("sekimori/", env!("CARGO_PKG_VERSION"))));
        let host = self.authority.host().trim_matches(['[', ']']).to_owned();
        let stream = TcpStream::connect((host.as_str(), self.authority.port_u16().unwrap_or(443))).await?;
        let stream = self.tls.connect(ServerName::try_from(host)?, stream).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let answered = async {
            let (head, body) = sender.send_request(Request::from_parts(parts, body)).await?.into_parts();
            let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
            Ok::<_, Failed>(Response::from_parts(head, Full::new(body)))
        }
        .await;
        driver.abort();
        answered
    }
}

impl HttpClient for Visitor {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let asked = self.clone().ask(request);
        Box::pin(async move {
            let answered = timeout(PATIENCE, asked).await.map_err(|slow| Error::Other(slow.into()))?;
            answered.map(BytesResponse::from).map_err(Error::Other)
        })
    }
}
