//! Waits for the head of an answer, as long as session and patience last.

use std::sync::atomic::Ordering;

use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use model::Refusal;
use tokio::time::{Instant, sleep};

use super::{Failure, Line, Subject};
use crate::Services;
use crate::body::{Inward, Progress};
use crate::lease::TICK;

/// Asks the upstream; once more if nothing came back and asking twice does no harm (H-22).
pub(super) async fn ask(
    head: Parts,
    body: Inward,
    subject: &Subject,
    progress: Option<&Progress>,
    services: &Services,
) -> Result<(Response<Incoming>, Line), Refusal> {
    let upstream = &subject.app.upstream;
    let again = (subject.app.retry && is_repeatable(&head.method, &body)).then(|| head.clone());
    let mut answer = std::pin::pin!(upstream.ask(Request::from_parts(head, body), again));
    let mut asked = Instant::now();
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer.map_err(refusal),
            () = sleep(TICK.min(upstream.answer)) => {}
        }
        if subject.has_ended(services) {
            let target = subject.uri.path_and_query().map_or("/", |target| target.as_str());
            return Err(Refusal::LoginRequired { target: target.to_owned() });
        }
        if progress.is_some_and(|progress| !progress.done.load(Ordering::Relaxed)) {
            asked = Instant::now();
        }
        if asked.elapsed() >= upstream.answer {
            return Err(Refusal::UpstreamTimeout);
        }
    }
}

fn is_repeatable(method: &Method, body: &Inward) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) && body.is_end_stream()
}

const fn refusal(failure: Failure) -> Refusal {
    match failure {
        Failure::ConnectTimeout => Refusal::UpstreamTimeout,
        Failure::Unreachable | Failure::Broken | Failure::Other => Refusal::Upstream,
    }
}
