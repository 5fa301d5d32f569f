//! Starting shims from an executable that nobody can write to.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::{CALL_LIMIT, Connection, Sandbox};
use crate::error::{RuntimeError, Step};
use crate::spec::SandboxSpec;
use crate::sys::mount_attr::{self, MountChange, RDONLY};
use crate::wire::{Reply, Request};
use crate::{check, records, rediscovery};

/// Starts shims.
///
/// The executable is run through a detached read-only mount of its own file, so that no process made from it (a
/// container's init shows as `/proc/PID/exe` inside) can be used to write to it (CVE-2019-5736). It costs nothing per
/// sandbox and a mount per server.
#[derive(Debug)]
pub struct Launcher {
    executable: OwnedFd,
    run_dir: PathBuf,
    /// What this process started and has not reaped. A shim goes on as a child of its first process, which ends; so shims
    /// are adopted and reaped by init, except where there is no cgroup v2.
    children: Mutex<Vec<Child>>,
}

impl Launcher {
    /// For shims of the program at `executable`, which dispatches `shim DIRECTORY` to [`crate::shim_main`] and `pause` to
    /// [`crate::pause_main`] before it does anything else; with sandboxes below `run_dir`, made private to root.
    pub fn new(executable: &Path, run_dir: impl Into<PathBuf>) -> Result<Self, RuntimeError> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mount = open_tree(rustix::fs::CWD, executable, flags);
        let mount = mount.step(|| format!("copy the mount of {executable:?}"))?;
        let change =
            MountChange { set: RDONLY, propagation: libc::MS_PRIVATE, ..MountChange::default() };
        mount_attr::change(mount.as_fd(), &change)
            .step(|| "make the executable's mount read-only".into())?;
        Ok(Self { executable: mount, run_dir: run_dir.into(), children: Mutex::default() })
    }

    /// The directory of all sandboxes.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Makes a sandbox: its shim, its namespaces, its pause process.
    ///
    /// Unless on the host's network it has an empty network namespace with a loopback, pinned if asked for, which the
    /// caller configures before containers start. What a failed try made is taken away.
    pub fn create(&self, spec: &SandboxSpec) -> Result<Sandbox, RuntimeError> {
        check::sandbox(spec).map_err(RuntimeError::Refused)?;
        let directory = rediscovery::make_directory(&self.run_dir, &spec.id)?;
        let made = self.create_in(&directory, spec);
        if made.is_err() {
            // The first error is the one to be told; what could not be taken away is found by `list`.
            let _ = rediscovery::purge(&self.run_dir, &spec.id);
        }
        made
    }

    fn create_in(&self, directory: &Path, spec: &SandboxSpec) -> Result<Sandbox, RuntimeError> {
        records::write(directory, records::WANTED, spec)
            .step(|| "write the sandbox's record".into())?;
        let socket = self.spawn(directory).step(|| "start the shim".into())?;
        let mut connection = Connection::over(directory, socket);
        let request = Request::CreateSandbox(Box::new(spec.clone()));
        let answer = connection.call(request, Vec::new(), CALL_LIMIT);
        self.reap();
        match answer? {
            (Reply::Sandbox { pause_pid }, mut descriptors) => {
                Ok(Sandbox::created(directory, &spec.id, connection, pause_pid, descriptors.pop()))
            }
            _ => Err(RuntimeError::Protocol { what: "another answer than the sandbox".into() }),
        }
    }

    fn spawn(&self, directory: &Path) -> io::Result<OwnedFd> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(directory.join(records::LOG))?;
        // The path is looked up before close-on-exec closes the descriptor.
        let child = Command::new(format!("/proc/self/fd/{}", self.executable.as_raw_fd()))
            .arg0("podo")
            .arg("shim")
            .arg(directory)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()?;
        self.children.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        Ok(ours)
    }

    /// Stops a sandbox, ends its shim and takes away all that it had. A sandbox that is not there is fine.
    pub fn remove(&self, sandbox: Sandbox) -> Result<(), RuntimeError> {
        let removed = sandbox.remove();
        self.reap();
        removed
    }

    fn reap(&self) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}
