//! [`FakeCri`]: a runtime in memory. Containers run until they are told to end; images are there or can be pulled, or not.

mod verbs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use podo_base::Clock;
use podo_cri::{Answer, Code, CriError, v1};
use tokio::sync::{broadcast, watch};

/// Names, labels and the like are those of the protocol; see [`podo_cri::Cri`].
pub struct FakeCri {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    events: broadcast::Sender<Arc<v1::ContainerEventResponse>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    sandboxes: BTreeMap<String, (v1::PodSandboxConfig, v1::PodSandboxStatus)>,
    containers: BTreeMap<String, Made>,
    images: BTreeSet<String>,
    pullable: BTreeSet<String>,
    /// Containers of these names end at once, with these codes in turn.
    scripts: BTreeMap<String, Vec<i32>>,
    /// Verbs that fail, with the text, so many times.
    failures: BTreeMap<&'static str, (u32, String)>,
    /// Containers of these names do not end when they are asked to.
    deaf: BTreeSet<String>,
    /// Bytes of memory in use by containers of these names.
    used: BTreeMap<String, u64>,
    calls: Vec<String>,
}

struct Made {
    sandbox_id: String,
    config: v1::ContainerConfig,
    status: v1::ContainerStatus,
}

impl std::fmt::Debug for FakeCri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeCri").finish_non_exhaustive()
    }
}

