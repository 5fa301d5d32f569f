//! The node's heartbeat: a Lease in `kube-node-lease`, renewed by a task that does nothing else.

use std::sync::Arc;

use podo_api::k8s_openapi::api::coordination::v1 as coordination;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    MicroTime, ObjectMeta, OwnerReference,
};
use podo_api::k8s_openapi::jiff;
use podo_api::{Status, meta};
use podo_base::Stop;
use podo_client::transport::PatchKind;
use serde_json::json;

use crate::context::Context;

/// Where leases of nodes are.
const NAMESPACE: &str = "kube-node-lease";

/// Renews the Lease until `stop`.
pub(crate) async fn renew(ctx: Arc<Context>, stop: Stop) {
    loop {
        match stop.or(tokio::time::timeout(ctx.config.lease_period, renew_once(&ctx))).await {
            None => return,
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => tracing::warn!(%error, "lease not renewed"),
            Some(Err(_elapsed)) => tracing::warn!("lease not renewed in time"),
        }
        if !stop.sleep(ctx.config.lease_period).await {
            return;
        }
    }
}

async fn renew_once(ctx: &Context) -> Result<(), Status> {
    let name = &ctx.config.node_name;
    let seconds = i32::try_from(ctx.config.lease_duration.as_secs()).unwrap_or(i32::MAX);
    let now = ctx.clock.now();
    let patch = json!({"spec": {"holderIdentity": name, "leaseDurationSeconds": seconds,
        "renewTime": now.to_rfc3339_micros()}});
    let kind = PatchKind::Merge;
    match ctx.client.patch::<coordination::Lease>(NAMESPACE, name, "", kind, patch).await {
        Ok(lease) if meta::owners(&lease.view()).is_empty() => return adopt(ctx).await,
        Ok(_) => return Ok(()),
        Err(status) if status.is_not_found() => {}
        Err(status) => return Err(status),
    }
    let at = jiff::Timestamp::from_microsecond(now.as_micros()).unwrap_or_default();
    let lease = coordination::Lease {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(NAMESPACE.to_owned()),
            // Without a Node, whose registration may come later, it is made without an owner and adopted when it is renewed.
            owner_references: owner(ctx).await?.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(coordination::LeaseSpec {
            holder_identity: Some(name.clone()),
            lease_duration_seconds: Some(seconds),
            renew_time: Some(MicroTime(at)),
            ..coordination::LeaseSpec::default()
        }),
    };
    ctx.client.create::<coordination::Lease>(NAMESPACE, &lease).await.map(|_| ())
}

/// Makes the Node the owner of the Lease, which goes with it.
async fn adopt(ctx: &Context) -> Result<(), Status> {
    let Some(owner) = owner(ctx).await? else { return Ok(()) };
    let patch = json!({"metadata": {"ownerReferences": [owner]}});
    let (name, kind) = (&ctx.config.node_name, PatchKind::Merge);
    ctx.client.patch::<coordination::Lease>(NAMESPACE, name, "", kind, patch).await.map(|_| ())
}

/// The Node as an owner, if it is registered.
async fn owner(ctx: &Context) -> Result<Option<OwnerReference>, Status> {
    let name = &ctx.config.node_name;
    let node = ctx.client.find::<k8s::Node>("", name).await?;
    Ok(node.map(|node| OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.clone(),
        uid: node.uid.to_string(),
        ..OwnerReference::default()
    }))
}
