//! The node's own objects: its Node, registered and kept up to date, and its Lease, renewed.
//!
//! Writes    the Node (at the start), `nodes/status` (when it changes, and every five minutes), the Lease (every ten seconds).
//! Holds always
//! - The Lease is renewed by a task of its own: nothing else of the node agent can delay it.
//! - What others wrote into the status (further resources, further conditions) stays.

pub(crate) mod facts;
mod lease;
pub(crate) mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podo_api::{Status, schema};
use podo_base::{Stop, Timestamp};
use podo_client::transport::PatchKind;
use podo_cri::v1;
use serde_json::json;

use crate::config::KubeletConfig;
use crate::container::dns;
use crate::context::Context;
use crate::events::Subject;
use crate::runtime::bounded;
use facts::MachineFacts;
pub(crate) use lease::renew;
use status::NodeInput;

/// How long the runtime may take to say how it is.
const RUNTIME_TIMEOUT: Duration = Duration::from_secs(10);
/// After the Node could not be registered, the next attempt.
const REGISTER_RETRY: Duration = Duration::from_secs(1);
/// How many images are listed (Kubernetes v1.36 `nodeStatusMaxImages`).
const IMAGES_MAX: usize = 50;
/// How many names of one image are listed.
const IMAGE_NAMES_MAX: usize = 5;

