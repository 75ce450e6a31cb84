//! What the gateway would say to a described request: the same admission, routing and decision, without a
//! socket. For `policy test`.

use config::Snapshot;
use http::Uri;
use model::{Aal, Refusal, Timestamp, Zone};
use policy::{Decision, Denial, RoleSet, Routing};

use crate::admit::{check_target, parse_host, port_is_ours};
use crate::decide::{self, ask};
use crate::route::{self, Reserved};

/// A described request.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// The method, upper case.
    pub method: &'q str,
    /// The whole address, `https://chart.hospital.example/patients/42`.
    pub url: &'q str,
    /// Where the client is.
    pub zone: &'q Zone,
    /// The person's roles, of this snapshot's policy.
    pub roles: &'q RoleSet,
    /// When.
    pub at: Timestamp,
}

/// What would happen.
#[derive(Debug)]
pub enum Explanation {
    /// It goes no further than the edge: ambiguous, a host that isn't ours, a method that isn't allowed.
    Refused(Refusal),
    /// It is the portal's, or under the reserved prefix: no policy is asked here.
    Ours,
    /// The policy is asked, for a person logged in at AAL2 in an unlocked session.
    Decided {
        /// The app's name.
        app: String,
        /// The action's name, if the path is one.
        action: Option<String>,
        /// What it says.
        decision: Decision,
    },
}

/// Explains.
pub fn explain(snapshot: &Snapshot, question: &Question<'_>) -> Explanation {
    match target(snapshot, question) {
        Ok(Some(explanation)) => explanation,
        Ok(None) => Explanation::Ours,
        Err(refusal) => Explanation::Refused(refusal),
    }
}

fn target(snapshot: &Snapshot, question: &Question<'_>) -> Result<Option<Explanation>, Refusal> {
    let uri: Uri = question.url.parse().map_err(|_| Refusal::Malformed("target-form"))?;
    let authority = uri.authority().ok_or(Refusal::Malformed("target-form"))?;
    if uri.scheme_str() != Some("https") {
        return Err(Refusal::Malformed("target-scheme"));
    }
    let named = parse_host(authority.as_str()).ok_or(Refusal::Malformed("host-form"))?;
    let host = named.name.to_ascii_lowercase();
    if !port_is_ours(snapshot, named) {
        return Err(Refusal::Misdirected);
    }
    let method = question.method.parse().map_err(|_| Refusal::Malformed("method"))?;
    check_target(&method, &uri, snapshot)?;
    if snapshot.is_portal(&host) {
        return Ok(None);
    }
    let app = snapshot.app_by_host(&host).ok_or(Refusal::Misdirected)?;
    match route::reserved(uri.path()) {
        Reserved::Ours => return Ok(None),
        Reserved::Disguised => return Err(Refusal::NotFound),
        Reserved::Not => {}
    }
    let routing = route::find(&snapshot.policy, app.id, question.method, uri.path()).map_err(Refusal::Malformed)?;
    let (action, decision) = match routing {
        Routing::MethodNotAllowed(methods) => return Err(Refusal::MethodNotAllowed(methods.join(", "))),
        Routing::NoPath => (None, Decision::Deny(Denial::no_action())),
        Routing::Action(routed) => {
            let asked = decide::Question {
                app: app.id,
                action: routed.action,
                roles: question.roles,
                zone: question.zone,
                aal: Aal::Aal2,
                until: question.at,
            };
            let name = snapshot.policy.action_name(routed.action).to_owned();
            (Some(name), ask(snapshot, &asked, question.at))
        }
    };
    Ok(Some(Explanation::Decided { app: app.name.to_string(), action, decision }))
}
