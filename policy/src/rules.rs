//! The typed rules: the record of what a site wants, before anything is compiled from it.
//!
//! Plain data, made by `config` from the policy folder or by a test. Nothing here is checked;
//! [`Policy::compile`](crate::Policy::compile) checks all of it at once.
//!
//! Names of apps, actions, roles, birthrights and conditions are lower-case ASCII (`a-z 0-9 - _ .`,
//! at most 64 bytes): they stand in records, assertions and header lists.

use crate::Weekday;

/// Everything that a site's policy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// The protected systems and what can be done to each.
    pub apps: Vec<AppRules>,
    /// The roles and what each permits and denies.
    pub roles: Vec<Role>,
    /// Which HR data gives which role.
    pub birthrights: Vec<Birthright>,
    /// When and from where a permit holds.
    pub conditions: Vec<Condition>,
}

/// What can be done to one app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppRules {
    /// The app's name.
    pub name: String,
    /// Its actions. A request that is none of them is refused.
    pub actions: Vec<Action>,
    /// What the bytes of its paths are.
    pub path_encoding: PathEncoding,
    /// The `;name=value` parameters that its paths may carry (`jsessionid`); any other is ambiguous (A2).
    /// They are no part of what patterns match.
    pub path_parameters: Vec<String>,
}

/// What the percent-encoded bytes of an app's paths are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PathEncoding {
    /// UTF-8; `%5c` is ambiguous.
    #[default]
    Strict,
    /// Any bytes but NUL, separators and controls, such as CP932 with `%5c` as a second byte.
    Opaque,
}

/// What a request does to an app, derived from its method and path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// The action's name, unique in its app.
    pub name: String,
    /// What people read; `None`: the name.
    pub title: Option<Title>,
    /// The methods, upper case. `HEAD` goes where `GET` goes.
    pub methods: Vec<String>,
    /// The path patterns: `/patients/{id}` (one whole segment, not empty), `/static/{*rest}` (all
    /// that follows, may be empty). The text is compared with the raw path, byte for byte, so that
    /// what is not ASCII is written percent-encoded.
    pub paths: Vec<String>,
    /// Where a request of this action says which patient it is about.
    pub patient: Option<PatientRule>,
    /// A request of this action counts as a human act even without the page's script (H-28).
    pub human: bool,
    /// What it is for.
    pub class: ActionClass,
    /// What becomes of an answer that is a download; `None`: what the app says.
    pub download: Option<Download>,
}

/// What an action is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ActionClass {
    /// Working with the app.
    #[default]
    Use,
    /// Carrying data out of it: every answer is recorded as that (S-22).
    Export,
}

/// What becomes of an answer that a browser would save as a file (S-22), the strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Download {
    /// It is refused.
    Deny,
    /// It is shown instead, if browsers can show it, and refused if not.
    Inline,
    /// It passes, recorded as carried out.
    Allow,
}

/// Where the patient of a request is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatientRule {
    /// The path parameter of this name; each path of the action has it.
    Path(String),
    /// The query parameter of this name.
    Query(String),
    /// The field of this name in a form body.
    Form(String),
    /// The value at this JSON pointer (RFC 6901) in the request body.
    Json(String),
    /// The response header of this name.
    ResponseHeader(String),
    /// The value at this JSON pointer (RFC 6901) in the response body.
    ResponseJson(String),
    /// What the upstream itself says of the thing that the path names.
    Lookup(Lookup),
}

/// A question to the upstream: whose is the thing with this id?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// What is asked for with GET: a path, perhaps with a query, in which `{name}` stands for the path
    /// parameter of that name.
    pub path: String,
    /// Where in the answer the patient stands: a JSON pointer (RFC 6901).
    pub pointer: String,
}

impl Lookup {
    /// The text and the parameters of the path by turns, beginning with a text: `/x/`, `id`, `/patient`.
    /// `None`: a brace is left open.
    pub fn pieces(&self) -> Option<Vec<&str>> {
        let mut pieces = Vec::new();
        let mut rest = self.path.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}')?;
            pieces.extend([before, name]);
            rest = behind;
        }
        pieces.push(rest);
        Some(pieces)
    }

    /// The names of the parameters it needs.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.pieces().unwrap_or_default().into_iter().skip(1).step_by(2)
    }
}

/// A named set of permits and denies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// The role's name.
    pub name: String,
    /// What people read.
    pub title: Title,
    /// Privileged roles come from grants only, never from HR data.
    pub privileged: bool,
    /// What holders may do. The same action may be permitted under several conditions: any one suffices.
    pub permits: Vec<Permission>,
    /// What holders may not do, whatever their other roles permit. A deny has no condition.
    pub denies: Vec<Permission>,
}

/// A text in both languages of the pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Title {
    /// Japanese.
    pub ja: String,
    /// English.
    pub en: String,
}

/// One action of one app, perhaps under a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// The app's name.
    pub app: String,
    /// The action's name.
    pub action: String,
    /// The name of the [`Condition`] under which it holds; `None`: always (in a known zone).
    pub condition: Option<String>,
}

/// A rule over HR data that gives a role. An empty list means any. `occupation`, `department` and
/// `position` must all match within one affiliation that is effective on the day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Birthright {
    /// The rule's name.
    pub name: String,
    /// The role it gives; never a privileged one.
    pub role: String,
    /// Occupations 職種, one of which is the affiliation's.
    pub occupation: Vec<String>,
    /// Departments 部署, one of which is the affiliation's.
    pub department: Vec<String>,
    /// Positions 役職, one of which is the affiliation's.
    pub position: Vec<String>,
    /// Qualifications 資格, one of which the person holds, unexpired.
    pub qualification: Vec<String>,
    /// Kinds of employment 雇用区分, one of which is the person's.
    pub employment: Vec<String>,
}

/// When and from where a permit holds: in one of the zones **and** in one of the windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The condition's name.
    pub name: String,
    /// Zones, one of which the client is in; empty: any known zone. That they exist is for the caller to check.
    pub zones: Vec<String>,
    /// Windows in the site's time, one of which it is in; empty: at any time.
    pub hours: Vec<Hours>,
    /// Why it is there, for readers.
    pub note: Option<String>,
}

/// A window of the day in the site's local time. `from 22:00 to 06:00` passes midnight and belongs
/// to the day on which it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// The days on which it begins; empty: every day.
    pub days: Vec<Weekday>,
    /// First minute of the day inside, 0..=1439.
    pub from_minute: u16,
    /// First minute of the day outside, 0..=1440; not after `from_minute`: on the next day.
    pub to_minute: u16,
}
