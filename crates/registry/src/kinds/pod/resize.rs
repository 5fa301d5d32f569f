//! `pods/resize`: changes processor and memory of a running Pod (KEP-1287, KEP-5419).

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::tree;
use serde_json::Map;

use super::validate::is_mirror;
use super::view::{at, get, has, is_sidecar, list, text};
use super::{resources, strategy};

/// Prepares an update (new, old): keeps everything but resources and their resize policies.
///
/// Where containers were added, removed or renamed nothing is kept; validation refuses that.
pub(crate) fn prepare(new: &mut Value, old: &Value) {
    const LISTS: [&str; 2] = ["containers", "initContainers"];
    let (spec, old_spec) = (at(new, "spec"), at(old, "spec"));
    if LISTS.iter().all(|name| list(spec, name).len() == list(old_spec, name).len()) {
        let lists = LISTS.map(|name| (name, merged(list(spec, name), list(old_spec, name))));
        let own = at(spec, "resources").clone();
        strategy::keep_metadata(new, old);
        tree::copy(new, old, "status");
        let mut spec = old_spec.clone();
        tree::set(&mut spec, "resources", own);
        for (name, containers) in lists {
            tree::set(
                &mut spec,
                name,
                if containers.is_empty() { Value::Null } else { containers.into() },
            );
        }
        tree::set(new, "spec", spec);
    }
    strategy::drop_disabled(new, Some(old));
}

fn merged(new: &[Value], old: &[Value]) -> Vec<Value> {
    if new.iter().zip(old).any(|(new, old)| text(new, "name") != text(old, "name")) {
        return new.to_vec();
    }
    let merge = |(new, old): (&Value, &Value)| {
        let mut container = old.clone();
        for name in ["resources", "resizePolicy"] {
            tree::copy(&mut container, new, name);
        }
        container
    };
    new.iter().zip(old).map(merge).collect()
}

/// Validates an update (new, old), beyond the metadata and what is asked of every Pod.
pub(crate) fn validate(new: &Value, old: &Value, errors: &mut Errors) {
    let whole = if is_mirror(old) {
        "static pods cannot be resized"
    } else if text(at(at(old, "spec"), "os"), "name") == "windows" {
        "windows pods cannot be resized"
    } else {
        ""
    };
    if !whole.is_empty() {
        *errors = Errors::new();
        errors.forbidden(&Path::root(), whole);
        return;
    }
    let path = Path::new("spec");
    suits_node(new, old, &path, errors);
    let (spec, old_spec) = (at(new, "spec"), at(old, "spec"));
    let mut same = spec.clone();
    if has_amounts(old_spec) || has_amounts(spec) {
        pod_level(&mut same, spec, old_spec, &path, errors);
    }
    if !list(at(old, "status"), "nodeAllocatableResourceClaimStatuses").is_empty() {
        errors.forbidden(&path, "pods with node allocatable resource claims cannot be resized");
    }
    if !same_containers(spec, old_spec, &path, errors) {
        return;
    }
    for name in ["initContainers", "containers"] {
        for (index, (new, old)) in list(spec, name).iter().zip(list(old_spec, name)).enumerate() {
            let path = path.child(name).index(index).child("resources");
            kept(at(new, "resources"), at(old, "resources"), "resource", &path, errors);
        }
    }
    regular(&mut same, old_spec, &path, errors);
    init(&mut same, old_spec, &path, errors);
    if errors.is_empty() && &same != old_spec {
        errors.forbidden(&path, "only cpu and memory resources are mutable");
    }
}

fn suits_node(new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    let class = match text(at(old, "status"), "qosClass") {
        "" => resources::qos_class(at(old, "spec")),
        class => class,
    };
    if class != resources::qos_class(at(new, "spec")) {
        const WHY: &str = "Pod QOS Class may not change as a result of resizing";
        errors.invalid(path, text(at(new, "status"), "qosClass"), WHY);
    }
    let statuses = list(at(old, "status"), "containerStatuses");
    let running = statuses.iter().find(|status| has(at(status, "state"), "running"));
    if running.is_some_and(|status| !has(status, "resources")) {
        errors.forbidden(path, "Pod running on node without support for resize");
    }
}

fn has_amounts(spec: &Value) -> bool {
    let own = at(spec, "resources");
    ["requests", "limits"].iter().any(|name| !resources::amounts(own, name).is_empty())
}

/// Requests and limits of the Pod as a whole.
fn pod_level(same: &mut Value, new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    let own_path = path.child("resources");
    if has(old, "resources") && !has(new, "resources") {
        errors.forbidden(&own_path, "pod-level resources cannot be removed");
        return;
    }
    if let Some(old) = get(old, "resources") {
        kept(at(new, "resources"), old, "pod-level resource", &own_path, errors);
    }
    let mut own = at(same, "resources").clone();
    put_back(&mut own, at(old, "resources"));
    let is_empty = own.as_object().is_none_or(Map::is_empty);
    if !has(old, "resources") && is_empty {
        own = Value::Null;
    }
    if &own != at(old, "resources") {
        errors.forbidden(path, "only cpu and memory resources are mutable at pod-level");
    }
    tree::set(same, "resources", own);
}

