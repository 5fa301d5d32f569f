//! `cargo xtask tidy`: the house rules that a machine can check.
//!
//! - Doors: which crate may depend on which ([`DOORS`]), checked against `cargo metadata`.
//! - Lengths: files of more than 600 lines and functions of more than 70 fail, but for those listed in `ratchet.txt`, which may only
//!   get shorter and fewer.
//! - No test is ignored but those that others start ([`IGNORED`]).
//! - Plural resource names stand in the registry (and in tests), nowhere else.
//! - The two READMEs have the same headings, commands and tables in the same order.
//! - Every path that the page on architecture names is there ([`crate::tidy_paths`]), and the list of files is current
//!   ([`crate::files`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tidy_paths;

/// A crate and the crates of the house that it may depend on. `podo`, tests and benches may depend on all.
const DOORS: &[(&str, &[&str])] = &[
    ("podo-base", &[]),
    ("podo-descriptions", &[]),
    ("podo-store", &[]),
    ("podo-runtime", &[]),
    ("podo-network", &["podo-base"]),
    ("podo-image", &["podo-base"]),
    ("podo-api", &["podo-base"]),
    ("podo-registry", &["podo-api", "podo-base"]),
    ("podo-client", &["podo-api", "podo-base"]),
    (
        "podo-apiserver",
        &["podo-api", "podo-base", "podo-descriptions", "podo-registry", "podo-store"],
    ),
    ("podo-controllers", &["podo-api", "podo-base", "podo-client"]),
    ("podo-scheduler", &["podo-api", "podo-base", "podo-client"]),
    ("podo-cri", &["podo-base", "podo-image", "podo-network", "podo-runtime"]),
    ("podo-kubelet", &["podo-api", "podo-base", "podo-client", "podo-cri"]),
    ("podo-cli", &["podo-api", "podo-base", "podo-client"]),
];

/// Crates that are not of the house: they may open any door.
const OUTSIDE: &[&str] = &["podo", "xtask", "podo-bench", "podo-cluster-tests"];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Offenders that are known: `LENGTH PLACE`, where a place is a file or `FILE FUNCTION`.
const RATCHET: &str = "xtask/ratchet.txt";

/// Files whose ignored tests are processes that other tests start.
const IGNORED: &[&str] = &["crates/store/tests/it/kill.rs"];

/// Resource names that must not be written out outside the registry.
const PLURALS: &[&str] = &[
    "configmaps",
    "endpointslices",
    "serviceaccounts",
    "priorityclasses",
    "clusterroles",
    "clusterrolebindings",
    "rolebindings",
];

/// Where a plural name may stand: the registry, the data of the bootstrap policy, the identity rules that are about a resource.
const PLURALS_ALLOWED: &[&str] = &[
    "crates/registry/",
    "crates/apiserver/",
    "crates/cli/",
    "crates/store/src/robustness",
    "xtask/",
];

/// Checks everything and says what is wrong.
pub(crate) fn run() -> Result<String, String> {
    let mut problems = Vec::new();
    doors(&mut problems)?;
    let files = sources()?;
    let known = ratchet()?;
    let found = lengths(&files)?;
    for (place, length) in &found {
        match known.get(place) {
            None => problems.push(format!("{place} has {length} lines")),
            Some(allowed) if length > allowed => {
                problems.push(format!("{place} has grown from {allowed} to {length} lines"));
            }
            Some(_) => {}
        }
    }
    for place in known.keys().filter(|place| !found.contains_key(*place)) {
        problems.push(format!("{place} is in {RATCHET} but is short enough by now: take it out"));
    }
    plurals(&files, &mut problems)?;
    ignored(&mut problems)?;
    readmes(&mut problems);
    paths(&mut problems)?;
    problems.extend(crate::files::problem(&files));
    if problems.is_empty() {
        return Ok(format!("tidy: {} files, {} known offenders", files.len(), known.len()));
    }
    Err(problems.iter().fold(String::new(), |mut text, problem| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "\n  {problem}");
        text
    }))
}

fn doors(problems: &mut Vec<String>) -> Result<(), String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or("");
        if OUTSIDE.contains(&name) {
            continue;
        }
        let Some((_, allowed)) = DOORS.iter().find(|(room, _)| *room == name) else {
            problems.push(format!("crate {name} is in no room: add it to the doors"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or("");
            let is_test = dependency["kind"].as_str() == Some("dev");
            if (to.starts_with("podo-") || to == "podo") && !is_test && !allowed.contains(&to) {
                problems.push(format!("there is no door from {name} to {to}"));
            }
        }
    }
    Ok(())
}

