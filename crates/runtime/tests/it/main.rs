//! Real sandboxes on the real kernel, as root, with busybox as every image.
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

mod containers;
mod harness;
mod limits;
mod security;
mod streams;
mod survival;
mod timing;

use std::process::ExitCode;

/// A test by name.
type Test = (&'static str, fn());

fn tests() -> Vec<Test> {
    [
        containers::TESTS,
        limits::TESTS,
        security::TESTS,
        streams::TESTS,
        survival::TESTS,
        timing::TESTS,
    ]
    .concat()
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("shim") => return podo_runtime::shim_main(args),
        Some("pause") => return podo_runtime::pause_main(),
        _ => {}
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    if let Some(role) = args.iter().position(|arg| arg == "server-to-be-killed") {
        return survival::server_to_be_killed(&args[role + 1..]);
    }
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
