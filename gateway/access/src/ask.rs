use config::Snapshot;
use model::{Aal, Timestamp, Zone};
use policy::{ActionId, AppId, Decision, Query, RoleSet};

/// What the policy is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// The app.
    pub app: AppId,
    /// The action that method and path are.
    pub action: ActionId,
    /// The roles of whoever asks, of the same snapshot.
    pub roles: &'q RoleSet,
    /// Where the client is.
    pub zone: &'q Zone,
    /// What the session was opened with.
    pub aal: Aal,
}

/// Asks the policy, in the site's time zone. Requests, open streams, the admin API, the start page and
/// `policy test` all ask here.
pub fn ask(snapshot: &Snapshot, question: &Question<'_>, now: Timestamp) -> Decision {
    snapshot.policy.decide(&Query {
        app: question.app,
        action: question.action,
        roles: question.roles,
        zone: question.zone.name(),
        local: snapshot.settings.site.time_zone.local(now),
        aal2: question.aal >= Aal::Aal2,
    })
}
