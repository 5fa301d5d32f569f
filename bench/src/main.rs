//! podo-bench
fn main() {}
