//! What is issued while the gateway runs: the certificate of the hosts that no file covers, and the answers to
//! the authority's challenges (RFC 8737). It outlives reloads.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use config::Certificate;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use super::ACME;

/// Shared by all planes.
#[derive(Debug, Default)]
pub(crate) struct Issued {
    served: ArcSwapOption<Served>,
    challenges: ArcSwap<HashMap<Arc<str>, Arc<ServerConfig>>>,
}

#[derive(Debug)]
struct Served {
    key: Arc<CertifiedKey>,
    hosts: Vec<Arc<str>>,
}

impl Issued {
    /// The certificate of `host`, written in lower case, if it covers it.
    pub(super) fn of(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        let served = self.served.load();
        let served = served.as_ref()?;
        served.hosts.iter().any(|known| **known == *host).then(|| Arc::clone(&served.key))
    }

    /// Serves these hosts with `certificate`.
    pub(crate) fn install(
        &self,
        certificate: &Certificate,
        hosts: &[Arc<str>],
        provider: &CryptoProvider,
    ) -> Result<(), rustls::Error> {
        let key = CertifiedKey::from_der(certificate.chain.clone(), certificate.key.clone_key(), provider)?;
        let key = Arc::new(key);
        self.served.store(Some(Arc::new(Served { key, hosts: hosts.to_vec() })));
        Ok(())
    }

    /// Answers the challenge for `host` with `certificate`.
    pub(crate) fn challenge(
        &self,
        host: &str,
        certificate: &Certificate,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(), rustls::Error> {
        // Not held against its key: readers of certificates refuse the challenge's critical extension, as they should.
        let key = provider.key_provider.load_private_key(certificate.key.clone_key())?;
        let answer = Answer(Arc::new(CertifiedKey::new(certificate.chain.clone(), key)));
        let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(answer));
        server.alpn_protocols = vec![ACME.to_vec()];
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        let server = Arc::new(server);
        self.challenges.rcu(|known| {
            let mut next = HashMap::clone(known);
            next.insert(Arc::from(host), Arc::clone(&server));
            next
        });
        Ok(())
    }

    /// No challenge is under way any more.
    pub(crate) fn withdraw(&self) {
        self.challenges.store(Arc::default());
    }

    /// The answer to a client that speaks the challenge's protocol and nothing else.
    pub(super) fn answer(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let mut protocols = hello.alpn()?;
        if protocols.next() != Some(ACME) || protocols.next().is_some() {
            return None;
        }
        let host = hello.server_name()?.to_ascii_lowercase();
        self.challenges.load().get(host.as_str()).map(Arc::clone)
    }
}

#[derive(Debug)]
struct Answer(Arc<CertifiedKey>);

impl ResolvesServerCert for Answer {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
