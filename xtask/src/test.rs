//! `cargo xtask test`: everything that must pass before a change lands, on a machine with nothing but Rust and a C compiler.
//!
//! Formatting, house rules, lints, then all tests. What the tests need from the system is installed from packages
//! first, where that is possible; what is then still missing makes its tests skip aloud.

use std::process::Command;

use crate::tools;
use crate::tools::has_cargo;

/// Fails if the lock file of the fuzz targets, a workspace of their own, does not fit what the product's crates need.
const LOCK_OF_FUZZ: &[&str] =
    &["update", "--quiet", "--workspace", "--locked", "--manifest-path", "fuzz/Cargo.toml"];

/// Runs all checks; the first that fails ends it.
pub(crate) fn run() -> Result<String, String> {
    crate::say(&tools::run());
    step("cargo", &["fmt", "--all", "--check"])?;
    crate::say(&crate::tidy::run()?);
    step("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    step("cargo", LOCK_OF_FUZZ)?;
    if has_cargo("cargo-deny") {
        step("cargo", &["deny", "--offline", "check", "bans", "licenses", "sources"])?;
    } else {
        crate::say("SKIP licences, bans and sources of crates: cargo install --locked cargo-deny");
    }
    if has_cargo("cargo-nextest") {
        step("cargo", &["nextest", "run", "--workspace", "--no-fail-fast"])?;
    } else {
        step("cargo", &["test", "--workspace", "--no-fail-fast"])?;
    }
    Ok("all checks passed".to_owned())
}

/// Runs a command; its output is the reader's.
pub(crate) fn step(program: &str, args: &[&str]) -> Result<(), String> {
    crate::say(&format!("$ {program} {}", args.join(" ")));
    let status = Command::new(program)
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .map_err(|error| format!("{program}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} {} failed: {status}", args.join(" ")))
    }
}
