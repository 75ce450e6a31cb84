//! Why a handler of ours does not answer as asked.

use std::time::Duration;

use access::AccessError;
use audit::JournalError;
use identity::{EnrolmentError, LoginError, OwnError, SessionError};
use model::{Refusal, TokenError};
use store::StoreError;

use crate::problem::Problem;

/// When to come back where nobody can tell how long the crowd is.
const CROWDED: Duration = Duration::from_secs(5);

/// What went wrong; the route's surface makes a page or a problem document of it.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A refusal that the data plane has too.
    Refusal(Refusal),
    /// A state change that no page of ours can have sent, or whose form is out of date (A45).
    Origin,
    /// The interaction is over: expired, used, or of another browser.
    Expired,
    /// The interaction was begun at another address (D-14).
    Elsewhere,
    /// Nobody is logged in here.
    LoginFirst,
    /// The session is locked.
    UnlockFirst,
    /// The login is older than the act allows.
    ConfirmFirst,
    /// The policy says no to a program.
    Denied { reason: &'static str, missing: Vec<String> },
    /// Too many want the same at once; nothing of it was done (503).
    Busy { retry_after: Duration },
    /// A part that must not fail silently failed; the words are for the log alone.
    Unavailable(String),
    /// The API's own words.
    Problem(Box<Problem>),
}

impl Refused {
    pub(crate) const fn not_found() -> Self {
        Self::Refusal(Refusal::NotFound)
    }

    pub(crate) const fn malformed(rule: &'static str) -> Self {
        Self::Refusal(Refusal::Malformed(rule))
    }

    pub(crate) const fn too_many(retry_after: Duration) -> Self {
        Self::Refusal(Refusal::TooMany { retry_after })
    }
}

impl From<LoginError> for Refused {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Gone | LoginError::OutOfOrder | LoginError::Refused => Self::Expired,
            LoginError::Elsewhere => Self::Elsewhere,
            LoginError::Slow { retry_after } => Self::too_many(retry_after),
            LoginError::Session(error) => error.into(),
            LoginError::Busy { retry_after } => Self::Busy { retry_after },
            LoginError::Store(error) => error.into(),
            LoginError::Broken(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Gone | SessionError::Account => Self::LoginFirst,
            SessionError::UnknownCode => Self::Expired,
            SessionError::State => Self::UnlockFirst,
            SessionError::Assurance => Self::ConfirmFirst,
            SessionError::Busy => Self::Busy { retry_after: CROWDED },
            SessionError::Store(error) => error.into(),
            SessionError::Token(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<EnrolmentError> for Refused {
    fn from(error: EnrolmentError) -> Self {
        match error {
            EnrolmentError::Stale => Self::ConfirmFirst,
            EnrolmentError::Busy { retry_after } => Self::Busy { retry_after },
            EnrolmentError::Store(error) => error.into(),
            EnrolmentError::Broken(_) => Self::Unavailable(error.to_string()),
            _ => Self::Expired,
        }
    }
}

impl From<OwnError> for Refused {
    fn from(error: OwnError) -> Self {
        match error {
            OwnError::Unknown => Self::not_found(),
            OwnError::Stale => Self::ConfirmFirst,
            // Pages say these in their own words; elsewhere the form is out of date.
            OwnError::Needed | OwnError::Refused | OwnError::Same | OwnError::Password(_) => Self::Expired,
            OwnError::Login(error) => error.into(),
            OwnError::Session(error) => error.into(),
            OwnError::Store(error) => error.into(),
            OwnError::Broken(_) => Self::Unavailable(error.to_string()),
        }
    }
}

macro_rules! unavailable {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Refused {
            fn from(error: $error) -> Self {
                Self::Unavailable(error.to_string())
            }
        }
    )*};
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy { retry_after: CROWDED },
            error => Self::Unavailable(error.to_string()),
        }
    }
}

unavailable!(AccessError, JournalError, TokenError);
