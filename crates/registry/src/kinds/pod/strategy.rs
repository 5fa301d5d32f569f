//! What becomes of a Pod before it is stored: its first status, selectors extended by its labels, fields of features that are off.

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::{meta, tree};
use serde_json::json;

use super::resources;
use super::validate::annotations::APP_ARMOR;
use super::validate::security::app_armor_profile;
use super::view::{at, containers, get, int, list, text, texts};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Prepares a Pod for its creation.
pub(super) fn prepare_create(pod: &mut Value) {
    let class = resources::qos_class(at(pod, "spec"));
    tree::set(pod, "status", json!({"phase": "Pending", "qosClass": class}));
    drop_disabled(pod, None);
    gated_condition(pod);
    extend_selectors(pod);
    app_armor_fields(pod);
}

/// Prepares an update of a Pod (new, old): its status stays.
pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    tree::copy(new, old, "status");
    drop_disabled(new, Some(old));
}

/// Prepares an update of a Pod's status (new, old).
pub(super) fn prepare_status(new: &mut Value, old: &Value) {
    tree::copy(new, old, "spec");
    for name in ["deletionTimestamp", "ownerReferences"] {
        meta::copy(new, old, name);
    }
    let mut status = at(new, "status").clone();
    if text(&status, "qosClass").is_empty() {
        tree::copy(&mut status, at(old, "status"), "qosClass");
    }
    keep_generations(&mut status, at(old, "status"));
    tree::set(new, "status", status);
    drop_disabled(new, Some(old));
}

/// A writer that knows nothing of observed generations does not clear them.
fn keep_generations(status: &mut Value, old: &Value) {
    let is_unset = |value: &Value| int(value, "observedGeneration").unwrap_or(0) == 0;
    if is_unset(status) {
        tree::copy(status, old, "observedGeneration");
    }
    let mut before: Vec<&Value> = list(old, "conditions").iter().collect();
    for condition in tree::items_mut(status, "conditions") {
        let kind = text(condition, "type");
        let Some(place) = before.iter().position(|old| text(old, "type") == kind) else { continue };
        let old = before.remove(place);
        if is_unset(condition) {
            tree::copy(condition, old, "observedGeneration");
        }
    }
}

/// Takes the metadata from the old object, as subresources do that change only a part of the spec.
pub(crate) fn keep_metadata(new: &mut Value, old: &Value) {
    for name in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "selfLink",
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
    ] {
        meta::copy(new, old, name);
    }
}

/// The seconds that a Pod has to stop: what is asked for, or what it says; none if nothing of it runs.
pub(super) fn grace(pod: &Value, asked: Option<i64>) -> i64 {
    let spec = at(pod, "spec");
    let seconds = asked.or_else(|| int(spec, "terminationGracePeriodSeconds")).unwrap_or(0);
    let phase = text(at(pod, "status"), "phase");
    if text(spec, "nodeName").is_empty() || matches!(phase, "Failed" | "Succeeded") {
        0
    } else if seconds < 0 {
        1
    } else {
        seconds
    }
}

/// A Pod that the scheduler is to leave alone says so (KEP-3521). The moment is that of its creation.
fn gated_condition(pod: &mut Value) {
    if list(at(pod, "spec"), "schedulingGates").is_empty() {
        return;
    }
    let now = at(at(pod, "metadata"), "creationTimestamp").clone();
    let condition = json!({
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": null,
        "lastTransitionTime": now,
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    });
    tree::map_mut(pod, "status").insert("conditions".to_owned(), json!([condition]));
}

/// Extends selectors by the Pod's own labels (KEP-3633, KEP-3243).
fn extend_selectors(pod: &mut Value) {
    let labels = at(at(pod, "metadata"), "labels").clone();
    let spec = pod.get_mut("spec");
    let Some(spec) = spec else { return };
    for name in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = spec.pointer_mut(&format!("/affinity/{name}")) else { continue };
        for term in tree::items_mut(affinity, PREFERRED) {
            if let Some(term) = term.get_mut("podAffinityTerm") {
                extend(term, &labels);
            }
        }
        for term in tree::items_mut(affinity, REQUIRED) {
            extend(term, &labels);
        }
    }
    for constraint in tree::items_mut(spec, "topologySpreadConstraints") {
        extend(constraint, &labels);
    }
}

