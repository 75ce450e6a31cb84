//! Stage 7: may this person do this, here and now?

use std::sync::Arc;

use access::{Effective, Question, ask};
use config::Snapshot;
use hyper::body::Incoming;
use model::Refusal;
use policy::{ActionId, Decision, Denial, Permit, Routing};

use crate::Services;
use crate::headers::SERVICE_WORKER;
use crate::refuse::Refused;
use crate::resolve::Resolved;
use crate::websocket::{Handshake, Offer};

/// A request that the policy permits. Only [`decide`] makes it, out of a [`Permit`].
pub(crate) struct Permitted {
    resolved: Resolved,
    permit: Permit,
    roles: Arc<Effective>,
    action: ActionId,
    params: Vec<(Arc<str>, String)>,
}

impl Permitted {
    pub(crate) fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    pub(crate) fn permit(&self) -> &Permit {
        &self.permit
    }

    pub(crate) fn roles(&self) -> &Arc<Effective> {
        &self.roles
    }

    /// The rules of the action.
    pub(crate) fn action(&self) -> Option<&policy::Action> {
        self.snapshot().policy.action(self.action)
    }

    pub(crate) const fn action_id(&self) -> ActionId {
        self.action
    }

    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.resolved.routed().admitted().plane().snapshot
    }

    /// What the path's pattern caught under `name`.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| **n == *name).map(|(_, text)| text.as_str())
    }

    pub(crate) fn take_body(&mut self) -> Option<Incoming> {
        self.resolved.take_body()
    }

    pub(crate) fn into_parts(self) -> (Resolved, Permit, Arc<Effective>) {
        (self.resolved, self.permit, self.roles)
    }

    pub(crate) fn refused(self, refusal: Refusal) -> Refused {
        self.resolved.refused(refusal).of_action(self.permit.action().to_owned())
    }
}

/// Decides.
pub(crate) async fn decide(resolved: Resolved, services: &Services) -> Result<Permitted, Box<Refused>> {
    let routed = match resolved.routed().routing() {
        Routing::Action(routed) => routed.clone(),
        Routing::MethodNotAllowed(methods) => {
            let refusal = Refusal::MethodNotAllowed(methods.join(", "));
            return Err(Box::new(resolved.refused(refusal)));
        }
        Routing::NoPath => return Err(denied(resolved, None, Denial::no_action())),
    };
    let permitted = judge(resolved, routed.action, routed.params, services).await?;
    if let Some(reason) = barred(&permitted.resolved) {
        let Permitted { resolved, permit, .. } = permitted;
        let denial = Refusal::Denied {
            app: permit.app().to_owned(),
            action: Some(permit.action().to_owned()),
            reason,
            missing: Vec::new(),
        };
        return Err(Box::new(resolved.refused(denial)));
    }
    if permitted.action().is_some_and(|action| action.human) {
        permitted.resolved.live().touch(services.clock.now());
    }
    Ok(permitted)
}

/// Decides once more what had to wait after it was permitted: by the rules of its own plane, with the
/// roles and the hour of now, for the session as it was found (A52).
pub(crate) async fn again(permitted: Permitted, services: &Services) -> Result<Permitted, Box<Refused>> {
    let Permitted { resolved, action, params, .. } = permitted;
    let permitted = judge(resolved, action, params, services).await?;
    match permitted.resolved.still(services.clock.now()) {
        Ok(()) => Ok(permitted),
        Err(refusal) => Err(Box::new(permitted.refused(refusal))),
    }
}

async fn judge(
    resolved: Resolved,
    action: ActionId,
    params: Vec<(Arc<str>, String)>,
    services: &Services,
) -> Result<Permitted, Box<Refused>> {
    let admitted = resolved.routed().admitted();
    let snapshot = Arc::clone(&admitted.plane().snapshot);
    let (now, live) = (services.clock.now(), resolved.live());
    let roles = match services.roles.of(live.account(), &snapshot, now).await {
        Ok(roles) => roles,
        Err(error) => {
            tracing::error!(%error, "roles could not be found");
            return Err(Box::new(resolved.refused(Refusal::Unavailable)));
        }
    };
    let question =
        Question { app: resolved.app().id, action, roles: &roles.set, zone: &admitted.edge().zone, aal: live.aal() };
    match ask(&snapshot, &question, now) {
        Decision::Deny(denial) => Err(denied(resolved, Some(action), denial)),
        Decision::Permit(permit) => Ok(Permitted { resolved, permit, roles, action, params }),
    }
}

/// What is refused whoever asks: sockets opened by foreign pages (A22), scripts that would outlive the
/// session (H-36).
fn barred(resolved: &Resolved) -> Option<&'static str> {
    let (admitted, app) = (resolved.routed().admitted(), resolved.app());
    let headers = &admitted.head().headers;
    let worker = headers.get(SERVICE_WORKER).is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"script"));
    if worker && !app.allowed.service_workers {
        return Some("service-worker");
    }
    let foreign = matches!(admitted.offer(), Offer::WebSocket(_))
        && !Handshake::is_from(headers, &app.origin, &app.websocket_origins);
    foreign.then_some("origin")
}

fn denied(resolved: Resolved, action: Option<ActionId>, denial: Denial) -> Box<Refused> {
    let snapshot = Arc::clone(&resolved.routed().admitted().plane().snapshot);
    let action = action.map(|action| snapshot.policy.action_name(action).to_owned());
    let refusal = Refusal::Denied {
        app: resolved.app().name.to_string(),
        action,
        reason: denial.reason.name(),
        missing: denial.missing,
    };
    Box::new(resolved.refused(refusal).by_rule(denial.rule))
}
