//! One test's world: a node's runtime with an image of busybox; taken down and looked over for leaks at its end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use podo_cri::v1::*;
use podo_cri::{Cri, CriConfig, CriError, PodoCri, RuntimeEvent};
use podo_image::build::LayerBuilder;
use podo_image::registry::{RegistryConfig, Timeouts};
use podo_image::{Digest, RunConfig};

/// Bound of everything that a test waits for.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The image of most tests; its archive is imported, nothing is pulled.
pub(crate) const IMAGE: &str = "docker.io/library/box:1";

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

/// Says that the namespaces are there, and what everything that a run makes is called.
const PREFIX: &str = "PODOTEST_CRI_PREFIX";

/// Whether this process is the one in the namespaces.
pub(crate) fn is_in_world() -> bool {
    std::env::var_os(PREFIX).is_some()
}

fn prefix() -> String {
    std::env::var(PREFIX).unwrap_or_default()
}

/// A host with an outside that nobody answers from; sysfs shows the new network, as a host's does.
const WORLD: &str = "set -e
ip link set lo up
ip link add up0 type veth peer name up1
ip addr add 192.0.2.1/24 dev up0
ip link set up1 up
ip link set up0 up
ip route add default via 192.0.2.2
at=$(mktemp -d)
mount --rbind /sys/fs/cgroup \"$at\"
mount -t sysfs sysfs /sys
mount --rbind \"$at\" /sys/fs/cgroup
umount -l \"$at\"
rmdir \"$at\"
exec \"$0\" \"$@\"";

