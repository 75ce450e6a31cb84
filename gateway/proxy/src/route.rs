//! Stage 5: method and path to action. Our own prefix and the portal's host go elsewhere.

use std::sync::Arc;

use hyper::body::Incoming;
use model::Refusal;
use policy::{AppId, Policy, Routing};

use crate::admit::Admitted;
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
    let bare = first.split(';').next().unwrap_or(first);
    let decoded = crate::patient::unescape_path(bare);
    if decoded.trim_end_matches(['.', ' ']).eq_ignore_ascii_case(PREFIX) { Reserved::Disguised } else { Reserved::Not }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_prefix_is_ours_in_one_spelling_and_nobodys_in_any_other() {
        for ours in ["/.sekimori", "/.sekimori/", "/.sekimori/enter"] {
            assert_eq!(reserved(ours), Reserved::Ours, "{ours}");
        }
        for disguised in ["/%2esekimori/enter", "/.SEKIMORI/", "/.sekimor%69", "/.sekimori;x/enter", "/.sekimori./"] {
            assert_eq!(reserved(disguised), Reserved::Disguised, "{disguised}");
        }
        for other in ["/", "/a/.sekimori", "/.sekimori-x", "/.well-known/x", "/%E5%B1%B1", "/sekimori"] {
            assert_eq!(reserved(other), Reserved::Not, "{other}");
        }
    }
}
