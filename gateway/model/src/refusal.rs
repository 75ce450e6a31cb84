use std::time::Duration;

/// Why a request went no further. The data plane names it; a page or a problem document is made of it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400: ambiguous or malformed; the word says which rule (H rows), for the record and the log only.
    Malformed(&'static str),
    /// 421: a host that this connection or this gateway doesn't serve.
    Misdirected,
    /// 404: no such thing under the reserved prefix.
    NotFound,
    /// 405: a method the app doesn't list, with those it does.
    MethodNotAllowed(String),
    /// 408: a body that had to be held came too slowly.
    SlowBody,
    /// 413: a body that had to be held was larger than its bound.
    TooLarge,
    /// 414: a request target longer than the limit.
    UriTooLong,
    /// 417: an expectation other than `100-continue`.
    Expectation,
    /// 429: the address asks too often.
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
    /// Nobody is logged in here: redirect, page with a button, or 401.
    LoginRequired {
        /// Path and query to come back to.
        target: String,
    },
    /// 423: the session is locked.
    Locked {
        /// Path and query to come back to.
        target: String,
    },
    /// 403: the policy says no.
    Denied {
        /// The app's name.
        app: String,
        /// The action's name, if the path is one.
        action: Option<String>,
        /// The policy's reason, a word of its catalogue.
        reason: &'static str,
        /// What would have been needed, for the page.
        missing: Vec<String>,
    },
    /// 502: the upstream could not be reached or answered nonsense.
    Upstream,
    /// 504: the upstream did not answer in time.
    UpstreamTimeout,
    /// 508: the request has been here before.
    Loop,
    /// 503: a part that must not fail silently failed (journal, store, randomness).
    Unavailable,
}

/// What the client can make use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// A page: a navigation by a browser.
    Page,
    /// A small page inside a frame.
    Frame,
    /// `application/problem+json` (RFC 9457): fetch, WebSocket, programs.
    Problem,
}

impl Refusal {
    /// The HTTP status (a login redirect is decided by who asks; this is the status without one).
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::LoginRequired { .. } => 401,
            Self::Denied { .. } => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::SlowBody => 408,
            Self::TooLarge => 413,
            Self::UriTooLong => 414,
            Self::Expectation => 417,
            Self::Misdirected => 421,
            Self::Locked { .. } => 423,
            Self::TooMany { .. } => 429,
            Self::Upstream => 502,
            Self::Unavailable => 503,
            Self::UpstreamTimeout => 504,
            Self::Loop => 508,
        }
    }
}
