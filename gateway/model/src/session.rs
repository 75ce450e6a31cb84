use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a session is in its life (design.md §4): `active ⇄ locked → ended`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Requests pass.
    Active,
    /// Nothing new reaches an upstream until one factor of the same account opens it.
    Locked,
    /// Over for good.
    Ended,
}

/// The limits of a session. The strictest of what applies wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without a human act for this long: locked (S-01; 5 min).
    pub lock_after: Duration,
    /// Locked for this long: ended (C-07; 30 min).
    pub end_after: Duration,
    /// From login to end, whatever happens (C-06; 12 h).
    pub absolute: Duration,
}

/// Why a session locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockReason {
    /// No human act for `lock_after`.
    Idle,
    /// The person pressed lock.
    User,
    /// The same account logged in or unlocked elsewhere.
    OtherStation,
    /// An administrator locked it.
    Admin,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The person logged out.
    Logout,
    /// The absolute limit.
    Absolute,
    /// Locked for longer than `end_after`.
    LockedTooLong,
    /// The account was suspended or disabled, or its authenticators were ended.
    Revoked,
    /// Somebody ended it by hand.
    Killed,
    /// Another person or a full login took its place in the same browser.
    Replaced,
    /// Nobody was given its token: the record of its beginning or unlock did not reach the journal in time,
    /// or the client had left.
    Unclaimed,
    /// The store was restored from a backup, which revives nothing (A54).
    Restored,
}

macro_rules! names {
    ($($type:ident { $($variant:ident => $name:literal),* $(,)? })*) => {$(
        impl $type {
            /// As the store, records and pages write it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Reads [`Self::name`] back.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}

names! {
    SessionState { Active => "active", Locked => "locked", Ended => "ended" }
    LockReason { Idle => "idle", User => "user", OtherStation => "other-station", Admin => "admin" }
    EndReason {
        Logout => "logout", Absolute => "absolute", LockedTooLong => "locked-too-long",
        Revoked => "revoked", Killed => "killed", Replaced => "replaced",
        Unclaimed => "unclaimed", Restored => "restored",
    }
}
