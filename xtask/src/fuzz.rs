//! `cargo xtask fuzz [NAME] [SECONDS]`: feeds made-up bytes to whatever reads bytes from outside, bounded in time, memory and size.
//!
//! The targets are `fuzz/fuzz_targets/NAME.rs`, the inputs they begin with `fuzz/seeds/NAME`. What is found stays below the target
//! directory: inputs that reach further, which the next run begins with, and those that fail.
//!
//! Stable Rust builds them: coverage is an LLVM pass, and libFuzzer is compiled by `libfuzzer-sys`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Names the machine, so that build scripts and macros are built without coverage.
const MACHINE: &str = "x86_64-unknown-linux-gnu";

/// Coverage as libFuzzer reads it. The environment's flags take the place of those in `.cargo/config.toml`, as they must: libFuzzer's
/// C++ is linked dynamically.
const RUSTFLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

const SECONDS: u32 = 30;

/// What a process may take; a parser that asks for more on a small input is wrong.
const MEMORY_MB_MAX: u32 = 1024;

/// How long one input may take.
const INPUT_SECONDS_MAX: u32 = 10;

/// A target's name, and the bytes of its largest input.
type Target = (&'static str, u32);

/// Each target and the bytes of its largest input: small where a parser's work does not depend on the size.
const TARGETS: &[Target] = &[
    ("archive", 16 << 10),
    ("container_files", 4096),
    ("container_log", 64 << 10),
    ("copy", 16 << 10),
    ("field_sets", 4096),
    ("image_documents", 4096),
    ("json", 16 << 10),
    ("layer", 16 << 10),
    ("log_frame", 4096),
    ("log_recovery", 8192),
    ("network", 4096),
    ("node_files", 4096),
    ("output", 1024),
    ("patch", 4096),
    ("protobuf", 16 << 10),
    ("registry_answers", 4096),
    ("request", 1024),
    ("scalars", 256),
    ("seccomp", 16 << 10),
    ("selectors", 1024),
    ("shim_wire", 8192),
    ("spdy", 16 << 10),
    ("streams", 4096),
    ("tokens", 4096),
    ("yaml", 8192),
];

/// Builds all targets and runs those that are asked for; the first that fails ends it.
pub(crate) fn run(args: &[String]) -> Result<String, String> {
    let (chosen, seconds) = choose(args)?;
    let home = target_directory().join("fuzz");
    build(&home)?;
    for (name, bytes_max) in &chosen {
        crate::say(&fuzz(&home, name, *bytes_max, seconds)?);
    }
    Ok(format!("fuzz: {} targets, {seconds} s each, nothing found", chosen.len()))
}

fn choose(args: &[String]) -> Result<(Vec<Target>, u32), String> {
    let mut chosen = TARGETS.to_vec();
    let mut seconds = SECONDS;
    for word in args {
        match word.parse() {
            Ok(number) => seconds = number,
            Err(_) => chosen.retain(|(name, _)| name == word),
        }
    }
    if chosen.is_empty() {
        let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no such target; there are: {}", known.join(", ")));
    }
    Ok((chosen, seconds))
}

fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

fn build(home: &Path) -> Result<(), String> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--bins", "--locked", "--target", MACHINE])
        .args(["--manifest-path", "fuzz/Cargo.toml", "--target-dir"])
        .arg(home)
        .env("RUSTFLAGS", RUSTFLAGS)
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("building the targets failed: {status}")) }
}

/// Runs one target; says how it went.
fn fuzz(home: &Path, name: &str, bytes_max: u32, seconds: u32) -> Result<String, String> {
    let found = home.join("corpus").join(name);
    let failed = home.join("failed").join(name);
    for folder in [&found, &failed] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let output = Command::new(home.join(MACHINE).join("release").join(name))
        .arg(&found)
        .arg(format!("fuzz/seeds/{name}"))
        .arg(format!("-artifact_prefix={}/", failed.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-max_len={bytes_max}"))
        .arg("-print_final_stats=1")
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(failure(name, output.status, &log));
    }
    let number = |stat: &str| after(&log, stat).map_or("?", str::trim).to_owned();
    Ok(format!(
        "{name:17} {:>9} executions, {:>6}/s, {:>4} MB",
        number("stat::number_of_executed_units:"),
        number("stat::average_exec_per_sec:"),
        number("stat::peak_rss_mb:"),
    ))
}

/// What libFuzzer says last, and where the input is.
fn failure(name: &str, status: ExitStatus, log: &str) -> String {
    let input = after(log, "Test unit written to ").unwrap_or("none was written");
    let words: Vec<&str> = log.lines().filter(|line| !line.starts_with('#')).collect();
    let last = words.get(words.len().saturating_sub(40)..).unwrap_or_default().join("\n");
    format!("{name} failed ({status})\n{last}\ninput: {input}")
}

/// The rest of the line behind some words.
fn after<'a>(log: &'a str, words: &str) -> Option<&'a str> {
    log.lines().find_map(|line| line.split_once(words)).map(|(_, rest)| rest)
}
