//! Every route of ours in one table: method, who may, and where a state change must come from (A37).
//! The router is built from it, the tests walk it, and docs/openapi.yaml is held against it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use model::Refusal;

use crate::handlers::{
    authenticators, cli, enrol, files, handshake, launcher, lock, login, logout, notices, password, sessions,
};
use crate::portal::Desk;
use crate::refused::Refused;
use crate::visit::Visit;
use crate::{api, guard};

/// Which hosts have the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// The portal host.
    Portal,
    /// Every app's host.
    App,
    /// Both.
    Both,
}

/// GET (with HEAD) or POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Changes nothing that matters (D-3.5.3).
    Get,
    /// Changes something.
    Post,
}

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Anybody who reaches the gateway.
    Anyone,
    /// Whoever has the session's cookie, active or locked.
    Holder,
    /// A person in an active session at AAL2.
    Active,
    /// As `Active`, and proved at most five minutes ago (C-35).
    Fresh,
    /// As `Active`, or a program's bearer token.
    Program,
    /// As `Program`, with a role that permits this action of the app `sekimori`.
    Role(&'static str),
    /// As `Role`, proved at most five minutes ago.
    FreshRole(&'static str),
}

/// What proves that a request was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing is changed by the authority of a cookie.
    Any,
    /// Same origin.
    Same,
    /// Same origin, and the form token of the session.
    SessionForm,
    /// Same origin, and the form token of the interaction in the address.
    InteractionForm,
    /// A bearer token, or same origin.
    Bearer,
}

/// How a refusal looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// A page.
    Page,
    /// A problem document.
    Problem,
}

/// One route.
pub(crate) struct Route {
    pub(crate) on: On,
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    pub(crate) origin: Origin,
    pub(crate) surface: Surface,
    /// Longest body, in bytes.
    pub(crate) body: usize,
    /// Each request counts against the address's login attempts.
    pub(crate) throttled: bool,
    pub(crate) run: Handler,
}

pub(crate) type Handler = fn(Arc<Visit>) -> Pin<Box<dyn Future<Output = Result<Response, Refused>> + Send>>;

const FORM: usize = 64 * 1024;
const JSON: usize = 64 * 1024;

macro_rules! routes {
    ($($on:ident $verb:ident $path:literal $who:expr, $origin:ident, $surface:ident, $body:expr, $throttled:literal => $handler:path;)*) => {
        &[$(Route {
            on: On::$on,
            verb: Verb::$verb,
            path: $path,
            who: { use Who::*; $who },
            origin: Origin::$origin,
            surface: Surface::$surface,
            body: $body,
            throttled: $throttled,
            run: |visit| Box::pin($handler(visit)),
        },)*]
    };
}

