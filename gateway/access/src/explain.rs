use model::{Refusal, Timestamp, TimestampError, Zone};
use policy::Decision;
use serde::Serialize;

use crate::Effective;

/// No address is longer, as somebody describes it.
const LONGEST_URL: usize = 8 * 1024;
/// No method is longer.
const LONGEST_METHOD: usize = 32;

/// A request that somebody describes, for `policy test`. Only [`Described::new`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    method: String,
    url: String,
    zone: Zone,
    at: Timestamp,
}

/// What can't be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescribedError {
    /// The address is longer than any that a browser sends.
    #[error("`url` is longer than {LONGEST_URL} bytes")]
    Url,
    /// The method is no token (RFC 9110 section 9.1).
    #[error("`method` is not an HTTP method")]
    Method,
    /// The moment is none.
    #[error("`at` is {0}")]
    Moment(#[from] TimestampError),
}

impl Described {
    /// A request by `method` (written in any case) for the whole address `url`, from `zone`, at the moment
    /// `at` (RFC 3339).
    ///
    /// # Errors
    /// [`DescribedError`], in words for whoever described it.
    pub fn new(method: &str, url: &str, zone: Zone, at: Option<&str>, now: Timestamp) -> Result<Self, DescribedError> {
        if url.len() > LONGEST_URL {
            return Err(DescribedError::Url);
        }
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if method.is_empty() || method.len() > LONGEST_METHOD || !method.bytes().all(is_token) {
            return Err(DescribedError::Method);
        }
        let at = at.map_or(Ok(now), str::parse)?;
        Ok(Self { method: method.to_ascii_uppercase(), url: url.to_owned(), zone, at })
    }

    /// The method, upper case.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The whole address, `https://chart.hospital.example/patients/42`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the client is.
    pub const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// When.
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

/// What the data plane would do with a described request of a person logged in at AAL2 in an unlocked
/// session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// In one word.
    pub decision: Verdict,
    /// The HTTP status of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The app that the address belongs to, if the request comes that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The action that method and path are, if they are one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The role that permits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The rule that permits or denies it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why not, as the record has it: a word of the policy's catalogue or [`Refusal::reason`]'s; `portal`
    /// where no policy is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What would have been needed.
    pub missing: Vec<String>,
}

/// What would happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It goes to the app.
    Permit,
    /// It is refused.
    #[default]
    Deny,
    /// The portal answers it, for whoever comes: no policy is asked here.
    None,
}

impl Verdict {
    /// The word, as JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::None => "none",
        }
    }
}

impl Explanation {
    /// It goes no further than the edge: ambiguous, a host that isn't ours, a method that isn't allowed.
    pub fn refused(refusal: &Refusal) -> Self {
        Self { status: Some(refusal.status()), reason: Some(refusal.reason()), ..Self::default() }
    }

    /// It is the portal's own, or under the reserved prefix.
    pub fn ours() -> Self {
        Self { decision: Verdict::None, reason: Some("portal"), ..Self::default() }
    }

    /// The policy was asked.
    pub fn decided(app: &str, action: Option<&str>, decision: Decision) -> Self {
        let asked = Self { app: Some(app.to_owned()), action: action.map(str::to_owned), ..Self::default() };
        match decision {
            Decision::Permit(permit) => Self {
                decision: Verdict::Permit,
                role: Some(permit.role().to_owned()),
                rule: Some(permit.rule().to_owned()),
                ..asked
            },
            Decision::Deny(denial) => Self {
                status: Some(403),
                rule: denial.rule,
                reason: Some(denial.reason.name()),
                missing: denial.missing,
                ..asked
            },
        }
    }

    /// Would it go to the app?
    pub fn permits(&self) -> bool {
        self.decision == Verdict::Permit
    }
}

/// The answer of `policy test`, by API and from an HR file alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyTest {
    /// What would happen.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// The roles it was asked with.
    pub roles: Vec<String>,
    /// The zone it was asked for.
    pub zone: String,
    /// The moment it was asked for, RFC 3339.
    pub at: String,
    /// SHA-256 of the policy files.
    pub policy: String,
    /// Which configuration since start; 0 where none is in force.
    pub generation: u64,
}

impl PolicyTest {
    /// The answer to `described` for somebody with these roles.
    pub fn new(
        explanation: Explanation,
        described: &Described,
        roles: &Effective,
        snapshot: &config::Snapshot,
    ) -> Self {
        Self {
            explanation,
            roles: roles.names.to_vec(),
            zone: described.zone.name().to_owned(),
            at: described.at.to_string(),
            policy: snapshot.policy_hash.clone(),
            generation: snapshot.generation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_795_230_000);

    fn described(method: &str, url: &str, at: Option<&str>) -> Result<Described, DescribedError> {
        Described::new(method, url, Zone::named("ward"), at, NOON)
    }

    #[test]
    fn what_cannot_be_asked_about_is_said_in_words() {
        let url = |length: usize| "x".repeat(length);
        assert!(described("GET", &url(LONGEST_URL), None).is_ok());
        let error = described("GET", &url(LONGEST_URL + 1), None).unwrap_err();
        assert_eq!(error.to_string(), "`url` is longer than 8192 bytes");
        for method in ["", "G T", "GET\r\n", "取得", &"G".repeat(33)] {
            assert_eq!(described(method, "/", None), Err(DescribedError::Method), "{method}");
        }
        let error = described("GET", "/", Some("yesterday")).unwrap_err();
        assert_eq!(error.to_string(), "`at` is not an RFC 3339 time such as 2026-11-21T22:00:00+09:00");
    }

    #[test]
    fn a_description_without_a_moment_is_of_now_and_a_method_is_read_in_any_case() {
        let now = described("patch", "/", None).unwrap();
        assert_eq!((now.method(), now.at()), ("PATCH", NOON));
        let then = described("GET", "/", Some("2026-11-21T12:00:01+09:00")).unwrap();
        assert_eq!(then.at(), Timestamp::from_seconds(1_795_230_001));
    }

    #[test]
    fn a_refusal_at_the_edge_is_its_status_and_its_word_and_nothing_of_our_code() {
        let explained = Explanation::refused(&Refusal::MethodNotAllowed("GET".to_owned()));
        let text = serde_json::to_string(&explained).unwrap();
        assert_eq!(text, r#"{"decision":"deny","status":405,"reason":"method-not-allowed","missing":[]}"#);
        let text = serde_json::to_string(&Explanation::ours()).unwrap();
        assert_eq!(text, r#"{"decision":"none","reason":"portal","missing":[]}"#);
    }

    #[test]
    fn a_verdicts_word_is_its_json() {
        for verdict in [Verdict::Permit, Verdict::Deny, Verdict::None] {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.name());
        }
    }
}
