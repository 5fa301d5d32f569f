//! `podo up` as a process on a host of its own, with a registry beside it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use podo_network::netns::Netns;
use serde_json::Value;

use crate::api::Api;
use crate::binary;
use crate::host::{HOST, Host};
use crate::images;
use crate::kubectl::{Kubectl, Ran};
use crate::leaks;
use crate::patience::{PATIENCE, until};
use crate::pods;
use crate::registry::{Registry, Settings};
use crate::{note, skip};

/// Lines of the server's output that may wait to be read; it prints a handful.
const LINES_MAX: usize = 10_000;
/// How much of a failed test's logs is shown.
const TAIL_BYTES: usize = 12_000;
/// The name of each test's node.
pub const NODE: &str = "node-1";
/// The Pods of the namespace `default`.
pub const PODS: &str = "/api/v1/namespaces/default/pods";

/// How a cluster is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// More arguments of `podo up`.
    pub args: Vec<String>,
    /// The ports of the API and of the node's own API.
    pub ports: (u16, u16),
    /// The registry's port; it listens on loopback.
    pub registry_port: u16,
    /// Where the registry's content is; the images of all tests if not given.
    pub storage: Option<PathBuf>,
    /// Whether the registry asks for credentials.
    pub is_private: bool,
    /// Whether a registry is needed.
    pub has_registry: bool,
    /// The binary to run instead of the one under test.
    pub binary: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            ports: (6443, 10250),
            registry_port: 5000,
            storage: None,
            is_private: false,
            has_registry: true,
            binary: None,
        }
    }
}

/// A running cluster.
pub struct Cluster {
    /// Everything of this cluster is below.
    pub folder: PathBuf,
    /// Its registry, if it has one.
    pub registry: Option<Registry>,
    /// The administrator's client.
    pub api: Api,
    /// The options it was started with.
    pub options: Options,
    outside: Option<Arc<Netns>>,
    up: Up,
}

/// A `podo up` process.
struct Up {
    child: Child,
    said: Receiver<String>,
}

/// Runs a test on a cluster of its own; skips it aloud where the machine lacks what it needs.
#[track_caller]
pub fn with_cluster(options: Options, test: impl FnOnce(&mut Cluster) + Send) {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    if let Some(why) = unfit(&options) {
        skip(&name, why);
        return;
    }
    let host = Host::new();
    let before = host.network();
    let folder = folder();
    let result = host.run(|| {
        let mut cluster = Cluster::start(&folder, options);
        cluster.outside = Some(Arc::clone(&host.outside));
        let result = catch_unwind(AssertUnwindSafe(|| test(&mut cluster)));
        if result.is_err() {
            cluster.show();
        }
        let down = catch_unwind(AssertUnwindSafe(|| cluster.down()));
        result.and(down)
    });
    if let Err(panic) = result {
        note(&format!("{name}: what it wrote is in {}", folder.display()));
        resume_unwind(panic);
    }
    assert_eq!(host.network(), before, "the host's network after podo down");
    fs::remove_dir_all(&folder).expect("the test's folder can be removed");
}

/// What a cluster lacks on this machine.
pub fn unfit(options: &Options) -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        Some("needs root")
    } else if options.has_registry {
        images::missing()
    } else {
        None
    }
}

/// A folder for one test, kept until it has passed.
///
/// # Panics
/// If it cannot be made.
pub fn folder() -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("podotest-cluster-")
        .tempdir_in("/var/tmp")
        .expect("/var/tmp can be written");
    folder.keep()
}

