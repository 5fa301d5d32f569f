//! The slow look over everything: what no event told is repaired and counted, dead containers are cleared away.
//!
//! A count above zero is a fault: in a sound system every one of these finds nothing to repair.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use podo_base::Stop;
use podo_cri::{CriError, v1};

use crate::context::{Context, Repairs};
use crate::images::gc::{GcPolicy, Space};
use crate::observed::RunState;
use crate::runtime::{CALL_TIMEOUT, KnownPod, bounded};
use crate::worker::jobs;

/// Looks over everything again and again.
pub(crate) async fn run(ctx: Arc<Context>, stop: Stop) {
    // Pods that are not known are orphans only once all Pods are.
    if stop.or(ctx.pods.synced()).await.is_none() {
        return;
    }
    let mut suspects = BTreeMap::new();
    loop {
        let swept = async {
            if let Err(error) = remove_orphans(&ctx).await {
                tracing::warn!(%error, "orphans not looked for");
            }
            suspects = find_missed(&ctx, &suspects).await.unwrap_or_default();
            remove_dead(&ctx).await;
            let policy = GcPolicy::of(&ctx.config);
            if let Err(error) = ctx.images.collect(policy, &ctx.config.node_name, space).await {
                tracing::warn!(%error, "images not collected");
            }
        };
        if stop.or(swept).await.is_none() || !stop.sleep(ctx.config.repair_period).await {
            return;
        }
    }
}

/// Removes what the runtime and the disk have of Pods that the server does not know.
async fn remove_orphans(ctx: &Context) -> Result<(), CriError> {
    let mut known = ctx.runtime.known_pods().await?;
    for uid in ctx.volumes.known_pods() {
        known.entry(uid).or_default();
    }
    // Asked after the list: a Pod that came meanwhile has an entry by now.
    for (uid, pod) in known {
        if ctx.registry.contains(&uid) {
            continue;
        }
        Repairs::count(&ctx.repairs.orphans);
        tracing::warn!(uid, pod = pod.name, namespace = pod.namespace, "removing an orphan");
        remove_orphan(ctx, &uid, &pod).await;
    }
    Ok(())
}

async fn remove_orphan(ctx: &Context, uid: &str, pod: &KnownPod) {
    let stops = pod.alive.iter().map(|(id, grace)| ctx.runtime.stop_container(id, (*grace).max(1)));
    for stopped in futures_util::future::join_all(stops).await {
        if let Err(error) = stopped {
            tracing::warn!(uid, %error, "container of an orphan not stopped");
        }
    }
    for id in &pod.sandboxes {
        if let Err(error) = ctx.runtime.stop_sandbox(id).await {
            tracing::warn!(uid, %error, "sandbox of an orphan not stopped");
        }
    }
    jobs::remove_traces(ctx, uid, &pod.namespace, &pod.name, &pod.sandboxes).await;
}

/// Containers whose state the runtime and a worker see differently, twice in a row: the worker is told what no event told it.
async fn find_missed(
    ctx: &Context,
    before: &BTreeMap<String, i32>,
) -> Result<BTreeMap<String, i32>, CriError> {
    let request = v1::ListContainersRequest::default();
    let list = bounded(CALL_TIMEOUT, ctx.runtime.cri().list_containers(request)).await?;
    let now: BTreeMap<&str, i32> =
        list.containers.iter().map(|container| (container.id.as_str(), container.state)).collect();
    let mut suspects = BTreeMap::new();
    for shown in ctx.registry.all() {
        for record in &shown.observed.containers {
            let seen: i32 = match record.state {
                RunState::Created => v1::ContainerState::Created.into(),
                RunState::Running => v1::ContainerState::Running.into(),
                RunState::Exited => v1::ContainerState::Exited.into(),
                RunState::Unknown => v1::ContainerState::Unknown.into(),
            };
            // Gone counts as a state of its own.
            let state = now.get(record.id.as_str()).copied().unwrap_or(-1);
            if state == seen {
                continue;
            }
            if before.get(&record.id) == Some(&state) {
                Repairs::count(&ctx.repairs.missed_events);
                tracing::warn!(container = record.id, state, "an event was missed");
                ctx.registry.tell(shown.pod.uid(), |inbox| inbox.has_runtime_changed = true);
            }
            suspects.insert(record.id.clone(), state);
        }
    }
    Ok(suspects)
}

/// Forgets dead containers, but for the newest of each name, with their logs.
async fn remove_dead(ctx: &Context) {
    for shown in ctx.registry.all() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for record in &shown.observed.containers {
            if record.state != RunState::Exited {
                continue;
            }
            let count = counts.entry(&record.name).or_default();
            *count += 1;
            if *count <= ctx.config.dead_containers_kept {
                continue;
            }
            match ctx.runtime.remove_container(&record.id).await {
                Ok(()) => {
                    remove_log(&ctx.config.log_dir, Path::new(&record.log_path));
                    ctx.registry.tell(shown.pod.uid(), |inbox| inbox.has_runtime_changed = true);
                }
                Err(error) => {
                    tracing::warn!(container = record.id, %error, "container not removed");
                }
            }
        }
    }
}

/// Removes a log and what was put aside of it.
fn remove_log(log_dir: &Path, path: &Path) {
    if !path.starts_with(log_dir) {
        return;
    }
    let (Some(folder), Some(name)) =
        (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return;
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_of_it = entry.file_name().to_str().is_some_and(|found| {
            found.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        if is_of_it && let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::debug!(%error, "log not removed");
        }
    }
}

/// How full the file system of a path is.
fn space(path: &str) -> Option<Space> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(Space {
        capacity: found.f_blocks.checked_mul(found.f_frsize)?,
        available: found.f_bavail.checked_mul(found.f_frsize)?,
    })
}
