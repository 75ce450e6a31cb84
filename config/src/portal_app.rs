//! The portal as an app of the policy: `sekimori`. It is part of every rule set, so that roles can
//! permit its actions, and nobody can lock himself out, or somebody in, by writing its paths wrongly.

use policy::{Action, AppRules};

/// The app's name.
pub(crate) const NAME: &str = "sekimori";

/// The actions of the admin API under `/.sekimori/api/v1/` and what each covers.
const ACTIONS: [(&str, &[&str], &str); 5] = [
    ("hr", &["GET", "POST"], "hr"),
    ("enrolment", &["GET", "POST"], "enrolment"),
    ("session", &["GET", "POST"], "session"),
    ("policy", &["GET", "POST"], "policy"),
    ("audit", &["GET", "POST"], "audit"),
];

/// Its rules.
pub(crate) fn rules() -> AppRules {
    let action = |(name, methods, path): (&str, &[&str], &str)| Action {
        name: name.to_owned(),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        paths: vec![format!("/.sekimori/api/v1/{path}"), format!("/.sekimori/api/v1/{path}/{{*rest}}")],
        ..Action::default()
    };
    AppRules { name: NAME.to_owned(), actions: ACTIONS.map(action).into(), ..AppRules::default() }
}
