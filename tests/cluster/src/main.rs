//! podo-cluster-tests
fn main() {}