/// All Rust files of production code.
pub(crate) fn sources() -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for root in ["crates", "xtask", "bench"] {
        walk(Path::new(root), &mut files)?;
    }
    files.retain(|path| !is_test(path));
    files.sort();
    Ok(files)
}

fn is_test(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/tests/")
        || text.contains("/testing/")
        || text.ends_with("tests.rs")
        || text.contains("/benches/")
        || text.contains("/examples/")
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn ratchet() -> Result<BTreeMap<String, usize>, String> {
    let text = fs::read_to_string(RATCHET).map_err(|error| format!("{RATCHET}: {error}"))?;
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (length, place) =
                line.split_once(' ').ok_or_else(|| format!("{RATCHET}: {line}"))?;
            let length = length.parse().map_err(|_| format!("{RATCHET}: {line}"))?;
            Ok((place.to_owned(), length))
        })
        .collect()
}

/// Places that are too long.
fn lengths(files: &[PathBuf]) -> Result<BTreeMap<String, usize>, String> {
    let mut found = BTreeMap::new();
    for path in files {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let production = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(&text);
        let lines: Vec<&str> = production.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            found.insert(path.display().to_string(), lines.len());
        }
        for (name, length) in functions(&lines) {
            if length > FUNCTION_LINES_MAX {
                found.insert(format!("{} {name}", path.display()), length);
            }
        }
    }
    Ok(found)
}

/// The functions of a formatted file with their lengths: a function ends at the brace under its first letter.
fn functions(lines: &[&str]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let is_one_line = line.ends_with(';') || line.ends_with('}');
        let length = if is_one_line {
            1
        } else {
            lines[start..].iter().position(|line| *line == end).map_or(1, |length| length + 1)
        };
        found.push((name, length));
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.trim_start();
    for prefix in
        ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe ", "extern \"C\" "]
    {
        words = words.strip_prefix(prefix).unwrap_or(words);
    }
    let rest = words.strip_prefix("fn ")?;
    Some(rest.split(['(', '<']).next()?.to_owned())
}

fn plurals(files: &[PathBuf], problems: &mut Vec<String>) -> Result<(), String> {
    for path in files {
        let place = path.display().to_string();
        if PLURALS_ALLOWED.iter().any(|allowed| place.starts_with(allowed)) {
            continue;
        }
        let text = fs::read_to_string(path).map_err(|error| format!("{place}: {error}"))?;
        let production = text.split("#[cfg(test)]").next().unwrap_or(&text);
        let found: BTreeSet<&str> = PLURALS
            .iter()
            .copied()
            .filter(|plural| production.contains(&format!("\"{plural}\"")))
            .collect();
        for plural in found {
            problems
                .push(format!("{place} writes out {plural:?}: ask the kind for its plural name"));
        }
    }
    Ok(())
}

/// A test that is not run holds nothing.
fn ignored(problems: &mut Vec<String>) -> Result<(), String> {
    let mut files = Vec::new();
    for root in ["crates", "tests", "xtask", "bench"] {
        walk(Path::new(root), &mut files)?;
    }
    for path in files {
        let place = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(|error| format!("{place}: {error}"))?;
        let is_mark = |line: &str| line.trim_start().starts_with("#[ignore");
        if !IGNORED.contains(&place.as_str()) && text.lines().any(is_mark) {
            problems.push(format!("{place} ignores a test: mend it, or take it out"));
        }
    }
    Ok(())
}

/// The READMEs must not drift apart: same number of headings, code blocks and table rows.
fn readmes(problems: &mut Vec<String>) {
    let shape = |path: &str| -> Option<(usize, Vec<String>, usize)> {
        let text = fs::read_to_string(path).ok()?;
        let headings = text.lines().filter(|line| line.starts_with('#')).count();
        let rows = text.lines().filter(|line| line.starts_with('|')).count();
        let code = text.split("```").skip(1).step_by(2).map(str::to_owned).collect();
        Some((headings, code, rows))
    };
    match (shape("README.md"), shape("README.ko.md")) {
        (Some(english), Some(korean)) if english == korean => {}
        _ => problems
            .push("README.md and README.ko.md differ in headings, commands or tables".to_owned()),
    }
}

/// A page that sends its reader to a file that is gone is worse than none.
fn paths(problems: &mut Vec<String>) -> Result<(), String> {
    let page = tidy_paths::PAGE;
    let text = fs::read_to_string(page).map_err(|error| format!("{page}: {error}"))?;
    for (line, path) in tidy_paths::missing(&text, Path::new("")) {
        problems.push(format!("{page}:{line} names {path}, which is not there"));
    }
    Ok(())
}
