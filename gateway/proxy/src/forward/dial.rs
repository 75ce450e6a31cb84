//! Connecting to a member: TCP, perhaps TLS, HTTP/1.1.
//!
//! A member's certificate is always verified, by the authorities that the upstream names and nothing else.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use config::{Certificate, TlsVersion, UpstreamAddress, UpstreamTls};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::body::Inward;

/// Bytes of an answer's head.
const HEAD: usize = 64 * 1_024;

/// Connects to the members of one upstream.
pub(super) struct Dialer {
    tls: Option<TlsConnector>,
    server_name: Option<Arc<str>>,
    patience: Duration,
}

/// A connection that speaks HTTP/1.1, and the task that moves its bytes.
pub(super) struct Dialled {
    pub(super) sender: SendRequest<Inward>,
    pub(super) driver: AbortHandle,
}

impl Dialer {
    /// # Errors
    /// [`rustls::Error`]: the client certificate can't be used.
    pub(super) fn new(
        tls: Option<&UpstreamTls>,
        certificate: Option<&Certificate>,
        patience: Duration,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            server_name: tls.and_then(|tls| tls.server_name.clone()),
            tls: tls.map(|tls| connector(tls, certificate, provider)).transpose()?,
            patience,
        })
    }

    /// Opens a connection to `address`.
    pub(super) async fn dial(&self, address: &UpstreamAddress) -> io::Result<Dialled> {
        timeout(self.patience, self.open(address)).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn open(&self, address: &UpstreamAddress) -> io::Result<Dialled> {
        let stream = TcpStream::connect((address.host(), address.port())).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => shake_hands(stream).await,
            Some(tls) => {
                let name = self.server_name.as_deref().unwrap_or_else(|| address.host()).to_owned();
                let name = ServerName::try_from(name).map_err(io::Error::other)?;
                shake_hands(tls.connect(name, stream).await?).await
            }
        }
    }
}

async fn shake_hands<S>(stream: S) -> io::Result<Dialled>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(?error, "a connection to an upstream ended");
        }
    });
    Ok(Dialled { sender, driver: driver.abort_handle() })
}

/// The client's side of TLS: HTTP/1.1 alone, no early data (H-32).
fn connector(
    tls: &UpstreamTls,
    certificate: Option<&Certificate>,
    provider: &Arc<CryptoProvider>,
) -> Result<TlsConnector, rustls::Error> {
    let versions: &[_] = match tls.minimum_version {
        TlsVersion::Tls12 => &[&TLS13, &TLS12],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(tls.roots.iter().cloned());
    let verified = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)?
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => verified.with_no_client_auth(),
        Some(own) => verified.with_client_auth_cert(own.chain.clone(), own.key.clone_key())?,
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
