//! Stage 2: the certificate and what is asked of the client, by server name; nothing but high-security
//! suites (A13N-3).
//!
//! Hosts that ask the same of clients are behind one door. A request may name another host than its
//! handshake did only if that one is behind the same door (H-37), or a client would get past what the other
//! asks for.
//!
//! The rustls names stay inside this module.

mod expiry;
mod issued;

use std::collections::HashMap;
use std::sync::Arc;
use std::{fmt, io};

use aws_lc_rs::digest;
use config::{Snapshot, TlsProfile, TlsVersion};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, cipher_suite, default_provider};
use rustls::server::{
    Acceptor, ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, ServerSessionMemoryCache,
    StoresServerSessions,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) use self::expiry::watch;
use self::issued::Issued;
use crate::{Plane, PlaneError};

/// What clients that speak it say in ALPN (RFC 9113 3.2).
pub(crate) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// What a certificate authority says that looks whether a host is ours (RFC 8737 section 4).
const ACME: &[u8] = b"acme-tls/1";

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

/// What outlives a reload: keys for tickets and the session cache, so that clients can resume; and what was issued.
pub(crate) struct Foundation {
    provider: Arc<CryptoProvider>,
    ticketer: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
    issued: Arc<Issued>,
}

impl Foundation {
    /// # Errors
    /// [`PlaneError::Tls`] when the system gives no randomness.
    pub(crate) fn new() -> Result<Self, PlaneError> {
        Ok(Self {
            provider: Arc::new(CryptoProvider { cipher_suites: SUITES.to_vec(), ..default_provider() }),
            ticketer: Ticketer::new().map_err(PlaneError::Tls)?,
            sessions: ServerSessionMemoryCache::new(SESSIONS),
            issued: Arc::default(),
        })
    }

    /// The suites, for the client's side too.
    pub(crate) const fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// What is issued while the gateway runs.
    pub(crate) fn issued(&self) -> &Issued {
        &self.issued
    }

    /// The server side for one snapshot: HTTP/2 and HTTP/1.1, no early data (H-32).
    ///
    /// # Errors
    /// [`PlaneError::Tls`], [`PlaneError::Clients`], or [`PlaneError::NoCertificate`] for a host that none covers.
    pub(crate) fn doors(&self, snapshot: &Snapshot) -> Result<Doors, PlaneError> {
        let keys = snapshot.certificates.iter().map(|certificate| {
            CertifiedKey::from_der(certificate.chain.clone(), certificate.key.clone_key(), &self.provider).map(Arc::new)
        });
        let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(PlaneError::Tls)?;
        let covering = |host: &Arc<str>| {
            let at = snapshot.certificates.iter().position(|certificate| certificate.covers(host));
            let key = at.and_then(|at| keys.get(at)).map(Arc::clone);
            if key.is_none() && snapshot.settings.tls.acme.is_none() {
                return Err(PlaneError::NoCertificate(Arc::clone(host)));
            }
            Ok((Arc::clone(host), key))
        };
        let settings = &snapshot.settings;
        let apps = snapshot.apps.iter().map(|app| (&app.host, app.tls_profile));
        let hosts: Vec<_> = apps.chain([(&settings.portal.host, settings.tls.profile)]).collect();
        let mut profiles: Vec<TlsProfile> = hosts.iter().map(|(_, profile)| *profile).collect();
        profiles.sort_unstable();
        profiles.dedup();
        let mut doors = Doors { all: Vec::new(), by_host: HashMap::new(), issued: Arc::clone(&self.issued) };
        for profile in profiles {
            let behind = hosts.iter().filter(|(_, theirs)| *theirs == profile).map(|(host, _)| *host);
            let named: HashMap<_, _> = behind.map(covering).collect::<Result<_, _>>()?;
            doors.by_host.extend(named.keys().map(|host| (Arc::clone(host), doors.all.len())));
            let demands = Arc::new(Demands::of(profile, snapshot));
            let certificates = Certificates { named, issued: Arc::clone(&self.issued) };
            let server = self.server(&demands, certificates, snapshot)?;
            doors.all.push(Door { demands, server });
        }
        Ok(doors)
    }

    fn server(
        &self,
        demands: &Demands,
        certificates: Certificates,
        snapshot: &Snapshot,
    ) -> Result<Arc<ServerConfig>, PlaneError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(demands.versions())
            .map_err(PlaneError::Tls)?;
        let asks = demands.profile.asks_for_certificates();
        let builder = if asks {
            builder.with_client_cert_verifier(snapshot.clients.verifier().map_err(PlaneError::Clients)?)
        } else {
            builder.with_no_client_auth()
        };
        let mut server = builder.with_cert_resolver(Arc::new(certificates));
        server.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        server.max_early_data_size = 0;
        if asks {
            // To resume is to believe a certificate that was verified then: every connection shows it anew.
            server.send_tls13_tickets = 0;
            server.session_storage = Arc::new(NoServerSessionStorage {});
        } else {
            server.send_tls13_tickets = 1;
            server.ticketer = Arc::clone(&self.ticketer);
            server.session_storage = Arc::clone(&self.sessions);
        }
        Ok(Arc::new(server))
    }
}

