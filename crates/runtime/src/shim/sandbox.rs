//! The sandbox's own processes and namespaces.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount, mount_bind};

use super::Shim;
use super::births::{Birth, BirthKind};
use super::peers::{Answer, ReplyTo};
use crate::cgroup::Cgroup;
use crate::error::{At, Fault, FaultKind};
use crate::init::{PausePlan, Report, take_pause_root};
use crate::records::{self, SandboxRecord};
use crate::spec::{IdMap, NetworkMode, PidMode, SandboxSpec, UserNamespace};
use crate::sys::clone::{self, Child, CloneSpec};
use crate::wire::Reply;
use crate::{check, clock};

/// Size of `/dev/shm` when the spec says none; containerd's.
const SHM_BYTES: u64 = 64 << 20;

/// The sandbox as the shim holds it.
pub(super) struct Sandbox {
    pub(super) spec: SandboxSpec,
    pub(super) pause_pid: i32,
    /// Gone when the pause process has ended.
    pub(super) pause: Option<OwnedFd>,
    pub(super) user_namespace: Option<OwnedFd>,
    pub(super) is_ready: bool,
}

impl Sandbox {
    /// Namespaces (`CLONE_NEW*`) that containers share with the pause process, the user namespace aside.
    pub(super) fn shared(&self) -> i32 {
        namespaces(&self.spec)
    }

    pub(super) fn user(&self) -> Option<(&OwnedFd, &UserNamespace)> {
        self.user_namespace.as_ref().zip(self.spec.user_namespace.as_ref())
    }
}

fn namespaces(spec: &SandboxSpec) -> i32 {
    let network =
        if spec.network == NetworkMode::Host { 0 } else { libc::CLONE_NEWNET | libc::CLONE_NEWUTS };
    network | if spec.host_ipc { 0 } else { libc::CLONE_NEWIPC }
}

/// Where containers find the shared memory file system on the host.
pub(super) fn shm_path(directory: &Path, spec: &SandboxSpec) -> PathBuf {
    if spec.host_ipc { "/dev/shm".into() } else { directory.join(records::SHM) }
}

impl Shim {
    /// Moves this process, and with it its children to come, into the sandbox's cgroup.
    fn join(&mut self, cgroup: &Cgroup) -> io::Result<()> {
        let birthplace = cgroup.birthplace()?;
        if let Some(directory) = &birthplace {
            clone::be_reborn_in(directory.as_fd())?;
            // Not inherited; and an epoll set hears a signal descriptor only for the process that put it there.
            rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
            self.watch_children()?;
        }
        cgroup.join(birthplace.is_some())
    }

    pub(super) fn create_sandbox(&mut self, to: ReplyTo, spec: SandboxSpec) {
        if self.sandbox.is_some() {
            return self.reply(to, Err(Fault::new(FaultKind::Exists, "the sandbox exists")));
        }
        if let Err(fault) = self.begin_sandbox(to, spec) {
            self.reply(to, Err(fault));
            self.is_ending = true;
        }
    }

    fn begin_sandbox(&mut self, to: ReplyTo, spec: SandboxSpec) -> Result<(), Fault> {
        check::sandbox(&spec)?;
        let whole = Cgroup::new(&self.layout, spec.cgroup.clone());
        whole.create().at(FaultKind::Cgroup, format!("make the cgroup {:?}", spec.cgroup))?;
        whole
            .set(&spec.resources)
            .at(FaultKind::Cgroup, format!("set limits of {:?}", spec.cgroup))?;
        let own = Cgroup::new(&self.layout, format!("{}/{}", spec.cgroup, spec.id));
        own.create().at(FaultKind::Cgroup, "make the sandbox's cgroup")?;
        self.join(&own).at(FaultKind::Cgroup, "join the sandbox's cgroup")?; // The pause is born in it, too.
        if let Some(score) = spec.oom_score_adj {
            let _ = fs::write("/proc/self/oom_score_adj", score.to_string()); // Refused without CAP_SYS_RESOURCE.
        }
        self.mount_shm(&spec)?;
        let (child, report) = self.spawn_pause(&spec)?;
        let pid = child.pid.as_raw_nonzero().get();
        self.sandbox = Some(Sandbox {
            spec,
            pause_pid: pid,
            pause: Some(child.pidfd),
            user_namespace: None,
            is_ready: false,
        });
        self.add_birth(Birth::new(BirthKind::Pause, Some(to), pid, report))
    }

