//! Where proxy and portal meet: each is handed what it needs of the other as plain functions.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use model::Zone;
use policy::Decision;
use portal::{Asked, Explain, Portal};
use proxy::{Body, BoxError, Context, Explanation, Handlers, Question};

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
    fn explain(&self, question: &portal::Question<'_>) -> portal::Answer {
        let asked = Question {
            method: question.method,
            url: question.url,
            zone: &Zone::named(question.zone),
            roles: question.roles,
            at: question.at,
        };
        match proxy::explain(question.snapshot, &asked) {
            Explanation::Refused(refusal) => {
                portal::Answer { reason: Some(format!("{} {refusal:?}", refusal.status())), ..Default::default() }
            }
            Explanation::Ours => portal::Answer { reason: Some("portal".to_owned()), ..Default::default() },
            Explanation::Decided { app, action, decision } => decided(app, action, decision),
        }
    }
}

fn decided(app: String, action: Option<String>, decision: Decision) -> portal::Answer {
    let answer = portal::Answer { app: Some(app), action, ..Default::default() };
    match decision {
        Decision::Permit(permit) => portal::Answer { permit: true, rule: Some(permit.rule().to_owned()), ..answer },
        Decision::Deny(denial) => {
            portal::Answer { reason: Some(denial.reason.name().to_owned()), missing: denial.missing, ..answer }
        }
    }
}
