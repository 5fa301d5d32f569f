//! A node in memory: one Pod `p` in `default` with the container `c`, whose commands are known here.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use parking_lot::Mutex;
use podo_api::k8s_openapi::api::core::v1::Pod;
use podo_api::{Object, Reason, Status, schema};
use podo_base::{Clock as _, SystemClock, Tasks, Timestamp};
use podo_client::Client;
use podo_client::transport::{Payload, Reply, Request, Transport, WatchStream};
use podo_cri::{Code, CriError, ExecStreams, PortStream, TerminalSize, v1};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::{oneshot, watch};

use super::super::{ContainerTarget, LogBytes, Node};
use crate::logs::LogRequest;

/// What the node has seen.
pub(super) struct Facts {
    /// Logs that were asked for.
    pub(super) logs: Mutex<Vec<LogRequest>>,
    /// Streams of commands, ports and logs that live.
    pub(super) alive: watch::Sender<usize>,
    tasks: Mutex<Tasks>,
}

impl Facts {
    /// Waits until so many streams live.
    pub(super) async fn alive(&self, count: usize) {
        let mut alive = self.alive.subscribe();
        super::soon("the wanted number of streams", alive.wait_for(|alive| *alive == count))
            .await
            .unwrap();
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().spawn("task", task);
    }
}

/// Counts a stream while it lives.
struct Alive(Arc<Facts>);

impl Alive {
    fn new(facts: &Arc<Facts>) -> Self {
        facts.alive.send_modify(|count| *count += 1);
        Self(Arc::clone(facts))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.send_modify(|count| *count -= 1);
    }
}

pub(super) struct MemoryNode {
    pub(super) facts: Arc<Facts>,
    client: Client,
}

impl MemoryNode {
    pub(super) fn new() -> Self {
        let facts = Facts {
            logs: Mutex::default(),
            alive: watch::Sender::new(0),
            tasks: Mutex::new(Tasks::new("node")),
        };
        Self { facts: Arc::new(facts), client: Client::new(Arc::new(Reviews)) }
    }

    fn find(pod: &str) -> Result<(), Status> {
        let missing = || Status::failure(Reason::NotFound, "pod does not exist");
        (pod == "p").then_some(()).ok_or_else(missing)
    }

    /// A process' streams and what plays the process.
    fn process(&self, argv: &[String], tty: bool) -> ExecStreams {
        let (stdin, process_in) = duplex(1024);
        let (stdout, process_out) = duplex(1024);
        let (stderr, process_err) = duplex(1024);
        let (resize, sizes) = watch::channel(TerminalSize::default());
        let (ended, end) = oneshot::channel();
        let alive = Alive::new(&self.facts);
        let argv = argv.to_vec();
        self.facts.spawn(async move {
            let process =
                Process { stdin: process_in, stdout: process_out, stderr: process_err, sizes };
            let code = process.run(&argv).await;
            drop(alive);
            let _gone = ended.send(code);
        });
        ExecStreams {
            stdin: Some(Box::new(stdin)),
            stdout: Some(Box::new(stdout)),
            stderr: (!tty).then(|| Box::new(stderr) as podo_cri::ReadStream),
            resize: tty.then_some(resize),
            exit: async { Ok(end.await.unwrap_or(137)) }.boxed(),
        }
    }
}

struct Process {
    stdin: DuplexStream,
    stdout: DuplexStream,
    stderr: DuplexStream,
    sizes: watch::Receiver<TerminalSize>,
}

impl Process {
    async fn run(mut self, argv: &[String]) -> i32 {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["cat"] => {
                let _broken = tokio::io::copy(&mut self.stdin, &mut self.stdout).await;
                0
            }
            ["exit", code] => {
                let _gone = self.stdout.write_all(b"out").await;
                let _gone = self.stderr.write_all(b"err").await;
                code.parse().unwrap()
            }
            ["size"] => {
                let size = *self.sizes.wait_for(|size| size.width > 0).await.unwrap();
                let text = format!("{}x{}", size.width, size.height);
                let _gone = self.stdout.write_all(text.as_bytes()).await;
                0
            }
            ["flood", count] => {
                let count: u64 = count.parse().unwrap();
                let mut zeros = tokio::io::repeat(b'0').take(count);
                let _gone = tokio::io::copy(&mut zeros, &mut self.stdout).await;
                0
            }
            // Like a shell: it lives as long as its terminal or its input.
            _ => {
                let _gone = self.stdout.write_all(b"ready").await;
                let mut rest = Vec::new();
                let _ended = self.stdin.read_to_end(&mut rest).await;
                0
            }
        }
    }
}

impl Node for MemoryNode {
    fn node_name(&self) -> &'static str {
        "n"
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn client(&self) -> &Client {
        &self.client
    }

