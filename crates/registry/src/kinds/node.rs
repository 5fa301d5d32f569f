//! Node: a machine that runs Pods.

mod table;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::HashSet;

use podo_api::field::{ErrorKind, Errors, FieldError, Path, quoted};
use podo_api::{Value, names, tree};
use serde_json::json;

use super::address::{self, legacy_cidr};
use super::pod::internal;
use super::pod::validate::resources::quantity;
use super::pod::view::{at, entries, get, has, list, not_supported, text, texts};
use super::resource::is_new;
use crate::{Definition, Names, Scope, Selectable, StatusPolicy, proxy_of, status_of};

const TY: &str = "core/v1.Node";

/// The effects of taints in the order of the error text.
const TAINT_EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Node.
pub(crate) static NODE: Definition = Definition {
    names: Names {
        kind: "Node",
        plural: "nodes",
        singular: "node",
        short: &["no"],
        ..Definition::BASE.names
    },
    ty: TY,
    scope: Scope::Cluster,
    subresources: &[proxy_of("NodeProxyOptions"), status_of("", "v1", "Node", TY)],
    status: StatusPolicy::Separate,
    keeps_new_status: true,
    columns: table::COLUMNS,
    selectable: &[Selectable {
        label: "spec.unschedulable",
        read: |node| (at(at(node, "spec"), "unschedulable") == true).to_string(),
    }],
    default,
    validate,
    validate_update: |new, old, errors| {
        validate_whole(new, Some(old), errors);
        validate_change(new, old, errors);
    },
    validate_status: validate_change,
    warnings,
    ..Definition::BASE
};

fn default(node: &mut Value) {
    sync_pod_cidrs(node);
    let capacity = at(at(node, "status"), "capacity").clone();
    if !capacity.is_null() {
        let status = tree::as_map(node).entry("status").or_insert_with(|| json!({}));
        tree::set_default_pointer(status, "allocatable", capacity);
    }
}

/// `podCIDR` and the first of `podCIDRs` are one; where they differ, the older field wins, since old clients know only that.
fn sync_pod_cidrs(node: &mut Value) {
    let spec = at(node, "spec");
    let first = texts(spec, "podCIDRs").next().unwrap_or("").to_owned();
    let single = text(spec, "podCIDR").to_owned();
    if single == first {
        return;
    }
    let spec = tree::as_map(node).entry("spec").or_insert_with(|| json!({}));
    if single.is_empty() {
        tree::set(spec, "podCIDR", first);
    } else {
        tree::set(spec, "podCIDRs", vec![single]);
    }
}

fn validate(node: &Value, errors: &mut Errors) {
    if is_new(node) {
        validate_whole(node, None, errors);
    }
}

fn validate_whole(node: &Value, old: Option<&Value>, errors: &mut Errors) {
    taints(node, errors);
    amounts(node, errors);
    declared_features(node, errors);
    pod_cidrs(node, old, errors);
}

/// Features that the kubelet says it has (KEP-5328): in order, each once.
fn declared_features(node: &Value, errors: &mut Errors) {
    let path = Path::new("status").child("declaredFeatures");
    let features: Vec<&str> = texts(at(node, "status"), "declaredFeatures").collect();
    for (index, feature) in features.iter().enumerate() {
        if let Some(why) = feature_problem(feature) {
            errors.invalid(&path.index(index), feature, why);
        }
        let Some(next) = features.get(index + 1) else { continue };
        match feature.cmp(next) {
            Ordering::Less => {}
            Ordering::Equal => errors.duplicate(&path.index(index + 1), next),
            Ordering::Greater => {
                errors.invalid(&path.index(index + 1), next, "list must be sorted alphabetically");
            }
        }
    }
}

fn feature_problem(feature: &str) -> Option<String> {
    let problem = if feature.len() > names::SUBDOMAIN_BYTES_MAX {
        format!("must be no more than {} characters", names::SUBDOMAIN_BYTES_MAX)
    } else if !is_feature(feature) {
        "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes".to_owned()
    } else {
        return None;
    };
    Some(format!("invalid feature name {}: {problem}", quoted(feature)))
}

