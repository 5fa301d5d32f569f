//! [`Kubelet`]: the node agent put together, started and stopped.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use podo_api::Object;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_base::{Clock, Stop, TaskEnd, Tasks};
use podo_client::informer::{self, Cache, Change};
use podo_client::{Client, Query};
use podo_cri::{Cri, CriError, RuntimeEvent, v1};

use crate::config::KubeletConfig;
use crate::container::dns::Resolver;
use crate::container::downward::NodeFacts;
use crate::container::labels;
use crate::container::user_namespace::UserNamespaces;
use crate::context::{Context, Repairs};
use crate::events::{Recorder, Writer};
use crate::handle::KubeletHandle;
use crate::images::Images;
use crate::images::pull_records::PullRecords;
use crate::node::facts::MachineFacts;
use crate::pods::Registry;
use crate::qos_cgroups::{self, ClassCgroups};
use crate::resize::{Allocation, checkpoint};
use crate::runtime::Runtime;
use crate::sources::Sources;
use crate::volumes::{KernelMounter, Mounter, Tokens, Volumes};
use crate::worker::{Worker, view_of};
use crate::{node, sweep};

/// How long the tasks have to end. Containers go on: they are other processes.
const STOP_BUDGET: Duration = Duration::from_secs(10);
/// After the runtime's events could not be had, the next attempt.
const EVENTS_RETRY: Duration = Duration::from_secs(1);
/// After a worker panicked, its Pod is taken up again.
const PANIC_RETRY: Duration = Duration::from_secs(10);

/// Why the node agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The runtime does not answer.
    #[error("container runtime does not answer")]
    Runtime(#[source] CriError),
    /// A folder cannot be made.
    #[error("cannot make folder {path:?}")]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The node agent.
pub struct Kubelet {
    ctx: Arc<Context>,
    machine: MachineFacts,
    events: Writer,
    cgroups: Option<Arc<dyn ClassCgroups>>,
}

impl std::fmt::Debug for Kubelet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubelet").field("node", &self.ctx.config.node_name).finish_non_exhaustive()
    }
}

impl Kubelet {
    /// Makes a node agent on a runtime that answers. Nothing runs before [`Kubelet::run`].
    pub async fn start(
        config: KubeletConfig,
        client: Client,
        cri: Arc<dyn Cri>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        Self::with_mounter(config, client, cri, clock, Arc::new(KernelMounter)).await
    }

    /// The same with other means to mount, for tests without root.
    pub async fn with_mounter(
        config: KubeletConfig,
        client: Client,
        cri: Arc<dyn Cri>,
        clock: Arc<dyn Clock>,
        mounter: Arc<dyn Mounter>,
    ) -> Result<Self, StartError> {
        let folders = [(config.root_dir.join("pods"), 0o750), (config.log_dir.join("pods"), 0o755)];
        for (path, mode) in folders {
            use std::os::unix::fs::DirBuilderExt as _;
            let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(&path);
            made.map_err(|source| StartError::Folder { path, source })?;
        }
        let runtime = Runtime::connect(cri, &config.root_dir, &config.log_dir)
            .await
            .map_err(StartError::Runtime)?;
        let machine = MachineFacts::read(&config);
        let (recorder, events) =
            Recorder::new(Arc::clone(&clock), client.clone(), &config.node_name);
        let registry = Arc::new(Registry::new(machine.allocatable.clone()));
        let told = Arc::clone(&registry);
        let notify: crate::sources::Notify = Arc::new(move |uid: &str| {
            told.tell(uid, |inbox| inbox.have_sources_changed = true);
        });
        let facts = NodeFacts {
            name: config.node_name.clone(),
            ips: config.node_ips.iter().map(ToString::to_string).collect(),
            allocatable: machine.allocatable.clone(),
            memory_bytes: machine.memory_bytes,
        };
        let tokens = Tokens::new(client.clone(), Arc::clone(&clock));
        let host_resolver = std::fs::read_to_string(&config.resolv_conf).unwrap_or_default();
        let path = config.root_dir.join("image_manager");
        let records =
            PullRecords::open(&path).map_err(|source| StartError::Folder { path, source })?;
        let path = config.root_dir.join("pods");
        let user_namespaces =
            UserNamespaces::open(&path).map_err(|source| StartError::Folder { path, source })?;
        let images = Images::new(
            runtime.clone(),
            recorder.clone(),
            Arc::clone(&clock),
            records,
            config.parallel_pulls,
        );
        let ctx = Context {
            client: client.clone(),
            images,
            user_namespaces,
            volumes: Volumes::new(config.root_dir.clone(), mounter, tokens),
            sources: Sources::new(client, notify),
            recorder,
            registry,
            pods: Cache::new(),
            services: Cache::new(),
            node: Cache::new(),
            facts: Arc::new(facts),
            labels: node::labels(&config),
            repairs: Repairs::default(),
            host_resolver: Resolver::parse(&host_resolver),
            runtime,
            clock,
            config,
        };
        Ok(Self { ctx: Arc::new(ctx), machine, events, cgroups: None })
    }

