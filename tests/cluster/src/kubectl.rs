//! Runs kubectl: the binary's own, and every real one that is found.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::binary::{shared_folder, target};
use crate::program;

/// What a command printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ran {
    /// The output of a command that must succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }

    /// The error text of a command that must fail.
    #[track_caller]
    pub fn refused(self) -> String {
        assert_ne!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self.err
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A kubectl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kubectl {
    /// `podo kubectl` of this binary.
    Own(PathBuf),
    /// A real one.
    Real(PathBuf),
}

impl Kubectl {
    /// A command of it for a cluster.
    pub fn command(&self, kubeconfig: &Path, home: &Path) -> Command {
        let mut command = match self {
            Self::Own(binary) => {
                let mut command = Command::new(binary);
                command.arg("kubectl");
                command
            }
            Self::Real(binary) => Command::new(binary),
        };
        command
            .env("KUBECONFIG", kubeconfig)
            .env("HOME", home)
            .env_remove("KUBERNETES_SERVICE_HOST");
        command
    }

    /// Runs it to its end with an input.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn run(
        &self,
        kubeconfig: &Path,
        home: &Path,
        args: &[impl AsRef<OsStr>],
        input: &str,
    ) -> Ran {
        let given = tempfile::tempfile().and_then(|mut file| {
            std::io::Write::write_all(&mut file, input.as_bytes())?;
            std::io::Seek::rewind(&mut file)?;
            Ok(file)
        });
        let given: File = given.expect("a temporary file");
        let output = self.command(kubeconfig, home).args(args).stdin(given).output();
        output.expect("kubectl can be run").into()
    }

    /// Starts it and lets it go on; its output is read by the caller.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn start(&self, kubeconfig: &Path, home: &Path, args: &[impl AsRef<OsStr>]) -> Child {
        self.command(kubeconfig, home)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl can be run")
    }
}

/// The version that Podo speaks, by which what is printed is compared.
const OUR_VERSION: &str = "1.36";

/// The real kubectls by version, the oldest first: those of this machine, and the one that `cargo xtask test` installs.
pub fn real() -> Vec<(String, Kubectl)> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    if let Some(target) = program("kubectl").and_then(|path| path.canonicalize().ok()) {
        folders.extend(target.parent().map(Path::to_owned));
    }
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(version) = name.strip_prefix("kubectl.") {
                found.insert(version.to_owned(), Kubectl::Real(entry.path()));
            }
        }
    }
    if found.is_empty()
        && let Some(path) = program("kubectl")
    {
        found.insert("kubectl".to_owned(), Kubectl::Real(path));
    }
    found.extend(of_our_version().map(|kubectl| (OUR_VERSION.to_owned(), kubectl)));
    found.into_iter().collect()
}

/// The real kubectl of the version that Podo speaks, which `cargo xtask test` installs.
pub fn of_our_version() -> Option<Kubectl> {
    let path = target(&shared_folder()).join("tools/kubectl");
    path.is_file().then_some(Kubectl::Real(path))
}

/// Text without what differs between two runs a moment apart: ages become `<age>`, and where there are some, which move columns, runs
/// of blanks become one.
pub fn settled(text: &str) -> String {
    let text: String = text.split_inclusive('\n').map(unstamped).collect();
    let has_ages = text.split_whitespace().any(|word| is_age(bare(word)));
    if !has_ages {
        return text;
    }
    let lines = text.lines().map(|line| {
        let words: Vec<String> = line.split_whitespace().map(settled_word).collect();
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A line of kubectl's log without its day, time and process: `W1129 19:34:51.994679   31016 helpers.go:719] TEXT`.
fn unstamped(line: &str) -> Cow<'_, str> {
    let mut words = line.split_whitespace();
    let stamp = [words.next(), words.next(), words.next()].map(|word| word.unwrap_or(""));
    let [day, time, process] = stamp;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_stamp = day.strip_prefix(['W', 'E']).is_some_and(is_number)
        && time.split([':', '.']).all(is_number)
        && is_number(process);
    match line.split_once(&format!(" {process} ")) {
        Some((_, rest)) if is_stamp => format!("{}<log> {rest}", &day[..1]).into(),
        _ => line.into(),
    }
}

/// A word without parentheses.
fn bare(word: &str) -> &str {
    word.trim_matches(['(', ')'])
}

fn settled_word(word: &str) -> String {
    let bare = bare(word);
    if is_age(bare) { word.replace(bare, "<age>") } else { word.to_owned() }
}

/// `32s`, `2m3s`, `1d`.
fn is_age(word: &str) -> bool {
    let mut has_unit = false;
    let mut has_digit = false;
    for letter in word.chars() {
        match letter {
            '0'..='9' => has_digit = true,
            's' | 'm' | 'h' | 'd' | 'y' if has_digit => (has_unit, has_digit) = (true, false),
            _ => return false,
        }
    }
    has_unit && !has_digit
}
