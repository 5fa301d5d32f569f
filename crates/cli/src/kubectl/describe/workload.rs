//! What makes Pods: ReplicaSets, Deployments, StatefulSets, DaemonSets, Jobs and CronJobs.

use serde_json::Value;

use super::super::fault::Fault;
use super::super::pods::{pod_kind, selector_of};
use super::super::select::{Select, list_all};
use super::super::time::{human, rfc1123z};
use super::super::value::{Look, object_mut, pairs, shown};
use super::Subject;
use super::page::Page;
use super::pod::{selector_text, template};

/// The most characters of completed indexes, as kubectl shows.
const INDEXES_MAX: usize = 50;

/// How many Pods of a workload are in each phase, in words.
async fn statuses(subject: &Subject<'_>) -> String {
    match phases(subject).await {
        Ok([running, waiting, succeeded, failed]) => {
            format!(
                "{running} Running / {waiting} Waiting / {succeeded} Succeeded / {failed} Failed"
            )
        }
        Err(fault) => format!("error in fetching pods: {fault}"),
    }
}

async fn phases(subject: &Subject<'_>) -> Result<[usize; 4], Fault> {
    let selector = selector_of(subject.object)?;
    let select = Select { selector: Some(&selector), ..Select::default() };
    let kind = pod_kind(subject.ctx).await?;
    let pods = list_all(subject.ctx, kind, Some(subject.object.namespace()), &select).await?;
    let uid = subject.object.s("/metadata/uid");
    let mut counts = [0; 4];
    for pod in &pods {
        let owner =
            pod.list("/metadata/ownerReferences").iter().find(|owner| owner.b("/controller"));
        if owner.is_none_or(|owner| owner.s("/uid") != uid) {
            continue; // Pods that only happen to have the labels.
        }
        let phase = ["Running", "Pending", "Succeeded", "Failed"];
        if let Some(index) = phase.iter().position(|phase| *phase == pod.s("/status/phase")) {
            counts[index] += 1;
        }
    }
    Ok(counts)
}

pub(super) async fn replicas(subject: &Subject<'_>) -> Result<Page, Fault> {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    let is_controller = object.s("/kind") == "ReplicationController";
    let selector = object.at("/spec/selector");
    page.pair(
        0,
        "Selector",
        if is_controller { pairs(selector, "<none>") } else { selector_text(selector) },
    );
    page.labels(object);
    page.annotations(object);
    if !is_controller {
        page.controller(object);
    }
    let (current, desired) = (object.i("/status/replicas"), object.i("/spec/replicas"));
    page.pair(0, "Replicas", format!("{current} current / {desired} desired"));
    page.pair(0, "Pods Status", statuses(subject).await);
    template(&mut page, object.at("/spec/template"));
    page.conditions(object);
    subject.events(&mut page);
    Ok(page)
}

pub(super) async fn deployment(subject: &Subject<'_>) -> Result<Page, Fault> {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.pair(0, "CreationTimestamp", rfc1123z(object.s("/metadata/creationTimestamp")));
    page.labels(object);
    page.annotations(object);
    page.pair(0, "Selector", selector_text(object.at("/spec/selector")));
    let status = |field: &str| object.i(&format!("/status/{field}"));
    page.pair(
        0,
        "Replicas",
        format!(
            "{} desired | {} updated | {} total | {} available | {} unavailable",
            object.i("/spec/replicas"),
            status("updatedReplicas"),
            status("replicas"),
            status("availableReplicas"),
            status("unavailableReplicas")
        ),
    );
    page.pair(0, "StrategyType", object.s("/spec/strategy/type"));
    page.pair(0, "MinReadySeconds", object.i("/spec/minReadySeconds").to_string());
    if let Some(rolling) = object.at("/spec/strategy/rollingUpdate") {
        let part = |field: &str| rolling.get(field).map(shown).unwrap_or_default();
        let text =
            format!("{} max unavailable, {} max surge", part("maxUnavailable"), part("maxSurge"));
        page.pair(0, "RollingUpdateStrategy", text);
    }
    template(&mut page, object.at("/spec/template"));
    page.conditions(object);
    let sets = replica_sets(subject.ctx, object).await?;
    if !sets.is_empty() {
        let (new, old): (Vec<&Value>, Vec<&Value>) =
            sets.iter().partition(|set| is_current(object, set));
        page.pair(0, "OldReplicaSets", set_names(&old));
        page.pair(0, "NewReplicaSet", set_names(&new[..new.len().min(1)]));
    }
    subject.events(&mut page);
    Ok(page)
}

