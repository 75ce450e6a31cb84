//! What the gateway would do with a described request: the same admission, routing and decision, without a
//! socket. For `policy test`.

use access::{Described, Explanation, Question, ask};
use config::Snapshot;
use http::Uri;
use model::{Aal, Refusal};
use policy::{Decision, Denial, RoleSet, Routing};

use crate::admit::{check_target, parse_host, port_is_ours};
use crate::route::{self, Reserved};

/// Explains what would happen to `described`, for somebody with `roles` of this snapshot's policy.
pub fn explain(snapshot: &Snapshot, described: &Described, roles: &RoleSet) -> Explanation {
    way(snapshot, described, roles).unwrap_or_else(|refusal| Explanation::refused(&refusal))
}

fn way(snapshot: &Snapshot, described: &Described, roles: &RoleSet) -> Result<Explanation, Refusal> {
    let uri: Uri = described.url().parse().map_err(|_| Refusal::Malformed("target-form"))?;
    let authority = uri.authority().ok_or(Refusal::Malformed("target-form"))?;
    if uri.scheme_str() != Some("https") {
        return Err(Refusal::Malformed("target-scheme"));
    }
    let named = parse_host(authority.as_str()).ok_or(Refusal::Malformed("host-form"))?;
    let host = named.name.to_ascii_lowercase();
    if !port_is_ours(snapshot, named) {
        return Err(Refusal::Misdirected);
    }
    let method = described.method().parse().map_err(|_| Refusal::Malformed("method"))?;
    check_target(&method, &uri, snapshot)?;
    if snapshot.is_portal(&host) {
        return Ok(Explanation::ours());
    }
    let app = snapshot.app_by_host(&host).ok_or(Refusal::Misdirected)?;
    match route::reserved(uri.path()) {
        Reserved::Ours => return Ok(Explanation::ours()),
        Reserved::Disguised => return Err(Refusal::NotFound),
        Reserved::Not => {}
    }
    let found = route::find(&snapshot.policy, app.id, described.method(), uri.path());
    match found.map_err(Refusal::Malformed)? {
        Routing::MethodNotAllowed(methods) => Err(Refusal::MethodNotAllowed(methods.join(", "))),
        Routing::NoPath => Ok(Explanation::decided(&app.name, None, Decision::Deny(Denial::no_action()))),
        Routing::Action(routed) => {
            let question =
                Question { app: app.id, action: routed.action, roles, zone: described.zone(), aal: Aal::Aal2 };
            let decision = ask(snapshot, &question, described.at());
            Ok(Explanation::decided(&app.name, Some(snapshot.policy.action_name(routed.action)), decision))
        }
    }
}
