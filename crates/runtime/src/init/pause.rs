//! The process that holds a sandbox's namespaces.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::Mode;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Signal;

use super::rootfs::{self, filesystem};
use super::{Report, Streams, attach, prepare, program};
use crate::error::{At, Fault, FaultKind};
use crate::paths;
use crate::spec::{NetworkMode, SandboxSpec};
use crate::sys;
use crate::sys::mount_attr::{self, MountChange, NODEV, NOEXEC, NOSUID, RDONLY};

/// Everything that the new process needs from the shim. Its namespaces are already its own.
pub(crate) struct PausePlan<'a> {
    pub(crate) spec: &'a SandboxSpec,
    /// The image's root, taken from the host, if the pause is an image's.
    pub(crate) root: Option<OwnedFd>,
    /// This program's own executable.
    pub(crate) executable: &'a OwnedFd,
    /// Closes when the user namespace's ids are mapped.
    pub(crate) mapped: OwnedFd,
    pub(crate) report: Report,
}

/// Takes the root of an image's pause from the host.
pub(crate) fn take_root(spec: &SandboxSpec) -> Result<Option<OwnedFd>, Fault> {
    spec.pause.as_ref().map(|image| rootfs::prepare(&image.rootfs, None)).transpose()
}

impl PausePlan<'_> {
    /// Runs in the new process.
    pub(crate) fn run(self) -> i32 {
        let steps = self.steps();
        super::finish(&self.report, steps)
    }

    fn steps(&self) -> Result<Infallible, Fault> {
        let spec = self.spec;
        // Only the other end's closing is awaited.
        let _ = rustix::io::read(&self.mapped, &mut [0_u8; 1]);
        super::begin(spec.oom_score_adj)?;
        if spec.user_namespace.is_some() {
            super::become_root_inside()?;
        }
        if spec.network != NetworkMode::Host {
            let socket = rustix::net::socket_with(
                AddressFamily::INET,
                SocketType::DGRAM,
                SocketFlags::CLOEXEC,
                None,
            );
            let socket = socket.at(FaultKind::Kernel, "open a socket")?;
            sys::misc::loopback_up(socket.as_fd())
                .at(FaultKind::Kernel, "bring the loopback up")?;
            if let Some(name) = &spec.hostname {
                rustix::system::sethostname(name.as_bytes())
                    .at(FaultKind::Kernel, "set the host name")?;
            }
        }
        prepare::sysctls(spec.sysctls.iter())?;
        self.change_root()?;
        match &spec.pause {
            Some(image) => program::run(
                &image.process,
                Streams::Pipes { stdin: None, stdout: None, stderr: None },
                &self.report,
            ),
            None => self.own_program(),
        }
    }

    /// An empty root: a mount namespace that containers' are copied from without any of the host's mounts. An image's pause
    /// runs in its own root below it.
    fn change_root(&self) -> Result<(), Fault> {
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).at(FaultKind::Mount, "make the mounts private")?;
        let strict = NOSUID | NODEV | NOEXEC;
        let base =
            filesystem("tmpfs", &[("size", "16k"), ("mode", "755")], NOSUID | NODEV | NOEXEC)?;
        for name in ["proc", "sys", "root"] {
            let mode = Mode::from_raw_mode(0o755);
            rustix::fs::mkdirat(&base, name, mode).at(FaultKind::Mount, "make the pause's root")?;
        }
        // In a user namespace the kernel lets a container mount these only where they are seen whole already.
        let (proc, sys) = match self.spec.user_namespace {
            Some(_) => {
                (Some(filesystem("proc", &[], strict)?), Some(filesystem("sysfs", &[], strict)?))
            }
            None => (None, None),
        };
        super::cover_root(&base)?;
        for (mount, name) in
            [(proc.as_ref(), "proc"), (sys.as_ref(), "sys"), (self.root.as_ref(), "root")]
        {
            let Some(mount) = mount else { continue };
            let step = "mount below the pause's root";
            let place = paths::open_without_links(base.as_fd(), Path::new(name))
                .at(FaultKind::Mount, step)?;
            attach::onto(mount.as_fd(), place.as_fd()).at(FaultKind::Mount, step)?;
        }
        let change = MountChange { set: RDONLY, ..MountChange::default() };
        mount_attr::change(base.as_fd(), &change)
            .at(FaultKind::Mount, "make the root read-only")?;
        super::pivot(&base)?;
        if let Some(root) = &self.root {
            mount_attr::change(root.as_fd(), &change)
                .at(FaultKind::Mount, "make the root read-only")?;
            rustix::process::chroot("/root").at(FaultKind::Mount, "enter the image's root")?;
            rustix::process::chdir("/").at(FaultKind::Mount, "enter the image's root")?;
        }
        Ok(())
    }

    /// This program in its pause role, with no capability.
    fn own_program(&self) -> Result<Infallible, Fault> {
        use rustix::thread::{CapabilitySet, CapabilitySets};
        let null = || {
            rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).at(FaultKind::Kernel, "null")
        };
        rustix::stdio::dup2_stdout(null()?).at(FaultKind::Kernel, "null")?;
        rustix::stdio::dup2_stderr(null()?).at(FaultKind::Kernel, "null")?;
        rustix::thread::set_no_new_privs(true).at(FaultKind::Kernel, "set no_new_privs")?;
        let none = CapabilitySet::empty();
        for number in 0..64_u32 {
            let bit = CapabilitySet::from_bits_retain(1 << number);
            if rustix::thread::remove_capability_from_bounding_set(bit).is_err() {
                break;
            }
        }
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        rustix::thread::set_capabilities(None, sets).at(FaultKind::Kernel, "drop capabilities")?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .at(FaultKind::Kernel, "tie to the shim")?;
        sys::misc::close_on_exec_from(3).at(FaultKind::Kernel, "mark descriptors")?;
        let args = [c"podo".to_owned(), c"pause".to_owned()];
        let error = sys::exec::execve_fd(self.executable.as_fd(), &args, &[]);
        Err(super::lookup::not_executed("the pause", &error))
    }
}
