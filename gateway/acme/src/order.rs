//! One order: account, authorizations, challenges, the signing request, the certificate (RFC 8555 section 7).

use std::sync::Arc;
use std::time::Duration;

use config::AcmeSettings;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use model::MasterKey;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::files::{FileError, Files};
use crate::visitor::Visitor;
use crate::{Edge, challenge};

/// How long the authority is asked how far it has come.
const POLLS: Duration = Duration::from_secs(60);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The authority refused, could not be reached, or speaks another protocol.
    #[error("the certificate authority: {0}")]
    Authority(#[from] Error),
    /// It doesn't ask for the one challenge that can be met here.
    #[error("the certificate authority offers no tls-alpn-01 for {0}")]
    NoChallenge(String),
    /// It looked and was not convinced.
    #[error("the certificate authority did not accept the proof for the hosts ({0})")]
    Unproved(String),
    /// The whole of it took too long.
    #[error("the certificate authority took too long")]
    Slow,
    /// What came can't be served.
    #[error("the certificate can't be used: {0}")]
    Unusable(String),
    /// A key or request can't be made.
    #[error("a key or request can't be made: {0}")]
    Make(#[from] rcgen::Error),
    /// A file can't be read or written.
    #[error(transparent)]
    Files(#[from] FileError),
}

impl OrderError {
    /// The word in records.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Authority(Error::Api(_)) => "refused",
            Self::Authority(_) => "authority",
            Self::NoChallenge(_) | Self::Unproved(_) => "challenge",
            Self::Slow => "slow",
            Self::Unusable(_) | Self::Make(_) => "unusable",
            Self::Files(_) => "files",
        }
    }
}

/// What was issued.
pub(crate) struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) chain_pem: String,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) key_pem: String,
}

/// Orders a certificate for all `hosts`, with a new key.
pub(crate) async fn certificate(
    settings: &AcmeSettings,
    files: &Files,
    master: &MasterKey,
    edge: &dyn Edge,
    hosts: &[Arc<str>],
) -> Result<Issued, OrderError> {
    let account = account(settings, files, master).await?;
    let names: Vec<Identifier> = hosts.iter().map(|host| Identifier::Dns(host.to_string())).collect();
    let mut order = match account.new_order(&NewOrder::new(&names)).await {
        Ok(order) => order,
        Err(error) => {
            if is_unknown(&error) {
                files.forget_account()?;
            }
            return Err(error.into());
        }
    };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => return Err(OrderError::Unproved(format!("an authorization is {other:?}"))),
        }
        let host = authorization.identifier().to_string();
        let Some(mut asked) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(OrderError::NoChallenge(host));
        };
        if !hosts.iter().any(|known| **known == *host) {
            return Err(OrderError::Unproved(format!("{host} is no host of ours")));
        }
        let shown = challenge::certificate(&host, asked.key_authorization().digest().as_ref())?;
        edge.challenge(&host, &shown).map_err(OrderError::Unusable)?;
        asked.set_ready().await?;
    }
    let polls = RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(2.0).timeout(POLLS);
    match order.poll_ready(&polls).await? {
        OrderStatus::Ready => {}
        other => return Err(OrderError::Unproved(format!("the order is {other:?}"))),
    }
    let key = KeyPair::generate()?;
    let mut wanted = CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    wanted.distinguished_name = DistinguishedName::new();
    order.finalize_csr(wanted.serialize_request(&key)?.der()).await?;
    let chain_pem = order.poll_certificate(&polls).await?;
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| OrderError::Unusable(error.to_string()))?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Issued { chain, chain_pem, key: der, key_pem: key.serialize_pem() })
}

/// Does the authority no longer know the account? The next attempt opens another.
fn is_unknown(error: &Error) -> bool {
    let kind = if let Error::Api(problem) = error { problem.r#type.as_deref() } else { None };
    kind == Some("urn:ietf:params:acme:error:accountDoesNotExist")
}

/// The account of before, or a new one.
async fn account(settings: &AcmeSettings, files: &Files, master: &MasterKey) -> Result<Account, OrderError> {
    let visitor = Visitor::new(settings).map_err(|why| OrderError::Authority(Error::Other(why)))?;
    let builder = Account::builder_with_http(Box::new(visitor));
    if let Some(credentials) = files.account(master, &settings.directory)? {
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact = [settings.contact.as_str()];
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, settings.directory.clone(), None).await?;
    files.keep_account(master, &settings.directory, &credentials)?;
    Ok(account)
}