impl FakeCri {
    /// An empty runtime.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let (events, _none) = broadcast::channel(1024);
        let changed = watch::Sender::new(0);
        Arc::new(Self { clock, state: Mutex::default(), events, changed })
    }

    /// Makes an image present.
    pub fn add_image(&self, name: &str) {
        self.state.lock().images.insert(name.to_owned());
    }

    /// Makes an image one that can be pulled.
    pub fn add_pullable(&self, name: &str) {
        self.state.lock().pullable.insert(name.to_owned());
    }

    /// Lets the next containers of a name end as soon as they begin, with these codes in turn.
    pub fn script(&self, container: &str, exit_codes: &[i32]) {
        self.state.lock().scripts.insert(container.to_owned(), exit_codes.to_vec());
    }

    /// Lets a verb, named as its call is, fail so many times.
    pub fn fail(&self, verb: &'static str, times: u32, message: &str) {
        self.state.lock().failures.insert(verb, (times, message.to_owned()));
    }

    /// Lets containers of a name use so much memory.
    pub fn use_memory(&self, container: &str, bytes: u64) {
        self.state.lock().used.insert(container.to_owned(), bytes);
    }

    /// Lets containers of a name take no notice of being asked to end.
    pub fn deafen(&self, container: &str) {
        self.state.lock().deaf.insert(container.to_owned());
    }

    /// Ends the running container of a name. Without `tells` nobody hears of it.
    pub fn exit(&self, container: &str, exit_code: i32, tells: bool) {
        let id = {
            let state = self.state.lock();
            let running = i32::from(v1::ContainerState::Running);
            let mut all = state.containers.iter();
            all.find(|(_, made)| {
                made.status.state == running && made.config.metadata_name() == container
            })
            .map(|(id, _)| id.clone())
        };
        if let Some(id) = id {
            self.end(&id, exit_code, tells);
        }
    }

    /// Takes the sandboxes of all Pods away, as a restart of the machine does.
    pub fn lose_sandboxes(&self) {
        let ids: Vec<String> = self.state.lock().sandboxes.keys().cloned().collect();
        for id in ids {
            self.stop_sandbox(&id);
            self.tell(&id);
        }
    }

    /// What was called so far that changes something, as `verb name`.
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().calls.clone()
    }

    /// The configuration of the newest container of a name.
    pub fn config(&self, container: &str) -> Option<v1::ContainerConfig> {
        let state = self.state.lock();
        let of_name = |made: &&Made| made.config.metadata_name() == container;
        state
            .containers
            .values()
            .filter(of_name)
            .max_by_key(|made| made.status.created_at)
            .map(|made| made.config.clone())
    }

    /// The configuration of the newest sandbox.
    pub fn sandbox_config(&self) -> Option<v1::PodSandboxConfig> {
        let state = self.state.lock();
        let newest = state.sandboxes.values().max_by_key(|(_, status)| status.created_at);
        newest.map(|(config, _)| config.clone())
    }

    /// Waits until a call was made so many times, in all.
    pub async fn called(&self, call: &str, times: usize) {
        let mut changed = self.changed.subscribe();
        let count = || self.state.lock().calls.iter().filter(|made| *made == call).count();
        // The sender lives as long as `self`.
        let _never_closed = changed.wait_for(|_| count() >= times).await;
    }

    fn nanos(&self) -> i64 {
        self.clock.now().as_micros() * 1000
    }

    fn note(&self, call: String) {
        self.state.lock().calls.push(call);
        self.changed.send_modify(|count| *count += 1);
    }

    fn failure(&self, verb: &'static str) -> Result<(), CriError> {
        let mut state = self.state.lock();
        match state.failures.get_mut(verb) {
            Some((times, message)) if *times > 0 => {
                *times -= 1;
                Err(CriError::new(Code::Internal, message.clone()))
            }
            _ => Ok(()),
        }
    }

    fn next_id(&self, prefix: &str) -> String {
        let mut state = self.state.lock();
        state.next_id += 1;
        format!("{prefix}{:04}", state.next_id)
    }

    fn end(&self, id: &str, exit_code: i32, tells: bool) {
        let now = self.nanos();
        let sandbox_id = {
            let mut state = self.state.lock();
            let Some(made) = state.containers.get_mut(id) else { return };
            if made.status.state != i32::from(v1::ContainerState::Running) {
                return;
            }
            made.status.state = v1::ContainerState::Exited.into();
            made.status.exit_code = exit_code;
            made.status.finished_at = now;
            let reason = if exit_code == 0 { "Completed" } else { "Error" };
            reason.clone_into(&mut made.status.reason);
            made.sandbox_id.clone()
        };
        if tells {
            self.tell(&sandbox_id);
        }
    }

    fn stop_sandbox(&self, id: &str) {
        let inside: Vec<String> = {
            let state = self.state.lock();
            let inside = state.containers.iter().filter(|(_, made)| made.sandbox_id == id);
            inside.map(|(id, _)| id.clone()).collect()
        };
        for container in inside {
            self.end(&container, 137, false);
        }
        if let Some((_, status)) = self.state.lock().sandboxes.get_mut(id) {
            status.state = v1::PodSandboxState::NotReady.into();
        }
    }

    fn tell(&self, sandbox_id: &str) {
        let status = self.state.lock().sandboxes.get(sandbox_id).map(|(_, status)| status.clone());
        let event = v1::ContainerEventResponse {
            pod_sandbox_status: status,
            ..v1::ContainerEventResponse::default()
        };
        // Nobody has to listen.
        let _nobody = self.events.send(Arc::new(event));
    }

    fn start(&self, id: &str) -> Result<(), CriError> {
        let now = self.nanos();
        let (name, sandbox_id, script) = {
            let mut state = self.state.lock();
            let made = state.containers.get_mut(id);
            let made = made.ok_or_else(|| CriError::not_found("container", id))?;
            made.status.state = v1::ContainerState::Running.into();
            made.status.started_at = now;
            let name = made.config.metadata_name().to_owned();
            let sandbox_id = made.sandbox_id.clone();
            let script = state.scripts.get_mut(&name);
            let script = script.filter(|codes| !codes.is_empty()).map(|codes| codes.remove(0));
            (name, sandbox_id, script)
        };
        self.note(format!("start {name}"));
        match script {
            Some(exit_code) => self.end(id, exit_code, true),
            None => self.tell(&sandbox_id),
        }
        Ok(())
    }
}

trait MetadataName {
    fn metadata_name(&self) -> &str;
}

impl MetadataName for v1::ContainerConfig {
    fn metadata_name(&self) -> &str {
        self.metadata.as_ref().map_or("", |metadata| metadata.name.as_str())
    }
}

/// Shares, quota and memory, as calls show them.
fn amounts(linux: Option<&v1::LinuxContainerResources>) -> String {
    linux.map_or_else(String::new, |all| {
        format!("{} {} {}Mi", all.cpu_shares, all.cpu_quota, all.memory_limit_in_bytes >> 20)
    })
}

fn done<T: Send + 'static>(answer: Result<T, CriError>) -> Answer<'static, T> {
    Box::pin(std::future::ready(answer))
}

fn not_built<T: Send + 'static>() -> Answer<'static, T> {
    done(Err(CriError::new(Code::Unimplemented, "the runtime in memory cannot do that")))
}

fn matches(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}
