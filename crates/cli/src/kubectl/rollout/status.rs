//! `rollout status`.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::Instant;

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, quoted};
use super::super::select::Item;
use super::super::time::parse_duration;
use super::super::value::Look;
use super::super::wait::{Seen, Watched};
use super::Targets;

/// Show how a change goes on
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    targets: Targets,
    /// Wait until it is done
    #[arg(short, long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    watch: bool,
    /// How long to wait; 0 is for ever
    #[arg(long, default_value = "0s")]
    timeout: String,
    /// Wait for this revision only
    #[arg(long, default_value_t = 0)]
    revision: i64,
}

pub(super) async fn run(ctx: &Ctx, args: Status) -> Outcome {
    if args.revision < 0 {
        return Err(Fault::refused(format!(
            "revision must be a positive integer: {}",
            args.revision
        )));
    }
    let limit = parse_duration(&args.timeout).unwrap_or(Duration::ZERO);
    let deadline = (!limit.is_zero()).then(|| Instant::now() + limit);
    for item in args.targets.items(ctx).await? {
        let watched =
            Watched { ctx, resource: &item.resource, namespace: &item.namespace, name: &item.name };
        let look = |object: &Value| {
            let (text, is_done) = status_of(&item, object, args.revision)?;
            ctx.out(text)?;
            ctx.flush()?;
            Ok(if is_done || !args.watch { Seen::Done } else { Seen::NotYet })
        };
        match watched.until(deadline, look).await {
            Err(Fault::Refused(text)) if text.starts_with("timed out") => {
                return Err(Fault::refused("timed out waiting for the condition"));
            }
            other => other?,
        };
    }
    Ok(())
}

/// What to say of a workload, and whether its change is done.
fn status_of(item: &Item, object: &Value, revision: i64) -> Result<(String, bool), Fault> {
    match item.resource.kind.as_str() {
        "Deployment" => deployment(object, revision),
        "DaemonSet" => daemon_set(object),
        "StatefulSet" => stateful_set(object),
        _ => Err(Fault::refused(format!(
            "no status viewer has been implemented for {}",
            item.resource.kind
        ))),
    }
}

fn is_observed(object: &Value) -> bool {
    object.i("/metadata/generation") <= object.i("/status/observedGeneration")
}

fn deployment(object: &Value, revision: i64) -> Result<(String, bool), Fault> {
    let name = quoted(object.name());
    if revision > 0 {
        let annotations = object.at("/metadata/annotations");
        let own = annotations.and_then(|map| map.get("deployment.kubernetes.io/revision"));
        let own: i64 = own.and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(0);
        if own != revision {
            return Err(Fault::refused(format!(
                "desired revision ({revision}) is different from the running revision ({own})"
            )));
        }
    }
    if !is_observed(object) {
        return Ok(("Waiting for deployment spec update to be observed...\n".into(), false));
    }
    let mut conditions = object.list("/status/conditions").iter();
    if conditions
        .any(|c| c.s("/type") == "Progressing" && c.s("/reason") == "ProgressDeadlineExceeded")
    {
        return Err(Fault::refused(format!("deployment {name} exceeded its progress deadline")));
    }
    let count = |field: &str| object.i(&format!("/status/{field}"));
    let wanted = object.at("/spec/replicas").map_or(1, |_| object.i("/spec/replicas"));
    let (all, updated, available) =
        (count("replicas"), count("updatedReplicas"), count("availableReplicas"));
    let waiting = format!("Waiting for deployment {name} rollout to finish:");
    Ok(if updated < wanted {
        (format!("{waiting} {updated} out of {wanted} new replicas have been updated...\n"), false)
    } else if all > updated {
        (format!("{waiting} {} old replicas are pending termination...\n", all - updated), false)
    } else if available < updated {
        (format!("{waiting} {available} of {updated} updated replicas are available...\n"), false)
    } else {
        (format!("deployment {name} successfully rolled out\n"), true)
    })
}

fn daemon_set(object: &Value) -> Result<(String, bool), Fault> {
    if object.s("/spec/updateStrategy/type") != "RollingUpdate" {
        return Err(Fault::refused(
            "rollout status is only available for RollingUpdate strategy type",
        ));
    }
    if !is_observed(object) {
        return Ok(("Waiting for daemon set spec update to be observed...\n".into(), false));
    }
    let name = quoted(object.name());
    let count = |field: &str| object.i(&format!("/status/{field}"));
    let wanted = count("desiredNumberScheduled");
    let (updated, available) = (count("updatedNumberScheduled"), count("numberAvailable"));
    let waiting = format!("Waiting for daemon set {name} rollout to finish:");
    Ok(if updated < wanted {
        (format!("{waiting} {updated} out of {wanted} new pods have been updated...\n"), false)
    } else if available < wanted {
        (format!("{waiting} {available} of {wanted} updated pods are available...\n"), false)
    } else {
        (format!("daemon set {name} successfully rolled out\n"), true)
    })
}

fn stateful_set(object: &Value) -> Result<(String, bool), Fault> {
    if object.s("/spec/updateStrategy/type") != "RollingUpdate" {
        return Err(Fault::refused(
            "rollout status is only available for RollingUpdate strategy type",
        ));
    }
    if object.i("/status/observedGeneration") == 0 || !is_observed(object) {
        return Ok(("Waiting for statefulset spec update to be observed...\n".into(), false));
    }
    let count = |field: &str| object.i(&format!("/status/{field}"));
    let wanted = object.i("/spec/replicas");
    let (ready, updated) = (count("readyReplicas"), count("updatedReplicas"));
    if ready < wanted {
        return Ok((format!("Waiting for {} pods to be ready...\n", wanted - ready), false));
    }
    if let Some(partition) =
        object.at("/spec/updateStrategy/rollingUpdate/partition").and_then(Value::as_i64)
        && partition > 0
    {
        if updated < wanted - partition {
            let text = format!(
                "Waiting for partitioned roll out to finish: {updated} out of {} new pods have been updated...\n",
                wanted - partition
            );
            return Ok((text, false));
        }
        return Ok((
            format!("partitioned roll out complete: {updated} new pods have been updated...\n"),
            true,
        ));
    }
    let revision = object.s("/status/updateRevision");
    if revision != object.s("/status/currentRevision") {
        let text = format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {revision}...\n"
        );
        return Ok((text, false));
    }
    let current = count("currentReplicas");
    let revision = object.s("/status/currentRevision");
    Ok((
        format!("statefulset rolling update complete {current} pods at revision {revision}...\n"),
        true,
    ))
}
