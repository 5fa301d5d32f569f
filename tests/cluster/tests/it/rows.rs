//! The rows of what Podo must do as a person would go through them: the same commands in the same order, with a real kubectl on one
//! cluster and with ours on another. What both print must be the same but for ages, addresses and what is drawn by lot.
//!
//! It takes minutes, so it only runs with `PODO_TEST_ROWS=1`. `rows/lines.txt` has the commands; each line is one of a shell.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use podo_cluster_tests::binary::workspace;
use podo_cluster_tests::kubectl::{Kubectl, Ran, of_our_version, settled};
use podo_cluster_tests::{Cluster, note, skip};

use crate::{number, on_cluster};

const LINES: &str = include_str!("rows/lines.txt");
/// Seconds that one command may take.
const SECONDS_MAX: &str = "120";

#[test]
fn all_rows_by_hand_print_the_same_with_both_kubectls() {
    if number("PODO_TEST_ROWS", 0) == 0 {
        return skip("all rows by hand", "PODO_TEST_ROWS=1 is not set; .ci/long rows sets it");
    }
    let Some(Kubectl::Real(real)) = of_our_version() else {
        return skip("all rows by hand", "there is no real kubectl v1.36");
    };
    let (theirs, ours) = thread::scope(|scope| {
        let theirs = scope.spawn(|| transcript(Some(&real)));
        let ours = transcript(None);
        (theirs.join().unwrap(), ours)
    });
    let printed: usize = ours.iter().map(|ran| ran.out.lines().count()).sum();
    note(&format!("{} command lines, {printed} lines printed", ours.len()));
    let mut differences = String::new();
    for ((line, theirs), ours) in commands().zip(&theirs).zip(&ours) {
        if theirs != ours {
            write!(differences, "\n$ {line}\n--- theirs {theirs:#?}\n--- ours {ours:#?}\n")
                .unwrap();
        }
    }
    assert!(!ours.is_empty() && differences.is_empty(), "{differences}");
}

fn commands() -> impl Iterator<Item = &'static str> {
    LINES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// What each command prints on a cluster of its own, without what differs by nature.
fn transcript(real: Option<&Path>) -> Vec<Ran> {
    let mut all = Vec::new();
    on_cluster(|it| {
        let own = it.binary();
        let folder = furnish(it, real.unwrap_or(&own));
        for line in commands() {
            let ran = run(it, &folder, line);
            all.push(Ran { code: ran.code, out: masked(&ran.out), err: masked(&ran.err) });
        }
    });
    all
}

/// A folder with the manifests, and `kubectl` in its `bin`.
fn furnish(it: &Cluster, kubectl: &Path) -> std::path::PathBuf {
    let folder = it.folder.join("rows");
    fs::create_dir_all(folder.join("bin")).unwrap();
    symlink(kubectl, folder.join("bin/kubectl")).unwrap();
    symlink(workspace().join("examples"), folder.join("examples")).unwrap();
    symlink(workspace().join("tests/cluster/tests/it/rows"), folder.join("rows")).unwrap();
    folder
}

fn run(it: &Cluster, folder: &Path, line: &str) -> Ran {
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("timeout")
        .args([SECONDS_MAX, "sh", "-c", line])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", folder.join("bin").display()))
        .env("KUBECONFIG", it.kubeconfig())
        .env("HOME", folder)
        .stdin(Stdio::null())
        .output();
    output.unwrap().into()
}

/// Text without ages, moments, addresses, identifiers, versions of objects and names drawn by lot.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in settled(text).lines() {
        let key = line.trim_start().trim_start_matches('"').split([':', '"']).next();
        if key == Some("resourceVersion") {
            out.push_str("<resourceVersion>\n");
            continue;
        }
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
        let mut rest = line;
        while let Some(at) = rest.find(is_part) {
            let (before, from) = rest.split_at(at);
            let (word, after) = from.split_at(from.find(|c| !is_part(c)).unwrap_or(from.len()));
            out.push_str(before);
            out.push_str(masked_word(word));
            rest = after;
        }
        out.push_str(rest);
        out.push('\n');
    }
    out
}

fn masked_word(word: &str) -> &str {
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_parts = |separator, lengths: &[usize]| {
        let parts: Vec<&str> = word.split(separator).collect();
        parts.iter().map(|part| part.len()).eq(lengths.iter().copied())
            && parts.into_iter().all(is_hex)
    };
    if has_parts('-', &[8, 4, 4, 4, 12]) {
        "<uid>"
    } else if word.len() == 64 && is_hex(word) {
        "<id>"
    } else if word.starts_with("eyJ") {
        "<token>"
    } else if word.starts_with("kube-api-access-") {
        "<volume>"
    } else if ["10.42.", "10.43."].iter().any(|range| word.starts_with(range)) {
        "<address>"
    } else if is_moment(word) {
        "<moment>"
    } else if word.split_once('.').is_some_and(|(_, end)| end.len() == 16 && is_hex(end)) {
        "<event>"
    } else if word.len() >= 12 && is_digits(word) {
        "<number>"
    } else if word.strip_suffix("ms").is_some_and(is_digits) {
        "<time>"
    } else if word.starts_with("LIVE-") || word.starts_with("MERGED-") {
        "<folder>"
    } else {
        word
    }
}

/// `22:53:14` or `2026-11-29T22:53:14Z`, with any part of a second.
fn is_moment(word: &str) -> bool {
    let time = match word.split_once('T') {
        Some((day, time)) if day.len() == "2026-11-29".len() => time.trim_end_matches('Z'),
        _ => word,
    };
    let (whole, part) = time.split_once('.').unwrap_or((time, ""));
    let is_two = |text: &str| text.len() == 2 && is_digits(text);
    is_digits(part) && whole.split(':').count() == 3 && whole.split(':').all(is_two)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
