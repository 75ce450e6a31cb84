//! What TLS asks of clients: profiles, and who may have signed their certificates (A13N-2).

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;

use crate::certificates::read_chain;
use crate::checks::Main;
use crate::files;
use crate::report::Problem;
use crate::rules::Rules;

/// What is asked of the clients of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsProfile {
    /// For networks that the hospital controls: TLS as the site says, no client certificate.
    #[default]
    House,
    /// For open networks: TLS 1.3 alone and a client certificate.
    Open,
    /// For open networks, where TLS 1.2 can't be avoided.
    OpenLegacy,
}

pub(crate) static PROFILES: [(&str, TlsProfile); 3] =
    [("house", TlsProfile::House), ("open", TlsProfile::Open), ("open-legacy", TlsProfile::OpenLegacy)];

impl TlsProfile {
    /// Must clients show a certificate?
    pub const fn asks_for_certificates(self) -> bool {
        !matches!(self, Self::House)
    }
}

/// Who may have signed client certificates, and which of those they have taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAuthorities {
    /// The authorities' own certificates.
    pub roots: Vec<CertificateDer<'static>>,
    /// Their lists; without any, nothing is taken back.
    pub revoked: Vec<CertificateRevocationListDer<'static>>,
}

/// What can be told of the options alone.
pub(crate) fn check(main: &Main<'_>, rules: &Rules, problems: &mut Vec<Problem>) {
    let Some(tls) = &main.draft.tls else { return };
    if tls.client_ca.is_none() && tls.client_crl.is_some() {
        problems.push(main.place("tls.client_crl").problem("`client_crl` is of no use without `client_ca`"));
    }
    if tls.client_ca.is_some() {
        return;
    }
    let missing = "clients must show certificates: name who may have signed them in `client_ca` of `[tls]`";
    if tls.profile.asks_for_certificates() {
        problems.push(main.place("tls.profile").problem(missing));
    }
    for app in &rules.apps {
        if app.table.tls_profile.is_some_and(TlsProfile::asks_for_certificates) {
            problems.push(rules.place(app, "tls_profile").problem(missing));
        }
    }
}

/// Reads what the options name.
pub(crate) fn read(main: &Main<'_>, problems: &mut Vec<Problem>) -> ClientAuthorities {
    let named = main.draft.tls.as_ref().and_then(|tls| Some((tls.client_ca.as_ref()?, tls.client_crl.as_ref())));
    let Some((roots, revoked)) = named else { return ClientAuthorities::default() };
    let mut tell = |option: &str, why: String| problems.push(main.place(option).problem(why));
    let roots = read_chain(roots).map_err(|why| tell("tls.client_ca", why));
    let revoked = revoked.map_or(Ok(Vec::new()), |file| read_lists(file)).map_err(|why| tell("tls.client_crl", why));
    let (Ok(roots), Ok(revoked)) = (roots, revoked) else { return ClientAuthorities::default() };
    let authorities = ClientAuthorities { roots, revoked };
    if let Err(why) = authorities.verifier() {
        tell("tls.client_ca", format!("clients can't be verified by it: {why}"));
    }
    authorities
}

fn read_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let pem = files::read(path)?;
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("`{}` is no revocation list in PEM: {error}", path.display()))?;
    if lists.is_empty() {
        return Err(format!("`{}` holds no revocation list in PEM", path.display()));
    }
    Ok(lists)
}

impl ClientAuthorities {
    /// Verifies client certificates: by these authorities, for clients, in time, not taken back. A list
    /// whose date is over takes back everything.
    ///
    /// # Errors
    /// Why nobody could be verified so.
    pub fn verifier(&self) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, String> {
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots.add(root.clone()).map_err(|error| error.to_string())?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
        if !self.revoked.is_empty() {
            builder = builder
                .with_crls(self.revoked.iter().cloned())
                .only_check_end_entity_revocation()
                .enforce_revocation_expiration();
        }
        builder.build().map_err(|error| error.to_string())
    }
}
