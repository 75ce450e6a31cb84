//! A certificate authority and one server certificate for the demo, made on the spot.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData as _,
};
use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A new certificate is good for this long.
const GOOD_FOR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// One that ends sooner than this is made anew.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What [`issue`] left in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// `ca.pem`: what a browser or client must trust. It vouches for the demo's domain alone.
    pub ca: PathBuf,
    /// `tls.pem`: the server's certificate.
    pub certificate: PathBuf,
    /// `tls.key`: its private key, PKCS #8, mode 0600.
    pub key: PathBuf,
    /// SHA-256 over the server's public key info, base64: for Chromium's
    /// `--ignore-certificate-errors-spki-list`.
    pub spki: String,
    /// Good until then.
    pub until: Timestamp,
    /// Made now, not found.
    pub fresh: bool,
}

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No host to make one for.
    #[error("a certificate needs at least one host name")]
    NoHosts,
    /// A name, key or signature was refused.
    #[error("the certificate can't be made")]
    Make(#[from] rcgen::Error),
    /// A file can't be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What stands beside the certificate, so that nobody has to parse it to see whether it still fits.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    domain: String,
    hosts: Vec<String>,
    spki: String,
    until: Timestamp,
}

/// Makes sure that `folder` holds a certificate for exactly these hosts, all inside `domain`, that is
/// good for another month; makes authority and certificate anew if not. The authority's key is thrown
/// away as soon as it has signed, and the authority is constrained to `domain` (RFC 5280 4.2.1.10), so
/// that trusting it costs nothing elsewhere.
///
/// # Errors
/// [`CertificateError`].
pub fn issue(folder: &Path, domain: &str, hosts: &[&str], now: Timestamp) -> Result<Issued, CertificateError> {
    if hosts.is_empty() {
        return Err(CertificateError::NoHosts);
    }
    if let Some(found) = found(folder, domain, hosts, now) {
        return Ok(found);
    }
    let until = now.after(GOOD_FOR);
    let (ca_pem, issuer) = authority(domain, now, until)?;
    let key = KeyPair::generate()?;
    let mut server = CertificateParams::new(hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>())?;
    server.distinguished_name = name("Sekimori demo");
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (server.not_before, server.not_after) = (now.before(DAY).utc(), until.utc());
    let certificate = server.signed_by(&key, &issuer)?;
    let spki = STANDARD.encode(digest::digest(&SHA256, &key.subject_public_key_info()));
    let hosts = hosts.iter().map(|h| (*h).to_owned()).collect();
    let note = Note { domain: domain.to_owned(), hosts, spki: spki.clone(), until };
    let issued = Issued { fresh: true, ..named(folder, spki, until) };
    write(&issued.ca, 0o644, ca_pem.as_bytes())?;
    write(&issued.key, 0o600, key.serialize_pem().as_bytes())?;
    write(&issued.certificate, 0o644, certificate.pem().as_bytes())?;
    // Last: what it says is true only when the others are there.
    let text = serde_json::to_vec_pretty(&note).map_err(io::Error::from);
    let path = note_path(folder);
    write(&path, 0o644, &text.map_err(|source| CertificateError::Write { path: path.clone(), source })?)?;
    Ok(issued)
}

fn authority(
    domain: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<(String, Issuer<'static, KeyPair>), CertificateError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name = name("Sekimori demo authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(domain.to_owned())],
        excluded_subtrees: Vec::new(),
    });
    (params.not_before, params.not_after) = (now.before(DAY).utc(), until.utc());
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), Issuer::new(params, key)))
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Sekimori demo");
    name.push(DnType::CommonName, common);
    name
}

fn found(folder: &Path, domain: &str, hosts: &[&str], now: Timestamp) -> Option<Issued> {
    let note: Note = serde_json::from_slice(&fs::read(note_path(folder)).ok()?).ok()?;
    let issued = named(folder, note.spki, note.until);
    let there = [&issued.ca, &issued.certificate, &issued.key].into_iter().all(|path| path.is_file());
    let fits = there && note.domain == domain && note.hosts == hosts && note.until > now.after(RENEW_BEFORE);
    fits.then_some(issued)
}

