//! Carrying out what a [`super::machine::Machine`] commands: one function per command, each ending in its outcome.
//!
//! Doors for what comes next: `postStart` belongs after [`start`]'s last step, `preStop` before [`stop`]'s first, probes begin
//! where a start has succeeded.

use std::sync::Arc;
use std::time::Duration;

use podo_api::Status;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_base::Chain;
use podo_client::Deletion;
use podo_cri::{CriError, Reason, v1};

use super::mounts::{self, MountInput};
use super::outcome::{Outcome, StartFailure};
use super::plan::Removal;
use crate::blocking;
use crate::container::config::{ContainerInput, config};
use crate::container::env::{EnvInput, Fetched, environment};
use crate::container::hosts::{self, HostName};
use crate::container::sandbox::{self, SandboxInput};
use crate::container::security::SecurityInput;
use crate::context::Context;
use crate::events::Subject;
use crate::images::pull_secrets::pull_secrets;
use crate::images::{ImageError, ImageRequest, PresentImage, PullPolicy};
use crate::pod::{PodView, Role};
use crate::runtime::{CALL_TIMEOUT, bounded};
use crate::sources::Wanted;
use crate::status::Waiting;
use crate::volumes::VolumeInput;

/// How long a container that could not be configured or made waits for the next attempt, unless something changes before.
const RETRY: Duration = Duration::from_secs(10);

/// What a job is about.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) ctx: Arc<Context>,
    pub(crate) pod: Arc<PodView>,
}

/// A container to start.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) restart_count: u32,
    pub(crate) sandbox_id: String,
    pub(crate) sandbox_attempt: u32,
    pub(crate) pod_ips: Vec<String>,
    /// The container whose processes an ephemeral one is to see; empty if none.
    pub(crate) target_id: String,
}

