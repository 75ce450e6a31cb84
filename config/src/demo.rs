//! The demo hospital's configuration as texts: for the demo, and for tests that need a whole
//! configuration to start from. Use them with [`load_texts`](crate::load_texts) or [`Source::texts`](crate::Source::texts).

/// `config/examples/demo/sekimori.toml`
pub const MAIN: &str = include_str!("../examples/demo/sekimori.toml");

/// The files of `config/examples/demo/policy/`, by name.
pub const POLICY: &[(&str, &str)] = &[
    ("birthrights.toml", include_str!("../examples/demo/policy/birthrights.toml")),
    ("chart.toml", include_str!("../examples/demo/policy/chart.toml")),
    ("conditions.toml", include_str!("../examples/demo/policy/conditions.toml")),
    ("privileged.toml", include_str!("../examples/demo/policy/privileged.toml")),
    ("roles.toml", include_str!("../examples/demo/policy/roles.toml")),
];
