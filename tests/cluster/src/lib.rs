//! What the whole-system tests and the benches stand on: a host in a network namespace, a registry with images of the
//! distribution's programs, the real `podo` binary as a process, clients, and a search for what it left behind.
//!
//! Owns      everything it starts: processes end and files go when [`with_cluster`] returns, also after a panic; what a failed test
//!           wrote is kept and its end is printed.
//! Holds     black box: nothing here calls into the server; the binary is driven by its command line, its API and signals.
//!
//! Not here: what is asked of the cluster (the tests), how fast it is (`podo-bench`).

#![expect(clippy::print_stderr, reason = "a test harness speaks to the person who runs it")]

pub mod api;
pub mod binary;
pub mod cluster;
pub mod host;
pub mod images;
pub mod kubectl;
pub mod leaks;
pub mod patience;
pub mod pods;
pub mod registry;
pub mod slow_link;
pub mod terminal;

pub use api::{Answer, Api, Watch};
pub use cluster::{Cluster, Options, with_cluster};
pub use host::Host;
pub use kubectl::Ran;
pub use patience::{PATIENCE, until};
pub use registry::Registry;
pub use slow_link::SlowLink;
pub use terminal::Terminal;

/// Says on standard error that something is left out, and why.
pub fn skip(what: &str, why: &str) {
    eprintln!("SKIP {what}: {why}");
}

/// Says something to the person who runs the tests.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// A program on the search path or in one of the system's folders.
pub fn program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into(), "/usr/bin".into(), "/bin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