/// This program again, in new namespaces, which take everything along that a failed test leaves but for files and cgroups.
pub(crate) fn enter_world(args: &[String]) -> ExitCode {
    let prefix = format!("podotest-cri-{}", std::process::id());
    let ended = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private"])
        .args(["--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", WORLD])
        .arg(std::env::current_exe().unwrap())
        .args(args)
        .env(PREFIX, &prefix)
        .status()
        .unwrap();
    for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&format!("{prefix}-")) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        for entry in fs::read_dir(hierarchy.path()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&format!("{prefix}-")) {
                remove_cgroups(&entry.path());
            }
        }
    }
    if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn remove_cgroups(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_cgroups(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}

/// Runs a test with a node of its own.
pub(crate) fn with_world(test: impl AsyncFnOnce(&World)) {
    with_own_world(async |world| {
        test(&world).await;
        world
    });
}

/// Runs a test that may replace its node.
pub(crate) fn with_own_world(test: impl AsyncFnOnce(World) -> World) {
    block_on(async {
        let world = World::new().await;
        test(world).await.end().await;
    });
}

/// Runs a future on a runtime of its own.
pub(crate) fn block_on(future: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap().block_on(future);
}

/// A node.
pub(crate) struct World {
    pub(crate) base: tempfile::TempDir,
    pub(crate) name: String,
    pub(crate) cri: Arc<PodoCri>,
}

/// A layer with busybox and what a distribution has.
fn busybox_layer() -> Vec<u8> {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/home/www:/bin/sh\n";
    let group = "root:x:0:\nwww:x:34:\nlogs:x:50:www\n";
    let mut layer = LayerBuilder::new();
    for directory in ["bin", "etc", "root", "var/lib/data", "home/www"] {
        layer = layer.directory(directory, 0o755).unwrap();
    }
    layer = layer
        .directory("tmp", 0o1777)
        .and_then(|layer| layer.host_file("bin/busybox", 0o755, &busybox().unwrap()))
        .and_then(|layer| layer.file("etc/passwd", 0o644, passwd.as_bytes()))
        .and_then(|layer| layer.file("etc/group", 0o644, group.as_bytes()))
        .and_then(|layer| layer.file("etc/text", 0o644, b"not a program"))
        .and_then(|layer| layer.owned_file("var/lib/data/seed", 0o640, (33, 34), b"seed"))
        .unwrap();
    for applet in [
        "sh", "cat", "echo", "sleep", "ls", "id", "hostname", "ps", "kill", "true", "false",
        "grep", "touch", "mkdir", "dd", "stat", "pwd", "env", "head", "tail", "wc", "ip", "nc",
        "rm", "tr", "seq", "tty", "stty", "usleep", "date", "readlink", "mount", "wget", "httpd",
        "df",
    ] {
        layer = layer.symlink(&format!("bin/{applet}"), "busybox").unwrap();
    }
    layer.finish().unwrap()
}

/// An image archive as `docker save` writes it.
pub(crate) fn archive(name: &str, layers: &[Vec<u8>], run: &RunConfig) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut put = |path: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, content).unwrap();
    };
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::sha256(layer)).collect();
    let paths: Vec<String> = (0..layers.len()).map(|index| format!("{index}/layer.tar")).collect();
    let config = serde_json::json!({
        "os": "linux",
        "architecture": podo_image::manifest::Platform::host().architecture,
        "config": run,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let manifest = serde_json::json!([{ "Config": "c.json", "RepoTags": [name], "Layers": paths }]);
    put("manifest.json", manifest.to_string().as_bytes());
    put("c.json", config.to_string().as_bytes());
    for (path, layer) in paths.iter().zip(layers) {
        put(path, layer);
    }
    builder.into_inner().unwrap()
}

/// Quick to give up, and without the machine's own names.
fn registry() -> RegistryConfig {
    RegistryConfig {
        timeouts: Timeouts {
            connect: Duration::from_secs(2),
            idle: Duration::from_secs(2),
            document: Duration::from_secs(2),
            retry: Duration::from_millis(5),
            attempts: 2,
        },
        hosts_file: "/nonexistent".into(),
        resolv_conf: "/nonexistent".into(),
        ..RegistryConfig::default()
    }
}

/// A node's configuration below a directory.
pub(crate) fn config(base: &Path, name: &str) -> CriConfig {
    CriConfig {
        data_dir: base.join("data"),
        run_dir: base.join("run"),
        instance: name.to_owned(),
        executable: std::env::current_exe().unwrap(),
        version: "1.2.3".into(),
        cgroup_root: name.to_owned(),
        pause_image: None,
        registry: registry(),
        pod_cidr: "10.42.7.0/24".parse().unwrap(),
        cluster_cidr: "10.42.0.0/16".parse().unwrap(),
        node_addresses: vec!["192.0.2.1".parse().unwrap()],
        log_limit: None,
        mtu: None,
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    pub(crate) async fn with(change: impl FnOnce(CriConfig) -> CriConfig) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{count}", prefix());
        let base = tempfile::Builder::new().prefix(&name).tempdir().unwrap();
        let cri = PodoCri::open(change(config(base.path(), &name))).await.unwrap();
        let run = RunConfig {
            cmd: vec!["sh".into()],
            env: vec!["PATH=/bin".into(), "FROM_IMAGE=yes".into()],
            ..RunConfig::default()
        };
        let archive = archive(IMAGE, &[busybox_layer()], &run);
        cri.images().import(archive.as_slice()).unwrap();
        Self { base, name, cri }
    }

    /// Adds an image on top of busybox.
    pub(crate) fn add_image(&self, name: &str, layers: &[Vec<u8>], run: &RunConfig) {
        let layers = [&[busybox_layer()], layers].concat();
        self.cri.images().import(archive(name, &layers, run).as_slice()).unwrap();
    }

    /// Stops the runtime, lets `between` happen, and opens it again; what runs goes on.
    pub(crate) async fn reopened(self, between: impl FnOnce(&Path)) -> Self {
        let Self { base, name, cri } = self;
        cri.shutdown().await;
        drop(cri); // It holds locks until its last owner is gone.
        between(base.path());
        let cri = PodoCri::open(config(base.path(), &name)).await.unwrap();
        Self { base, name, cri }
    }

    /// Takes everything down; nothing may be left.
    pub(crate) async fn end(self) {
        self.cri.teardown().await.unwrap();
        assert_no_leaks(self.base.path(), &self.name);
        let Self { base, cri, .. } = self;
        drop(cri);
        base.close().unwrap();
    }

    pub(crate) fn log_dir(&self, pod: &str) -> PathBuf {
        self.base.path().join("logs").join(pod)
    }

    pub(crate) fn pod(&self, name: &str) -> PodSandboxConfig {
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.into(),
                uid: format!("uid-{name}"),
                namespace: "default".into(),
                attempt: 0,
            }),
            hostname: name.into(),
            log_directory: self.log_dir(name).to_string_lossy().into_owned(),
            dns_config: Some(DnsConfig {
                servers: vec!["10.43.0.10".into()],
                searches: vec!["default.svc.cluster.local".into(), "cluster.local".into()],
                options: vec!["ndots:5".into()],
            }),
            labels: map(&[("app", name)]),
            annotations: map(&[("note", "kept")]),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("/kubepods/pod-{name}"),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(NamespaceOption {
                        pid: NamespaceMode::Container as i32,
                        ..Default::default()
                    }),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    pub(crate) async fn run_pod(&self, config: PodSandboxConfig) -> Result<String, CriError> {
        let request = RunPodSandboxRequest { config: Some(config), ..Default::default() };
        Ok(self.cri.run_pod_sandbox(request).await?.pod_sandbox_id)
    }

    pub(crate) async fn plain_pod(&self, name: &str) -> String {
        self.run_pod(self.pod(name)).await.unwrap()
    }

    pub(crate) async fn create(
        &self,
        sandbox: &str,
        config: ContainerConfig,
    ) -> Result<String, CriError> {
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.into(),
            config: Some(config),
            sandbox_config: None,
        };
        Ok(self.cri.create_container(request).await?.container_id)
    }

    pub(crate) async fn start(&self, container: &str) -> Result<(), CriError> {
        let request = StartContainerRequest { container_id: container.into() };
        self.cri.start_container(request).await.map(drop)
    }

    /// Makes and starts a container.
    pub(crate) async fn launch(&self, sandbox: &str, config: ContainerConfig) -> String {
        let id = self.create(sandbox, config).await.unwrap();
        self.start(&id).await.unwrap();
        id
    }

    pub(crate) async fn stop(&self, container: &str, timeout: i64) {
        let request = StopContainerRequest { container_id: container.into(), timeout };
        self.cri.stop_container(request).await.unwrap();
    }

    pub(crate) async fn remove(&self, container: &str) {
        let request = RemoveContainerRequest { container_id: container.into() };
        self.cri.remove_container(request).await.unwrap();
    }

    pub(crate) async fn remove_pod(&self, sandbox: &str) {
        let request = RemovePodSandboxRequest { pod_sandbox_id: sandbox.into() };
        self.cri.remove_pod_sandbox(request).await.unwrap();
    }

    pub(crate) async fn status(&self, container: &str) -> ContainerStatus {
        let request = ContainerStatusRequest { container_id: container.into(), verbose: false };
        self.cri.container_status(request).await.unwrap().status.unwrap()
    }

    pub(crate) async fn pod_status(&self, sandbox: &str) -> PodSandboxStatus {
        let request = PodSandboxStatusRequest { pod_sandbox_id: sandbox.into(), verbose: false };
        self.cri.pod_sandbox_status(request).await.unwrap().status.unwrap()
    }

    /// Waits for a container's end by events, never by looking again.
    pub(crate) async fn ended(&self, container: &str) -> ContainerStatus {
        let mut events = self.cri.container_events(GetEventsRequest {}).await.unwrap();
        let waiting = async {
            loop {
                let status = self.status(container).await;
                if status.state == ContainerState::Exited as i32 {
                    return status;
                }
                assert!(matches!(events.next().await, Some(RuntimeEvent::Event(_))));
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.expect("the container ends")
    }

    /// Runs a container to its end; how it ended and what it printed.
    pub(crate) async fn run(
        &self,
        sandbox: &str,
        config: ContainerConfig,
    ) -> (ContainerStatus, String) {
        let id = self.launch(sandbox, config).await;
        let status = self.ended(&id).await;
        let log = log_content(Path::new(&status.log_path));
        (status, log)
    }

    /// Why nothing can be executed in a container.
    pub(crate) async fn exec_error(&self, container: &str) -> CriError {
        let request = ExecSyncRequest {
            container_id: container.into(),
            cmd: vec!["true".into()],
            timeout: 10,
        };
        self.cri.exec_sync(request).await.unwrap_err()
    }

    /// Runs a script in a running container; its standard output and error, and its exit code.
    pub(crate) async fn exec(&self, container: &str, script: &str) -> (String, i32) {
        let request = ExecSyncRequest {
            container_id: container.into(),
            cmd: ["sh", "-c", script].map(str::to_owned).to_vec(),
            timeout: 10,
        };
        let response = self.cri.exec_sync(request).await.unwrap();
        let text = [response.stdout, response.stderr].concat();
        (String::from_utf8_lossy(&text).into_owned(), response.exit_code)
    }
}

/// A container as a kubelet makes it.
pub(crate) fn container(name: &str, args: &[&str]) -> ContainerConfig {
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: name.into(), attempt: 0 }),
        image: Some(ImageSpec { image: IMAGE.into(), ..Default::default() }),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        log_path: format!("{name}/0.log"),
        labels: map(&[("container", name)]),
        linux: Some(LinuxContainerConfig {
            security_context: Some(LinuxContainerSecurityContext {
                seccomp: Some(SecurityProfile::default()),
                masked_paths: vec!["/proc/interrupts".into()],
                readonly_paths: vec!["/proc/sys".into()],
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn shell(name: &str, script: &str) -> ContainerConfig {
    container(name, &["sh", "-c", script])
}

/// Its security context, to change.
pub(crate) fn security(config: &mut ContainerConfig) -> &mut LinuxContainerSecurityContext {
    config.linux.as_mut().unwrap().security_context.as_mut().unwrap()
}

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A log's content without time, stream and tag.
pub(crate) fn log_content(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let content = |line: &str| line.splitn(4, ' ').nth(3).unwrap_or("").to_owned() + "\n";
    text.lines().map(content).collect()
}

/// Waits until a file has something in it; says what was there last if it does not come.
pub(crate) async fn eventually<T: std::fmt::Debug>(
    what: &str,
    mut look: impl AsyncFnMut() -> T,
    is_good: impl Fn(&T) -> bool,
) -> T {
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let seen = look().await;
        if is_good(&seen) {
            return seen;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: last seen {seen:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything that a node may leave in the kernel and below its directories.
#[track_caller]
pub(crate) fn assert_no_leaks(base: &Path, name: &str) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own: Vec<&str> =
        mounts.lines().filter(|line| line.contains(&*base.to_string_lossy())).collect();
    assert!(own.is_empty(), "mounts are left: {own:?}");
    let links = output("ip", &["-brief", "link"]);
    let own: Vec<&str> = links.lines().filter(|line| line.starts_with("podo")).collect();
    assert!(own.is_empty(), "links are left: {own:?}");
    let routes = output("ip", &["route"]);
    assert!(!routes.contains("10.42."), "routes are left: {routes}");
    for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap() {
        let path = hierarchy.unwrap().path().join(name);
        assert!(!path.exists(), "a cgroup is left: {}", path.display());
    }
    for place in ["data/cri/sandboxes", "data/cri/containers", "data/image/containers"]
        .into_iter()
        .chain(["run/sandboxes", "run/netns", "run/volumes"])
    {
        let left: Vec<_> = fs::read_dir(base.join(place))
            .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
            .unwrap_or_default();
        assert!(left.is_empty(), "{place} has {left:?}");
    }
    let processes = output("ps", &["-eo", "args"]);
    let own: Vec<&str> = processes
        .lines()
        .filter(|line| line.starts_with("podo") && line.contains(&*base.to_string_lossy()))
        .collect();
    assert!(own.is_empty(), "processes are left: {own:?}");
}
