//! Several instances on one host, how commands end, and what they say when they cannot go on.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use podo_cluster_tests::kubectl::Kubectl;
use podo_cluster_tests::pods::{idle, pod};
use podo_cluster_tests::{Cluster, Host, Options, Ran, program, skip, with_cluster};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;

use crate::pods::{http_answer, ip};

#[test]
fn two_instances_run_side_by_side_and_one_goes_without_the_other() {
    with_cluster(Options::default(), |it| {
        let folder = podo_cluster_tests::cluster::folder();
        let args = vec![
            "--cluster-cidr=10.52.0.0/16".to_owned(),
            "--service-cidr=10.53.0.0/16".to_owned(),
        ];
        let options =
            Options { args, ports: (6444, 10251), registry_port: 5001, ..Options::default() };
        let mut other = Cluster::start(&folder, options);
        let made = |name: &str| {
            pod(
                name,
                json!({"containers": [{"name": "k", "image": "luksa/kubia", "imagePullPolicy": "IfNotPresent"}]}),
            )
        };
        let first = it.ready(&made("same-name"));
        let second = other.ready(&made("same-name"));
        assert_eq!(ip(&first).octets()[1], 42);
        assert_eq!(ip(&second).octets()[1], 52);
        assert!(http_answer(ip(&second), 8080).contains("You've hit same-name"));
        other.down();
        fs::remove_dir_all(&folder).unwrap();
        assert!(http_answer(ip(&first), 8080).contains("You've hit same-name"));
        it.ready(&pod("later", json!({"containers": [idle("main")]})));
    });
}

/// Runs a command of the binary that is expected to fail at once.
fn fails(binary: &Path, args: &[&str]) -> Ran {
    let output = Command::new(binary).args(args).stdin(Stdio::null()).output();
    output.expect("podo can be run").into()
}

/// One sentence on standard error, and this exit code.
#[track_caller]
fn ends(ran: &Ran, code: i32, text: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.err.contains(text), "{}", ran.err);
    assert!(!ran.err.contains("panicked") && ran.err.starts_with("error: "), "{}", ran.err);
}

#[test]
fn usage_errors_end_with_64() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_string_lossy().into_owned();
    let podo = podo_cluster_tests::binary::podo();
    let config = folder.path().join("config.yaml");
    fs::write(&config, "nosuch: 1\n").unwrap();
    let config = config.to_string_lossy().into_owned();
    for (args, text) in [
        (vec!["up", "--nosuch"], "--nosuch"),
        (vec!["nosuch"], "nosuch"),
        (
            vec!["server", "--data-dir", &data, "--controllers", "nosuch-controller"],
            "nosuch-controller",
        ),
        (vec!["server", "--data-dir", &data, "--service-cidr", "x"], "\"x\""),
        (vec!["server", "--data-dir", &data, "--config", &config], "nosuch"),
        (vec!["server", "--data-dir", &data, "--static-token", "x"], "TOKEN=USER"),
        (vec!["server", "--data-dir", &data, "--listen", "nowhere"], "nowhere"),
    ] {
        ends(&fails(podo, &args), 64, text);
    }
}

#[test]
fn without_root_up_and_down_end_with_77_and_a_server_runs() {
    let Some(setpriv) = program("setpriv").filter(|_| rustix::process::geteuid().is_root()) else {
        return skip("not root", "needs root and setpriv");
    };
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = folder.path().join("podo");
    fs::copy(podo_cluster_tests::binary::podo(), &binary).unwrap();
    let own = folder.path().join("own");
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(65534), Some(65534)).unwrap();
    let nobody = |args: &[&str]| -> Ran {
        let mut command = Command::new(&setpriv);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary).args(args);
        command.stdin(Stdio::null()).output().unwrap().into()
    };
    let data = own.join("data").to_string_lossy().into_owned();
    ends(&nobody(&["up", "--data-dir", &data]), 77, "podo up needs root");
    ends(&nobody(&["down", "--data-dir", &data]), 77, "podo down needs root");
    ends(&nobody(&["image", "--data-dir", &data, "ls"]), 77, "podo image needs root");
    ends(&nobody(&["server", "--data-dir", "/root/podotest-none"]), 77, "data directory");
    Host::new().run(|| {
        let mut command = Command::new(&setpriv);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary);
        command.args(["server", "--data-dir", &data, "--listen", "127.0.0.1:6443"]);
        let mut server = Server::start(&mut command);
        server.until_ready();
        server.stop();
    });
}

