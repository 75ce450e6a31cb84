//! Stage 2: certificates by server name, and nothing but high-security suites (A13N-3).
//!
//! The rustls names stay inside this module.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use config::{Snapshot, TlsVersion};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, cipher_suite, default_provider};
use rustls::server::{
    ClientHello, ProducesTickets, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedCipherSuite};

use crate::PlaneError;

/// TLS 1.3, and TLS 1.2 with ephemeral keys and authenticated encryption only.
const SUITES: [SupportedCipherSuite; 9] = [
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// TLS 1.2 sessions kept for resumption.
const SESSIONS: usize = 4_096;

/// What outlives a reload: keys for tickets and the session cache, so that clients can resume.
pub(crate) struct Foundation {
    provider: Arc<CryptoProvider>,
    ticketer: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
}

impl Foundation {
    /// # Errors
    /// [`PlaneError::Tls`] when the system gives no randomness.
    pub(crate) fn new() -> Result<Self, PlaneError> {
        Ok(Self {
            provider: Arc::new(CryptoProvider { cipher_suites: SUITES.to_vec(), ..default_provider() }),
            ticketer: Ticketer::new().map_err(PlaneError::Tls)?,
            sessions: ServerSessionMemoryCache::new(SESSIONS),
        })
    }

    /// The server side for one snapshot: HTTP/1.1, no early data (H-32), no client certificate yet.
    ///
    /// # Errors
    /// [`PlaneError::Tls`], or [`PlaneError::NoCertificate`] for a host that none covers.
    pub(crate) fn server(&self, snapshot: &Snapshot) -> Result<Arc<ServerConfig>, PlaneError> {
        let versions: &[_] = match snapshot.settings.tls.minimum_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let resolver = self.certificates(snapshot)?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)
            .map_err(PlaneError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.max_early_data_size = 0;
        config.send_tls13_tickets = 1;
        config.ticketer = Arc::clone(&self.ticketer);
        config.session_storage = Arc::clone(&self.sessions);
        Ok(Arc::new(config))
    }

    fn certificates(&self, snapshot: &Snapshot) -> Result<Certificates, PlaneError> {
        let keys = snapshot.certificates.iter().map(|certificate| {
            CertifiedKey::from_der(certificate.chain.clone(), certificate.key.clone_key(), &self.provider).map(Arc::new)
        });
        let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(PlaneError::Tls)?;
        let hosts = snapshot.apps.iter().map(|app| &app.host).chain([&snapshot.settings.portal.host]);
        let covering = |host: &Arc<str>| {
            let at = snapshot.certificates.iter().position(|certificate| certificate.covers(host));
            let key = at.and_then(|at| keys.get(at)).ok_or_else(|| PlaneError::NoCertificate(Arc::clone(host)))?;
            Ok((Arc::clone(host), Arc::clone(key)))
        };
        hosts.map(covering).collect::<Result<_, _>>().map(Certificates)
    }
}

/// The certificate of each host. A client that names none of them gets none: there is no default.
struct Certificates(HashMap<Arc<str>, Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        match self.0.get(name) {
            Some(key) => Some(Arc::clone(key)),
            None => self.0.get(name.to_ascii_lowercase().as_str()).cloned(),
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn req_a13n_3_only_ephemeral_keys_and_authenticated_encryption() {
        for suite in SUITES {
            let name = format!("{:?}", suite.suite());
            let aead = name.contains("GCM") || name.contains("POLY1305");
            let ephemeral = name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_");
            assert!(aead && ephemeral && !name.contains("CBC"), "{name}");
        }
    }
}
