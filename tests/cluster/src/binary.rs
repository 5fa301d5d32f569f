//! Finds the `podo` binary: `$PODO_BIN`, or built by cargo, once for a run of the tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};

/// The project's root.
pub fn workspace() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.ancestors().nth(2).expect("the package lies two folders below the root").to_owned()
}

/// The binary under test.
///
/// # Panics
/// If it cannot be built.
pub fn podo() -> &'static Path {
    static PODO: OnceLock<PathBuf> = OnceLock::new();
    PODO.get_or_init(|| match std::env::var_os("PODO_BIN") {
        Some(path) => path.into(),
        None => built(),
    })
}

/// Where this run may keep what all its tests share: the folder of cargo's binaries.
pub fn shared_folder() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its file");
    let folder = own.parent().expect("a file is in a folder");
    if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder).to_owned()
    } else {
        folder.to_owned()
    }
}

/// Takes a lock that all test processes respect; it is given back when the file is closed.
pub fn lock(path: &Path) -> File {
    let file = File::create(path).expect("a lock file can be made");
    flock(&file, FlockOperation::LockExclusive).expect("a local file can be locked");
    file
}

fn built() -> PathBuf {
    let folder = shared_folder();
    let binary = folder.join("podo");
    // A test runner with a process for each test names its run: one build serves them all.
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string());
    let stamp = folder.join("podo-built-for");
    let _lock = lock(&folder.join("podo-built-for.lock"));
    if fs::read_to_string(&stamp).is_ok_and(|known| known == run) && binary.exists() {
        return binary;
    }
    build("dev", target(&folder));
    fs::write(&stamp, run).expect("the folder of binaries can be written");
    binary
}

/// Builds the binary with a profile into a target directory.
///
/// # Panics
/// If it cannot be built.
pub fn build(profile: &str, target: &Path) {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--package", "podo", "--profile", profile])
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", target)
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "podo cannot be built: {status}");
}

/// The target directory above `TARGET/TRIPLE/PROFILE`.
pub fn target(folder: &Path) -> &Path {
    folder.ancestors().nth(2).unwrap_or(folder)
}
