//! `podo-bench`: measures the release binary and prints each number beside what the design asks for.
//!
//! `cargo run -p podo-bench` measures all, `cargo run -p podo-bench -- start pods` the named groups: start, pods, idle, writes, reads,
//! watch. Needs root; everything happens on hosts that are network namespaces, so only loopback is loaded. Times are medians unless
//! they say otherwise; the load generator runs on the same cores as what it measures.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

mod idle;
mod load;
mod pods;
mod reads;
mod start;
mod table;
mod watch;
mod writes;

use std::path::{Path, PathBuf};

use podo_cluster_tests::{binary, note};
use table::Table;

/// A group of rows and the function that measures it.
type Group = (&'static str, fn(&Path, &mut Table));

const GROUPS: &[Group] = &[
    ("start", start::measure),
    ("pods", pods::measure),
    ("idle", idle::measure),
    ("writes", writes::measure),
    ("reads", reads::measure),
    ("watch", watch::measure),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let podo = release();
    let mut table = Table::default();
    for (name, measure) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|group| group == name) {
            note(&format!("measuring {name}"));
            measure(&podo, &mut table);
        }
    }
    println!("{table}");
}

/// The release binary, built if it is not given by `$PODO_BIN`.
fn release() -> PathBuf {
    if let Some(path) = std::env::var_os("PODO_BIN") {
        return path.into();
    }
    let folder = binary::shared_folder();
    binary::build("release", binary::target(&folder));
    folder.with_file_name("release").join("podo")
}
