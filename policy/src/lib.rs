//! The rules of the house, and the one function that answers by them.
//!
//! A site's typed rules ([`RuleSet`]) are compiled into an immutable [`Policy`]; it turns a method and a
//! path into an action ([`Policy::route`]), HR data into roles ([`Policy::birthrights`]) and a described
//! request into a [`Decision`] ([`Policy::decide`]).
//!
//! The crate does no I/O, reads no clock and knows no HTTP type; only [`Policy::decide`] can make a
//! [`Permit`]. It is the lowest row: every other crate may use it, it uses none of them.

mod birthright;
mod check;
mod condition;
mod decide;
mod engine;
mod error;
mod ids;
mod path;
mod pattern;
mod policy;
mod roles;
mod route;
mod rules;
mod time;

pub use birthright::{Affiliation, Birthrights, Held, HrFacts, Qualification};
pub use decide::{Decision, Denial, Permit, Query, Reason};
pub use error::{Fault, PatternFault, Place, RuleError};
pub use ids::{ActionId, AppId};
pub use path::PathFault;
pub use policy::Policy;
pub use roles::RoleSet;
pub use route::{Routed, Routing};
pub use rules::{
    Action, ActionClass, AppRules, Birthright, Condition, Download, Hours, Lookup, PathEncoding, PatientRule,
    Permission, Role, RuleSet, Title,
};
pub use time::{LocalTime, Weekday};
