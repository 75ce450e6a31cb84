//! The values a statement is given, in the few kinds both engines share.

use model::{AccountId, AuthenticatorId, NodeId, PersonId, SessionId, StaffNo, Timestamp, TokenHash};
use uuid::Uuid;

/// One argument. Absent values keep their kind: PostgreSQL wants the type of a NULL.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bool(bool),
    /// Days since 1970 and other small numbers (INTEGER).
    Small(Option<i32>),
    /// Moments, counts, versions (BIGINT).
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Id(Option<Uuid>),
}

macro_rules! values {
    ($($type:ty => $variant:ident, |$value:ident| $made:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self::$variant(Some($made))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value.map(|$value| $made))
            }
        }
    )*};
}

values! {
    i32 => Small, |v| v;
    i64 => Int, |v| v;
    Timestamp => Int, |v| v.micros();
    &str => Text, |v| v.to_owned();
    String => Text, |v| v;
    &String => Text, |v| v.clone();
    &StaffNo => Text, |v| v.as_str().to_owned();
    &NodeId => Text, |v| v.as_str().to_owned();
    &[u8] => Bytes, |v| v.to_vec();
    Vec<u8> => Bytes, |v| v;
    TokenHash => Bytes, |v| v.bytes().to_vec();
    &TokenHash => Bytes, |v| v.bytes().to_vec();
    Uuid => Id, |v| v;
    PersonId => Id, |v| v.uuid();
    AccountId => Id, |v| v.uuid();
    AuthenticatorId => Id, |v| v.uuid();
    SessionId => Id, |v| v.uuid();
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// The arguments of a statement, in the order of `$1`, `$2`, …
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::value::Value::from($value)),*]
    };
}
pub(crate) use args;
