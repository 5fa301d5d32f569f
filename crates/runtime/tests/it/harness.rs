//! One test's world: a run directory, a root file system of busybox, a sandbox; all gone at its end.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use podo_runtime::{
    ContainerSpec, ExecSpec, ExitRecord, Launcher, Overlay, ProcessSpec, Rootfs, RuntimeError,
    Sandbox, SandboxSpec, capabilities, defaults, seccomp,
};

/// Bound of everything that a test waits for.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) const PATH: &str = "PATH=/bin";

/// Whether this machine can make containers at all.
pub(crate) fn can_run() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || busybox().is_none() {
        eprintln!("SKIP all: needs root and a static busybox in PATH");
    }
    is_root && busybox().is_some()
}

fn busybox() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').map(|directory| Path::new(directory).join("busybox")).find(|path| path.exists())
}

/// A test's world.
pub(crate) struct World {
    pub(crate) base: PathBuf,
    pub(crate) launcher: Launcher,
    pub(crate) group: String,
}

impl World {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "podotest-runtime-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let base = std::env::temp_dir().join(&name);
        let image = base.join("image");
        for directory in ["bin", "etc", "tmp", "var", "home/www"] {
            fs::create_dir_all(image.join(directory)).unwrap();
        }
        fs::copy(busybox().unwrap(), image.join("bin/busybox")).unwrap();
        for applet in [
            "sh", "cat", "echo", "sleep", "ls", "id", "hostname", "ps", "kill", "true", "false",
            "grep", "mount", "umount", "mknod", "touch", "mkdir", "ln", "dd", "stat", "pwd", "env",
            "head", "tail", "wc", "ip", "nc", "ipcs", "rm", "readlink", "tr", "seq", "tty", "stty",
            "sync", "find", "unshare", "chown", "mv", "usleep", "date",
        ] {
            symlink("busybox", image.join("bin").join(applet)).unwrap();
        }
        fs::write(
            image.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/home/www:/bin/sh\n",
        )
        .unwrap();
        fs::write(image.join("etc/group"), "root:x:0:\nwww:x:34:\nlogs:x:50:www\n").unwrap();
        fs::write(image.join("etc/text"), "not a program").unwrap();
        let launcher = Launcher::new(Path::new("/proc/self/exe"), base.join("run")).unwrap();
        Self { base, launcher, group: name }
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.base.join("run")
    }

    pub(crate) fn sandbox_spec(&self, id: &str) -> SandboxSpec {
        SandboxSpec {
            id: id.into(),
            hostname: Some("podohost".into()),
            cgroup: format!("{}/pod-{id}", self.group),
            ..SandboxSpec::default()
        }
    }

    pub(crate) fn sandbox(&self) -> Sandbox {
        self.launcher.create(&self.sandbox_spec("s1")).unwrap()
    }

    pub(crate) fn rootfs(&self, id: &str) -> Rootfs {
        let layers = self.base.join("layers").join(id);
        for directory in ["upper", "work"] {
            fs::create_dir_all(layers.join(directory)).unwrap();
        }
        Rootfs::Overlay(Overlay {
            lower: vec![self.base.join("image")],
            upper: Some(layers.join("upper")),
            work: Some(layers.join("work")),
            volatile: true,
        })
    }

    /// A container as a node would make it: default capabilities, default filter, masks.
    pub(crate) fn container(&self, id: &str, args: &[&str]) -> ContainerSpec {
        ContainerSpec {
            id: id.into(),
            process: ProcessSpec {
                args: args.iter().map(|arg| (*arg).to_owned()).collect(),
                env: vec![PATH.into()],
                capabilities: capabilities::DEFAULT,
                seccomp: Some(seccomp::runtime_default(capabilities::DEFAULT)),
                ..ProcessSpec::default()
            },
            rootfs: self.rootfs(id),
            masked_paths: owned(defaults::MASKED_PATHS),
            read_only_paths: owned(defaults::READ_ONLY_PATHS),
            log: Some(self.log_path(id)),
            ..ContainerSpec::default()
        }
    }

    pub(crate) fn shell(&self, id: &str, script: &str) -> ContainerSpec {
        self.container(id, &["sh", "-c", script])
    }

    pub(crate) fn log_path(&self, id: &str) -> PathBuf {
        self.base.join(format!("{id}.log"))
    }

    /// The log's content without time, stream and tag.
    pub(crate) fn log(&self, id: &str) -> String {
        let text = fs::read_to_string(self.log_path(id)).unwrap_or_default();
        let content = |line: &str| line.splitn(4, ' ').nth(3).unwrap_or("").to_owned() + "\n";
        text.lines().map(content).collect()
    }
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

impl Drop for World {
    fn drop(&mut self) {
        for found in podo_runtime::list(&self.run_dir()).unwrap_or_default() {
            if let podo_runtime::Health::Alive(sandbox) = found.health {
                let _ = self.launcher.remove(*sandbox);
            }
            let _ = podo_runtime::purge(&self.run_dir(), &found.id);
        }
        let layout = podo_runtime::cgroup::Layout::detect().unwrap();
        let _ = podo_runtime::cgroup::Cgroup::new(&layout, self.group.clone()).try_remove();
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// Makes and starts a container.
pub(crate) fn start(sandbox: &Sandbox, spec: &ContainerSpec) -> i32 {
    sandbox.create_container(spec).unwrap();
    sandbox.start(&spec.id).unwrap().0
}

/// Runs a container to its end.
pub(crate) fn run(sandbox: &Sandbox, spec: &ContainerSpec) -> ExitRecord {
    start(sandbox, spec);
    sandbox.wait(&spec.id, LIMIT).unwrap()
}

/// Runs a script in a container of its own and gives what it printed.
pub(crate) fn output(world: &World, sandbox: &Sandbox, script: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let id = format!("out{}", COUNT.fetch_add(1, Ordering::Relaxed));
    run(sandbox, &world.shell(&id, script));
    world.log(&id)
}

/// Runs a script in a running container; its standard output and error, and its exit code.
pub(crate) fn exec(sandbox: &Sandbox, container: &str, script: &str) -> (String, i32) {
    let args = ["sh", "-c", script].map(str::to_owned).to_vec();
    let spec = ExecSpec { container: container.into(), args, ..ExecSpec::default() };
    let mut handle = sandbox.exec(&spec).unwrap();
    let text =
        [handle.stdout.take(), handle.stderr.take()].into_iter().flatten().map(read_all).collect();
    (text, handle.wait(LIMIT).unwrap().exit_code)
}

/// Everything up to the end.
pub(crate) fn read_all(fd: OwnedFd) -> String {
    let mut bytes = Vec::new();
    let _ = fs::File::from(fd).read_to_end(&mut bytes); // A terminal ends with an error.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for a condition; says what was seen last if it does not come.
#[track_caller]
pub(crate) fn eventually<T: std::fmt::Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    is_good: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        let seen = look();
        if is_good(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: last seen {seen:?}");
        pause(Duration::from_millis(2));
    }
}

/// A pause between two looks.
pub(crate) fn pause(length: Duration) {
    let nanos = length.subsec_nanos().into();
    let length = rustix::event::Timespec {
        tv_sec: i64::try_from(length.as_secs()).unwrap_or(0),
        tv_nsec: nanos,
    };
    let _ = rustix::event::poll(&mut [], Some(&length));
}

/// The text of a refusal, with its kind.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, RuntimeError>) -> String {
    match result {
        Err(RuntimeError::Refused(fault)) => format!("{:?}: {}", fault.kind, fault.message),
        other => panic!("not refused: {other:?}"),
    }
}