fn extend(owner: &mut Value, labels: &Value) {
    if get(owner, "labelSelector").is_none() {
        return;
    }
    let mut added = Vec::new();
    for (name, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in texts(owner, name) {
            if let Some(value) = get(labels, key) {
                added.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    if added.is_empty() {
        return;
    }
    let selector = tree::map_mut(owner, "labelSelector");
    let expressions = selector.entry("matchExpressions").or_insert(Value::Null);
    let mut all = expressions.as_array().cloned().unwrap_or_default();
    all.append(&mut added);
    *expressions = all.into();
}

/// Takes AppArmor profiles from the annotations that had them before there was a field (KEP-24).
fn app_armor_fields(pod: &mut Value) {
    if text(at(at(pod, "spec"), "os"), "name") == "windows" {
        return;
    }
    let of_pod = at(at(at(pod, "spec"), "securityContext"), "appArmorProfile").clone();
    let annotations = at(at(pod, "metadata"), "annotations").clone();
    let Some(spec) = pod.get_mut("spec") else { return };
    for name in super::view::CONTAINER_LISTS {
        for container in tree::items_mut(spec, name) {
            let profile = annotated_profile(container, &annotations);
            if let Some(Ok(profile)) = profile
                && profile != of_pod
            {
                tree::map_mut(container, "securityContext")
                    .insert("appArmorProfile".to_owned(), profile);
            }
        }
    }
}

/// An annotation that makes no profile.
struct Malformed;

/// The profile of a container that has an annotation and no field.
fn annotated_profile(container: &Value, annotations: &Value) -> Option<Result<Value, Malformed>> {
    let annotation =
        get(annotations, &format!("{APP_ARMOR}{}", text(container, "name")))?.as_str()?;
    if get(at(container, "securityContext"), "appArmorProfile").is_some() {
        return None;
    }
    let profile = match annotation {
        "unconfined" => json!({"type": "Unconfined"}),
        "runtime/default" => json!({"type": "RuntimeDefault"}),
        other => match other.strip_prefix("localhost/") {
            Some(file) if !file.is_empty() => {
                json!({"type": "Localhost", "localhostProfile": file})
            }
            _ => return Some(Err(Malformed)),
        },
    };
    let mut errors = Errors::new();
    app_armor_profile(&profile, &Path::root(), &mut errors);
    Some(if errors.is_empty() { Ok(profile) } else { Err(Malformed) })
}

/// Warnings about annotations that fields have taken the place of, for a Pod that has been prepared.
pub(super) fn app_armor_warnings(pod: &Value) -> Vec<String> {
    let spec = at(pod, "spec");
    if text(at(spec, "os"), "name") == "windows" {
        return Vec::new();
    }
    let path = Path::new("metadata").child("annotations");
    let of_pod = get(at(spec, "securityContext"), "appArmorProfile");
    let annotations = at(at(pod, "metadata"), "annotations");
    let mut warnings = Vec::new();
    for (container, _) in containers(spec, &Path::root()) {
        let key = format!("{APP_ARMOR}{}", text(container, "name"));
        let mut bare = container.clone();
        if let Some(context) = bare.get_mut("securityContext").and_then(Value::as_object_mut) {
            context.remove("appArmorProfile");
        }
        let own = get(at(container, "securityContext"), "appArmorProfile");
        let is_taken = match annotated_profile(&bare, annotations) {
            None => false,
            Some(Err(Malformed)) => own.is_none(),
            Some(Ok(profile)) => own == Some(&profile) && of_pod != Some(&profile),
        };
        if is_taken {
            let path = path.key(&key);
            warnings.push(format!(
                "{path}: deprecated since v1.30; use the \"appArmorProfile\" field instead"
            ));
        }
    }
    warnings
}

/// Drops fields of features that are off in v1.36, unless the old object has them.
pub(crate) fn drop_disabled(pod: &mut Value, old: Option<&Value>) {
    let old_spec = old.map_or(&Value::Null, |old| at(old, "spec"));
    if let Some(spec) = pod.get_mut("spec") {
        drop_disabled_in_spec(spec, old_spec);
    }
    // DRANodeAllocatableResources.
    let claims = "nodeAllocatableResourceClaimStatuses";
    if old.is_none_or(|old| list(at(old, "status"), claims).is_empty())
        && let Some(status) = pod.get_mut("status").and_then(Value::as_object_mut)
    {
        status.remove(claims);
    }
}

/// Drops fields of features that are off in v1.36 from a Pod's spec, unless the old spec has them; `null` if there is none.
pub(crate) fn drop_disabled_in_spec(spec: &mut Value, old: &Value) {
    // GenericWorkload.
    if get(old, "schedulingGroup").is_none() {
        tree::set(spec, "schedulingGroup", Value::Null);
    }
    // ContainerStopSignals.
    let uses_signal = containers(old, &Path::root())
        .any(|(container, _)| get(at(container, "lifecycle"), "stopSignal").is_some());
    if !uses_signal {
        drop_stop_signals(spec);
    }
    // ClusterTrustBundleProjection, PodCertificateRequest.
    for name in ["clusterTrustBundle", "podCertificate"] {
        if !projections(old).any(|source| get(source, name).is_some()) {
            drop_projection(spec, name);
        }
    }
}

fn drop_stop_signals(spec: &mut Value) {
    for name in super::view::CONTAINER_LISTS {
        for container in tree::items_mut(spec, name) {
            let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut)
            else {
                continue;
            };
            if lifecycle.remove("stopSignal").is_some() && lifecycle.is_empty() {
                tree::set(container, "lifecycle", Value::Null);
            }
        }
    }
}

fn projections(spec: &Value) -> impl Iterator<Item = &Value> {
    list(spec, "volumes").iter().flat_map(|volume| list(at(volume, "projected"), "sources"))
}

fn drop_projection(spec: &mut Value, name: &str) {
    for volume in tree::items_mut(spec, "volumes") {
        let Some(projected) = volume.get_mut("projected") else { continue };
        for source in tree::items_mut(projected, "sources") {
            if let Some(source) = source.as_object_mut() {
                source.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_does_not_run_stops_at_once() {
        let pod = |node: &str, phase: &str| json!({"spec": {"nodeName": node, "terminationGracePeriodSeconds": 30}, "status": {"phase": phase}});
        assert_eq!(grace(&pod("n", "Running"), None), 30);
        assert_eq!(grace(&pod("n", "Running"), Some(5)), 5);
        assert_eq!(grace(&pod("n", "Running"), Some(-5)), 1);
        assert_eq!(grace(&pod("", "Pending"), Some(5)), 0);
        assert_eq!(grace(&pod("n", "Succeeded"), None), 0);
        assert_eq!(grace(&json!({"spec": {"nodeName": "n"}, "status": {}}), None), 0);
    }

    #[test]
    fn selectors_are_extended_by_the_labels_of_the_pod() {
        let mut pod = json!({
            "metadata": {"labels": {"a": "1", "b": "2"}},
            "spec": {"topologySpreadConstraints": [
                {"labelSelector": {"matchLabels": {"x": "y"}}, "matchLabelKeys": ["a", "missing"]},
                {"matchLabelKeys": ["a"]},
            ]},
        });
        prepare_create(&mut pod);
        let constraints = &pod["spec"]["topologySpreadConstraints"];
        assert_eq!(
            constraints[0]["labelSelector"],
            json!({"matchLabels": {"x": "y"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]})
        );
        assert_eq!(constraints[1], json!({"matchLabelKeys": ["a"]}));
    }

    #[test]
    fn observed_generations_are_kept_by_condition_type() {
        let old = json!({"status": {"observedGeneration": 3, "conditions": [
            {"type": "A", "observedGeneration": 2}, {"type": "B", "observedGeneration": 3}]}});
        let mut new = json!({"status": {"conditions": [{"type": "B"}, {"type": "A", "observedGeneration": 4}]}});
        prepare_status(&mut new, &old);
        assert_eq!(
            new["status"],
            json!({"observedGeneration": 3, "conditions": [
                {"type": "B", "observedGeneration": 3}, {"type": "A", "observedGeneration": 4}]})
        );
    }
}