impl Cluster {
    /// Starts a cluster on the calling thread's host and waits until Pods can be made.
    ///
    /// # Panics
    /// If it does not come up; what it said is shown.
    #[track_caller]
    pub fn start(folder: &Path, options: Options) -> Self {
        give_binary(folder, options.binary.as_deref().unwrap_or_else(|| binary::podo()));
        let registry = options.has_registry.then(|| {
            let storage = options.storage.clone().unwrap_or_else(images::storage);
            let port = options.registry_port;
            Registry::start(&Settings {
                storage: &storage,
                folder,
                port,
                is_private: options.is_private,
            })
        });
        let mut up = Up::start(folder, &options, registry.as_ref());
        up.until_says(folder, "kubeconfig");
        let api = Api::of(&folder.join("data/kubeconfig.yaml"));
        let cluster = Self { folder: folder.to_owned(), registry, api, options, outside: None, up };
        cluster.until_usable();
        cluster
    }

    fn until_usable(&self) {
        let ready = catch_unwind(AssertUnwindSafe(|| {
            self.api.wait("/api/v1/nodes", NODE, "is ready", pods::is_ready);
            self.api.wait(
                "/api/v1/namespaces/default/serviceaccounts",
                "default",
                "is there",
                |account| !account.is_null(),
            );
        }));
        if let Err(panic) = ready {
            self.show();
            resume_unwind(panic);
        }
    }

    /// Runs something on the machine outside that the host's default route leads to.
    ///
    /// # Panics
    /// If the cluster was not started by [`with_cluster`].
    pub fn outside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let outside = self.outside.as_ref().expect("a cluster of with_cluster");
        outside.run(work).expect("the namespace can be entered")
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The binary under test, under this cluster's own name.
    pub fn binary(&self) -> PathBuf {
        self.folder.join("podo")
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("kubeconfig.yaml")
    }

    /// The name that everything of this instance in the kernel carries.
    pub fn instance(&self) -> String {
        leaks::instance_name(&self.data_dir())
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.up.child.id()
    }