/// The ReplicaSets of a Deployment, oldest first.
pub(in super::super) async fn replica_sets(
    ctx: &super::Ctx,
    deployment: &Value,
) -> Result<Vec<Value>, Fault> {
    let selector = selector_of(deployment)?;
    let select = Select { selector: Some(&selector), ..Select::default() };
    let Some(kind) = ctx.discovery().await?.by_group_kind("apps", "ReplicaSet") else {
        return Ok(Vec::new());
    };
    let mut sets = list_all(ctx, kind, Some(deployment.namespace()), &select).await?;
    let uid = deployment.s("/metadata/uid");
    sets.retain(|set| {
        let owner =
            set.list("/metadata/ownerReferences").iter().find(|owner| owner.b("/controller"));
        owner.is_some_and(|owner| owner.s("/uid") == uid)
    });
    sets.sort_by_key(|set| set.s("/metadata/creationTimestamp").to_owned());
    Ok(sets)
}

/// Whether a ReplicaSet has the Deployment's present template.
pub(in super::super) fn is_current(deployment: &Value, set: &Value) -> bool {
    let mut own = set.at("/spec/template").cloned().unwrap_or_default();
    if own["metadata"]["labels"].is_object() {
        object_mut(&mut own["metadata"]["labels"]).remove("pod-template-hash");
    }
    deployment.at("/spec/template") == Some(&own)
}

fn set_names(sets: &[&Value]) -> String {
    let names: Vec<String> = sets
        .iter()
        .map(|set| {
            let (made, wanted) = (set.i("/status/replicas"), set.i("/spec/replicas"));
            format!("{} ({made}/{wanted} replicas created)", set.name())
        })
        .collect();
    if names.is_empty() { "<none>".into() } else { names.join(", ") }
}

pub(super) async fn stateful_set(subject: &Subject<'_>) -> Result<Page, Fault> {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.pair(0, "CreationTimestamp", rfc1123z(object.s("/metadata/creationTimestamp")));
    page.pair(0, "Selector", selector_text(object.at("/spec/selector")));
    page.labels(object);
    page.annotations(object);
    page.pair_if(0, "Service Name", object.s("/spec/serviceName"));
    page.pair_if(0, "Pod Management Policy", object.s("/spec/podManagementPolicy"));
    let (wanted, made) = (object.i("/spec/replicas"), object.i("/status/replicas"));
    page.pair(0, "Replicas", format!("{wanted} desired | {made} total"));
    page.pair(0, "Update Strategy", object.s("/spec/updateStrategy/type"));
    if let Some(partition) = object.at("/spec/updateStrategy/rollingUpdate/partition") {
        page.pair(1, "Partition", shown(partition));
        if let Some(most) = object.at("/spec/updateStrategy/rollingUpdate/maxUnavailable") {
            page.pair(1, "MaxUnavailable", shown(most));
        }
    }
    if let Some(policy) = object.at("/spec/persistentVolumeClaimRetentionPolicy") {
        page.line(0, "Persistent Volume Claim Retention Policy:");
        page.pair(1, "WhenDeleted", policy.s("/whenDeleted"));
        page.pair(1, "WhenScaled", policy.s("/whenScaled"));
    }
    page.pair(0, "Pods Status", statuses(subject).await);
    template(&mut page, object.at("/spec/template"));
    let claims = object.list("/spec/volumeClaimTemplates");
    if claims.is_empty() {
        page.pair(0, "Volume Claims", "<none>");
    } else {
        page.line(0, "Volume Claims:");
    }
    for claim in claims {
        page.pair(1, "Name", claim.name());
        page.pair(1, "StorageClass", claim.s("/spec/storageClassName"));
        page.map("  ", "Labels", claim.at("/metadata/labels"));
        page.map("  ", "Annotations", claim.at("/metadata/annotations"));
        let capacity =
            claim.at("/spec/resources/requests/storage").map_or("<default>".into(), shown);
        page.pair(1, "Capacity", capacity);
        let modes: Vec<String> = claim.list("/spec/accessModes").iter().map(shown).collect();
        page.pair(1, "Access Modes", format!("[{}]", modes.join(" ")));
    }
    subject.events(&mut page);
    Ok(page)
}

pub(super) async fn daemon_set(subject: &Subject<'_>) -> Result<Page, Fault> {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.pair(0, "Selector", selector_text(object.at("/spec/selector")));
    page.pair(0, "Node-Selector", pairs(object.at("/spec/template/spec/nodeSelector"), "<none>"));
    page.labels(object);
    page.annotations(object);
    let rows = [
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ];
    for (label, field) in rows {
        page.line(0, format!("{label}: {}", object.i(&format!("/status/{field}"))));
    }
    page.pair(0, "Pods Status", statuses(subject).await);
    template(&mut page, object.at("/spec/template"));
    subject.events(&mut page);
    Ok(page)
}

