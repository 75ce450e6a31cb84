use std::fmt;

/// One thing that is wrong with a rule set, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {fault}")]
pub struct RuleError {
    /// The rule, by its position in the [`RuleSet`](crate::RuleSet): what a caller maps to file, line and column.
    pub place: Place,
    /// The rule as a reader would call it: `app chart, action view, path /patients/{id}`.
    pub name: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// A rule by its indices in the [`RuleSet`](crate::RuleSet).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// `apps[app]`
    App {
        /// Index into `apps`.
        app: usize,
    },
    /// `apps[app].actions[action]`
    Action {
        /// Index into `apps`.
        app: usize,
        /// Index into its `actions`.
        action: usize,
    },
    /// `apps[app].actions[action].paths[path]`
    Path {
        /// Index into `apps`.
        app: usize,
        /// Index into its `actions`.
        action: usize,
        /// Index into its `paths`.
        path: usize,
    },
    /// `roles[role]`
    Role {
        /// Index into `roles`.
        role: usize,
    },
    /// `roles[role].permits[permit]`
    Permit {
        /// Index into `roles`.
        role: usize,
        /// Index into its `permits`.
        permit: usize,
    },
    /// `roles[role].denies[deny]`
    Deny {
        /// Index into `roles`.
        role: usize,
        /// Index into its `denies`.
        deny: usize,
    },
    /// `birthrights[birthright]`
    Birthright {
        /// Index into `birthrights`.
        birthright: usize,
    },
    /// `conditions[condition]`
    Condition {
        /// Index into `conditions`.
        condition: usize,
    },
    /// `conditions[condition].hours[hours]`
    Hours {
        /// Index into `conditions`.
        condition: usize,
        /// Index into its `hours`.
        hours: usize,
    },
}

/// What can be wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A required text is empty. An engine row of empty texts would match an empty request (crates.md: casbin).
    #[error("{0} is empty")]
    Empty(&'static str),
    /// A name has a form that records and headers can't hold.
    #[error("{what} {value:?} is not a name (a-z, 0-9, '-', '_', '.', at most 64 bytes)")]
    BadName {
        /// Which field.
        what: &'static str,
        /// What it says.
        value: String,
    },
    /// The same thing twice.
    #[error("{what} {value:?} is there twice")]
    Duplicate {
        /// Which kind of thing.
        what: &'static str,
        /// Its name or text.
        value: String,
    },
    /// A name that nothing has.
    #[error("there is no {what} {value:?}")]
    Unknown {
        /// Which kind of thing was named.
        what: &'static str,
        /// The name.
        value: String,
    },
    /// A method that can't be routed.
    #[error("{0:?} is not a method that can be routed (upper case; not CONNECT, not TRACE)")]
    BadMethod(String),
    /// A path pattern that can't be matched as it is written.
    #[error("{0}")]
    BadPattern(PatternFault),
    /// Two actions claim the same paths for the same method.
    #[error("{method} {pattern} is already action {other:?}")]
    Conflict {
        /// The method both list.
        method: String,
        /// The other action's pattern.
        pattern: String,
        /// The other action.
        other: String,
    },
    /// A look-up whose path is none, or asks for nothing in particular.
    #[error("\"{0}\" is not a look-up: write a path with a parameter, as /instances/{{id}}/patient")]
    BadLookup(String),
    /// The patient rule names a path parameter that this path lacks.
    #[error("the patient rule needs the parameter {{{0}}}, which the path lacks")]
    NoSuchParameter(String),
    /// Not a JSON pointer.
    #[error("{0:?} is not a JSON pointer (RFC 6901)")]
    BadPointer(String),
    /// A role both permits and denies the action.
    #[error("the role both permits and denies {0}")]
    Contradiction(String),
    /// A role permits the action both always and under a condition.
    #[error("the role permits {0} both always and under a condition")]
    Redundant(String),
    /// A deny has a condition.
    #[error("a deny has no condition: it always holds")]
    ConditionalDeny,
    /// A birthright rule gives a privileged role.
    #[error("{0:?} is privileged: such roles are granted, never given by HR data")]
    PrivilegedBirthright(String),
    /// A condition that says nothing.
    #[error("the condition names neither zones nor hours")]
    NoCondition,
    /// A condition names the zone of nobody.
    #[error("{0:?} is where a client is that no zone claims; no rule can name it")]
    UnknownZone(String),
    /// A window that is empty or outside the day.
    #[error("{from}..{to} is no window of the day in minutes (0..1439 to 0..1440, not equal)")]
    BadHours {
        /// `from_minute`
        from: u16,
        /// `to_minute`
        to: u16,
    },
    /// More of something than a policy holds.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// The policy engine refused the rows of an action.
    #[error("policy engine: {0}")]
    Engine(String),
}

/// Why a path pattern is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// It doesn't begin with a slash.
    #[error("a path pattern begins with '/'")]
    NoSlash,
    /// `//`
    #[error("a path pattern has no empty segment, except after a final '/'")]
    EmptySegment,
    /// `.` or `..`
    #[error("a path pattern has no dot segments")]
    DotSegment,
    /// A byte that no raw path holds or that is ambiguous there.
    #[error("{0:?} can't stand in a path pattern; percent-encode it if the path holds it so")]
    Byte(char),
    /// `%` without two hexadecimal digits in upper case, or one that encodes a separator, a control or plain text.
    #[error("a percent sign is followed by two digits (0-9, A-F) that encode a byte which must be encoded")]
    Percent,
    /// Braces that are no parameter.
    #[error("a parameter is a whole segment, {{name}} or, last, {{*name}}; name is a-z, 0-9, '_'")]
    Parameter,
    /// Two parameters of one name.
    #[error("a parameter name is used once in a pattern")]
    SameParameter,
    /// Deeper than the router looks.
    #[error("a path pattern has at most 64 segments")]
    TooLong,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App { app } => write!(f, "apps[{app}]"),
            Self::Action { app, action } => write!(f, "apps[{app}].actions[{action}]"),
            Self::Path { app, action, path } => write!(f, "apps[{app}].actions[{action}].paths[{path}]"),
            Self::Role { role } => write!(f, "roles[{role}]"),
            Self::Permit { role, permit } => write!(f, "roles[{role}].permits[{permit}]"),
            Self::Deny { role, deny } => write!(f, "roles[{role}].denies[{deny}]"),
            Self::Birthright { birthright } => write!(f, "birthrights[{birthright}]"),
            Self::Condition { condition } => write!(f, "conditions[{condition}]"),
            Self::Hours { condition, hours } => write!(f, "conditions[{condition}].hours[{hours}]"),
        }
    }
}
