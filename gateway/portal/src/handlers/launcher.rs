//! The apps whose start page this person may open now.

use access::{Question, ask};
use config::AppSettings;
use http::StatusCode;
use model::Aal;
use policy::{ActionId, AppId, RoleSet, Routing};

use super::{Answer, Guest};
use crate::pages::{self, Card, Launcher};
use crate::plain::Plain;
use crate::refusal::app_title;
use crate::visit::Visit;

/// `GET /`.
pub(crate) async fn show(visit: Guest) -> Answer {
    let live = &visit.holder()?.live;
    let roles = visit.parts().roles.of(live.account(), &visit.snapshot, visit.now).await?;
    let asker = Asker { visit: &visit, roles: &roles.set, aal: live.aal() };
    let cards = visit.snapshot.apps.iter().filter(|app| asker.may_open(app)).map(|app| Card {
        href: format!("{}{}", visit.snapshot.settings.origin_of(&app.host), app.start),
        title: app_title(&visit, &app.name),
        host: Plain::new(&app.host),
    });
    let frame = visit.frame(Some(("/", &[])));
    let unseen = usize::try_from(visit.desk.own().unseen(live).await?).unwrap_or_default();
    let unseen = (unseen > 0).then(|| visit.t.count("notices-waiting", unseen));
    let page = Launcher { frame, cards: cards.collect(), unseen, cli: asker.may_administer() };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// Whoever looks at the page, from where and when.
struct Asker<'v> {
    visit: &'v Visit,
    roles: &'v RoleSet,
    aal: Aal,
}

impl Asker<'_> {
    /// Would the app's start page be let through now? A card that leads to a refusal is worse than none.
    fn may_open(&self, app: &AppSettings) -> bool {
        let path = app.start.split('?').next().unwrap_or_default();
        match self.visit.snapshot.policy.route(app.id, "GET", path) {
            Routing::Action(routed) => self.may(app.id, routed.action),
            Routing::MethodNotAllowed(_) | Routing::NoPath => false,
        }
    }

    /// Is any action of the portal's own permitted?
    fn may_administer(&self) -> bool {
        let (policy, portal) = (&self.visit.snapshot.policy, self.visit.snapshot.portal_app());
        let Some(rules) = policy.app_rules(portal) else { return false };
        let mut actions = rules.actions.iter().filter_map(|action| policy.action_named(portal, &action.name));
        actions.any(|action| self.may(portal, action))
    }

    fn may(&self, app: AppId, action: ActionId) -> bool {
        let question = Question { app, action, roles: self.roles, zone: &self.visit.edge.zone, aal: self.aal };
        ask(&self.visit.snapshot, &question, self.visit.now).is_permit()
    }
}
