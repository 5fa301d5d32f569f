//! What a sandbox and a container carry in the runtime, so that a node agent that starts anew finds its Pods again.

use std::collections::BTreeMap;

use podo_api::k8s_openapi::api::core::v1 as k8s;

use crate::pod::PodView;

/// The label with the Pod's name.
pub(crate) const POD_NAME: &str = "io.kubernetes.pod.name";
/// The label with the Pod's namespace.
pub(crate) const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// The label with the Pod's UID.
pub(crate) const POD_UID: &str = "io.kubernetes.pod.uid";
/// The label with the container's name.
pub(crate) const CONTAINER_NAME: &str = "io.kubernetes.container.name";
/// The annotation that tells versions of a container's spec apart.
pub(crate) const HASH: &str = "io.kubernetes.container.hash";
/// The annotation with the count of restarts.
pub(crate) const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
/// The annotation with the path of the termination message.
pub(crate) const MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
/// The annotation with the policy of the termination message.
pub(crate) const MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
/// The annotation with the Pod's grace period, for containers whose Pod is no longer known.
pub(crate) const GRACE_PERIOD: &str = "io.kubernetes.pod.terminationGracePeriod";

/// The labels of a Pod's sandbox: the Pod's own and ours.
pub(crate) fn of_sandbox(pod: &PodView) -> BTreeMap<String, String> {
    let mut labels = pod.pod.metadata.labels.clone().unwrap_or_default();
    labels.extend(identity(pod));
    labels
}

/// The labels of a container.
pub(crate) fn of_container(pod: &PodView, container: &k8s::Container) -> BTreeMap<String, String> {
    let mut labels = identity(pod);
    labels.insert(CONTAINER_NAME.to_owned(), container.name.clone());
    labels
}

fn identity(pod: &PodView) -> BTreeMap<String, String> {
    [(POD_NAME, pod.name()), (POD_NAMESPACE, pod.namespace()), (POD_UID, pod.uid())]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The annotations of a container.
pub(crate) fn annotations(
    pod: &PodView,
    container: &k8s::Container,
    restart_count: u32,
) -> BTreeMap<String, String> {
    let path = container.termination_message_path.clone().unwrap_or_default();
    let policy = container.termination_message_policy.clone().unwrap_or_default();
    let grace = pod.spec.termination_grace_period_seconds.unwrap_or(30);
    [
        (HASH, hash(container)),
        (RESTART_COUNT, restart_count.to_string()),
        (MESSAGE_PATH, path),
        (MESSAGE_POLICY, policy),
        (GRACE_PERIOD, grace.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// What changes exactly when a running container no longer is what its spec says: its name and image are all that may be changed
/// in place and need a new container (Kubernetes v1.36).
pub(crate) fn hash(container: &k8s::Container) -> String {
    // FNV-1a, 64 bits: stable over versions of this program, which the standard library's hasher is not.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let image = container.image.as_deref().unwrap_or_default();
    for byte in container.name.bytes().chain([0]).chain(image.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:x}")
}
