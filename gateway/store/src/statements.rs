//! The registry: a statement that isn't listed here can't be run.

#[cfg(test)]
use crate::{
    accounts, authenticators, change, enrolments, grants, interactions, notices, outbox, people, places, restored,
    sessions,
};

/// One SQL text. Made only by [`statements!`], which also lists it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    /// `store::accounts::INSERT`, for errors and tests.
    pub(crate) name: &'static str,
    /// Text for every engine: `$1` arguments, no engine's own functions.
    pub(crate) sql: &'static str,
}

/// Names a module's statements and lists them as its `STATEMENTS`.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $crate::statements::unlisted! { $($(#[$doc])* $name = $sql;)* }
        /// Every statement of this module.
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[$crate::statements::Statement] = &[$($name),*];
    };
}
pub(crate) use statements;

/// Names statements; by itself for tests only.
macro_rules! unlisted {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {$(
        $(#[$doc])*
        const $name: $crate::statements::Statement = $crate::statements::Statement {
            name: concat!(module_path!(), "::", stringify!($name)),
            sql: $sql,
        };
    )*};
}
pub(crate) use unlisted;

/// Every statement of the crate, by module.
#[cfg(test)]
pub(crate) const ALL: &[&[Statement]] = &[
    accounts::STATEMENTS,
    authenticators::STATEMENTS,
    change::STATEMENTS,
    enrolments::STATEMENTS,
    grants::STATEMENTS,
    interactions::STATEMENTS,
    notices::STATEMENTS,
    outbox::STATEMENTS,
    people::STATEMENTS,
    people::staging::STATEMENTS,
    people::staging::rows::STATEMENTS,
    places::STATEMENTS,
    restored::STATEMENTS,
    sessions::STATEMENTS,
];

#[cfg(test)]
mod tests;