/// Shakes hands: the door, and so what is asked of the client, follows from the name that he gives. A certificate
/// authority that looks whether a host is ours is shown that and no more: its connection ends here.
///
/// # Errors
/// What went wrong, or that it was an authority; the client has been told.
pub(crate) async fn handshake(stream: TcpStream, plane: &Plane) -> io::Result<(TlsStream<TcpStream>, Arc<Demands>)> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    if let Some(answer) = plane.doors.issued.answer(&start.client_hello()) {
        start.into_stream(answer).await?.shutdown().await?;
        return Err(io::Error::other("a certificate authority has looked"));
    }
    let door = plane.doors.of_name(start.client_hello().server_name()).ok_or(io::ErrorKind::NotFound)?;
    let stream = start.into_stream(Arc::clone(&door.server)).await?;
    Ok((stream, Arc::clone(&door.demands)))
}

/// Did a handshake fail for want of a client certificate that we can believe?
pub(crate) fn is_about_the_client(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_)))
}

/// What is asked of the clients of some hosts. Two are equal if nothing that one asks for is missing in the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demands {
    profile: TlsProfile,
    minimum_version: TlsVersion,
    /// SHA-256 over who may have signed, and what was taken back; zeros where nobody need have.
    authorities: [u8; 32],
}

impl Demands {
    fn of(profile: TlsProfile, snapshot: &Snapshot) -> Self {
        let minimum_version = match profile {
            TlsProfile::House => snapshot.settings.tls.minimum_version,
            TlsProfile::Open => TlsVersion::Tls13,
            TlsProfile::OpenLegacy => TlsVersion::Tls12,
        };
        let mut authorities = [0; 32];
        if profile.asks_for_certificates() {
            let mut context = digest::Context::new(&digest::SHA256);
            let clients = &snapshot.clients;
            let roots = clients.roots.iter().map(AsRef::as_ref);
            for der in roots.chain([&b"revoked"[..]]).chain(clients.revoked.iter().map(AsRef::as_ref)) {
                context.update(&der.len().to_be_bytes());
                context.update(der);
            }
            for (to, from) in authorities.iter_mut().zip(context.finish().as_ref()) {
                *to = *from;
            }
        }
        Self { profile, minimum_version, authorities }
    }

    const fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        static ONLY_13: [&SupportedProtocolVersion; 1] = [&TLS13];
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self.minimum_version {
            TlsVersion::Tls12 => &BOTH,
            TlsVersion::Tls13 => &ONLY_13,
        }
    }
}

/// Hosts that ask the same of clients.
pub(crate) struct Door {
    demands: Arc<Demands>,
    server: Arc<ServerConfig>,
}

/// All doors of a plane; there is one at least, the portal's.
pub(crate) struct Doors {
    all: Vec<Door>,
    by_host: HashMap<Arc<str>, usize>,
    issued: Arc<Issued>,
}

impl Doors {
    /// The door of a server name. Behind any other than its own it would find no certificate.
    fn of_name(&self, name: Option<&str>) -> Option<&Door> {
        let lower = name.map(str::to_ascii_lowercase);
        let at = lower.and_then(|name| self.by_host.get(name.as_str())).copied().unwrap_or(0);
        self.all.get(at)
    }

    /// Has whoever came in by `demands` done what `host`, as it is configured, asks for (H-37)?
    pub(crate) fn admits(&self, demands: &Demands, host: &str) -> bool {
        let door = match self.all.as_slice() {
            [only] => Some(only),
            _ => self.by_host.get(host).and_then(|at| self.all.get(*at)),
        };
        door.is_some_and(|door| *door.demands == *demands)
    }
}

/// The certificate of each host: a file's, or where none covers it what was issued. A client that names none of
/// them gets none: there is no default.
struct Certificates {
    named: HashMap<Arc<str>, Option<Arc<CertifiedKey>>>,
    issued: Arc<Issued>,
}

impl Certificates {
    fn of(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        match self.named.get(host)? {
            Some(key) => Some(Arc::clone(key)),
            None => self.issued.of(host),
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        self.of(name).or_else(|| self.of(name.to_ascii_lowercase().as_str()))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.named.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demands(profile: TlsProfile, authorities: u8) -> Demands {
        Demands { profile, minimum_version: TlsVersion::Tls13, authorities: [authorities; 32] }
    }

    fn doors(all: &[(&str, Demands)]) -> Doors {
        let foundation = Foundation::new().unwrap();
        let server = |_| {
            ServerConfig::builder_with_provider(Arc::clone(&foundation.provider))
                .with_protocol_versions(&[&TLS13])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(Certificates { named: HashMap::new(), issued: Arc::default() }))
        };
        Doors {
            all: all.iter().map(|(_, d)| Door { demands: Arc::new(d.clone()), server: Arc::new(server(d)) }).collect(),
            by_host: all.iter().enumerate().map(|(at, (host, _))| (Arc::from(*host), at)).collect(),
            issued: Arc::default(),
        }
    }

    #[test]
    fn req_h37_a_connection_reaches_hosts_that_ask_what_its_handshake_has_given() {
        let (house, open) = (demands(TlsProfile::House, 0), demands(TlsProfile::Open, 1));
        let both = doors(&[("chart.example", house.clone()), ("pacs.example", open.clone())]);
        assert!(both.admits(&house, "chart.example") && both.admits(&open, "pacs.example"));
        assert!(!both.admits(&house, "pacs.example") && !both.admits(&open, "chart.example"));
        assert!(!both.admits(&house, "nowhere.example"));
        let other_authority = demands(TlsProfile::Open, 2);
        assert!(!both.admits(&other_authority, "pacs.example"), "a reload has named another");
        let name = |name| Arc::clone(&both.of_name(name).unwrap().demands);
        assert_eq!((&*name(Some("PACS.example")), &*name(None)), (&open, &house));
    }

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
