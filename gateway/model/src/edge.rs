use std::net::IpAddr;
use std::sync::Arc;

use crate::RequestId;

/// The name of the place a client comes from. No configured zone matches: [`Zone::UNKNOWN`], which
/// no rule can name, so that everything there is denied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Zone(Arc<str>);

impl Zone {
    /// What a client is in that no zone claims.
    pub const UNKNOWN: &'static str = "unknown";

    /// A zone of the configuration.
    pub fn named(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The zone of nobody.
    pub fn unknown() -> Self {
        Self::named(Self::UNKNOWN)
    }

    /// The name as it stands in rules and records.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// What is known of a request before anybody has logged in. The proxy makes it, pages and records read it.
#[derive(Clone, Debug)]
pub struct Edge {
    /// This request.
    pub request: RequestId,
    /// The client's address: the socket's, never a header's.
    pub address: IpAddr,
    /// Where that address is.
    pub zone: Zone,
    /// The configured host name that the request names, without port.
    pub host: Arc<str>,
    /// What the browser says about how the request came to be.
    pub fetch: FetchMetadata,
}

/// Fetch metadata of a request (W3C Fetch Metadata); anything not understood counts as absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchMetadata {
    /// `Sec-Fetch-Mode: navigate`.
    pub navigate: bool,
    /// `Sec-Fetch-Dest` is `document`.
    pub document: bool,
    /// `Sec-Fetch-Dest` is `iframe` or `frame`.
    pub framed: bool,
    /// `Sec-Fetch-User: ?1`: a human act.
    pub user: bool,
    /// `Sec-Fetch-Mode: navigate` to nowhere (`Sec-Fetch-Dest: empty`): a link that says `download`.
    pub saves: bool,
    /// `Sec-Fetch-Site: same-origin`.
    pub same_origin: bool,
    /// `Sec-Fetch-Site: none`: typed or bookmarked.
    pub direct: bool,
    /// Any `Sec-Fetch-*` header was there.
    pub present: bool,
}
