//! What a login takes from the crates above, and gives them.

use std::net::IpAddr;
use std::sync::Arc;

use model::{Edge, Method, Token, TokenHash};
use serde::{Deserialize, Serialize};

use super::Target;
use crate::Live;

/// What an interaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// A session is wanted; also the frame of an unlock.
    Login,
    /// The person of an active session proves himself again at AAL2 (再認証); the session goes on.
    Confirm,
}

impl Purpose {
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Confirm => "confirm",
        }
    }
}

/// How an interaction begins.
#[derive(Clone, Debug)]
pub struct Begin<'a> {
    /// What for.
    pub purpose: Purpose,
    /// The configured host to come back to: an app's or the portal's own.
    pub host: &'a str,
    /// The path there.
    pub target: Target,
    /// The browser's binder on that host; an app's host needs one.
    pub app_binder: Option<TokenHash>,
    /// The client's address. What an app's host begins goes on at the same address or not at all.
    pub address: IpAddr,
    /// The browser holds a session: an unlock or confirmation is begun however many strangers begin logins.
    pub holder: bool,
}

/// One step's circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The interaction, from the address or form.
    pub interaction: &'a Token,
    /// The browser's binder on the portal host. An interaction belongs to the first that comes with it.
    pub binder: &'a Token,
    /// The request.
    pub edge: &'a Edge,
    /// `User-Agent`, for the session's list.
    pub user_agent: &'a str,
    /// The portal session this browser has now, in whatever state: a completed login takes its place.
    pub current: Option<&'a Arc<Live>>,
}

/// Where a browser goes when its interaction is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// A configured host.
    pub host: String,
    /// The path there.
    pub target: Target,
    /// The binder that a handshake code must be made for; none on the portal's own host.
    pub app_binder: Option<TokenHash>,
    /// The address it was begun at, where a code must be redeemed; none on the portal's own host.
    pub address: Option<IpAddr>,
}

/// An interaction as its page needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// What it is for.
    pub purpose: Purpose,
    /// Where it leads.
    pub destination: Destination,
    /// The staff number as it was given, if it was.
    pub name: Option<String>,
    /// What has been verified so far.
    pub verified: Vec<Method>,
}

/// What may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Options for `navigator.credentials.get` as JSON (`{"publicKey": …}`, base64url members); made up
    /// for names without a passkey. The challenge is good for one answer within five minutes.
    pub passkey: String,
    /// A password may be given.
    pub password: bool,
    /// A one-time password may be given; after a right password only if there is an app for it.
    pub totp: bool,
    /// After a right password, if security keys are bound: options for `navigator.credentials.get` as JSON.
    pub key: Option<String>,
}

/// Where a step has led.
#[derive(Debug)]
pub enum Outcome {
    /// Verified, and more is needed.
    More(Next),
    /// AAL2: there is a session.
    Complete(Completed),
}

/// A login, confirmation or unlock that is done.
#[derive(Debug)]
pub struct Completed {
    /// The session.
    pub live: Arc<Live>,
    /// For `__Host-sk` of the portal host; whatever stood there before is dead.
    pub token: Token,
    /// Where to go.
    pub destination: Destination,
}
