//! An instance: what keeps several clusters on one host apart. Everything that is put into the kernel or `/run` bears its name.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::exit::{Class, Failure};

/// Where the run state of all instances is.
const RUN_ROOT: &str = "/run/podo";

/// How long the lock of a process that was killed may live on in one that it was starting.
const AFTERMATH: Duration = Duration::from_secs(1);
/// Between two tries for a lock: the kernel tells nobody that it was given up but who waits for it in a call of its own.
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// An instance, named after its data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    /// Eight hexadecimal digits.
    pub name: String,
    /// The data directory, absolute.
    pub data_dir: PathBuf,
    /// What a reboot may take: sockets, pins.
    pub run_dir: PathBuf,
}

impl Instance {
    /// The instance of a data directory, which is made if it is not there.
    pub(crate) fn of(data_dir: &Path) -> Result<Self, Failure> {
        let make = || {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
            data_dir.canonicalize()
        };
        let data_dir = make().map_err(|error| {
            Failure::of_file("use the data directory", data_dir, &error)
                .with_hint("run as root, or choose a directory of yours with --data-dir")
        })?;
        let name = format!("{:08x}", fnv(data_dir.as_os_str().as_encoded_bytes()));
        let run_dir = Path::new(RUN_ROOT).join(&name);
        Ok(Self { name, data_dir, run_dir })
    }

    /// The socket by which the running process of this instance is spoken to.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.run_dir.join("control.sock")
    }

    /// Takes the instance for this process. The lock of a process that was killed while it started another is held by that one until
    /// it runs its program, some milliseconds later: so long is waited for it.
    pub(crate) async fn lock(&self) -> Result<File, Failure> {
        let deadline = tokio::time::Instant::now() + AFTERMATH;
        loop {
            match self.try_lock() {
                Err(_) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                locked => return locked,
            }
        }
    }

    /// Takes the instance for this process if nobody has it; it is given back when the file is closed.
    pub(crate) fn try_lock(&self) -> Result<File, Failure> {
        let path = self.data_dir.join("lock");
        let open =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = open.map_err(|error| Failure::of_file("open", &path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Failure::new(
                Class::Unavailable,
                format!("another podo uses the data directory {}", self.data_dir.display()),
            )
            .with_hint("stop it with podo down, or choose another directory with --data-dir")),
            Err(error) => Err(Failure::of_file("lock", &path, &error.into())),
        }
    }
}

/// FNV-1a: a stable, well-known hash; collisions of two data directories on one host are met by the network's own check.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Only root can make containers.
pub(crate) fn require_root(what: &str) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(
        Class::Permission,
        format!("{what} needs root: it makes namespaces, mounts and network links"),
    )
    .with_hint(format!("run sudo {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_somebody_holds_for_a_moment_is_waited_for_and_one_for_good_is_refused() {
        let folder = std::env::temp_dir().join(format!("podo-lock-{}", std::process::id()));
        let instance = Instance::of(&folder).expect("made");
        let held = instance.try_lock().expect("nobody has it");
        let refused = instance.lock().await.expect_err("it is in use");
        assert!(refused.message().contains("another podo uses the data directory"));
        let release = async {
            tokio::time::sleep(AFTERMATH / 2).await;
            drop(held);
        };
        let (lock, ()) = tokio::join!(instance.lock(), release);
        lock.expect("nobody has it any more");
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