/// The labels that every node carries, and those of its configuration.
pub(crate) fn labels(config: &KubeletConfig) -> BTreeMap<String, String> {
    let arch = facts::architecture();
    let mut labels = config.node_labels.clone();
    for (key, value) in [
        ("beta.kubernetes.io/arch", arch),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("kubernetes.io/hostname", config.node_name.as_str()),
        ("kubernetes.io/os", "linux"),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// Registers the node, then keeps its status up to date.
pub(crate) async fn run(ctx: Arc<Context>, machine: MachineFacts, stop: Stop) {
    let node = || Subject::node(&ctx.config.node_name);
    ctx.recorder.normal(node(), "Starting", "Starting kubelet.");
    if ctx.config.cluster_dns.is_empty() {
        // Told once of the node, where upstream tells it of each Pod besides.
        ctx.recorder.warning(node(), "MissingClusterDNS", dns::MISSING);
    }
    let mut node = loop {
        match stop.or(register(&ctx, &machine)).await {
            None => return,
            Some(Ok(node)) => break node,
            Some(Err(error)) => {
                tracing::warn!(node = ctx.config.node_name, %error, "node not registered");
                if !stop.sleep(REGISTER_RETRY).await {
                    return;
                }
            }
        }
    };
    let mut reported_at = Timestamp::default();
    loop {
        match stop.or(report(&ctx, &machine, &node, reported_at)).await {
            None => return,
            Some(Ok(Some(new))) => {
                node = new;
                reported_at = ctx.clock.now();
            }
            Some(Ok(None)) => {}
            // Somebody removed it.
            Some(Err(error)) if error.is_not_found() => {
                match stop.or(register(&ctx, &machine)).await {
                    None => return,
                    Some(Ok(new)) => node = new,
                    Some(Err(error)) => tracing::warn!(%error, "node not registered again"),
                }
            }
            Some(Err(error)) => tracing::warn!(%error, "node status not written"),
        }
        if !stop.sleep(ctx.config.status_period).await {
            return;
        }
    }
}

/// Makes the Node, or brings the labels of the one that is there to what they must be.
async fn register(ctx: &Context, machine: &MachineFacts) -> Result<k8s::Node, Status> {
    let name = &ctx.config.node_name;
    if let Some(found) = ctx.client.find::<k8s::Node>("", name).await? {
        let found: k8s::Node = found.to().map_err(Status::internal)?;
        let old = found.metadata.labels.clone().unwrap_or_default();
        let changed: BTreeMap<&String, &String> =
            ctx.labels.iter().filter(|(key, value)| old.get(*key) != Some(value)).collect();
        if changed.is_empty() {
            return Ok(found);
        }
        let patch = json!({"metadata": {"labels": changed}});
        let kind = PatchKind::Strategic;
        let patched = ctx.client.patch::<k8s::Node>("", name, "", kind, patch).await?;
        return patched.to().map_err(Status::internal);
    }
    let annotations =
        [("volumes.kubernetes.io/controller-managed-attach-detach".to_owned(), "true".to_owned())];
    let spec = k8s::NodeSpec {
        pod_cidr: ctx.config.pod_cidr.clone(),
        pod_cidrs: ctx.config.pod_cidr.clone().map(|cidr| vec![cidr]),
        ..k8s::NodeSpec::default()
    };
    let node = k8s::Node {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some(ctx.labels.clone()),
            annotations: Some(annotations.into()),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: Some(new_status(ctx, machine, &k8s::NodeStatus::default()).await),
    };
    let made = ctx.client.create::<k8s::Node>("", &node).await?;
    tracing::info!(node = name, "registered");
    made.to().map_err(Status::internal)
}

/// Writes the node's status if it has changed or was not written for long.
async fn report(
    ctx: &Context,
    machine: &MachineFacts,
    node: &k8s::Node,
    reported_at: Timestamp,
) -> Result<Option<k8s::Node>, Status> {
    let name = &ctx.config.node_name;
    // The newest that is known: what others wrote must stay.
    let cached = ctx.node.get("", name).and_then(|node| node.to::<k8s::Node>().ok());
    let node = cached.as_ref().unwrap_or(node);
    let old = node.status.clone().unwrap_or_default();
    let new = new_status(ctx, machine, &old).await;
    let is_due = ctx.clock.now().since(reported_at) >= ctx.config.status_report_period;
    if !is_due && status::is_same(&old, &new) {
        return Ok(None);
    }
    for (reason, message) in status::transitions(name, &old, &new) {
        ctx.recorder.normal(Subject::node(name), reason, message);
    }
    let old = json!({"status": serde_json::to_value(&old).map_err(Status::internal)?});
    let new = json!({"status": serde_json::to_value(&new).map_err(Status::internal)?});
    let ty = schema::builtin().get("core/v1.Node");
    let ty = ty.ok_or_else(|| Status::internal("the schema has no Node"))?;
    let patch = podo_api::patch::strategic::create_two_way(&old, &new, ty);
    let patch = patch.map_err(Status::internal)?;
    let kind = PatchKind::Strategic;
    let patched = ctx.client.patch::<k8s::Node>("", name, "status", kind, patch).await?;
    patched.to().map(Some).map_err(Status::internal)
}

async fn new_status(
    ctx: &Context,
    machine: &MachineFacts,
    old: &k8s::NodeStatus,
) -> k8s::NodeStatus {
    let not_ready = runtime_problem(ctx).await;
    status::compute(NodeInput {
        config: &ctx.config,
        machine,
        runtime: &format!("{}://{}", ctx.runtime.name, ctx.runtime.version),
        images: images(ctx).await,
        not_ready,
        old,
        now: ctx.clock.now(),
    })
}

/// Why no Pod can run here; `None` if it can.
async fn runtime_problem(ctx: &Context) -> Option<String> {
    let request = v1::StatusRequest { verbose: false };
    let answer = match bounded(RUNTIME_TIMEOUT, ctx.runtime.cri().status(request)).await {
        Ok(answer) => answer,
        Err(error) => return Some(format!("container runtime is down: {error}")),
    };
    let conditions = answer.status.unwrap_or_default().conditions;
    let of = |wanted: &str| conditions.iter().find(|condition| condition.r#type == wanted);
    for (wanted, subject) in [
        (v1::RUNTIME_READY, "container runtime not ready"),
        (v1::NETWORK_READY, "container runtime network not ready"),
    ] {
        match of(wanted) {
            Some(found) if found.status => {}
            Some(found) => {
                return Some(format!(
                    "{subject}: {wanted}=false reason:{} message:{}",
                    found.reason, found.message
                ));
            }
            None => {
                return Some(
                    "container runtime status check may not have completed yet".to_owned(),
                );
            }
        }
    }
    None
}

/// The largest images, as a scheduler wants to know them.
async fn images(ctx: &Context) -> Vec<k8s::ContainerImage> {
    let request = v1::ListImagesRequest::default();
    let list = bounded(RUNTIME_TIMEOUT, ctx.runtime.cri().list_images(request)).await;
    let mut images = list.map(|list| list.images).unwrap_or_default();
    images.sort_by(|one, other| other.size.cmp(&one.size).then_with(|| one.id.cmp(&other.id)));
    let listed = images.into_iter().take(IMAGES_MAX).map(|image| {
        let names = image.repo_digests.into_iter().chain(image.repo_tags);
        k8s::ContainerImage {
            names: Some(names.take(IMAGE_NAMES_MAX).collect()),
            size_bytes: i64::try_from(image.size).ok(),
        }
    });
    listed.collect()
}
