use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use config::Report;

/// Why the gateway did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Config(#[from] Report),
    #[error(transparent)]
    MasterKey(#[from] config::MasterKeyError),
    #[error(transparent)]
    Journal(#[from] audit::JournalError),
    #[error(transparent)]
    Password(#[from] config::PasswordError),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error(transparent)]
    Login(#[from] identity::LoginError),
    #[error(transparent)]
    Enrolment(#[from] identity::EnrolmentError),
    #[error(transparent)]
    Session(#[from] identity::SessionError),
    #[error(transparent)]
    Assertion(#[from] identity::AssertionError),
    #[error(transparent)]
    Portal(#[from] portal::MessagesError),
    #[error(transparent)]
    Proxy(#[from] proxy::PlaneError),
    #[error(transparent)]
    Hospital(#[from] ::demo::hospital::HospitalError),
    #[error(transparent)]
    Certificates(#[from] ::demo::certificates::CertificateError),
    #[error("{}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot listen on {place}: {source}")]
    Listen { place: String, source: io::Error },
    #[error("stopped because a part of it had stopped")]
    Broken,
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl Failure {
    /// Says it on standard error. Exit codes: 2 for a configuration to mend, 1 for all else.
    pub(crate) fn report(&self) -> ExitCode {
        tracing::error!("{self}");
        ExitCode::from(if matches!(self, Self::Config(_) | Self::MasterKey(_) | Self::Password(_)) { 2 } else { 1 })
    }
}