/// A `podo server` or `podo up` that says when it is ready.
pub(crate) struct Server {
    child: std::process::Child,
    out: std::io::BufReader<std::process::ChildStdout>,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    pub(crate) fn until_ready(&mut self) {
        self.until_says("kubeconfig");
    }

    /// Waits for a line with a text and returns it.
    pub(crate) fn until_says(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let read = std::io::BufRead::read_line(&mut self.out, &mut line).unwrap();
            assert_ne!(read, 0, "podo ended: {:?}", self.child.wait());
        }
        line
    }

    pub(crate) fn stop(&mut self) {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` there is nothing to end.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn down_ends_an_instance_that_is_just_starting() {
    if !rustix::process::geteuid().is_root() {
        return skip("down while up starts", "needs root");
    }
    let folder = podo_cluster_tests::cluster::folder();
    let data = folder.join("data").to_string_lossy().into_owned();
    Host::new().run(|| {
        let podo = podo_cluster_tests::binary::podo();
        let mut up = Command::new(podo);
        up.args(["up", "--data-dir", &data, "--node-ip=192.0.2.1"]);
        let mut up =
            up.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("podo can be run");
        podo_cluster_tests::until("it has its lock", podo_cluster_tests::PATIENCE, || {
            let lock = folder.join("data/lock");
            if lock.exists() { Ok(()) } else { Err("no lock".to_owned()) }
        });
        fails(podo, &["down", "--purge", "--data-dir", &data]).ok();
        assert!(up.wait().expect("it is ours").success());
        // Where nothing is, nothing is left either.
        fails(podo, &["down", "--data-dir", &data]).ok();
    });
    assert!(!folder.join("data").exists());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_taken_port_and_a_locked_data_directory_end_with_69() {
    with_cluster(Options { has_registry: false, ..Options::default() }, |it| {
        let data = it.data_dir().to_string_lossy().into_owned();
        let locked =
            fails(&it.binary(), &["up", "--data-dir", &data, "--listen", "127.0.0.1:7443"]);
        ends(&locked, 69, "another podo uses the data directory");
        let locked =
            fails(&it.binary(), &["server", "--data-dir", &data, "--listen", "127.0.0.1:7443"]);
        ends(&locked, 69, "data directory");
        let taken = TcpListener::bind("127.0.0.1:7443").unwrap();
        let fresh = it.folder.join("fresh").to_string_lossy().into_owned();
        for command in ["server", "up"] {
            let ran =
                fails(&it.binary(), &[command, "--data-dir", &fresh, "--listen", "127.0.0.1:7443"]);
            ends(&ran, 69, "127.0.0.1:7443");
        }
        drop(taken);
        let others = ["--cluster-cidr=10.52.0.0/16", "--service-cidr=10.53.0.0/16"];
        let mut args =
            vec!["up", "--data-dir", &fresh, "--listen=127.0.0.1:7443", "--node-ip=192.0.2.1"];
        args.extend(others);
        let kubelet = fails(&it.binary(), &args);
        ends(&kubelet, 69, "10250");
        fails(&it.binary(), &["down", "--purge", "--data-dir", &fresh]).ok();
    });
}

/// A small disk, mounted on a folder of its own until this value is dropped.
pub(crate) struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    pub(crate) fn new(size: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix("podotest-disk-").tempdir_in("/var/tmp").unwrap();
        let options = std::ffi::CString::new(format!("size={size},mode=700")).unwrap();
        mount("none", folder.path(), "tmpfs", MountFlags::empty(), Some(options.as_c_str()))
            .unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all room that is left.
    pub(crate) fn fill(&self) {
        let mut filler = fs::File::create(self.path().join("filler")).unwrap();
        while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What stays mounted fails the removal of the folder, which tells.
        let _left = unmount(self.path(), UnmountFlags::DETACH);
    }
}

/// Whether the test can mount disks and run containers.
pub(crate) fn is_root(what: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip(what, "needs root");
    }
    is_root
}

#[test]
fn a_full_disk_is_a_clear_error_and_no_crash() {
    if is_root("full disk") {
        let disk = SmallDisk::new("24m");
        Host::new().run(|| full_disk(&disk));
    }
}

fn full_disk(disk: &SmallDisk) {
    let data = disk.path();
    let mut command = Command::new(podo_cluster_tests::binary::podo());
    command.arg("server").arg("--data-dir").arg(data).args(["--listen", "127.0.0.1:6443"]);
    let mut server = Server::start(&mut command);
    server.until_ready();
    let api = podo_cluster_tests::Api::of(&data.join("kubeconfig.yaml"));
    disk.fill();
    let maps = "/api/v1/namespaces/default/configmaps";
    let big = "x".repeat(500_000);
    let refusal = (0..100)
        .map(|index| {
            api.post(maps, &json!({"metadata": {"name": format!("m{index}")}, "data": {"a": big}}))
        })
        .find(|answer| answer.status != 201)
        .expect("the disk is full");
    assert!(refusal.status >= 500, "{}", refusal.text());
    assert!(refusal.failure().2.contains("no space left on the disk"), "{}", refusal.text());
    assert_eq!(api.get(maps).status, 200, "what is stored can still be read");
}

#[test]
fn up_on_a_disk_without_room_ends_with_one_sentence_and_down_works_there() {
    if !is_root("up on a full disk") {
        return;
    }
    Host::new().run(|| {
        let podo = podo_cluster_tests::binary::podo();
        let flags = ["--listen=127.0.0.1:6443", "--node-ip=192.0.2.1"];
        for size in ["8k", "40k", "100k", "200k"] {
            let disk = SmallDisk::new(size);
            let data = disk.path().to_string_lossy().into_owned();
            let up = fails(podo, &["up", "--data-dir", &data, flags[0], flags[1]]);
            ends(&up, 69, "o space left on ");
            assert!(up.err.contains("free some"), "what to do: {}", up.err);
            fails(podo, &["down", "--purge", "--data-dir", &data]).ok();
            assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "the disk is empty");
        }
        // A disk that was filled while Pods ran: they can be taken away.
        let disk = SmallDisk::new("16m");
        let data = disk.path().to_string_lossy().into_owned();
        let file = disk.path().join("pod.json");
        let mut made = pod(
            "hello",
            json!({"containers": [{"name": "main", "image": concat!("podo.local/hello:", env!("CARGO_PKG_VERSION"))}]}),
        );
        (made["apiVersion"], made["kind"]) = (json!("v1"), json!("Pod"));
        fs::write(&file, made.to_string()).unwrap();
        let mut command = Command::new(podo);
        command.args(["up", "--data-dir", &data]).args(flags).arg("-f").arg(&file);
        let mut up = Server::start(&mut command);
        up.until_says(" Running ");
        disk.fill();
        drop(up);
        let again = fails(podo, &["up", "--data-dir", &data, flags[0], flags[1]]);
        ends(&again, 69, "No space left on device");
        fails(podo, &["down", "--data-dir", &data]).ok();
        podo_cluster_tests::until("only the disk itself is left", Duration::from_secs(5), || {
            let instance = podo_cluster_tests::leaks::instance_name(disk.path());
            let mut left = podo_cluster_tests::leaks::of(&instance, disk.path());
            left.retain(|found| !(found.starts_with("mount ") && found.contains(" - tmpfs none ")));
            if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
        });
    });
}

/// What a shell does to the mounts of a command before it becomes that command.
fn with_mounts(changes: &str, binary: &Path) -> Command {
    let mut command = Command::new(program("unshare").expect("util-linux is everywhere"));
    let script = format!("mount --make-rprivate / && {changes} && exec \"$@\"");
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(binary).stdin(Stdio::null());
    command
}

#[test]
fn up_without_what_it_needs_of_the_kernel_ends_with_69_and_says_what_is_lacking() {
    if !is_root("missing kernel features") {
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let podo = podo_cluster_tests::binary::podo();
    let data = folder.path().join("data").to_string_lossy().into_owned();
    let memory =
        "$(awk '$3 == \"cgroup\" && $4 ~ /memory/ || $3 == \"cgroup2\" { print $2 }' /proc/mounts)";
    let read_only = format!("for at in {memory}; do mount -o remount,bind,ro $at; done");
    Host::new().run(|| {
        for (changes, lacking, hint) in [
            ("umount -R -l /sys/fs/cgroup", "no cgroup hierarchy is mounted", "mount -t cgroup2"),
            (&format!("for at in {memory}; do umount -l $at; done"), "cgroup", "mount -t cgroup2"),
            (&read_only, "is mounted read-only", "remount,rw"),
            (
                // A new network has what the machine has, and that may be set already.
                "echo 0 >/proc/sys/net/ipv4/ip_forward && mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys",
                "/proc/sys/net/ipv4/ip_forward cannot be set",
                "sysctl -w net.ipv4.ip_forward=1",
            ),
            ("mount -t tmpfs none /proc/sys/kernel/seccomp", "seccomp", "CONFIG_SECCOMP_FILTER"),
        ] {
            let mut command = with_mounts(changes, podo);
            command.args(["up", "--data-dir", &data, "--node-ip=192.0.2.1"]);
            let ran = Ran::from(command.output().unwrap());
            ends(&ran, 69, lacking);
            assert!(ran.err.contains("\nhint: ") && ran.err.contains(hint), "{}", ran.err);
            assert_eq!(ran.out, "");
        }
    });
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}

#[test]
fn kubectl_finds_the_kubeconfig_of_the_instance_by_itself() {
    with_cluster(Options { has_registry: false, ..Options::default() }, |it| {
        let home = it.folder.join("home");
        fs::create_dir_all(home.join(".kube")).unwrap();
        fs::write(
            home.join(".kube/config"),
            "apiVersion: v1\nkind: Config\ncurrent-context: of-home\n",
        )
        .unwrap();
        let other = it.folder.join("other.yaml");
        fs::write(&other, "apiVersion: v1\nkind: Config\ncurrent-context: named\n").unwrap();
        // The place where an instance keeps its data unless it is told another.
        let default = format!(
            "mount -t tmpfs none /var/lib && mkdir /var/lib/podo && mount --bind {} /var/lib/podo",
            it.data_dir().display()
        );
        let kubectl = |mounts: &str, args: &[&str]| {
            let mut command = with_mounts(mounts, &it.binary());
            command.arg("kubectl").args(args).env("HOME", &home).env_remove("KUBECONFIG");
            command
        };
        let ran = |mut command: Command| Ran::from(command.output().unwrap());
        assert_eq!(ran(kubectl(&default, &["get", "nodes", "-o", "name"])).ok(), "node/node-1\n");
        // What the user names goes before it; without an instance there is what kubectl has always read.
        let context = ["config", "current-context"];
        let mut named = kubectl(&default, &context);
        named.env("KUBECONFIG", &other);
        assert_eq!(ran(named).ok(), "named\n");
        assert_eq!(ran(kubectl("mount -t tmpfs none /var/lib", &context)).ok(), "of-home\n");
    });
}

#[test]
fn the_binary_is_kubectl_where_it_is_called_so() {
    with_cluster(Options { has_registry: false, ..Options::default() }, |it| {
        let link = it.folder.join("kubectl");
        std::os::unix::fs::symlink(it.binary(), &link).unwrap();
        let called = |args: &[&str]| it.run(&Kubectl::Real(link.clone()), args, "");
        assert_eq!(called(&["get", "nodes", "-o", "name"]).ok(), "node/node-1\n");
        let unknown = called(&["up"]).refused();
        assert_eq!(unknown, it.kubectl(&["up"]).refused(), "there it is no podo");
        assert!(unknown.contains("unknown command \"up\" for \"kubectl\""), "{unknown}");
    });
}