/// Requests and limits may change, not go.
fn kept(new: &Value, old: &Value, what: &str, path: &Path, errors: &mut Errors) {
    for name in ["requests", "limits"] {
        let old = resources::amounts(old, name);
        if old.keys().any(|key| !has(at(new, name), key)) {
            errors.forbidden(&path.child(name), format!("{what} {name} cannot be removed"));
        }
    }
}

fn same_containers(new: &Value, old: &Value, path: &Path, errors: &mut Errors) -> bool {
    let mut is_same = true;
    for name in ["containers", "initContainers"] {
        let (new, old, path) = (list(new, name), list(old, name), path.child(name));
        if new.len() != old.len() {
            errors.forbidden(&path, format!("{name} may not be added or removed on resize"));
            is_same = false;
            continue;
        }
        for (index, (new, old)) in new.iter().zip(old).enumerate() {
            if text(new, "name") != text(old, "name") {
                let why = format!("{name} may not be renamed or reordered on resize");
                errors.forbidden(&path.index(index).child("name"), why);
                is_same = false;
            }
        }
    }
    is_same
}

fn regular(same: &mut Value, old: &Value, path: &Path, errors: &mut Errors) {
    for (container, old) in
        tree::items_mut(same, "containers").iter_mut().zip(list(old, "containers"))
    {
        put_back_container(container, old);
        if container != old {
            errors.forbidden(path, "only cpu and memory resources are mutable");
        }
    }
}

fn init(same: &mut Value, old: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child("initContainers");
    let pairs = tree::items_mut(same, "initContainers").iter_mut().zip(list(old, "initContainers"));
    for (index, (container, old)) in pairs.enumerate() {
        let is_changed = container != old;
        put_back_container(container, old);
        if container != old {
            const WHY: &str =
                "only cpu and memory resources for init or sidecar containers are mutable";
            errors.forbidden(&path.index(index), WHY);
        }
        let restarts = list(container, "resizePolicy")
            .iter()
            .filter(|policy| text(policy, "restartPolicy") == "RestartContainer");
        for _ in restarts.filter(|_| is_changed && !is_sidecar(container)) {
            const WHY: &str = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
            errors.forbidden(&path.index(index), WHY);
        }
    }
}

fn put_back_container(container: &mut Value, old: &Value) {
    let mut own = at(container, "resources").clone();
    put_back(&mut own, at(old, "resources"));
    // The claims are not put back: a container that has any cannot be resized; that is upstream's.
    tree::set(&mut own, "claims", Value::Null);
    if !own.is_object() {
        own = Value::Object(Map::new());
    }
    tree::set(container, "resources", own);
}

/// Sets processor and memory to what they were.
fn put_back(new: &mut Value, old: &Value) {
    for name in ["limits", "requests"] {
        let mut amounts = at(new, name).clone();
        for resource in ["cpu", "memory"] {
            tree::copy(&mut amounts, at(old, name), resource);
        }
        let is_empty = amounts.as_object().is_none_or(Map::is_empty);
        if !new.is_null() || !is_empty {
            tree::set(new, name, if is_empty { Value::Null } else { amounts });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(requests: &Value) -> Value {
        json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]},
            "status": {"qosClass": "Burstable"},
        })
    }

    #[track_caller]
    fn check(new: &Value, old: &Value, expected: &[&str]) {
        let mut value = pod(new);
        prepare(&mut value, &pod(old));
        let mut errors = Errors::new();
        validate(&value, &pod(old), &mut errors);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn processor_and_memory_may_change_and_nothing_else() {
        check(&json!({"cpu": "2"}), &json!({"cpu": "1"}), &[]);
        check(&json!({"cpu": "2", "memory": "1Gi"}), &json!({"cpu": "1"}), &[]);
        check(
            &json!({"cpu": "1", "ephemeral-storage": "1Gi"}),
            &json!({"cpu": "1"}),
            &["spec: Forbidden: only cpu and memory resources are mutable"],
        );
    }

    #[test]
    fn what_was_requested_may_not_be_given_up() {
        check(
            &json!({"cpu": "1"}),
            &json!({"cpu": "1", "memory": "1Gi"}),
            &[
                "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
            ],
        );
    }

    #[test]
    fn other_changes_are_dropped() {
        let old = pod(&json!({"cpu": "1"}));
        let mut new = pod(&json!({"cpu": "2"}));
        new["spec"]["containers"][0]["image"] = json!("other");
        new["metadata"]["labels"] = json!({"a": "b"});
        prepare(&mut new, &old);
        assert_eq!(new["spec"]["containers"][0]["image"], "i");
        assert_eq!(new["spec"]["containers"][0]["resources"]["requests"]["cpu"], "2");
    }
}