    fn mount_shm(&self, spec: &SandboxSpec) -> Result<(), Fault> {
        if spec.host_ipc {
            return Ok(());
        }
        let path = shm_path(&self.directory, spec);
        let size = if spec.shm_bytes == 0 { SHM_BYTES } else { spec.shm_bytes };
        let (uid, gid) = spec.user_namespace.as_ref().map_or((0, 0), UserNamespace::root_ids);
        let options = std::ffi::CString::new(format!("mode=1777,size={size},uid={uid},gid={gid}"))
            .unwrap_or_default();
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        fs::create_dir(&path).at(FaultKind::Mount, format!("make {path:?}"))?;
        mount("shm", &path, "tmpfs", flags, Some(options.as_c_str()))
            .at(FaultKind::Mount, format!("mount {path:?}"))
    }

    fn spawn_pause(&self, spec: &SandboxSpec) -> Result<(Child, OwnedFd), Fault> {
        let pipe = || {
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                .at(FaultKind::Kernel, "make a pipe")
        };
        let root = take_pause_root(spec)?;
        let ((mapped, map), (report, child_report)) = (pipe()?, pipe()?);
        let pids = if spec.pid == PidMode::Host { 0 } else { libc::CLONE_NEWPID };
        let user = if spec.user_namespace.is_some() { libc::CLONE_NEWUSER } else { 0 };
        let flags = namespaces(spec) | pids | user | libc::CLONE_NEWNS;
        let mut map = Some(map);
        let born = clone::spawn(&CloneSpec { namespaces: flags, ..CloneSpec::default() }, || {
            drop(map.take());
            let report = Report(child_report);
            PausePlan { spec, root, executable: &self.executable, mapped, report }.run()
        });
        let child = born.at(FaultKind::Kernel, "make the sandbox's namespaces")?;
        if let Some(user) = &spec.user_namespace {
            let pid = child.pid.as_raw_nonzero();
            let line = |map: &IdMap| format!("{} {} {}", map.inside, map.host, map.count);
            let text = |maps: &[IdMap]| maps.iter().map(line).collect::<Vec<_>>().join("\n");
            for (file, maps) in [("uid_map", &user.uids), ("gid_map", &user.gids)] {
                fs::write(format!("/proc/{pid}/{file}"), text(maps))
                    .at(FaultKind::Kernel, format!("write the {file}"))?;
            }
        }
        drop(map); // The child goes on.
        Ok((child, report))
    }

    /// The pause process runs its program: pins the network, writes the record.
    pub(super) fn sandbox_is_born(&mut self) -> Answer {
        let record_of = |spec: &SandboxSpec, pause_pid| -> io::Result<SandboxRecord> {
            let shim_pid = rustix::process::getpid().as_raw_nonzero().get();
            Ok(SandboxRecord {
                version: records::VERSION,
                spec: spec.clone(),
                boot_id: records::boot_id()?,
                shim_pid,
                shim_start_ticks: records::start_ticks(shim_pid)?,
                pause_pid,
                created_at_ns: clock::now_ns(),
            })
        };
        let Some(sandbox) = &mut self.sandbox else {
            return Err(Fault::new(FaultKind::State, "there is no sandbox"));
        };
        let open = |kind: &str| {
            let path = format!("/proc/{}/ns/{kind}", sandbox.pause_pid);
            rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .at(FaultKind::Kernel, format!("open {path}"))
        };
        if sandbox.spec.user_namespace.is_some() {
            sandbox.user_namespace = Some(open("user")?);
        }
        let mut descriptors = Vec::new();
        if sandbox.spec.network != NetworkMode::Host {
            let namespace = open("net")?;
            if let NetworkMode::Pinned(path) = &sandbox.spec.network {
                let step = || format!("pin the network namespace at {path:?}");
                fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(path)
                    .at(FaultKind::Mount, step())?;
                let source = format!(
                    "/proc/self/fd/{}",
                    std::os::fd::AsRawFd::as_raw_fd(&namespace.as_fd())
                );
                mount_bind(source, path).at(FaultKind::Mount, step())?;
            }
            descriptors.push(namespace);
        }
        sandbox.is_ready = true;
        let pause_pid = sandbox.pause_pid;
        let record =
            record_of(&sandbox.spec, pause_pid).at(FaultKind::Kernel, "describe the sandbox")?;
        self.write_record(records::SANDBOX, &record)
            .at(FaultKind::Kernel, "write the sandbox's record")?;
        Ok((Reply::Sandbox { pause_pid }, descriptors))
    }
}
