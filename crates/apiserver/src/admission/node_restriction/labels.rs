//! Which labels a node may set on itself.

use std::collections::BTreeSet;

use podo_api::{Value, meta};

/// Labels of Kubernetes that a kubelet sets (Kubernetes v1.36 `pkg/kubelet/apis/well_known_labels.go`).
const KUBELET: &[&str] = &[
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// Domains whose labels a kubelet may set.
const KUBELET_DOMAINS: &[&str] = &["kubelet.kubernetes.io", "node.kubernetes.io"];

/// The domain whose labels say what a node may not choose for itself.
const RESTRICTED: &str = "node-restriction.kubernetes.io";

/// The labels that differ and that a node may not touch, sorted.
pub(super) fn forbidden(value: &Value, old: Option<&Value>) -> Vec<String> {
    let of = |object: &Value, key: &str| meta::label(object, key).map(str::to_owned);
    let old_keys = old.into_iter().flat_map(|old| meta::pairs(old, "labels").map(|(key, _)| key));
    let keys: BTreeSet<&str> =
        meta::pairs(value, "labels").map(|(key, _)| key).chain(old_keys).collect();
    let is_changed = |key: &&str| of(value, key) != old.and_then(|old| of(old, key));
    keys.into_iter().filter(is_changed).filter(|key| is_forbidden(key)).map(str::to_owned).collect()
}

fn is_forbidden(label: &str) -> bool {
    let Some((domain, _)) = label.split_once('/') else { return false };
    let is_of_kubernetes = is_in(domain, "kubernetes.io") || is_in(domain, "k8s.io");
    let is_of_kubelet =
        KUBELET.contains(&label) || KUBELET_DOMAINS.iter().any(|known| is_in(domain, known));
    is_in(domain, RESTRICTED) || is_of_kubernetes && !is_of_kubelet
}

fn is_in(domain: &str, parent: &str) -> bool {
    domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(new: &Value, old: Option<&Value>, expected: &[&str]) {
        let object = |labels: &Value| json!({"metadata": {"labels": labels}});
        assert_eq!(forbidden(&object(new), old.map(object).as_ref()), expected);
    }

    #[test]
    fn a_node_labels_itself_with_what_is_its_own_only() {
        check(&json!({"a": "b", "example.com/c": "d", "kubernetes.io/os": "linux"}), None, &[]);
        check(&json!({"x.node.kubernetes.io/y": "1", "kubelet.kubernetes.io/z": "1"}), None, &[]);
        let taken = json!({
            "node-role.kubernetes.io/x": "", "foo.k8s.io/y": "", "node-restriction.kubernetes.io/z": "",
            "a.node-restriction.kubernetes.io/w": "", "notkubernetes.io/v": "",
        });
        let expected = [
            "a.node-restriction.kubernetes.io/w",
            "foo.k8s.io/y",
            "node-restriction.kubernetes.io/z",
            "node-role.kubernetes.io/x",
        ];
        check(&taken, None, &expected);
    }

    #[test]
    fn what_is_there_already_may_stay_but_neither_change_nor_go() {
        let old = json!({"node-role.kubernetes.io/x": "1"});
        check(&old, Some(&old), &[]);
        check(
            &json!({"node-role.kubernetes.io/x": "2"}),
            Some(&old),
            &["node-role.kubernetes.io/x"],
        );
        check(&json!({}), Some(&old), &["node-role.kubernetes.io/x"]);
    }
}
