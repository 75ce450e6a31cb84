//! The apps that a person may use now.

use http::StatusCode;
use model::Aal;
use policy::Query;

use super::{Answer, Guest};
use crate::messages::Language;
use crate::pages::{self, Card, Launcher};
use crate::plain::Plain;
use crate::visit::Visit;

/// `GET /`.
pub(crate) async fn show(visit: Guest) -> Answer {
    let live = &visit.holder()?.live;
    let roles = visit.parts().roles.of(live.account(), &visit.snapshot, visit.now).await?;
    let aal2 = live.aal() >= Aal::Aal2;
    let apps = visit.snapshot.apps.iter().filter(|app| any_action(&visit, app.id, &roles.set, aal2));
    let cards = apps.map(|app| Card {
        href: format!("{}{}", visit.snapshot.settings.origin_of(&app.host), app.start),
        title: Plain::new(match visit.t.language() {
            Language::Japanese => &app.title.ja,
            Language::English => &app.title.en,
        }),
        host: Plain::new(&app.host),
    });
    let cli = any_action(&visit, visit.snapshot.portal_app(), &roles.set, aal2);
    let page = Launcher { frame: visit.frame(Some(("/", &[]))), cards: cards.collect(), cli };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// Does the policy permit any action of the app here and now?
fn any_action(visit: &Visit, app: policy::AppId, roles: &policy::RoleSet, aal2: bool) -> bool {
    let policy = &visit.snapshot.policy;
    let Some(rules) = policy.app_rules(app) else { return false };
    rules.actions.iter().filter_map(|action| policy.action_named(app, &action.name)).any(|action| {
        let query = Query {
            app,
            action,
            roles,
            zone: visit.edge.zone.name(),
            local: visit.snapshot.settings.site.time_zone.local(visit.now),
            aal2,
            until: None,
        };
        policy.decide(&query).is_permit()
    })
}
