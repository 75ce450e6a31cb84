use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, time-ordered (UUIDv7, RFC 9562).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// Writes the id's text without the machinery of formatting: every record has one.
            pub fn push(self, out: &mut String) {
                out.push_str(self.0.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()));
            }

            /// The id behind the name.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text).map(Self).map_err(|_| IdError)
            }
        }
    )*};
}

uuid_id! {
    /// A human in the HR data.
    PersonId;
    /// The login identity of exactly one person.
    AccountId;
    /// A password, TOTP seed, passkey … bound to an account.
    AuthenticatorId;
    /// A session's line: it stays the same from login to end, while tokens change at each unlock.
    SessionId;
    /// One request on its way through the gateway; the same id goes upstream as `X-Request-Id`.
    RequestId;
}

/// A text is not an id of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct IdError;

/// The staff number: text that never changes, `000123` is not `123` (G-19). 1 to 32 letters, digits
/// and `-_.`, as HR has it after NFKC and trimming.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StaffNo(Box<str>);

impl StaffNo {
    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StaffNo {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if fits { Ok(Self(text.into_boxed_str())) } else { Err(IdError) }
    }
}

impl FromStr for StaffNo {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::try_from(text.to_owned())
    }
}

impl From<StaffNo> for String {
    fn from(number: StaffNo) -> Self {
        number.0.into()
    }
}

impl fmt::Display for StaffNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of one gateway process among several: `a-z`, digits and `-`, at most 32.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(Box<str>);

impl NodeId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text.into_boxed_str())) } else { Err(IdError) }
    }
}

impl From<NodeId> for String {
    fn from(node: NodeId) -> Self {
        node.0.into()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn req_g19_a_staff_number_keeps_its_leading_zeros() {
        let number: StaffNo = "000123".parse().unwrap();
        assert_eq!(number.as_str(), "000123");
        assert_ne!(number, "123".parse().unwrap());
    }

    #[test]
    fn a_staff_number_has_no_spaces_control_characters_or_excess_length() {
        for bad in ["", " 1", "1\n", "１２", &"1".repeat(33), "a/b", "a@b"] {
            assert!(bad.parse::<StaffNo>().is_err(), "{bad:?}");
        }
    }
}