fn named(folder: &Path, spki: String, until: Timestamp) -> Issued {
    let [ca, certificate, key] = ["ca.pem", "tls.pem", "tls.key"].map(|name| folder.join(name));
    Issued { ca, certificate, key, spki, until, fresh: false }
}

fn note_path(folder: &Path) -> PathBuf {
    folder.join("tls.json")
}

/// Replaces the file in one step, so that a server that reads it sees the old one or the new one.
fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), CertificateError> {
    let new = path.with_extension("new");
    let written = || {
        let _ = fs::remove_file(&new);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    written().map_err(|source| CertificateError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const HOSTS: [&str; 2] = ["auth.sekimori.localhost", "chart.sekimori.localhost"];

    fn issue_at(folder: &Path, hosts: &[&str], day: u64) -> Issued {
        let now = Timestamp::from_seconds(1_795_000_000).after(DAY * u32::try_from(day).unwrap());
        issue(folder, "sekimori.localhost", hosts, now).unwrap()
    }

    #[test]
    fn certificates_are_used_again_while_they_fit_and_made_anew_when_they_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let first = issue_at(folder.path(), &HOSTS, 0);
        let again = issue_at(folder.path(), &HOSTS, 300);
        assert!(first.fresh && !again.fresh);
        assert_eq!(first.spki, again.spki);
        let late = issue_at(folder.path(), &HOSTS, 350);
        assert!(late.fresh && late.spki != first.spki);
        assert!(issue_at(folder.path(), &HOSTS[..1], 350).fresh);
        fs::remove_file(&late.key).unwrap();
        assert!(issue_at(folder.path(), &HOSTS[..1], 350).fresh);
    }

    #[test]
    fn the_private_key_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let issued = issue_at(folder.path(), &HOSTS, 0);
        assert_eq!(fs::metadata(&issued.key).unwrap().permissions().mode() & 0o777, 0o600);
        // The authority's key is nowhere.
        let names = fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["ca.pem", "tls.json", "tls.key", "tls.pem"]);
    }

    #[test]
    fn a_client_that_trusts_the_authority_accepts_these_hosts_and_no_other() {
        use rustls::client::WebPkiServerVerifier;
        use rustls::client::danger::ServerCertVerifier as _;
        use rustls_pki_types::pem::PemObject as _;
        use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

        let folder = tempfile::tempdir().unwrap();
        let issued = issue_at(folder.path(), &HOSTS, 0);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&issued.ca).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let server = CertificateDer::from_pem_file(&issued.certificate).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_795_000_000));
        let accepts = |host: &'static str| {
            verifier.verify_server_cert(&server, &[], &ServerName::try_from(host).unwrap(), &[], now).is_ok()
        };
        assert!(HOSTS.into_iter().all(accepts));
        assert!(!accepts("pacs.sekimori.localhost") && !accepts("sekimori.localhost"));
        // Nor could it vouch for anybody else.
        let elsewhere = tempfile::tempdir().unwrap();
        let outside = issue_at(elsewhere.path(), &["bank.example"], 0);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&outside.ca).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let server = CertificateDer::from_pem_file(&outside.certificate).unwrap();
        let bank = ServerName::try_from("bank.example").unwrap();
        assert!(verifier.verify_server_cert(&server, &[], &bank, &[], now).is_err());
    }

    #[test]
    fn the_key_hash_is_that_of_the_served_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let issued = issue_at(folder.path(), &HOSTS, 0);
        let key = KeyPair::from_pem(&fs::read_to_string(&issued.key).unwrap()).unwrap();
        let hash = digest::digest(&SHA256, &key.subject_public_key_info());
        assert_eq!(issued.spki, STANDARD.encode(hash));
    }

    #[test]
    fn without_hosts_there_is_no_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let refused = issue(folder.path(), "sekimori.localhost", &[], Timestamp::from_seconds(0));
        assert!(matches!(refused, Err(CertificateError::NoHosts)));
    }
}
