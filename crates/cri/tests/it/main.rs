//! The whole runtime on the real kernel, as root, with busybox as image: each test in a network and a mount namespace of its
//! own, so that the machine's own are not touched.
//!
//! The test binary is also the executable under test: its roles are dispatched before anything else, as the product does.
//! Speaks the list protocol of cargo-nextest; with plain `cargo test` the tests run one after the other.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::wildcard_imports,
    reason = "a test without the standard harness, which these rules do not recognise as one"
)]

mod harness;
mod images;
mod life;
mod network;
mod process;
mod streams;
mod survival;
mod timing;
mod volumes;

use std::process::ExitCode;

/// A test by name.
type Test = (&'static str, fn());

fn tests() -> Vec<Test> {
    [
        images::TESTS,
        life::TESTS,
        network::TESTS,
        process::TESTS,
        streams::TESTS,
        survival::TESTS,
        timing::TESTS,
        volumes::TESTS,
    ]
    .concat()
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("shim") => return podo_runtime::shim_main(args),
        Some("pause") => return podo_runtime::pause_main(),
        Some("hello") => {
            println!("hello from the executable");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    if has("--list") {
        if !has("--ignored") {
            for (name, _) in tests() {
                println!("{name}: test");
            }
        }
        return ExitCode::SUCCESS;
    }
    if !harness::can_run() {
        return ExitCode::SUCCESS;
    }
    if !harness::is_in_world() {
        return harness::enter_world(&args);
    }
    if let Some(role) = args.iter().position(|arg| arg == "node-to-be-killed") {
        return survival::node_to_be_killed(&args[role + 1..]);
    }
    run(&args)
}

fn run(args: &[String]) -> ExitCode {
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let is_wanted = |name: &str| {
        let matches = |filter: &&String| {
            if has("--exact") { name == filter.as_str() } else { name.contains(filter.as_str()) }
        };
        filters.is_empty() || filters.iter().any(matches)
    };
    let mut failures = 0;
    for (name, test) in tests().into_iter().filter(|(name, _)| is_wanted(name)) {
        let is_good = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if is_good { "ok" } else { "FAILED" });
        failures += i32::from(!is_good);
    }
    if failures > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
