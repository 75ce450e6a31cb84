//! Where proxy and portal meet: each is handed what it needs of the other as plain functions.

use std::sync::Arc;

use access::{Described, Explanation};
use bytes::Bytes;
use config::Snapshot;
use http_body_util::BodyExt as _;
use policy::RoleSet;
use portal::{Asked, Explain, Portal};
use proxy::{Body, BoxError, Context, Handlers};

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

/// `policy test` by the proxy's own admission, routing and decision.
#[derive(Debug)]
pub(crate) struct DataPlane;

impl Explain for DataPlane {
    fn explain(&self, snapshot: &Snapshot, described: &Described, roles: &RoleSet) -> Explanation {
        proxy::explain(snapshot, described, roles)
    }
}
