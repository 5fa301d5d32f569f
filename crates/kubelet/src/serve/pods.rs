//! `/pods` and `/runningpods`: the Pods of the node as the API server knows them, and as they run.

use podo_api::{Reason, Status};

use super::Node;
use super::reply::{self, Response};

/// All Pods of the node.
pub(super) fn all(node: &dyn Node) -> Response {
    let mut out = br#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":["#.to_vec();
    for (index, pod) in node.pods().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(pod.json());
    }
    out.extend_from_slice(b"]}");
    reply::json(out)
}

/// The Pods that have a sandbox, with the containers that run in it.
pub(super) async fn running(node: &dyn Node) -> Result<Response, Status> {
    let sandboxes = node
        .sandbox_stats()
        .await
        .map_err(|error| Status::failure(Reason::InternalError, error.message()))?;
    let items: Vec<_> = sandboxes
        .into_iter()
        .filter_map(|sandbox| {
            let metadata = sandbox.attributes?.metadata?;
            let containers = sandbox.linux.map(|linux| linux.containers).unwrap_or_default();
            let names = containers.into_iter().filter_map(|container| Some(container.attributes?.metadata?.name));
            let containers: Vec<_> = names.map(|name| serde_json::json!({"name": name, "resources": {}})).collect();
            Some(serde_json::json!({
                "metadata": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
                "spec": {"containers": containers},
                "status": {},
            }))
        })
        .collect();
    let list =
        serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
    Ok(reply::json(list.to_string()))
}
