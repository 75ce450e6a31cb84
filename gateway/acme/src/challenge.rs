//! What is shown to the authority that looks whether a host is ours (RFC 8737 section 3): a certificate signed by
//! itself, for this host alone, that carries the hash of what only the account's holder could have computed.

use config::Certificate;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::order::OrderError;

/// The certificate that answers the challenge for `host`.
pub(crate) fn certificate(host: &str, digest: &[u8]) -> Result<Certificate, OrderError> {
    let mut parameters = CertificateParams::new(vec![host.to_owned()])?;
    parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Certificate { chain: vec![certificate.der().clone()], key })
}