/// All of them. What isn't here is 404.
pub(crate) const ROUTES: &[Route] = routes! {
    Portal Get  "/"                    Active, Any, Page, 0, false => launcher::show;
    Portal Get  "/login"               Anyone, Any, Page, 0, false => login::show;
    Portal Post "/login/name"          Anyone, InteractionForm, Page, FORM, true => login::name;
    Portal Post "/login/passkey"       Anyone, InteractionForm, Page, FORM, true => login::passkey;
    Portal Post "/login/password"      Anyone, InteractionForm, Page, FORM, true => login::password;
    Portal Post "/login/key"           Anyone, InteractionForm, Page, FORM, true => login::key;
    Portal Post "/login/totp"          Anyone, InteractionForm, Page, FORM, true => login::totp;
    Portal Post "/login/onward"        Active, InteractionForm, Page, FORM, false => login::onward;
    Portal Get  "/lock"                Anyone, Any, Page, 0, false => lock::show;
    Portal Post "/lock"                Holder, SessionForm, Page, FORM, false => lock::lock;
    Portal Post "/unlock/passkey"      Holder, InteractionForm, Page, FORM, true => lock::passkey;
    Portal Post "/unlock/password"     Holder, InteractionForm, Page, FORM, true => lock::password;
    Portal Post "/logout"              Holder, SessionForm, Page, FORM, false => logout::logout;
    Portal Get  "/sessions"            Active, Any, Page, 0, false => sessions::show;
    Portal Post "/sessions/end"        Active, SessionForm, Page, FORM, false => sessions::end;
    Portal Post "/sessions/end-others" Active, SessionForm, Page, FORM, false => sessions::end_others;
    Portal Get  "/authenticators"      Active, Any, Page, 0, false => authenticators::show;
    Portal Get  "/authenticators/add"  Fresh, Any, Page, 0, false => authenticators::adding;
    Portal Post "/authenticators/add"  Fresh, SessionForm, Page, FORM, false => authenticators::add;
    Portal Get  "/authenticators/{part}"       Active, Any, Page, 0, false => authenticators::one;
    Portal Post "/authenticators/{part}/label" Active, SessionForm, Page, FORM, false => authenticators::rename;
    Portal Get  "/authenticators/{part}/end"   Fresh, Any, Page, 0, false => authenticators::ending;
    Portal Post "/authenticators/{part}/end"   Fresh, SessionForm, Page, FORM, false => authenticators::end;
    Portal Get  "/password"            Fresh, Any, Page, 0, false => password::show;
    Portal Post "/password"            Fresh, SessionForm, Page, FORM, true => password::change;
    Portal Get  "/notices"             Active, Any, Page, 0, false => notices::show;
    Portal Post "/notices/seen"        Active, SessionForm, Page, FORM, false => notices::seen;
    Portal Get  "/enrol"               Anyone, Any, Page, 0, false => enrol::show;
    Portal Post "/enrol/start"         Anyone, InteractionForm, Page, FORM, true => enrol::start;
    Portal Post "/enrol/passkey"       Anyone, InteractionForm, Page, FORM, true => enrol::passkey;
    Portal Post "/enrol/password"      Anyone, InteractionForm, Page, FORM, true => enrol::password;
    Portal Post "/enrol/key"           Anyone, InteractionForm, Page, FORM, true => enrol::key;
    Portal Post "/enrol/totp"          Anyone, InteractionForm, Page, FORM, true => enrol::totp;
    Portal Post "/enrol/finish"        Anyone, InteractionForm, Page, FORM, false => enrol::finish;
    Portal Get  "/cli"                 Fresh, Any, Page, 0, false => cli::show;
    Portal Post "/cli"                 Fresh, SessionForm, Page, FORM, false => cli::code;
    Portal Get  "/.sekimori/jwks.json" Anyone, Any, Problem, 0, false => files::jwks;
    Both   Get  "/.sekimori/assets/{part}" Anyone, Any, Problem, 0, false => files::asset;
    App    Get  "/.sekimori/enter"     Anyone, Any, Page, 0, false => handshake::enter;
    App    Post "/.sekimori/lock"      Holder, Same, Problem, 0, false => lock::lock_from_app;

    Portal Post "/.sekimori/api/v1/session/token"      Anyone, Any, Problem, JSON, true => api::session::token;
    Portal Get  "/.sekimori/api/v1/session"            Program, Bearer, Problem, 0, false => api::session::own;
    Portal Get  "/.sekimori/api/v1/session/all"        Role("session"), Bearer, Problem, 0, false => api::session::all;
    Portal Post "/.sekimori/api/v1/session/{part}/end" FreshRole("session"), Bearer, Problem, JSON, false => api::session::end;
    Portal Post "/.sekimori/api/v1/hr/import"          FreshRole("hr"), Bearer, Problem, directory::FILE_BOUND, false => api::hr::import;
    Portal Post "/.sekimori/api/v1/enrolment"          FreshRole("enrolment"), Bearer, Problem, JSON, false => api::enrolment::issue;
    Portal Post "/.sekimori/api/v1/policy/test"        Role("policy"), Bearer, Problem, JSON, false => api::policy::test;
    Portal Get  "/.sekimori/api/v1/audit/tail"         Role("audit"), Bearer, Problem, 0, false => api::audit::tail;
    Portal Get  "/.sekimori/api/v1/audit/records/{part}" Role("audit"), Bearer, Problem, 0, false => api::audit::show;
    Portal Get  "/.sekimori/api/v1/audit/search"       Role("audit"), Bearer, Problem, 0, false => api::audit::search;
};

/// The router of the portal host or of app hosts.
pub(crate) fn router(desk: &Desk, on_portal: bool) -> Router {
    let here = if on_portal { On::Portal } else { On::App };
    let mut router = Router::new();
    for route in ROUTES.iter().filter(|route| route.on == On::Both || route.on == here) {
        let filter = match route.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
        };
        let desk = desk.clone();
        let run = move |request: Request| guard::run(desk.clone(), route, request);
        router = router.route(route.path, on(filter, run));
    }
    let [not_found, not_allowed] = [desk.clone(), desk.clone()];
    router
        .fallback(move |request: Request| async move { guard::refuse(&not_found, request, Refusal::NotFound).await })
        .method_not_allowed_fallback(move |request: Request| async move {
            let methods = allowed(request.uri().path(), here);
            guard::refuse(&not_allowed, request, Refusal::MethodNotAllowed(methods)).await
        })
}

/// The methods of a path that has a route, as `Allow` lists them.
fn allowed(path: &str, here: On) -> String {
    let on_path = |route: &&Route| (route.on == On::Both || route.on == here) && covers(route.path, path);
    let mut methods = Vec::new();
    for route in ROUTES.iter().filter(on_path) {
        match route.verb {
            Verb::Get => methods.extend(["GET", "HEAD"]),
            Verb::Post => methods.push("POST"),
        }
    }
    methods.join(", ")
}

fn covers(pattern: &str, path: &str) -> bool {
    let [pattern, path] = [pattern, path].map(|text| text.split('/'));
    pattern.clone().count() == path.clone().count() && pattern.zip(path).all(|(p, s)| p == s || p == "{part}")
}

#[cfg(test)]
mod tests;
