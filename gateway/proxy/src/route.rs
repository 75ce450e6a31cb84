//! Stage 5: method and path to action. Our own prefix and the portal's host go elsewhere, and browsers that
//! only ask whether they may ask are answered.

use std::sync::Arc;

use http::Response;
use hyper::body::Incoming;
use model::{Refusal, percent_decoded};
use policy::{AppId, Policy, Routing};

use crate::admit::Admitted;
use crate::body::Outgoing;
use crate::cors;
use crate::plane::{App, Site};
use crate::refuse::Refused;

/// What is ours on every host; never forwarded.
const PREFIX: &str = "/.sekimori";

/// Where an admitted request goes.
pub(crate) enum Way {
    /// To the portal: its own host, or the reserved prefix of an app's.
    Ours(Admitted),
    /// To an app.
    App(Routed),
    /// Nowhere: it is answered already.
    Answered(Response<Outgoing>),
}

/// An admitted request to an app, with the action it is. Only [`route`] makes it.
pub(crate) struct Routed {
    admitted: Admitted,
    app: Arc<App>,
    routing: Routing,
}

impl Routed {
    pub(crate) fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub(crate) fn routing(&self) -> &Routing {
        &self.routing
    }

    pub(crate) fn take_body(&mut self) -> Option<Incoming> {
        self.admitted.take_body()
    }

    pub(crate) fn into_admitted(self) -> Admitted {
        self.admitted
    }

    pub(crate) fn refused(self, refusal: Refusal) -> Refused {
        self.admitted.refused(refusal)
    }
}

/// Finds the way of a request.
pub(crate) fn route(admitted: Admitted) -> Result<Way, Box<Refused>> {
    let path = admitted.head().uri.path();
    let app = match admitted.site() {
        Site::Portal(_) => return Ok(Way::Ours(admitted)),
        Site::App(app) => Arc::clone(app),
    };
    match reserved(path) {
        Reserved::Ours => return Ok(Way::Ours(admitted)),
        Reserved::Disguised => return Err(Box::new(admitted.refused(Refusal::NotFound))),
        Reserved::Not => {}
    }
    if cors::is_preflight(admitted.head()) {
        return match cors::preflight(&app, &admitted.head().headers) {
            Ok(answer) => Ok(Way::Answered(answer)),
            Err(refusal) => Err(Box::new(admitted.refused(refusal))),
        };
    }
    match find(&admitted.plane().snapshot.policy, app.id, admitted.head().method.as_str(), path) {
        Ok(routing) => Ok(Way::App(Routed { admitted, app, routing })),
        Err(rule) => Err(Box::new(admitted.refused(Refusal::Malformed(rule)))),
    }
}

/// The action of a method and a path.
///
/// # Errors
/// The name of the rule, when the path means two things (H-17).
pub(crate) fn find(policy: &Policy, app: AppId, method: &str, path: &str) -> Result<Routing, &'static str> {
    match policy.route(app, method, path) {
        Routing::NoPath => policy.check_path(app, path).map(|()| Routing::NoPath).map_err(|fault| fault.name()),
        found => Ok(found),
    }
}

/// How a path stands to our prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// It is ours.
    Ours,
    /// Some server might take it for ours.
    Disguised,
    /// It has nothing to do with it.
    Not,
}

pub(crate) fn reserved(path: &str) -> Reserved {
    let end = path.get(1..).and_then(|rest| rest.find('/')).map_or(path.len(), |at| at + 1);
    let first = path.get(..end).unwrap_or(path);
    if first == PREFIX {
        return Reserved::Ours;
    }
    // Plain names of other things are the rule: look closer only at what could be a spelling of ours.
    if !first.as_bytes().iter().any(|b| matches!(b, b'%' | b';')) && !first.starts_with("/.") {
        return Reserved::Not;
    }
    // Another server may cut a name where we don't: at a parameter, a control, a byte it can't read.
    let decoded = percent_decoded(first.trim_start_matches('/'));
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
    let name = decoded.split(|b| !plain(b)).next().unwrap_or_default();
    let undotted = name.iter().rposition(|&b| b != b'.').and_then(|last| name.get(..=last)).unwrap_or_default();
    let ours = PREFIX.trim_start_matches('/').as_bytes();
    if undotted.eq_ignore_ascii_case(ours) { Reserved::Disguised } else { Reserved::Not }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_prefix_is_ours_in_one_spelling_and_nobodys_in_any_other() {
        for ours in ["/.sekimori", "/.sekimori/", "/.sekimori/enter"] {
            assert_eq!(reserved(ours), Reserved::Ours, "{ours}");
        }
        let plain = ["/%2esekimori/enter", "/.SEKIMORI/", "/.sekimor%69", "/.sekimori;x/enter", "/.sekimori./"];
        let cut =
            ["/.sekimori%3bx/enter", "/.sekimori%c2%ad/enter", "/.sekimori,/", "/.sekimori%2fenter", "/.Sekimori.%00"];
        for disguised in plain.into_iter().chain(cut) {
            assert_eq!(reserved(disguised), Reserved::Disguised, "{disguised}");
        }
        for other in ["/", "/a/.sekimori", "/.sekimori-x", "/.well-known/x", "/%E5%B1%B1", "/sekimori"] {
            assert_eq!(reserved(other), Reserved::Not, "{other}");
        }
    }
}
