//! casbin, asked the one question it is cheap and safe for: may this role do this action?
//!
//! One small enforcer per app and action, one row a role, equality only: the cost follows the rows of
//! one action, not of the site. No path, no pattern function and no text of a request reaches it, its
//! own cache isn't used (its key is a hash without an equality check), and its logger, a thread of its
//! own per enforcer, is replaced at once.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use casbin::{CoreApi, DefaultModel, Enforcer, EventData, Logger, Model, NullAdapter};

/// The effect text is one of those that casbin knows; it panics at any other.
const DEFINITIONS: [(&str, &str); 4] = [
    ("r", "sub, obj, act"),
    ("p", "sub, obj, act, eft"),
    ("e", "some(where (p.eft == allow)) && !some(where (p.eft == deny))"),
    ("m", "r.sub == p.sub && r.obj == p.obj && r.act == p.act"),
];

/// The enforcer of one app and action.
pub(crate) struct Engine {
    enforcer: Enforcer,
    app: String,
    action: String,
}

/// What a role's row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// The engine's answer can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("{0}")]
    Casbin(#[from] casbin::Error),
    /// An empty text would match an empty request.
    #[error("a row or a question with an empty value")]
    Empty,
    /// Two rows, or one not asked for.
    #[error("the answer rests on rows that it can't rest on")]
    OddRows,
    /// Nothing here waits for anything; what isn't ready at once never is.
    #[error("the enforcer was not built at once")]
    Pending,
}

impl Engine {
    /// An enforcer with one row for each role.
    pub(crate) fn new<'r>(
        app: &str,
        action: &str,
        rows: impl IntoIterator<Item = (&'r str, Effect)>,
    ) -> Result<Self, EngineError> {
        let mut model = DefaultModel::default();
        for (key, value) in DEFINITIONS {
            model.add_def(key, key, value);
        }
        let mut count = 0;
        for (role, effect) in rows {
            let row = [role, app, action, effect.name()];
            if row.iter().any(|value| value.is_empty()) {
                return Err(EngineError::Empty);
            }
            if !model.add_policy("p", "p", row.map(str::to_owned).to_vec()) {
                return Err(EngineError::OddRows);
            }
            count += 1;
        }
        // Without rows casbin would match against empty values.
        if count == 0 {
            return Err(EngineError::Empty);
        }
        let mut enforcer = ready(Enforcer::new_raw(model, NullAdapter))??;
        enforcer.set_logger(Box::new(Silent));
        Ok(Self { enforcer, app: app.to_owned(), action: action.to_owned() })
    }

    /// What the role's row says, `None` if it has none. The row that casbin explains the answer with has
    /// to be the role's own.
    pub(crate) fn ask(&self, role: &str) -> Result<Option<Effect>, EngineError> {
        if role.is_empty() {
            return Err(EngineError::Empty);
        }
        let (allowed, rows) = self.enforcer.enforce_ex((role, self.app.as_str(), self.action.as_str()))?;
        let effect = match (allowed, rows.as_slice()) {
            (false, []) => return Ok(None),
            (true, [_]) => Effect::Allow,
            (false, [_]) => Effect::Deny,
            _ => return Err(EngineError::OddRows),
        };
        let own = [role, &self.app, &self.action, effect.name()];
        if rows.iter().all(|row| row.iter().eq(own)) { Ok(Some(effect)) } else { Err(EngineError::OddRows) }
    }
}

impl Effect {
    const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// casbin builds asynchronously for the sake of its file adapters; with everything in memory the first
/// poll ends it, and no runtime is needed.
fn ready<T>(future: impl Future<Output = T>) -> Result<T, EngineError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(EngineError::Pending),
    }
}

/// Decisions are recorded in the journal, not here.
struct Silent;

impl Logger for Silent {
    fn enable_log(&mut self, _: bool) {}
    fn is_enabled(&self) -> bool {
        false
    }
    fn print_enforce_log(&self, _: Vec<String>, _: bool, _: bool) {}
    fn print_mgmt_log(&self, _: &EventData) {}
    fn print_explain_log(&self, _: Vec<String>) {}
    fn print_status_log(&self, _: bool) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_answered_by_its_own_row_alone() {
        let engine = Engine::new("chart", "view", [("nurse", Effect::Allow), ("trainee", Effect::Deny)]).unwrap();
        assert_eq!(engine.ask("nurse").unwrap(), Some(Effect::Allow));
        assert_eq!(engine.ask("trainee").unwrap(), Some(Effect::Deny));
        assert_eq!(engine.ask("clerk").unwrap(), None);
        assert_eq!(engine.ask("Nurse").unwrap(), None);
        assert_eq!(engine.ask("nurse ").unwrap(), None);
    }

    #[test]
    fn empty_values_are_refused_in_rows_and_in_questions() {
        for (app, action, role) in [("", "view", "nurse"), ("chart", "", "nurse"), ("chart", "view", "")] {
            assert!(matches!(Engine::new(app, action, [(role, Effect::Allow)]), Err(EngineError::Empty)));
        }
        assert!(matches!(Engine::new("chart", "view", []), Err(EngineError::Empty)));
        let engine = Engine::new("chart", "view", [("nurse", Effect::Allow)]).unwrap();
        assert!(matches!(engine.ask(""), Err(EngineError::Empty)));
    }

    #[test]
    fn the_same_row_twice_is_refused() {
        let rows = [("nurse", Effect::Allow), ("nurse", Effect::Allow)];
        assert!(matches!(Engine::new("chart", "view", rows), Err(EngineError::OddRows)));
        // Both effects for one role: the answer rests on two rows.
        let engine = Engine::new("chart", "view", [("nurse", Effect::Allow), ("nurse", Effect::Deny)]).unwrap();
        assert!(matches!(engine.ask("nurse"), Err(EngineError::OddRows)));
    }

    #[test]
    fn texts_that_mean_something_elsewhere_mean_themselves_here() {
        let engine = Engine::new("chart", "view", [("*", Effect::Allow), ("\" || true || \"", Effect::Deny)]).unwrap();
        assert_eq!(engine.ask("nurse").unwrap(), None);
        assert_eq!(engine.ask("*").unwrap(), Some(Effect::Allow));
        assert_eq!(engine.ask("\" || true || \"").unwrap(), Some(Effect::Deny));
    }
}