pub(super) fn job(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.pair(0, "Selector", selector_text(object.at("/spec/selector")));
    page.labels(object);
    page.annotations(object);
    page.controller(object);
    let optional = |page: &mut Page, label: &str, pointer: &str, unit: &str| {
        if let Some(value) = object.at(pointer) {
            page.pair(0, label, format!("{}{unit}", shown(value)));
        }
    };
    optional(&mut page, "Parallelism", "/spec/parallelism", "");
    page.pair(0, "Completions", object.at("/spec/completions").map_or("<unset>".into(), shown));
    optional(&mut page, "Completion Mode", "/spec/completionMode", "");
    optional(&mut page, "Suspend", "/spec/suspend", "");
    optional(&mut page, "Backoff Limit", "/spec/backoffLimit", "");
    optional(&mut page, "TTL Seconds After Finished", "/spec/ttlSecondsAfterFinished", "");
    let (start, end) = (object.s("/status/startTime"), object.s("/status/completionTime"));
    page.pair_if(0, "Start Time", &if start.is_empty() { String::new() } else { rfc1123z(start) });
    page.pair_if(0, "Completed At", &if end.is_empty() { String::new() } else { rfc1123z(end) });
    let moments = (podo_base::Timestamp::parse(start), podo_base::Timestamp::parse(end));
    if let (Some(start), Some(end)) = moments {
        page.pair(0, "Duration", human(end.as_seconds() - start.as_seconds()));
    }
    optional(&mut page, "Active Deadline Seconds", "/spec/activeDeadlineSeconds", "s");
    let count = |field: &str| object.i(&format!("/status/{field}"));
    let ready = match object.at("/status/ready") {
        Some(ready) => format!(" ({} Ready)", shown(ready)),
        None => String::new(),
    };
    page.pair(
        0,
        "Pods Statuses",
        format!(
            "{} Active{ready} / {} Succeeded / {} Failed",
            count("active"),
            count("succeeded"),
            count("failed")
        ),
    );
    if object.s("/spec/completionMode") == "Indexed" {
        let indexes = object.s("/status/completedIndexes");
        let text = match indexes {
            "" => "<none>".to_owned(),
            all if all.len() <= INDEXES_MAX => all.to_owned(),
            all => match all[..INDEXES_MAX].rfind(',') {
                Some(end) => format!("{},...", &all[..end]),
                None => format!("{}...", &all[..INDEXES_MAX]),
            },
        };
        page.pair(0, "Completed Indexes", text);
    }
    template(&mut page, object.at("/spec/template"));
    subject.events(&mut page);
    page
}

pub(super) fn cron_job(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.labels(object);
    page.annotations(object);
    page.pair(0, "Schedule", object.s("/spec/schedule"));
    page.pair(0, "Concurrency Policy", object.s("/spec/concurrencyPolicy"));
    let unset = |pointer: &str, unit: &str| {
        object.at(pointer).map_or("<unset>".to_owned(), |value| format!("{}{unit}", shown(value)))
    };
    let suspend = object.at("/spec/suspend").and_then(Value::as_bool);
    page.pair(0, "Suspend", suspend.map_or("<unset>", super::page::truth));
    page.pair(0, "Time Zone", unset("/spec/timeZone", ""));
    page.pair(0, "Successful Job History Limit", unset("/spec/successfulJobsHistoryLimit", ""));
    page.pair(0, "Failed Job History Limit", unset("/spec/failedJobsHistoryLimit", ""));
    page.pair(0, "Starting Deadline Seconds", unset("/spec/startingDeadlineSeconds", "s"));
    let job = object.at("/spec/jobTemplate/spec").cloned().unwrap_or_default();
    page.pair(
        0,
        "Selector",
        match job.at("/selector") {
            Some(selector) => selector_text(Some(selector)),
            None => "<unset>".into(),
        },
    );
    let of_job = |pointer: &str| job.at(pointer).map_or("<unset>".into(), shown);
    page.pair(0, "Parallelism", of_job("/parallelism"));
    page.pair(0, "Completions", of_job("/completions"));
    if let Some(deadline) = job.at("/activeDeadlineSeconds") {
        page.pair(0, "Active Deadline Seconds", format!("{}s", shown(deadline)));
    }
    template(&mut page, job.at("/template"));
    let last = object.s("/status/lastScheduleTime");
    page.pair(
        0,
        "Last Schedule Time",
        if last.is_empty() { "<unset>".into() } else { rfc1123z(last) },
    );
    let active: Vec<&str> =
        object.list("/status/active").iter().map(|job| job.s("/name")).collect();
    page.pair(
        0,
        "Active Jobs",
        if active.is_empty() { "<none>".into() } else { active.join(", ") },
    );
    subject.events(&mut page);
    page
}