/// Why a start failed: the word for it and the text.
pub(super) struct Failed {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Failed {
    pub(super) fn config(error: &(dyn std::error::Error + 'static)) -> Self {
        Self { reason: "CreateContainerConfigError", message: Chain(error).to_string() }
    }
}

impl From<Failed> for StartFailure {
    fn from(failed: Failed) -> Self {
        let waiting = Waiting { reason: failed.reason.to_owned(), message: failed.message };
        Self { waiting, retry_in: RETRY, later: None }
    }
}

impl From<ImageError> for StartFailure {
    fn from(error: ImageError) -> Self {
        let later =
            error.meanwhile.map(|(reason, message)| Waiting { reason: reason.to_owned(), message });
        Self {
            waiting: Waiting { reason: error.reason.to_owned(), message: error.message },
            retry_in: error.retry_in,
            later,
        }
    }
}

/// Sets up the volumes.
pub(crate) async fn set_up_volumes(job: Job) -> Outcome {
    let Job { ctx, pod } = job;
    let dir = ctx.config.pod_dir(pod.uid());
    if let Err(error) = blocking::run(move || mounts::make_dir(&dir, 0o750)).await {
        let message = format!("error making pod data directories: {error}");
        ctx.recorder.warning(Subject::pod(&pod), "FailedMountVolume", message);
        return Outcome::Volumes { refresh_at: None, is_ok: false };
    }
    let fetched = fetch(&ctx, &pod).await;
    let input = VolumeInput {
        pod: Arc::clone(&pod),
        fetched: Arc::new(fetched),
        node: Arc::clone(&ctx.facts),
    };
    let done = ctx.volumes.set_up(input).await;
    for failed in &done.failed {
        ctx.recorder.warning(Subject::pod(&pod), "FailedMount", failed.message.as_str());
    }
    Outcome::Volumes { refresh_at: done.refresh_at, is_ok: done.failed.is_empty() }
}

async fn fetch(ctx: &Context, pod: &PodView) -> Fetched {
    ctx.sources.fetch(pod.namespace(), &Wanted::of(pod)).await
}

/// Stops sandboxes that are not to be used any more.
pub(crate) async fn stop_sandboxes(job: Job, ids: Vec<String>) -> Outcome {
    let message = "Pod sandbox changed, it will be killed and re-created.";
    job.ctx.recorder.normal(Subject::pod(&job.pod), "SandboxChanged", message);
    let stopped = stop_all(&job, &ids).await;
    Outcome::SandboxesStopped { is_ok: stopped.len() == ids.len(), ids: stopped }
}

/// Makes a sandbox.
pub(crate) async fn run_sandbox(job: Job, attempt: u32) -> Outcome {
    let Job { ctx, pod } = job;
    let (of, at) = (Arc::clone(&ctx), Arc::clone(&pod));
    // A range of user ids that the Pod gets is written down.
    let config = blocking::run(move || sandbox_config(&of, &at, attempt)).await;
    let made = match config {
        Ok(config) => {
            let request =
                v1::RunPodSandboxRequest { config: Some(config), runtime_handler: String::new() };
            let run = bounded(CALL_TIMEOUT, ctx.runtime.cri().run_pod_sandbox(request)).await;
            run.map(|_| ()).map_err(|error| error.to_string())
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &made {
        let message = format!("Failed to create pod sandbox: {error}");
        ctx.recorder.warning(Subject::pod(&pod), "FailedCreatePodSandBox", message);
    }
    Outcome::Sandbox
}

fn sandbox_config(
    ctx: &Context,
    pod: &PodView,
    attempt: u32,
) -> Result<v1::PodSandboxConfig, String> {
    let log_dir = ctx.config.pod_log_dir(pod.namespace(), pod.name(), pod.uid());
    let host_name = host_name(ctx, pod)?;
    let resolver = ctx.resolver(pod);
    let id_range = ctx.id_range(pod).map_err(|error| format!("no user namespace: {error}"))?;
    let input = SandboxInput {
        id_range,
        attempt,
        log_dir: &log_dir,
        host_name: &host_name,
        resolver: &resolver,
        cgroup_root: &ctx.config.cgroup_root,
        seccomp_root: &ctx.seccomp_root(),
    };
    sandbox::config(pod, input).map_err(|error| error.to_string())
}

pub(super) fn host_name(ctx: &Context, pod: &PodView) -> Result<HostName, String> {
    hosts::host_name(pod, &ctx.config.cluster_domain).map_err(|error| error.to_string())
}

/// Makes and starts a container: image, configuration, creation, start.
pub(crate) async fn start(job: Job, start: Start) -> Outcome {
    let name = start.name.clone();
    let failure = try_start(&job.ctx, &job.pod, start).await.err();
    Outcome::Started { name, failure }
}

async fn try_start(
    ctx: &Arc<Context>,
    pod: &Arc<PodView>,
    start: Start,
) -> Result<(), StartFailure> {
    let Some((_, container)) = pod.container(&start.name) else { return Ok(()) };
    let subject = Subject::container(pod, start.role, &start.name);
    let fetched = fetch(ctx, pod).await;
    let failed = |reason: &str, text: &str| {
        ctx.recorder.warning(subject.clone(), reason, format!("Error: {text}"));
    };
    let images =
        get_images(ctx, pod, start.role, container, &fetched).await.inspect_err(|error| {
            failed("Failed", error.reason);
        })?;
    let config = configure(ctx, pod, container, &start, &fetched, &images).await;
    let config = config.inspect_err(|error| failed("Failed", &error.message))?;

    let sandbox_config = sandbox_config(ctx, pod, start.sandbox_attempt)
        .map_err(|message| Failed { reason: "CreateContainerConfigError", message })?;
    let request = v1::CreateContainerRequest {
        pod_sandbox_id: start.sandbox_id.clone(),
        config: Some(config),
        sandbox_config: Some(sandbox_config),
    };
    let made = bounded(CALL_TIMEOUT, ctx.runtime.cri().create_container(request)).await;
    let made = made.map_err(|error| {
        failed("Failed", error.message());
        Failed { reason: create_problem(&error), message: error.to_string() }
    })?;
    ctx.recorder.normal(subject.clone(), "Created", "Container created");

    let request = v1::StartContainerRequest { container_id: made.container_id };
    let started = bounded(CALL_TIMEOUT, ctx.runtime.cri().start_container(request)).await;
    started.map_err(|error| {
        failed("Failed", error.message());
        let failed =
            StartFailure::from(Failed { reason: "RunContainerError", message: error.to_string() });
        match error.reason() {
            // It has ended, and waits as any container that ended does.
            Reason::StartError { .. } => StartFailure { retry_in: Duration::ZERO, ..failed },
            _ => failed,
        }
    })?;
    ctx.recorder.normal(subject, "Started", "Container started");
    Ok(())
}

fn create_problem(error: &CriError) -> &'static str {
    match error.reason() {
        Reason::ImageVolumeMount => "ImageVolumeMountFailed",
        _ => "CreateContainerError",
    }
}

/// Images of a container: its own, and those that it mounts, by volume.
struct ContainerImages {
    own: PresentImage,
    mounted: Vec<(String, PresentImage)>,
}

async fn get_images(
    ctx: &Context,
    pod: &PodView,
    role: Role,
    container: &k8s::Container,
    fetched: &Fetched,
) -> Result<ContainerImages, ImageError> {
    let (secrets, missing) = pull_secrets(pod, fetched);
    if !missing.is_empty() {
        let message = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            missing.join(", ")
        );
        ctx.recorder.warning(Subject::pod(pod), "FailedToRetrieveImagePullSecret", message);
    }
    let request = |image, policy: Option<&str>| ImageRequest {
        pod,
        subject: Subject::container(pod, role, &container.name),
        image,
        policy: PullPolicy::parse(policy),
        secrets: &secrets,
    };
    let mut mounted: Vec<(String, PresentImage)> = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let source = pod.volume(&mount.name).and_then(|volume| volume.image.as_ref());
        let Some(source) = source.filter(|_| mounted.iter().all(|(name, _)| *name != mount.name))
        else {
            continue;
        };
        let image = source.reference.as_deref().unwrap_or_default();
        let request = request(image, source.pull_policy.as_deref());
        mounted.push((mount.name.clone(), ctx.images.ensure(request).await?));
    }
    let image = container.image.as_deref().unwrap_or_default();
    let own = ctx.images.ensure(request(image, container.image_pull_policy.as_deref())).await?;
    Ok(ContainerImages { own, mounted })
}

/// What the container is to be.
async fn configure(
    ctx: &Arc<Context>,
    pod: &Arc<PodView>,
    container: &k8s::Container,
    start: &Start,
    fetched: &Fetched,
    images: &ContainerImages,
) -> Result<v1::ContainerConfig, Failed> {
    let services = ctx.service_variables(pod).await.map_err(|message| Failed {
        reason: "CreateContainerConfigError",
        message: message.to_owned(),
    })?;
    let input = EnvInput {
        pod,
        pod_dir: &ctx.config.pod_dir(pod.uid()),
        pod_ips: &start.pod_ips,
        node: &ctx.facts,
        fetched,
        services: &services,
    };
    let environment = environment(container, input).map_err(|error| Failed::config(&error))?;
    for message in &environment.skipped {
        let reason = "InvalidEnvironmentVariableNames";
        ctx.recorder.warning(Subject::pod(pod), reason, message.as_str());
    }
    let sub_paths = mounts::sub_paths(container, &environment)?;
    let input = MountInput {
        ctx: Arc::clone(ctx),
        pod: Arc::clone(pod),
        start: start.clone(),
        sub_paths,
        images: images.mounted.clone(),
    };
    let mounts = blocking::run(move || mounts::make(&input)).await?;
    let seccomp_root = ctx.seccomp_root();
    let input = ContainerInput {
        restart_count: start.restart_count,
        image_ref: &images.own.reference,
        environment: &environment,
        mounts: &mounts,
        node: &ctx.facts,
        security: SecurityInput {
            image_user: &images.own.user,
            target_id: &start.target_id,
            id_range: ctx.id_range(pod).map_err(|error| Failed::config(&error))?,
            seccomp_root: &seccomp_root,
            is_seccomp_default: ctx.config.is_seccomp_default,
        },
    };
    config(pod, start.role, container, input).map_err(|error| Failed::config(&error))
}

/// Stops a container.
pub(crate) async fn stop(
    job: Job,
    role: Role,
    id: String,
    name: String,
    message: String,
    grace: i64,
) -> Outcome {
    let subject = Subject::container(&job.pod, role, &name);
    job.ctx.recorder.normal(subject, "Killing", message);
    let stopped = job.ctx.runtime.stop_container(&id, grace).await;
    if let Err(error) = &stopped {
        tracing::warn!(pod = job.pod.full_name(), container = name, %error, "container not stopped");
    }
    Outcome::Stopped { id, is_ok: stopped.is_ok() }
}

/// Stops the sandboxes, then takes the volumes down: while something of the Pod is alive it could put links in the way.
pub(crate) async fn clean_up(job: Job, sandboxes: Vec<String>) -> Outcome {
    if stop_all(&job, &sandboxes).await.len() < sandboxes.len() {
        return Outcome::CleanedUp { is_ok: false };
    }
    let Job { ctx, pod } = job;
    let volumes = ctx.volumes.tear_down(pod.uid()).await.inspect_err(|error| {
        tracing::warn!(pod = pod.full_name(), %error, "volumes not taken down");
    });
    Outcome::CleanedUp { is_ok: volumes.is_ok() }
}

/// Stops sandboxes; returns those that are stopped.
async fn stop_all(job: &Job, ids: &[String]) -> Vec<String> {
    let Job { ctx, pod } = job;
    let stops = ids.iter().map(async |id| match ctx.runtime.stop_sandbox(id).await {
        Ok(()) => Some(id.clone()),
        Err(error) => {
            let message = format!("error killing pod: failed to \"KillPodSandbox\": {error}");
            ctx.recorder.warning(Subject::pod(pod), "FailedKillPod", message);
            None
        }
    });
    futures_util::future::join_all(stops).await.into_iter().flatten().collect()
}

/// Removes every trace of a Pod from the node.
pub(crate) async fn remove(job: Job, sandboxes: Vec<String>) -> Outcome {
    let Job { ctx, pod } = job;
    let (uid, namespace, name) = (pod.uid(), pod.namespace(), pod.name());
    let removed = remove_traces(&ctx, uid, namespace, name, &sandboxes).await;
    ctx.sources.forget(uid);
    ctx.images.forget(uid);
    Outcome::Removed { is_ok: removed }
}

/// Removes sandboxes, folders and logs of a Pod.
pub(crate) async fn remove_traces(
    ctx: &Context,
    uid: &str,
    namespace: &str,
    name: &str,
    sandboxes: &[String],
) -> bool {
    let mut is_ok = true;
    for id in sandboxes {
        if let Err(error) = ctx.runtime.remove_sandbox(id).await {
            is_ok = false;
            tracing::warn!(uid, sandbox = id, %error, "sandbox not removed");
        }
    }
    match ctx.volumes.remove_all(uid).await {
        Ok(()) => ctx.user_namespaces.release(uid),
        Err(error) => {
            is_ok = false;
            tracing::warn!(uid, %error, "pod folder not removed");
        }
    }
    if !name.is_empty() {
        let logs = ctx.config.pod_log_dir(namespace, name, uid);
        match tokio::task::spawn_blocking(move || std::fs::remove_dir_all(logs)).await {
            Ok(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(uid, %error, "logs not removed");
            }
            _ => {}
        }
    }
    is_ok
}

/// Tells the server that the Pod may go: it was stopped and removed here.
pub(crate) async fn confirm(job: Job) -> Outcome {
    let Job { ctx, pod } = job;
    let deletion =
        Deletion { grace_seconds: Some(0), uid: Some(pod.uid().to_owned()), ..Deletion::default() };
    let deleted = ctx.client.delete::<k8s::Pod>(pod.namespace(), pod.name(), &deletion).await;
    let is_ok = match deleted {
        Ok(()) => true,
        // It is gone, or its name is another Pod's now.
        Err(status) if is_settled(&status) => true,
        Err(status) => {
            tracing::debug!(pod = pod.full_name(), error = %status, "pod not deleted");
            false
        }
    };
    Outcome::Confirmed { is_ok }
}

fn is_settled(status: &Status) -> bool {
    status.is_not_found() || status.is_conflict()
}

/// Ends containers at once, without their grace period, and removes them one after the other.
pub(crate) async fn remove_all(job: Job, removals: Vec<Removal>) -> Outcome {
    let stops = removals.iter().filter(|removal| removal.is_alive).map(|removal| {
        let Removal { id, name, .. } = removal.clone();
        let role = job.pod.container(&name).map_or(Role::Main, |(role, _)| role);
        let message = format!("Stopping container {name}");
        stop(job.clone(), role, id, name, message, 0)
    });
    let stopped = futures_util::future::join_all(stops).await;
    let mut is_ok = stopped.iter().all(|one| matches!(one, Outcome::Stopped { is_ok: true, .. }));
    for Removal { id, name, .. } in removals.iter().filter(|_| is_ok) {
        if let Err(error) = job.ctx.runtime.remove_container(id).await {
            tracing::warn!(pod = job.pod.full_name(), container = name, %error, "container not removed");
            is_ok = false;
            break;
        }
    }
    Outcome::AllRemoved { is_ok }
}

/// Stops a container that is to be made anew, and forgets it if it never ran.
pub(crate) async fn replace(
    job: Job,
    role: Role,
    id: String,
    name: String,
    message: String,
    grace: i64,
) -> Outcome {
    let ctx = Arc::clone(&job.ctx);
    let outcome = stop(job, role, id.clone(), name, message, grace).await;
    let request = v1::ContainerStatusRequest { container_id: id.clone(), verbose: false };
    let status = bounded(CALL_TIMEOUT, ctx.runtime.cri().container_status(request)).await;
    let state = status.ok().and_then(|answer| answer.status).map(|status| status.state);
    if state == Some(v1::ContainerState::Created.into())
        && let Err(error) = ctx.runtime.remove_container(&id).await
    {
        tracing::warn!(container = id, %error, "container not removed");
    }
    outcome
}
