//! sekimori
fn main() {}
