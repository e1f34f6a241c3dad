//! vmnet
fn main() {}
