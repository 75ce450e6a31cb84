//! A permit is a lease: an open stream asks again and again, and ends within a second of a no (H-27, A21).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{Question, ask};
use http::{Method, Uri};
use identity::Live;
use model::SessionState;
use policy::{Decision, Routing};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::Services;
use crate::forward::Subject;
use crate::plane::App;
use crate::route;
use crate::tls::Demands;

/// How often a stream asks again, whatever else happens. Half of the second that design.md §4 gives.
pub(crate) const TICK: Duration = Duration::from_millis(500);

/// Why a stream must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Breach {
    /// The session locked or ended.
    #[error("session")]
    Session,
    /// The policy no longer permits it: rules, roles, hours, zone.
    #[error("policy")]
    Policy,
    /// The gateway stops.
    #[error("stopping")]
    Stopping,
}

/// What a stream needs to ask again. It keeps the question, not the snapshot.
pub(crate) struct Lease {
    services: Arc<Services>,
    live: Arc<Live>,
    session: watch::Receiver<SessionState>,
    stopping: watch::Receiver<bool>,
    app: Arc<App>,
    method: Method,
    uri: Uri,
    address: IpAddr,
    demands: Arc<Demands>,
}

impl Lease {
    pub(crate) fn of(subject: &Subject, services: &Arc<Services>) -> Self {
        Self {
            services: Arc::clone(services),
            live: Arc::clone(&subject.live),
            session: subject.live.watch(),
            stopping: services.stopping(),
            app: Arc::clone(&subject.app),
            method: subject.method.clone(),
            uri: subject.uri.clone(),
            address: subject.address,
            demands: Arc::clone(&subject.demands),
        }
    }

    /// Completes when the stream must end.
    pub(crate) async fn breached(mut self) -> Breach {
        let mut planes = self.services.planes.changed();
        loop {
            if let Some(breach) = self.renew().await {
                return breach;
            }
            tokio::select! {
                biased;
                _ = self.session.changed() => return Breach::Session,
                _ = self.stopping.wait_for(|stopping| *stopping) => return Breach::Stopping,
                Ok(()) = planes.changed() => {}
                () = sleep(TICK) => {}
            }
        }
    }

    async fn renew(&self) -> Option<Breach> {
        let now = self.services.clock.now();
        if self.live.state(now) != SessionState::Active {
            return Some(Breach::Session);
        }
        let plane = self.services.planes.load();
        let snapshot = &plane.snapshot;
        let app = plane.app(&self.app.host).filter(|app| app.name == self.app.name);
        // Another authority, a certificate taken back: the stream was opened on what no longer holds (H-37).
        let app = app.filter(|app| plane.doors.admits(&self.demands, &app.host));
        let path = self.uri.path();
        let routing = app.map(|app| route::find(&snapshot.policy, app.id, self.method.as_str(), path));
        let (Some(app), Some(Ok(Routing::Action(routed)))) = (app, routing) else { return Some(Breach::Policy) };
        let Ok(roles) = self.services.roles.of(self.live.account(), snapshot, now).await else {
            return Some(Breach::Policy);
        };
        let question = Question {
            app: app.id,
            action: routed.action,
            roles: &roles.set,
            zone: &snapshot.zone_of(self.address),
            aal: self.live.aal(),
        };
        match ask(snapshot, &question, now) {
            Decision::Permit(_) => None,
            Decision::Deny(_) => Some(Breach::Policy),
        }
    }
}