    /// Lets the node agent set the cgroups above those of its Pods; without it they are as the runtime makes them.
    #[must_use]
    pub fn with_cgroups(mut self, cgroups: Arc<dyn ClassCgroups>) -> Self {
        self.cgroups = Some(cgroups);
        self
    }

    /// What the node's HTTPS server needs.
    pub fn handle(&self) -> KubeletHandle {
        KubeletHandle::new(Arc::clone(&self.ctx))
    }

    /// Runs until `stop`. Containers go on afterwards. An error says which part ended uninvited.
    pub async fn run(self, stop: Stop) -> Result<(), TaskEnd> {
        let Self { ctx, machine, events, cgroups } = self;
        let mut tasks = Tasks::new("kubelet");
        let workers = Arc::new(Workers { ctx: Arc::clone(&ctx), tasks: Mutex::new(None) });
        *workers.tasks.lock() = Some(Tasks::new("pod workers"));
        let events_tasks = {
            let mut tasks = Tasks::new("kubelet events");
            let signal = tasks.stop_signal();
            tasks.spawn("events", events.run(signal));
            tasks
        };
        if let Some(cgroups) = cgroups {
            let memory_bytes = machine.memory_bytes;
            let run =
                qos_cgroups::run(Arc::clone(&ctx), memory_bytes, cgroups, tasks.stop_signal());
            tasks.spawn("qos classes", run);
        }
        spawn_parts(&mut tasks, &ctx, machine, &workers);
        let ended = tokio::select! {
            biased;
            () = stop.requested() => Ok(()),
            end = tasks.first_exit() => Err(end),
        };
        // In reverse order: nobody starts new workers, workers end, what they use ends.
        tasks.stop(STOP_BUDGET).await;
        let pods = workers.tasks.lock().take();
        if let Some(pods) = pods {
            pods.stop(STOP_BUDGET).await;
        }
        ctx.sources.stop().await;
        events_tasks.stop(STOP_BUDGET).await;
        ended
    }
}

fn spawn_parts(
    tasks: &mut Tasks,
    ctx: &Arc<Context>,
    machine: MachineFacts,
    workers: &Arc<Workers>,
) {
    let stop = tasks.stop_signal();
    let client = || ctx.client.clone();
    // Subscribed before the first worker looks: no change falls between.
    let (subscribed, is_subscribed) = tokio::sync::watch::channel(false);
    tasks.spawn("runtime events", runtime_events(Arc::clone(ctx), subscribed, stop.clone()));
    tasks.spawn("node", node::run(Arc::clone(ctx), machine, stop.clone()));
    tasks.spawn("lease", node::renew(Arc::clone(ctx), stop.clone()));
    let name = &ctx.config.node_name;
    let query = Query::fields(format!("metadata.name={name}"));
    let cache = Arc::clone(&ctx.node);
    let ignore = || -> informer::Handler { Box::new(|_change| {}) };
    tasks.spawn(
        "node informer",
        informer::run::<k8s::Node>(client(), query, cache, ignore(), stop.clone()),
    );
    let cache = Arc::clone(&ctx.services);
    tasks.spawn(
        "service informer",
        informer::run::<k8s::Service>(client(), Query::default(), cache, ignore(), stop.clone()),
    );
    let query = Query::fields(format!("spec.nodeName={name}"));
    let (cache, workers) = (Arc::clone(&ctx.pods), Arc::clone(workers));
    let handler: informer::Handler = Box::new(move |change| workers.dispatch(change));
    let (pods_client, pods_stop) = (client(), stop.clone());
    tasks.spawn("pod informer", async move {
        let mut is_subscribed = is_subscribed;
        let subscribed = async { is_subscribed.wait_for(|is| *is).await.is_ok() };
        if pods_stop.or(subscribed).await != Some(true) {
            return;
        }
        informer::run::<k8s::Pod>(pods_client, query, cache, handler, pods_stop).await;
    });
    tasks.spawn("sweep", sweep::run(Arc::clone(ctx), stop));
}

