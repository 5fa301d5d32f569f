//! podo
fn main() {}
