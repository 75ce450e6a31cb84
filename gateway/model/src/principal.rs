use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{AccountId, PersonId, StaffNo};

/// Whoever a request acts for.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A named human with an account.
    Person(Person),
    /// A machine identity with a named owner.
    Service(Service),
}

/// A person as requests and records need him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The row in the store.
    pub id: PersonId,
    /// His account.
    pub account: AccountId,
    /// The number HR knows him by.
    pub staff_no: StaffNo,
    /// The name as HR writes it.
    pub name: String,
    /// The reading in kana, if HR has it.
    pub kana: Option<String>,
    /// The main post's department, as HR writes it.
    pub department: String,
}

/// A machine identity; never privileged, never locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name in the configuration.
    pub name: String,
    /// The person who answers for it.
    pub owner: StaffNo,
}

/// Authenticator assurance level (NIST SP 800-63B-4 2). Computed from verified factors, never asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aal {
    /// One factor.
    Aal1,
    /// Two distinct factors, or one multi-factor authenticator.
    Aal2,
}

impl Aal {
    /// What the verified `methods` add up to (C-01): nothing, one factor or two. Two methods of the
    /// same factor stay one (A27, A14-6).
    pub fn of(methods: &BTreeSet<Method>) -> Option<Self> {
        let factors: BTreeSet<Factor> = methods.iter().flat_map(|m| m.factors()).copied().collect();
        // Possession must be among two factors: knowledge and inherence alone never reach the device.
        match (factors.len(), factors.contains(&Factor::Possession)) {
            (0, _) => None,
            (1, _) | (_, false) => Some(Self::Aal1),
            _ => Some(Self::Aal2),
        }
    }

    /// As records, assertions and pages write it: `aal1`, `aal2`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
        }
    }
}

/// A kind of proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// Something known.
    Knowledge,
    /// Something held.
    Possession,
}

/// How a factor was verified, as RFC 8176 and records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A password.
    Password,
    /// A time-based one-time password.
    Totp,
    /// A passkey that verified its user (UV = 1): two factors in one authenticator (C-28).
    PasskeyVerified,
    /// A security key that only felt a touch (UV = 0).
    SecurityKey,
}

impl Method {
    /// What it proves.
    pub const fn factors(self) -> &'static [Factor] {
        match self {
            Self::Password => &[Factor::Knowledge],
            Self::Totp | Self::SecurityKey => &[Factor::Possession],
            Self::PasskeyVerified => &[Factor::Knowledge, Factor::Possession],
        }
    }

    /// The `amr` value (RFC 8176).
    pub const fn amr(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::Totp => "otp",
            Self::PasskeyVerified => "pop",
            Self::SecurityKey => "hwk",
        }
    }

    /// May it open a locked session by itself (C-08)? Never a one-time password or a tap alone.
    pub const fn unlocks(self) -> bool {
        matches!(self, Self::Password | Self::PasskeyVerified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn req_c01_every_pair_of_methods_has_its_level() {
        use Method::{PasskeyVerified, Password, SecurityKey, Totp};
        let level = |methods: &[Method]| Aal::of(&methods.iter().copied().collect());
        assert_eq!(level(&[]), None);
        for single in [Password, Totp, SecurityKey] {
            assert_eq!(level(&[single]), Some(Aal::Aal1));
            assert_eq!(level(&[single, single]), Some(Aal::Aal1));
            assert_eq!(level(&[single, PasskeyVerified]), Some(Aal::Aal2));
        }
        assert_eq!(level(&[Totp, SecurityKey]), Some(Aal::Aal1));
        assert_eq!(level(&[Password, Totp]), Some(Aal::Aal2));
        assert_eq!(level(&[Password, SecurityKey]), Some(Aal::Aal2));
        assert_eq!(level(&[PasskeyVerified]), Some(Aal::Aal2));
    }

    #[test]
    fn req_c08_only_a_password_or_a_verified_passkey_unlocks() {
        assert!(Method::Password.unlocks() && Method::PasskeyVerified.unlocks());
        assert!(!Method::Totp.unlocks() && !Method::SecurityKey.unlocks());
    }
}