/// Passes the runtime's events on to the workers of their Pods.
async fn runtime_events(
    ctx: Arc<Context>,
    subscribed: tokio::sync::watch::Sender<bool>,
    stop: Stop,
) {
    let mut is_first = true;
    loop {
        let request = v1::GetEventsRequest::default();
        match stop.or(ctx.runtime.cri().container_events(request)).await {
            None => return,
            Some(Ok(mut events)) => {
                if !is_first {
                    Repairs::count(&ctx.repairs.lost_streams);
                    // What happened in between was told to nobody.
                    ctx.registry.tell_all(|inbox| inbox.has_runtime_changed = true);
                }
                is_first = false;
                subscribed.send_replace(true);
                loop {
                    match stop.or(events.next()).await {
                        None => return,
                        Some(Some(event)) => pass_on(&ctx, &event),
                        Some(None) => break,
                    }
                }
            }
            Some(Err(error)) => tracing::warn!(%error, "runtime events not to be had"),
        }
        if !stop.sleep(EVENTS_RETRY).await {
            return;
        }
    }
}

fn pass_on(ctx: &Context, event: &RuntimeEvent) {
    let uid = match event {
        RuntimeEvent::Lost(count) => {
            tracing::warn!(count, "runtime events were lost");
            None
        }
        RuntimeEvent::Event(event) => {
            let sandbox = event.pod_sandbox_status.as_ref();
            let of_sandbox = sandbox.and_then(|status| status.metadata.as_ref());
            let of_containers = event
                .containers_statuses
                .iter()
                .find_map(|status| status.labels.get(labels::POD_UID));
            of_sandbox.map(|metadata| metadata.uid.as_str()).or(of_containers.map(String::as_str))
        }
    };
    match uid {
        Some(uid) => {
            ctx.registry.tell(uid, |inbox| inbox.has_runtime_changed = true);
        }
        // Nobody can say whose it is: everybody looks.
        None => ctx.registry.tell_all(|inbox| inbox.has_runtime_changed = true),
    }
}

/// Starts a worker per Pod and tells workers what the server says of their Pods.
struct Workers {
    ctx: Arc<Context>,
    tasks: Mutex<Option<Tasks>>,
}

impl Workers {
    fn dispatch(self: &Arc<Self>, change: &Change) {
        let uid = |object: &Option<Arc<Object>>| object.as_ref().map(|object| object.uid.clone());
        let (old, new) = (uid(&change.old), uid(&change.new));
        if let Some(old) = &old
            && new.as_ref() != Some(old)
        {
            // A Pod of the same name is another Pod.
            self.ctx.registry.tell(old, |inbox| inbox.is_gone = true);
        }
        let Some(object) = &change.new else { return };
        let is_told = self.ctx.registry.tell(&object.uid, |inbox| {
            inbox.pod = Some(Arc::clone(object));
        });
        if !is_told {
            self.add(object);
        }
    }

    fn add(self: &Arc<Self>, object: &Arc<Object>) {
        let Some(pod) = view_of(object) else { return };
        // What was admitted before has what it was given, which may not be what it asks for now.
        let noted = checkpoint::read(&self.ctx.config.pod_dir(pod.uid()));
        let allocation = noted.unwrap_or_else(|| Allocation::of(&pod));
        let Some(place) = self.ctx.registry.add(&allocation.view(&pod)) else { return };
        let mut tasks = self.tasks.lock();
        let Some(tasks) = tasks.as_mut() else { return };
        let stop = tasks.stop_signal();
        let name = format!("pod {}/{}", object.namespace, object.name);
        let worker =
            Worker::new(Arc::clone(&self.ctx), place, pod, allocation, object.resource_version);
        let (this, object) = (Arc::clone(self), Arc::clone(object));
        tasks.spawn(name, async move {
            let run = AssertUnwindSafe(worker.run(stop.clone())).catch_unwind();
            if run.await.is_ok() {
                return;
            }
            // One Pod's worker must not take its neighbours along.
            tracing::error!(?object, "pod worker panicked and will begin again");
            // Meanwhile it keeps its place: what nobody has a place for is removed from the node.
            if stop.sleep(PANIC_RETRY).await {
                this.ctx.registry.remove(&object.uid);
                let newest = this.ctx.pods.get(&object.namespace, &object.name);
                if let Some(newest) = newest.filter(|newest| newest.uid == object.uid) {
                    this.add(&newest);
                }
            }
        });
    }
}
