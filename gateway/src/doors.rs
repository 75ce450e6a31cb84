//! Where proxy and portal meet: each is handed what it needs of the other as plain functions.

use std::sync::Arc;

use access::{Described, Explanation};
use bytes::Bytes;
use config::{Certificate, Snapshot};
use http_body_util::BodyExt as _;
use policy::RoleSet;
use portal::{Asked, Explain, Portal};
use proxy::{Body, BoxError, Context, Handlers, Proxy};

/// The two functions that answer what isn't forwarded.
pub(crate) fn handlers(portal: Portal) -> Handlers {
    let reserved = portal.clone();
    Handlers {
        reserved: Arc::new(move |request, edge, snapshot| {
            let portal = reserved.clone();
            Box::pin(async move { portal.serve(request, edge, snapshot).await.map(boxed) })
        }),
        refusal: Arc::new(move |refusal, wants, context: Context| {
            let portal = portal.clone();
            Box::pin(async move {
                let asked = Asked {
                    edge: &context.edge,
                    snapshot: &context.snapshot,
                    method: &context.method,
                    headers: &context.headers,
                    session: context.session.as_ref(),
                };
                portal.refusal(refusal, wants, asked).await.map(boxed)
            })
        }),
    }
}

fn boxed(body: impl hyper::body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static) -> Body {
    body.map_err(Into::into).boxed_unsync()
}

/// Where certificates that the keeper was issued are served.
#[derive(Debug)]
pub(crate) struct Handshakes(pub(crate) Proxy);

impl acme::Edge for Handshakes {
    fn challenge(&self, host: &str, certificate: &Certificate) -> Result<(), String> {
        self.0.challenge(host, certificate).map_err(|error| error.to_string())
    }

    fn withdraw(&self) {
        self.0.withdraw_challenges();
    }

    fn install(&self, certificate: &Certificate, hosts: &[Arc<str>]) -> Result<(), String> {
        self.0.issue(certificate, hosts).map_err(|error| error.to_string())
    }
}

/// `policy test` by the proxy's own admission, routing and decision.
#[derive(Debug)]
pub(crate) struct DataPlane;

impl Explain for DataPlane {
    fn explain(&self, snapshot: &Snapshot, described: &Described, roles: &RoleSet) -> Explanation {
        proxy::explain(snapshot, described, roles)
    }
}
