//! `/pods` and `/runningpods`: the Pods of the node as its agent knows them, and as they run.

use podo_api::{Reason, Status};
use serde::Serialize;
use serde_json::json;

use super::Node;
use super::reply::{self, Response};

/// All Pods of the node.
pub(super) fn all(node: &dyn Node) -> Result<Response, Status> {
    list(&node.pods())
}

/// The Pods that have a sandbox, with the containers that run in it.
pub(super) async fn running(node: &dyn Node) -> Result<Response, Status> {
    let failed = |error: podo_cri::CriError| {
        Status::failure(Reason::InternalError, error.message().to_owned())
    };
    let sandboxes = node.sandbox_stats().await.map_err(failed)?;
    let pods = sandboxes.into_iter().filter_map(|sandbox| {
        let metadata = sandbox.attributes?.metadata?;
        let containers = sandbox.linux.map(|linux| linux.containers).unwrap_or_default();
        let containers: Vec<_> = containers
            .into_iter()
            .filter_map(|container| Some(container.attributes?.metadata?.name))
            .map(|name| json!({"name": name, "resources": {}}))
            .collect();
        Some(json!({
            "metadata": {
                "name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid,
            },
            "spec": {"containers": containers},
            "status": {},
        }))
    });
    list(&pods.collect::<Vec<_>>())
}

fn list(items: &[impl Serialize]) -> Result<Response, Status> {
    let items = serde_json::to_value(items).map_err(Status::internal)?;
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
    Ok(reply::json(list.to_string()))
}
