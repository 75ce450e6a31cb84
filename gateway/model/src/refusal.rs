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
    /// Every [`name`](Self::name) there is.
    pub const NAMES: [&'static str; 16] = [
        "malformed",
        "misdirected",
        "not-found",
        "method-not-allowed",
        "slow-body",
        "too-large",
        "uri-too-long",
        "expectation",
        "too-many",
        "login-required",
        "locked",
        "denied",
        "upstream",
        "upstream-timeout",
        "loop",
        "unavailable",
    ];

    /// What it is called: in the type of a problem document (`urn:sekimori:problem:NAME`), in records and by
    /// `policy test`. The words are a catalogue that programs may go by; they don't change.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Misdirected => "misdirected",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed(_) => "method-not-allowed",
            Self::SlowBody => "slow-body",
            Self::TooLarge => "too-large",
            Self::UriTooLong => "uri-too-long",
            Self::Expectation => "expectation",
            Self::TooMany { .. } => "too-many",
            Self::LoginRequired { .. } => "login-required",
            Self::Locked { .. } => "locked",
            Self::Denied { .. } => "denied",
            Self::Upstream => "upstream",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::Loop => "loop",
            Self::Unavailable => "unavailable",
        }
    }

    /// Why, in the most exact word there is: the rule that a malformed request breaks, the policy's reason,
    /// else the [`name`](Self::name). For records and `policy test`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(rule) => rule,
            Self::Denied { reason, .. } => reason,
            _ => self.name(),
        }
    }

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_refusal_has_a_name_of_its_own_that_never_changes() {
        let (target, wait) = (String::new, Duration::ZERO);
        let denied = |reason| Refusal::Denied { app: target(), action: None, reason, missing: Vec::new() };
        let all = [
            (Refusal::Malformed("host-form"), "malformed", "host-form"),
            (Refusal::Misdirected, "misdirected", "misdirected"),
            (Refusal::NotFound, "not-found", "not-found"),
            (Refusal::MethodNotAllowed("GET".to_owned()), "method-not-allowed", "method-not-allowed"),
            (Refusal::SlowBody, "slow-body", "slow-body"),
            (Refusal::TooLarge, "too-large", "too-large"),
            (Refusal::UriTooLong, "uri-too-long", "uri-too-long"),
            (Refusal::Expectation, "expectation", "expectation"),
            (Refusal::TooMany { retry_after: wait }, "too-many", "too-many"),
            (Refusal::LoginRequired { target: target() }, "login-required", "login-required"),
            (Refusal::Locked { target: target() }, "locked", "locked"),
            (denied("no-role"), "denied", "no-role"),
            (Refusal::Upstream, "upstream", "upstream"),
            (Refusal::UpstreamTimeout, "upstream-timeout", "upstream-timeout"),
            (Refusal::Loop, "loop", "loop"),
            (Refusal::Unavailable, "unavailable", "unavailable"),
        ];
        for (refusal, name, reason) in &all {
            assert_eq!((refusal.name(), refusal.reason()), (*name, *reason));
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
        }
        let names: BTreeSet<_> = all.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names.len(), all.len());
        assert_eq!(names, Refusal::NAMES.iter().collect());
    }
}
