//! Finding sandboxes again after the server's end, and clearing away those that are over.
//!
//! Everything is known from the run directory. A sandbox is alive if its shim answers the door; otherwise (the shim was
//! killed, or the machine has booted since) its records are still read, so that no exit is lost, and [`purge`] takes away
//! what it left in the kernel: processes, cgroups, mounts, the pinned network namespace, files.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use crate::cgroup::{Cgroup, Layout};
use crate::client::{Connection, Sandbox};
use crate::error::{RuntimeError, Step};
use crate::records::{self, SandboxState};
use crate::spec::{NetworkMode, SandboxSpec};

/// Whether a sandbox found on disk is alive.
#[derive(Debug)]
pub enum Health {
    /// Its shim answers.
    Alive(Box<Sandbox>),
    /// Its shim ended without being asked; its processes are killed by the kernel.
    ShimGone,
    /// It was made before the last boot.
    OtherBoot,
    /// It never became a sandbox.
    Unfinished,
}

/// A sandbox found on disk.
#[derive(Debug)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Whether it is alive.
    pub health: Health,
    /// What its records say; none if it is [`Health::Unfinished`].
    pub state: Option<SandboxState>,
}

/// Every sandbox of a run directory, in the order of their ids. A directory that does not exist has none.
pub fn list(run_dir: &Path) -> Result<Vec<Found>, RuntimeError> {
    let entries = match fs::read_dir(run_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.step(|| format!("read {run_dir:?}"))?,
    };
    let boot_id = records::boot_id().step(|| "read the boot id".into())?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.step(|| format!("read {run_dir:?}"))?;
        let Ok(id) = entry.file_name().into_string() else { continue };
        if crate::check::id(&id).is_err() || !is_of_sandbox(&entry.path()) {
            continue; // A run directory may have other things in it.
        }
        found.push(examine(&entry.path(), id, &boot_id)?);
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

/// Whether a directory is a sandbox's, be it one whose maker was killed before it came to start a shim.
fn is_of_sandbox(directory: &Path) -> bool {
    if directory.join(records::LOG).exists() {
        return true;
    }
    let Ok(entries) = fs::read_dir(directory) else { return false };
    let is_first = |name: &OsStr| name.to_string_lossy().contains(records::WANTED);
    entries.flatten().all(|entry| is_first(&entry.file_name()))
}

fn examine(directory: &Path, id: String, boot_id: &str) -> Result<Found, RuntimeError> {
    // The door first: what it left is then complete if it does not answer.
    let connection = Connection::open(directory);
    let state =
        records::read_sandbox(directory).step(|| format!("read the records in {directory:?}"))?;
    let health = match (&state, connection) {
        (None, _) => Health::Unfinished,
        (Some(state), _) if state.record.boot_id != boot_id => Health::OtherBoot,
        (Some(_), Ok(connection)) => {
            Health::Alive(Box::new(Sandbox::reconnected(directory, &id, connection)))
        }
        (Some(_), Err(_)) => Health::ShimGone,
    };
    Ok(Found { id, health, state })
}

/// Takes away everything that a sandbox left: to be called for one whose shim is not alive, and at the end of one that is
/// removed. Doing it again does nothing. cgroups above the sandbox's own group are the caller's.
pub fn purge(run_dir: &Path, id: &str) -> Result<(), RuntimeError> {
    let directory = run_dir.join(id);
    let state = match records::read_sandbox(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        state => state.step(|| format!("read the records in {directory:?}"))?,
    };
    // What was asked for is written before anything is made, so that a half-made sandbox leaves nothing either.
    let wanted = records::read::<SandboxSpec>(&directory, records::WANTED);
    if let Some(spec) = &wanted.step(|| format!("read the records in {directory:?}"))? {
        let layout = Layout::detect().step(|| "find the cgroups".into())?;
        let containers = state
            .iter()
            .flat_map(|state| &state.containers)
            .map(|container| &container.created.spec);
        let named = containers.map(|container| {
            if container.cgroup.is_empty() { &container.id } else { &container.cgroup }
        });
        for name in named.chain([&spec.id]) {
            let cgroup = Cgroup::new(&layout, format!("{}/{name}", spec.cgroup));
            cgroup.remove().step(|| format!("remove the cgroup {:?}", cgroup.path()))?;
        }
        // Another sandbox of the same group keeps it.
        let _ = Cgroup::new(&layout, spec.cgroup.clone()).try_remove();
        if let NetworkMode::Pinned(path) = &spec.network {
            detach(path)?;
            remove(fs::remove_file(path), path)?;
        }
    }
    detach(&directory.join(records::SHM))?;
    remove(fs::remove_dir_all(&directory), &directory)
}

fn detach(path: &Path) -> Result<(), RuntimeError> {
    match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        // Not mounted any more, or never: another boot.
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error).step(|| format!("unmount {path:?}")),
    }
}

fn remove(removed: io::Result<()>, path: &Path) -> Result<(), RuntimeError> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.step(|| format!("remove {path:?}")),
    }
}

/// The directory of a sandbox, whose run directory is made private to root.
pub(crate) fn make_directory(run_dir: &Path, id: &str) -> Result<PathBuf, RuntimeError> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    let make = |recursive: bool| {
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700).recursive(recursive);
        builder
    };
    make(true).create(run_dir).step(|| format!("make {run_dir:?}"))?;
    let data = fs::symlink_metadata(run_dir).step(|| format!("look at {run_dir:?}"))?;
    if !data.is_dir() || data.uid() != 0 || data.mode() & 0o077 != 0 {
        return Err(RuntimeError::RunDirectory { path: run_dir.to_owned() });
    }
    let directory = run_dir.join(id);
    match make(false).create(&directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(RuntimeError::Exists { id: id.to_owned() })
        }
        made => made.step(|| format!("make {directory:?}")).map(|()| directory),
    }
}
