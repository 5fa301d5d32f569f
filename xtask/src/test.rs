//! `cargo xtask test`: everything that must pass before a change lands, on a machine with nothing but Rust and a C compiler.
//!
//! Formatting, house rules, lints, then all tests. What the tests need from the system is installed from the distribution's packages
//! first, where that is possible; what is then still missing makes its tests skip aloud.

use std::process::Command;

/// Packages of the distribution that tests use, and a program by which each is known to be there.
const PACKAGES: &[(&str, &str)] = &[
    ("busybox-static", "busybox"),
    ("docker-registry", "docker-registry"),
    ("nginx-light", "nginx"),
];

/// Runs all checks; the first that fails ends it.
pub(crate) fn run() -> Result<String, String> {
    install();
    step("cargo", &["fmt", "--all", "--check"])?;
    crate::say(&crate::tidy::run()?);
    step("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
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

/// Installs what is missing; without root or a package manager that is left to the tests to say.
fn install() {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(_, program)| !has(program)).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return;
    }
    if !has("apt-get") {
        crate::say(&format!("SKIP installing {}: there is no apt-get", missing.join(", ")));
        return;
    }
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(&missing);
    let installed = step("apt-get", &["update", "--quiet"]).and_then(|()| step("apt-get", &args));
    if let Err(error) = installed {
        crate::say(&format!("SKIP installing {}: {error}", missing.join(", ")));
    }
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

/// Whether cargo has a further command, which is where cargo puts what it installs or on the search path.
fn has_cargo(program: &str) -> bool {
    let own = std::env::var_os("CARGO_HOME").map(std::path::PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| std::path::Path::new(&home).join(".cargo"));
    own.or(home).is_some_and(|folder| folder.join("bin").join(program).is_file()) || has(program)
}

fn step(program: &str, args: &[&str]) -> Result<(), String> {
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
