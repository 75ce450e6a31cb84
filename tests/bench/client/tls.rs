//! TLS 1.3 to the candidate, its certificate checked.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};

use crate::{Options, Result};

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

const PATIENCE: Duration = Duration::from_secs(30);

/// Whom to connect to, and how.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) port: u16,
    pub(crate) name: ServerName<'static>,
    pub(crate) config: Arc<ClientConfig>,
}

impl Peer {
    /// `alpn` is what is offered beside TLS, `group` the one key exchange, without it X25519. Nothing is resumed.
    pub(crate) fn new(options: &Options, alpn: &[&[u8]], group: &'static dyn SupportedKxGroup) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(options.text("ca")?)? {
            roots.add(certificate?)?;
        }
        let provider = CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(Self {
            port: options.number("port")?,
            name: ServerName::try_from(options.text("host")?.to_owned())?,
            config: Arc::new(config),
        })
    }

    /// A connection after its handshake.
    pub(crate) fn connect(&self) -> Result<Stream> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut tls = ClientConnection::new(Arc::clone(&self.config), self.name.clone())?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(tls, socket))
    }
}