    /// The URL of the API as other machines reach it.
    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.options.ports.0)
    }

    /// Runs a command of the binary with this cluster's data directory.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn podo(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(self.binary());
        let (name, rest) = args.split_first().expect("a command");
        command.arg(name).arg("--data-dir").arg(self.data_dir()).args(rest).stdin(Stdio::null());
        command.output().expect("podo can be run").into()
    }

    /// The binary's own kubectl.
    pub fn own(&self) -> Kubectl {
        Kubectl::Own(self.binary())
    }

    /// Runs a kubectl for this cluster.
    pub fn run(&self, kubectl: &Kubectl, args: &[&str], input: &str) -> Ran {
        kubectl.run(&self.kubeconfig(), &self.folder, args, input)
    }

    /// Runs `podo kubectl`.
    pub fn kubectl(&self, args: &[&str]) -> Ran {
        self.run(&self.own(), args, "")
    }

    /// Starts `podo kubectl` and lets it go on.
    pub fn start_kubectl(&self, kubectl: &Kubectl, args: &[&str]) -> Child {
        kubectl.start(&self.kubeconfig(), &self.folder, args)
    }

    /// Runs a command in a container and returns what it printed; it must succeed.
    #[track_caller]
    pub fn exec(&self, pod: &str, container: &str, script: &str) -> String {
        self.kubectl(&["exec", pod, "-c", container, "--", "sh", "-c", script]).ok()
    }

    /// Makes an object.
    #[track_caller]
    pub fn create(&self, collection: &str, object: &Value) -> Value {
        self.api.post(collection, object).ok()
    }

    /// Makes a Pod in its namespace.
    #[track_caller]
    pub fn create_pod(&self, pod: &Value) -> String {
        self.create(PODS, pod)["metadata"]["name"].as_str().expect("named").to_owned()
    }

    /// Makes a Pod and waits until it is ready.
    #[track_caller]
    pub fn ready(&self, pod: &Value) -> Value {
        let name = self.create_pod(pod);
        self.until(&name, "is ready", pods::is_ready)
    }

    /// Makes a Pod, waits for its end and returns it.
    #[track_caller]
    pub fn ended(&self, pod: &Value) -> Value {
        let name = self.create_pod(pod);
        self.until(&name, "has ended", pods::has_ended)
    }

    /// Makes a Pod of one container, waits until it has succeeded and returns its log.
    #[track_caller]
    pub fn output(&self, pod: &Value) -> String {
        let ended = self.ended(pod);
        let name = ended["metadata"]["name"].as_str().expect("named");
        let log = self.log(name, "");
        assert_eq!(ended["status"]["phase"], "Succeeded", "log: {log}\n{:#}", ended["status"]);
        log
    }

    /// Waits until a Pod is as it should be.
    #[track_caller]
    pub fn until(&self, pod: &str, what: &str, is_so: impl FnMut(&Value) -> bool) -> Value {
        self.api.wait(PODS, pod, what, is_so)
    }

    /// The version that the cluster is at.
    #[track_caller]
    pub fn version(&self) -> String {
        let list = self.api.get(&format!("{PODS}?limit=1")).ok();
        list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a Pod was as it should be at any moment since a version.
    #[track_caller]
    pub fn since(
        &self,
        version: &str,
        pod: &str,
        what: &str,
        is_so: impl FnMut(&Value) -> bool,
    ) -> Value {
        self.api.wait_since(version, PODS, pod, what, is_so)
    }

    /// Deletes a Pod and waits until it is gone.
    #[track_caller]
    pub fn delete_pod(&self, pod: &str) {
        self.api.delete(&format!("{PODS}/{pod}")).ok();
        self.until(pod, "is gone", Value::is_null);
    }

    /// A container's log; of the only container if no name is given.
    #[track_caller]
    pub fn log(&self, pod: &str, container: &str) -> String {
        let path = format!("{PODS}/{pod}/log?container={container}");
        let answer = self.api.get(path.trim_end_matches("?container="));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// A container's log once it holds a text: what runs has not yet said all that it will.
    #[track_caller]
    pub fn log_with(&self, pod: &str, container: &str, text: &str) -> String {
        until(&format!("{pod} says {text:?}"), PATIENCE, || {
            let log = self.log(pod, container);
            if log.contains(text) { Ok(log) } else { Err(log) }
        })
    }

    /// Waits for an event about an object with this reason; returns it.
    #[track_caller]
    pub fn event(&self, name: &str, reason: &str) -> Value {
        let selector = format!("fieldSelector=involvedObject.name%3D{name},reason%3D{reason}");
        self.api.wait_any("/api/v1/namespaces/default/events", &selector, "is told", |_| true)
    }

    /// Ends the server with a signal that it cannot see.
    pub fn kill(&mut self) {
        self.up.child.kill().expect("the server runs");
        self.up.child.wait().expect("the server is ours");
    }

    /// Asks the server to end and waits for it.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn terminate(&mut self) -> ExitStatus {
        let pid =
            i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the server runs");
        self.up.end("after SIGTERM")
    }

    /// Starts the server again on the data of the last one.
    #[track_caller]
    pub fn restart(&mut self) {
        self.up = Up::start(&self.folder, &self.options, self.registry.as_ref());
        self.up.until_says(&self.folder, "kubeconfig");
        self.api = Api::of(&self.kubeconfig());
        self.until_usable();
    }

    /// `podo down --purge`, and that nothing is left of it.
    #[track_caller]
    pub fn down(&mut self) {
        let ran = self.podo(&["down", "--purge"]);
        let ended = catch_unwind(AssertUnwindSafe(|| self.up.end("after podo down")));
        if ended.is_err() {
            // Nothing of a failed test may go on.
            let _gone = self.up.child.kill();
            let _reaped = self.up.child.wait();
        }
        self.registry = None;
        ran.ok();
        until("nothing is left after podo down", Duration::from_secs(5), || {
            let mut left = leaks::of(&self.instance(), &self.folder);
            left.extend(self.data_dir().exists().then(|| "the data directory".to_owned()));
            if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
        });
        if let Err(panic) = ended {
            resume_unwind(panic);
        }
    }

    /// Shows the end of what the cluster wrote, and its Pods.
    pub fn show(&self) {
        for pod in self.all("/api/v1/pods") {
            note(&format!("pod {}: {:#}", pod["metadata"]["name"], pod["status"]));
        }
        for event in self.all("/api/v1/events") {
            let about = &event["involvedObject"]["name"];
            note(&format!("event of {about}: {} {}", event["reason"], event["message"]));
        }
        let key = self.data_dir().join("pki/service-account.key");
        note(&format!("the key of tokens is {}", if key.exists() { "there" } else { "missing" }));
        show_logs(&self.folder);
    }

    /// The objects of a collection, if the server answers.
    fn all(&self, collection: &str) -> Vec<Value> {
        let list = self.api.call("GET", collection, &[], bytes::Bytes::new());
        let list =
            self.api.block_on(async { tokio::time::timeout(Duration::from_secs(2), list).await });
        let list = list.ok().and_then(Result::ok).map(|list| list.json()).unwrap_or_default();
        list["items"].as_array().cloned().unwrap_or_default()
    }
}

