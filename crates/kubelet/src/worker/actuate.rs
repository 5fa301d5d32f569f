//! Putting in force what a running Pod was given anew: its cgroup widens first, then its containers change, then its cgroup narrows.
//!
//! Source of the rules: Kubernetes v1.36 `kuberuntime` (`doPodResizeAction`, `validateMemoryResizeAction`).

use std::collections::BTreeMap;

use podo_cri::v1;

use super::jobs::Job;
use super::outcome::Outcome;
use crate::container::resources::{self, Amounts};
use crate::pod::PodView;
use crate::resize::{Allocation, Held};
use crate::runtime::{CALL_TIMEOUT, bounded};

/// What is to be put in force.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) sandbox_id: String,
    pub(crate) allocation: Allocation,
    /// Containers that run and are changed as they run: name and id.
    pub(crate) containers: Vec<(String, String)>,
    /// The Pod's cgroup has room for what containers had and for what they are to have.
    pub(crate) is_widened: bool,
    /// Nothing else is to be changed: the Pod's cgroup gets what it is to have.
    pub(crate) is_last: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Changed {
    /// What containers have from now on.
    pub(crate) has: Vec<(String, Held)>,
    pub(crate) is_last: bool,
    /// It is what the Pod was given last.
    pub(crate) is_current: bool,
    pub(crate) generation: Option<i64>,
    pub(crate) error: Option<String>,
}

/// Puts it in force.
pub(crate) async fn resize(job: Job, change: Change) -> Outcome {
    let mut has = Vec::new();
    let error = try_resize(&job, &change, &mut has).await.err();
    let generation = change.allocation.progress().and_then(|progress| progress.generation);
    Outcome::Resized(Changed { has, is_last: change.is_last, is_current: true, generation, error })
}

async fn try_resize(
    job: &Job,
    change: &Change,
    has: &mut Vec<(String, Held)>,
) -> Result<(), String> {
    let Some(progress) = change.allocation.progress() else { return Ok(()) };
    refuse_below_usage(job, change).await?;
    let target = resources::of_pod(&job.pod);
    let widest = progress.widest.put_into(target.clone());
    if !change.is_widened {
        set_pod(job, &change.sandbox_id, widest.clone()).await?;
    }
    for (name, id) in &change.containers {
        let Some((role, container)) = job.pod.container(name) else { continue };
        let linux = resources::of_container(&job.pod, role, container, &job.ctx.facts);
        let request = v1::UpdateContainerResourcesRequest {
            container_id: id.clone(),
            linux: Some(lifted(linux)),
            ..v1::UpdateContainerResourcesRequest::default()
        };
        let update = job.ctx.runtime.cri().update_container_resources(request);
        bounded(CALL_TIMEOUT, update).await.map_err(|error| error.to_string())?;
        has.push((name.clone(), Held::of(&job.pod, container)));
    }
    if change.is_last && widest != target {
        set_pod(job, &change.sandbox_id, target).await?;
    }
    Ok(())
}

async fn set_pod(
    job: &Job,
    sandbox_id: &str,
    resources: v1::LinuxContainerResources,
) -> Result<(), String> {
    let request = v1::UpdatePodSandboxResourcesRequest {
        pod_sandbox_id: sandbox_id.to_owned(),
        resources: Some(lifted(resources)),
        overhead: None,
    };
    let update = job.ctx.runtime.cri().update_pod_sandbox_resources(request);
    bounded(CALL_TIMEOUT, update).await.map(drop).map_err(|error| error.to_string())
}

/// What has no limit any more, where 0 would leave the limit as it was: to the runtime less than zero is none.
fn lifted(mut resources: v1::LinuxContainerResources) -> v1::LinuxContainerResources {
    for limit in [
        &mut resources.cpu_quota,
        &mut resources.memory_limit_in_bytes,
        &mut resources.memory_swap_limit_in_bytes,
    ] {
        if *limit == 0 {
            *limit = -1;
        }
    }
    resources
}

/// A limit of memory is not lowered below what is used: the kernel would end processes for it.
async fn refuse_below_usage(job: &Job, change: &Change) -> Result<(), String> {
    let lowered = lowered(&job.pod, change);
    if lowered.is_empty() {
        return Ok(());
    }
    let request = v1::PodSandboxStatsRequest { pod_sandbox_id: change.sandbox_id.clone() };
    let stats = bounded(CALL_TIMEOUT, job.ctx.runtime.cri().pod_sandbox_stats(request)).await;
    let stats = stats.map_err(|error| format!("cannot decrease memory limits: {error}"))?.stats;
    let used = usage(stats.and_then(|stats| stats.linux).unwrap_or_default());
    let problems: Vec<String> = lowered
        .into_iter()
        .filter_map(|(name, limit)| {
            let used = *used.get(&name)?;
            let what = match name.as_str() {
                "" => "pod".to_owned(),
                name => format!("container {name:?}"),
            };
            (u64::try_from(limit).ok()? < used).then(|| {
                format!(
                    "attempting to set {what} memory limit ({limit}) below current usage ({used})"
                )
            })
        })
        .collect();
    match problems.as_slice() {
        [] => Ok(()),
        [one] => Err(format!("cannot decrease memory limits: {one}")),
        all => Err(format!("cannot decrease memory limits: [{}]", all.join(", "))),
    }
}

/// The limits of memory that are to be lowered, by container; the Pod's own has no name.
fn lowered(pod: &PodView, change: &Change) -> Vec<(String, i64)> {
    let mut lowered = Vec::new();
    let mut add = |name: &str, old: i64, new: i64| {
        if new > 0 && (old == 0 || new < old) {
            lowered.push((name.to_owned(), new));
        }
    };
    if let Some(progress) = change.allocation.progress().filter(|_| change.is_last) {
        add("", progress.widest.memory_limit, Amounts::of_pod(pod).memory_limit);
    }
    for (name, _) in &change.containers {
        let container = pod.container(name).map(|(_, container)| container);
        if let Some((container, has)) = container.zip(change.allocation.before(name)) {
            let new = Amounts::of_container(pod, container).memory_limit;
            add(name, has.amounts.memory_limit, new);
        }
    }
    lowered
}

/// Memory in use in bytes, by container; the Pod's own has no name.
fn usage(stats: v1::LinuxPodSandboxStats) -> BTreeMap<String, u64> {
    let bytes = |memory: Option<v1::MemoryUsage>| Some(memory?.usage_bytes?.value);
    let of_pod = bytes(stats.memory).map(|used| (String::new(), used));
    let containers = stats.containers.into_iter().filter_map(|one| {
        let name = one.attributes?.metadata?.name;
        Some((name, bytes(one.memory)?))
    });
    of_pod.into_iter().chain(containers).collect()
}