    fn pods(&self) -> Vec<Pod> {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}});
        vec![podo_api::typed(&pod).unwrap()]
    }

    fn container<'a>(
        &'a self,
        _namespace: &'a str,
        pod: &'a str,
        container: &'a str,
    ) -> BoxFuture<'a, Result<ContainerTarget, Status>> {
        async move {
            Self::find(pod)?;
            let missing = || {
                Status::failure(
                    Reason::InternalError,
                    format!("container not found ({container:?})"),
                )
            };
            (container == "c")
                .then(|| ContainerTarget { id: "c1".to_owned(), is_tty: false })
                .ok_or_else(missing)
        }
        .boxed()
    }

    fn sandbox<'a>(
        &'a self,
        _namespace: &'a str,
        pod: &'a str,
    ) -> BoxFuture<'a, Result<String, Status>> {
        async move { Self::find(pod).map(|()| "s1".to_owned()) }.boxed()
    }

    fn logs(&self, request: LogRequest) -> BoxFuture<'_, Result<LogBytes, Status>> {
        self.facts.logs.lock().push(request.clone());
        let alive = Alive::new(&self.facts);
        async move {
            if request.container == "waiting" {
                let text =
                    r#"container "waiting" in pod "p" is waiting to start: ContainerCreating"#;
                return Err(Status::bad_request(text));
            }
            let lines = stream::unfold((0, alive), move |(index, alive)| async move {
                match (index, request.follow) {
                    (0, _) => Some((Ok(Bytes::from_static(b"first\n")), (1, alive))),
                    (1, false) => Some((Ok(Bytes::from_static(b"last\n")), (2, alive))),
                    (_, false) => None,
                    (_, true) => std::future::pending().await,
                }
            });
            Ok(Box::pin(lines) as LogBytes)
        }
        .boxed()
    }

    fn exec(&self, request: v1::ExecRequest) -> BoxFuture<'_, Result<ExecStreams, CriError>> {
        let known = request.cmd.first().is_some_and(|name| name != "missing");
        let missing = || {
            CriError::new(Code::Internal, "exec: \"missing\": executable file not found in $PATH")
        };
        let answer = known.then(|| self.process(&request.cmd, request.tty)).ok_or_else(missing);
        async { answer }.boxed()
    }

    fn attach(&self, request: v1::AttachRequest) -> BoxFuture<'_, Result<ExecStreams, CriError>> {
        let streams = self.process(&["cat".to_owned()], request.tty);
        async { Ok(streams) }.boxed()
    }

    fn port_forward(
        &self,
        sandbox_id: String,
        port: u16,
    ) -> BoxFuture<'_, Result<PortStream, CriError>> {
        assert_eq!(sandbox_id, "s1");
        let (near, mut far) = duplex(1024);
        let alive = Alive::new(&self.facts);
        match port {
            // Echoes.
            7 => self.facts.spawn(async move {
                let (mut from, mut to) = tokio::io::split(far);
                let _broken = tokio::io::copy(&mut from, &mut to).await;
                let _gone = to.shutdown().await;
                drop(alive);
            }),
            // Speaks first, then closes.
            17 => self.facts.spawn(async move {
                let _gone = far.write_all(b"quote").await;
                drop(alive);
            }),
            _ => {
                let text = format!("dial tcp4 127.0.0.1:{port}: connect: connection refused");
                return async { Err(CriError::new(Code::Unavailable, text)) }.boxed();
            }
        }
        async { Ok(Box::new(near) as PortStream) }.boxed()
    }

    fn sandbox_stats(&self) -> BoxFuture<'_, Result<Vec<v1::PodSandboxStats>, CriError>> {
        async { Ok(vec![stats()]) }.boxed()
    }
}

fn stats() -> v1::PodSandboxStats {
    let cpu = v1::CpuUsage {
        timestamp: 1_700_000_000_000_000_000,
        usage_core_nano_seconds: Some(v1::UInt64Value { value: 1_500_000_000 }),
        ..v1::CpuUsage::default()
    };
    let memory = v1::MemoryUsage {
        timestamp: 1_700_000_000_000_000_000,
        working_set_bytes: Some(v1::UInt64Value { value: 4096 }),
        ..v1::MemoryUsage::default()
    };
    let container = v1::ContainerStats {
        attributes: Some(v1::ContainerAttributes {
            id: "c1".to_owned(),
            metadata: Some(v1::ContainerMetadata { name: "c".to_owned(), attempt: 0 }),
            ..v1::ContainerAttributes::default()
        }),
        cpu: Some(cpu.clone()),
        memory: Some(memory.clone()),
        ..v1::ContainerStats::default()
    };
    v1::PodSandboxStats {
        attributes: Some(v1::PodSandboxAttributes {
            id: "s1".to_owned(),
            metadata: Some(v1::PodSandboxMetadata {
                name: "p".to_owned(),
                uid: "u".to_owned(),
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            ..v1::PodSandboxAttributes::default()
        }),
        linux: Some(v1::LinuxPodSandboxStats {
            cpu: Some(cpu),
            memory: Some(memory),
            containers: vec![container],
            ..v1::LinuxPodSandboxStats::default()
        }),
    }
}

/// An API server that knows the tokens `scraper` and `reader`, and lets the user of the first read metrics.
struct Reviews;

impl Reviews {
    fn answer(request: Request) -> Object {
        let Payload::Object(mut review) = request.payload else { panic!("no review") };
        let spec = &review["spec"];
        let (ty, status) = match request.plural {
            "tokenreviews" => {
                let token = spec["token"].as_str().unwrap();
                let is_known = ["scraper", "reader"].contains(&token);
                let user = json!({"username": token, "groups": ["g"]});
                ("authentication/v1.TokenReview", json!({"authenticated": is_known, "user": user}))
            }
            "subjectaccessreviews" => {
                let wanted = &spec["resourceAttributes"];
                assert_eq!((&wanted["resource"], &wanted["name"]), (&json!("nodes"), &json!("n")));
                let is_allowed = spec["user"] == "scraper"
                    && wanted["subresource"] == "metrics"
                    && wanted["verb"] == "get";
                ("authorization/v1.SubjectAccessReview", json!({"allowed": is_allowed}))
            }
            other => panic!("nobody asks for {other}"),
        };
        review["status"] = status;
        let ty = schema::builtin().get(ty).expect("a known type");
        Object::new(&review, ty, Box::default())
    }
}

impl Transport for Reviews {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>> {
        let reply = Reply::Object(Arc::new(Self::answer(request)));
        async { Ok(reply) }.boxed()
    }

    fn watch(&self, _request: Request) -> BoxFuture<'_, Result<WatchStream, Status>> {
        unreachable!("nothing is watched")
    }
}