fn is_feature(feature: &str) -> bool {
    let is_segment = |segment: &str| {
        segment.starts_with(|first: char| first.is_ascii_alphabetic())
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    feature.starts_with(|first: char| first.is_ascii_uppercase())
        && feature.split('/').all(is_segment)
}

fn taints(node: &Value, errors: &mut Errors) {
    // Kubernetes says `metadata` where it means `spec`.
    let path = Path::new("metadata").child("taints");
    let mut seen = HashSet::new();
    for (index, taint) in list(at(node, "spec"), "taints").iter().enumerate() {
        let path = path.index(index);
        let (key, effect) = (text(taint, "key"), text(taint, "effect"));
        errors.invalid_all(&path.child("key"), key, names::qualified_name(key));
        let problems = names::label_value(text(taint, "value"));
        if !problems.is_empty() {
            errors.invalid(&path.child("value"), text(taint, "value"), problems.join(";"));
        }
        if effect.is_empty() {
            errors.required(&path.child("effect"), "");
        } else if !TAINT_EFFECTS.contains(&effect) {
            not_supported(errors, &path.child("effect"), effect, TAINT_EFFECTS);
        }
        if !seen.insert((key, effect)) {
            errors.push(FieldError {
                kind: ErrorKind::Duplicate,
                field: path,
                value: Some(internal::compact(taint, "core/v1.Taint")),
                detail: "taints must be unique by key and effect pair".to_owned(),
            });
        }
    }
}

fn amounts(node: &Value, errors: &mut Errors) {
    for field in ["capacity", "allocatable"] {
        for (name, amount) in entries(at(node, "status"), field) {
            quantity(name, amount, &Path::new("status").child(field).child(name), errors);
        }
    }
}

fn pod_cidrs(node: &Value, old: Option<&Value>, errors: &mut Errors) {
    let path = Path::new("spec").child("podCIDRs");
    let before: Vec<&str> =
        old.map(|old| texts(at(old, "spec"), "podCIDRs").collect()).unwrap_or_default();
    let cidrs: Vec<&str> = texts(at(node, "spec"), "podCIDRs").collect();
    for (index, cidr) in cidrs.iter().enumerate() {
        legacy_cidr(errors, &path.index(index), cidr, &before);
    }
    if cidrs.len() < 2 {
        return;
    }
    if cidrs.len() > 2 || family(cidrs[0]) == family(cidrs[1]) {
        let shown = Value::from(cidrs.clone());
        let why = "may specify no more than one CIDR for each IP family";
        errors.invalid_value(&path, shown, why);
    }
    let mut seen = HashSet::new();
    for (index, cidr) in cidrs.iter().enumerate() {
        if !seen.insert(cidr) {
            errors.duplicate(&path.index(index), cidr);
        }
    }
}

fn family(cidr: &str) -> Option<&'static str> {
    address::family(cidr.split('/').next().unwrap_or(cidr))
}

fn validate_change(new: &Value, old: &Value, errors: &mut Errors) {
    let spec = Path::new("spec");
    amounts(new, errors);
    addresses(new, errors);
    declared_features(new, errors);
    pod_cidrs_change(new, old, errors);
    let provider = |node| text(at(node, "spec"), "providerID");
    if !provider(old).is_empty() && provider(old) != provider(new) {
        let why = "node updates may not change providerID except from \"\" to valid";
        errors.forbidden(&spec.child("providerID"), why);
    }
    if let Some(source) = get(at(new, "spec"), "configSource") {
        config_source(source, &spec.child("configSource"), false, errors);
    }
    for field in ["assigned", "active", "lastKnownGood"] {
        let config = at(at(new, "status"), "config");
        if let Some(source) = get(config, field) {
            let path = Path::new("status").child("config").child(field);
            config_source(source, &path, true, errors);
        }
    }
    taints(new, errors);
    let external = |node| text(at(node, "spec"), "externalID");
    if external(new) != external(old) {
        errors.forbidden(&spec.child("externalID"), "may not be updated");
    }
}

fn addresses(node: &Value, errors: &mut Errors) {
    let all = list(at(node, "status"), "addresses");
    let mut seen = HashSet::new();
    for (index, address) in all.iter().enumerate() {
        if !seen.insert(address) {
            errors.push(FieldError {
                kind: ErrorKind::Duplicate,
                field: Path::new("status").child("addresses").index(index),
                value: Some(internal::compact(address, "core/v1.NodeAddress")),
                detail: String::new(),
            });
        }
    }
}

/// Networks are given to a node once.
fn pod_cidrs_change(new: &Value, old: &Value, errors: &mut Errors) {
    let cidrs = |node| list(at(node, "spec"), "podCIDRs");
    let (now, before) = (cidrs(new), cidrs(old));
    if before.is_empty() {
        return;
    }
    let changes = if now.len() == before.len() {
        now.iter().zip(before).filter(|(now, before)| now != before).count()
    } else {
        1
    };
    for _ in 0..changes {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        errors.forbidden(&Path::new("spec").child("podCIDRs"), why);
    }
}

type Rule = fn(&str) -> names::Problems;

/// Where a node's kubelet was to find its configuration; without effect since v1.24 but still checked.
fn config_source(source: &Value, path: &Path, is_status: bool, errors: &mut Errors) {
    let Some(map) = get(source, "configMap") else {
        let shown = internal::compact(source, "core/v1.NodeConfigSource");
        errors.invalid_text(path, shown, "exactly one reference subfield must be non-nil");
        return;
    };
    let path = path.child("configMap");
    for field in ["uid", "resourceVersion"] {
        match (has(map, field), is_status) {
            (true, false) => {
                errors.forbidden(&path.child(field), format!("{field} must not be set in spec"));
            }
            (false, true) => {
                errors.required(&path.child(field), format!("{field} must be set in status"));
            }
            _ => {}
        }
    }
    let rules: [(&str, Rule); 3] = [
        ("namespace", names::dns1123_label),
        ("name", names::dns1123_subdomain),
        ("kubeletConfigKey", names::config_map_key),
    ];
    for (field, rule) in rules {
        let value = text(map, field);
        if value.is_empty() {
            errors.required(&path.child(field), format!("{field} must be set"));
        } else {
            errors.invalid_all(&path.child(field), value, rule(value));
        }
    }
}

fn warnings(node: &Value, _old: Option<&Value>) -> Vec<String> {
    let spec = at(node, "spec");
    let mut warnings = Vec::new();
    if has(spec, "configSource") {
        warnings.push("spec.configSource: the feature is removed".to_owned());
    }
    if !text(spec, "externalID").is_empty() {
        let text = "spec.externalID: this field is deprecated, and is unused by Kubernetes";
        warnings.push(text.to_owned());
    }
    let path = Path::new("spec").child("podCIDRs");
    for (index, cidr) in texts(spec, "podCIDRs").enumerate() {
        warnings.extend(address::network_warnings(&path.index(index), cidr));
    }
    warnings
}
