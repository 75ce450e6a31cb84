use crate::json::{self, SHORT, TARGET};

/// Whose chart is touched, as far as a rule of the app can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patient<'a> {
    /// No rule looks for one here.
    #[default]
    None,
    /// A rule looks for one and found none: written as `unknown`, and counted.
    Unknown,
    /// The number that the rule found.
    Known(&'a str),
}

impl Patient<'_> {
    pub(crate) fn text(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Unknown => Some("unknown".to_owned()),
            Self::Known(number) => Some(number.to_owned()),
        }
    }
}

/// What is done, or to what. A request has app, action, method and target; an administrative act has a
/// kind and an id.
#[derive(Clone, Copy, Debug, Default)]
pub struct What<'a> {
    /// The app's name.
    pub app: Option<&'a str>,
    /// The action's name.
    pub action: Option<&'a str>,
    /// The HTTP method.
    pub method: Option<&'a str>,
    /// The path as it goes upstream. Never with a query that carries secrets.
    pub target: Option<&'a str>,
    /// Whose chart.
    pub patient: Patient<'a>,
    /// The kind of thing an administrative act changes: `account`, `session`, `policy` …
    pub kind: Option<&'a str>,
    /// Its id.
    pub id: Option<&'a str>,
}

impl<'a> What<'a> {
    /// A request to an app.
    pub const fn request(
        app: &'a str,
        action: Option<&'a str>,
        method: &'a str,
        target: &'a str,
        patient: Patient<'a>,
    ) -> Self {
        Self { app: Some(app), action, method: Some(method), target: Some(target), patient, kind: None, id: None }
    }

    /// A thing of ours: `What::thing("session", &id)`.
    pub const fn thing(kind: &'a str, id: &'a str) -> Self {
        Self {
            app: None,
            action: None,
            method: None,
            target: None,
            patient: Patient::None,
            kind: Some(kind),
            id: Some(id),
        }
    }

    /// The members, without braces and without the patient, which may be known only at the end.
    pub(crate) fn members(&self) -> String {
        let target = self.target.map_or(0, str::len).min(TARGET);
        let mut out = String::with_capacity(96 + target);
        let members = [
            ("app", self.app, SHORT),
            ("action", self.action, SHORT),
            ("method", self.method, SHORT),
            ("target", self.target, TARGET),
            ("kind", self.kind, SHORT),
            ("id", self.id, SHORT),
        ];
        for (key, value, limit) in members {
            if let Some(value) = value {
                json::field(&mut out, key, value, limit);
            }
        }
        out
    }
}

/// Why it was allowed, refused or done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Why<'a> {
    /// The rule that matched.
    pub rule: Option<&'a str>,
    /// The grant that gave the role.
    pub grant: Option<&'a str>,
    /// What for: the paper's words.
    pub purpose: Option<&'a str>,
    /// A word of a published catalogue: why denied, why locked, why ended.
    pub reason: Option<&'a str>,
    /// Hash of the policy files that the decision was made by.
    pub policy: Option<&'a str>,
    /// The snapshot's number.
    pub generation: Option<u64>,
}

impl<'a> Why<'a> {
    /// Only a reason.
    pub fn reason(reason: &'a str) -> Self {
        Self { reason: Some(reason), ..Self::default() }
    }

    pub(crate) fn members(&self) -> String {
        let mut out = String::with_capacity(256);
        let members = [
            ("rule", self.rule),
            ("grant", self.grant),
            ("purpose", self.purpose),
            ("reason", self.reason),
            ("policy", self.policy),
        ];
        for (key, value) in members {
            if let Some(value) = value {
                json::field(&mut out, key, value, SHORT);
            }
        }
        if let Some(generation) = self.generation {
            json::name(&mut out, "generation");
            json::number(&mut out, i64::try_from(generation).unwrap_or(i64::MAX));
        }
        out
    }
}
