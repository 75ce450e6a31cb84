//! sekimorictl
fn main() {}