/// Puts the binary into the folder: a name of its own shows which processes are this cluster's.
fn give_binary(folder: &Path, binary: &Path) {
    let own = folder.join("podo");
    if !own.exists() {
        fs::hard_link(binary, &own)
            .or_else(|_| fs::copy(binary, &own).map(|_| ()))
            .expect("the binary can be copied");
    }
}

fn show_logs(folder: &Path) {
    for name in ["up.out", "up.err"] {
        let text = fs::read(folder.join(name)).unwrap_or_default();
        let tail = text.get(text.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        note(&format!("--- {name}\n{}", String::from_utf8_lossy(tail)));
    }
}

impl Up {
    fn start(folder: &Path, options: &Options, registry: Option<&Registry>) -> Self {
        let open = |name: &str| {
            File::options()
                .create(true)
                .append(true)
                .open(folder.join(name))
                .expect("a log can be written")
        };
        let mut command = Command::new(folder.join("podo"));
        command.arg("up").arg("--data-dir").arg(folder.join("data"));
        command.arg(format!("--listen=127.0.0.1:{}", options.ports.0));
        command.arg(format!("--kubelet-port={}", options.ports.1));
        command.arg(format!("--node-name={NODE}")).arg(format!("--node-ip={HOST}"));
        command.args(
            registry.map(|registry| format!("--registry-mirror=docker.io={}", registry.url())),
        );
        command.args(&options.args);
        let log = std::env::var("PODO_TEST_LOG").unwrap_or_else(|_| "info".to_owned());
        let mut child = command
            .env("RUST_LOG", log)
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(open("up.err"))
            .spawn()
            .expect("podo can be run");
        let (says, said) = sync_channel(LINES_MAX);
        let out = child.stdout.take().expect("asked for");
        let copy = open("up.out");
        std::thread::spawn(move || forward(out, copy, &says));
        Self { child, said }
    }

    /// Waits for a line with a text.
    #[track_caller]
    fn until_says(&mut self, folder: &Path, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    show_logs(folder);
                    self.child.kill().expect("the server runs");
                    panic!("podo up did not say {text:?} within {} s", PATIENCE.as_secs());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    show_logs(folder);
                    panic!("podo up ended: {:?}", self.child.wait());
                }
            }
        }
    }

    #[track_caller]
    fn end(&mut self, when: &str) -> ExitStatus {
        until(&format!("the server ends {when}"), PATIENCE, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it goes on".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }
}

fn forward(out: impl std::io::Read, mut copy: File, says: &SyncSender<String>) {
    for line in BufReader::new(out).lines().map_while(Result::ok) {
        // The test may be over; the log is for people.
        let _full = writeln!(copy, "{line}");
        let _over = says.try_send(line);
    }
}
