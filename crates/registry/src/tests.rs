//! The recorded scenarios, replayed without a server: what each kind makes of a request body must be what was answered.
//!
//! What only the pipeline adds (versions, field managers) is left out of the comparison; what only admission or allocation adds is
//! taken from the answer.

pub(crate) mod compare;
mod kinds;
pub(crate) mod scenario;

use std::collections::BTreeMap;

use podo_api::field::Errors;
use podo_api::{Status, Value, json, meta, tree};
use podo_base::Timestamp;
use serde_json::json as value;

use crate::{Definition, Description, Generation, KINDS, StatusPolicy, Storage, metadata, service};
use compare::differences;
use scenario::{NOW, Step};

/// The areas that are about more than the kind.
const SKIPPED_AREAS: &[&str] = &["admission", "apply", "protobuf"];

/// The objects of a scenario in their stored form, as the recorded answers left them, by resource, namespace and name.
type Objects = BTreeMap<(String, String, String), Value>;

#[test]
fn recorded_scenarios_come_out_the_same() {
    let Some(scenarios) = scenario::all("recorded_scenarios_come_out_the_same") else { return };
    let mut failures = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for mut scenario in scenarios {
        if SKIPPED_AREAS.contains(&scenario.area.as_str()) {
            continue;
        }
        let (mut objects, mut captured) = (Objects::new(), Vec::new());
        for step in &mut scenario.steps {
            step.connect(&mut captured);
            let about = KINDS.iter().find(|kind| step.is_about(kind));
            // Pods have a test of their own.
            let Some(definition) = about.filter(|kind| kind.names.kind != "Pod") else { continue };
            let found = replay(definition, step, &mut objects);
            *counts.entry(definition.names.kind).or_default() += usize::from(found.is_some());
            let place = format!("{}/{} {}", scenario.area, scenario.name, step.number);
            failures.extend(found.into_iter().flatten().map(|line| format!("{place}: {line}")));
        }
    }
    assert!(
        failures.is_empty(),
        "{} differences in {counts:?}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(counts.values().sum::<usize>() > 550, "only these steps were replayed: {counts:?}");
    assert!(counts["Service"] > 90 && counts["Secret"] > 20 && counts["Event"] > 10, "{counts:?}");
}

fn key(definition: &'static Definition, step: &Step, name: &str) -> (String, String, String) {
    (definition.bucket(), step.namespace.clone(), name.to_owned())
}

/// The object as `definition` shows it.
fn view(definition: &Definition, stored: &Value) -> Value {
    let mut value = stored.clone();
    if let Storage::Shared { from_stored, .. } = definition.storage {
        from_stored(&mut value);
    }
    value
}

/// Replays a step: how the answer differs, or `None` if the step is about something else.
fn replay(
    definition: &'static Definition,
    step: &Step,
    objects: &mut Objects,
) -> Option<Vec<String>> {
    let answer = &step.answer;
    if answer["kind"] == "Table" {
        return Some(table(definition, step, objects));
    }
    if matches!(definition.storage, Storage::None) {
        return review(definition, step);
    }
    if !concerns(definition, answer) {
        return None;
    }
    let old = objects.get(&key(definition, step, &step.name)).map(|old| view(definition, old));
    let found = match (step.method.as_str(), step.status, step.subresource.as_str()) {
        ("POST", 201 | 422, "") | ("PUT", 201, "") => create(definition, step),
        ("PATCH" | "PUT", 200 | 422, _) => update(definition, step, &old?),
        ("DELETE", 200, "") => Some(delete(definition, step, &old?)),
        ("GET", 200, "") if !step.name.is_empty() => Some(differences(answer, &old?)),
        _ => None,
    };
    remember(definition, step, objects);
    found
}

/// Only what is wrong with a review can be told without a server.
fn review(definition: &Definition, step: &Step) -> Option<Vec<String>> {
    if !matches!(step.status, 201 | 422) {
        return None;
    }
    let object = step.object(definition)?;
    let mut errors = Errors::new();
    (definition.validate)(&object, &mut errors);
    let status = Status::invalid(definition.names.kind(), "", errors);
    let status: Value = serde_json::from_slice(&status.to_json()).expect("a status is JSON");
    Some(differences(&step.answer["details"]["causes"], &status["details"]["causes"]))
}

/// Whether an answer is an object of the kind, a success, or a finding of its validation.
fn concerns(definition: &Definition, answer: &Value) -> bool {
    if answer["kind"] != "Status" {
        return answer["kind"] == definition.names.kind;
    }
    let message = answer["message"].as_str().unwrap_or("");
    // The server allocates after this; options of the request, versions and patches that cannot be applied come before.
    let is_allocation = ["failed to allocate", "provided port is"];
    answer["status"] == "Success"
        || (message.starts_with(&format!("{} ", definition.names.kind()))
            && !is_allocation.iter().any(|text| message.contains(text)))
}

fn remember(definition: &'static Definition, step: &Step, objects: &mut Objects) {
    let answer = &step.answer;
    let is_dry_run = step.request["query"].to_string().contains("dryRun");
    if step.status >= 300 || is_dry_run || answer["metadata"]["name"].is_null() {
        if step.method == "DELETE" && step.status == 200 && !is_dry_run {
            objects.remove(&key(definition, step, &step.name));
        }
        return;
    }
    let mut stored = answer.clone();
    if let Storage::Shared { to_stored, .. } = definition.storage {
        to_stored(&mut stored);
    }
    objects.insert(key(definition, step, meta::name(answer)), stored);
}

fn settled(definition: &Definition, object: &mut Value) {
    json::settle(object, definition.schema())
        .expect("what came out of a decoder has the right shapes");
}

/// Sets the defaults, and checks that doing it again changes nothing.
fn default(definition: &Definition, object: &mut Value) {
    (definition.default)(object);
    settled(definition, object);
    let once = object.clone();
    (definition.default)(object);
    settled(definition, object);
    assert_eq!(once, *object, "defaults are set in one go");
}

fn create(definition: &'static Definition, step: &Step) -> Option<Vec<String>> {
    let mut object = step.object(definition)?;
    default(definition, &mut object);
    for field in ["uid", "resourceVersion", "generation", "selfLink", "deletionTimestamp"] {
        meta::set(&mut object, field, Value::Null);
    }
    let namespace = if step.namespace.is_empty() { Value::Null } else { value!(step.namespace) };
    meta::set(&mut object, "namespace", namespace);
    if meta::name(&object).is_empty() && !meta::str(&object, "generateName").is_empty() {
        let name = meta::name(&step.answer).to_owned();
        meta::set(&mut object, "name", name);
    }
    if let Err(errors) = admit(definition, &mut object, None, &step.answer) {
        return Some(compare_answer(definition, step, &object, None, errors));
    }
    if definition.status == StatusPolicy::Separate && !definition.keeps_new_status {
        tree::set(&mut object, "status", Value::Null);
    }
    (definition.prepare_create)(&mut object);
    if definition.generation != Generation::None {
        meta::set(&mut object, "generation", 1);
    }
    settled(definition, &mut object);
    let mut errors = Errors::new();
    metadata::validate(definition, &object, &mut errors);
    metadata::validate_finalizers(definition, &object, &mut errors);
    (definition.validate)(&object, &mut errors);
    Some(compare_answer(definition, step, &object, None, errors))
}

/// What the server does between decoding and preparing, with what it chose freely taken from the answer.
fn admit(
    definition: &Definition,
    object: &mut Value,
    old: Option<&Value>,
    answer: &Value,
) -> Result<(), Errors> {
    match definition.names.kind {
        "Node" if old.is_none() => {
            let spec = tree::as_map(object).entry("spec").or_insert_with(|| value!({}));
            let mut taints = tree::items_at(spec, &["taints"]).to_vec();
            taints.push(value!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}));
            tree::set(spec, "taints", taints);
        }
        "Service" => {
            service::carry(object, old);
            service::init_families(object, old)?;
            allocate(object, answer);
        }
        _ => {}
    }
    Ok(())
}

fn allocate(object: &mut Value, answer: &Value) {
    let recorded = tree::at(answer, &["spec"]);
    if service::needs_cluster_ip(object) && service::cluster_ips(object).is_empty() {
        for field in ["clusterIP", "clusterIPs"] {
            tree::copy(tree::as_map(object).get_mut("spec").expect("has one"), recorded, field);
        }
    }
    let chooses = service::allocates_node_ports(object);
    let needs_port = service::needs_health_check(object) && service::health_check_port(object) == 0;
    let spec = tree::as_map(object).get_mut("spec").expect("a service has a spec");
    if chooses {
        let chosen = tree::items_at(recorded, &["ports"]);
        for (port, chosen) in tree::items_mut(spec, "ports").iter_mut().zip(chosen) {
            tree::set_default(port, "nodePort", service::node_port(chosen));
        }
    }
    if needs_port {
        tree::copy(spec, recorded, "healthCheckNodePort");
    }
}

fn update(definition: &'static Definition, step: &Step, old: &Value) -> Option<Vec<String>> {
    let mut new = step.patched(definition, old)?;
    default(definition, &mut new);
    if meta::namespace(&new).is_empty() && definition.is_namespaced() {
        meta::copy(&mut new, old, "namespace");
    }
    let given: Vec<Value> = ["deletionTimestamp", "deletionGracePeriodSeconds"]
        .iter()
        .map(|field| tree::at(&new, &["metadata", field]).clone())
        .collect();
    for field in ["resourceVersion", "generation", "selfLink"] {
        meta::copy(&mut new, old, field);
    }
    if meta::uid(&new).is_empty() {
        meta::copy(&mut new, old, "uid");
    }
    meta::copy(&mut new, old, "creationTimestamp");
    for (field, given) in ["deletionTimestamp", "deletionGracePeriodSeconds"].iter().zip(given) {
        if given.is_null() {
            meta::copy(&mut new, old, field);
        }
    }
    if step.subresource.is_empty()
        && let Err(errors) = admit(definition, &mut new, Some(old), &step.answer)
    {
        return Some(compare_answer(definition, step, &new, Some(old), errors));
    }
    let mut errors = Errors::new();
    separate(definition, step, &mut new, old);
    let strategy = definition.strategy(&step.subresource);
    match (step.subresource.as_str(), strategy) {
        ("status", _) => (definition.prepare_status)(&mut new, old),
        (_, Some(strategy)) => (strategy.prepare)(&mut new, old),
        _ => {
            (definition.prepare_update)(&mut new, old);
            settled(definition, &mut new);
            grow(definition, &mut new, old);
        }
    }
    settled(definition, &mut new);
    for _ in 0..2 {
        metadata::validate(definition, &new, &mut errors);
        metadata::validate_update(&new, old, &mut errors);
    }
    match (step.subresource.as_str(), strategy) {
        ("status", _) => (definition.validate_status)(&new, old, &mut errors),
        (_, Some(strategy)) => (strategy.validate)(&new, old, &mut errors),
        _ => {
            metadata::validate_finalizers(definition, &new, &mut errors);
            (definition.validate_update)(&new, old, &mut errors);
            (definition.validate)(&new, &mut errors);
        }
    }
    Some(compare_answer(definition, step, &new, Some(old), errors))
}

/// A write of the object keeps its status, a write of the status keeps everything else.
fn separate(definition: &Definition, step: &Step, new: &mut Value, old: &Value) {
    if definition.status == StatusPolicy::Whole {
        return;
    }
    if step.subresource == "status" {
        let status = tree::take(new, "status").unwrap_or_default();
        let metadata = tree::take(new, "metadata").unwrap_or_default();
        *new = old.clone();
        tree::set(new, "status", status);
        tree::set(new, "metadata", metadata);
    } else {
        tree::copy(new, old, "status");
    }
}

fn grow(definition: &Definition, new: &mut Value, old: &Value) {
    let counts = |field: &str| match definition.generation {
        Generation::None => false,
        Generation::Spec => field == "spec",
        Generation::All => !matches!(field, "metadata" | "status" | "kind" | "apiVersion"),
    };
    let fields = definition.schema().fields();
    if fields
        .iter()
        .any(|field| counts(&field.name) && new.get(&*field.name) != old.get(&*field.name))
    {
        meta::set(new, "generation", meta::generation(old) + 1);
    }
}

fn compare_answer(
    definition: &Definition,
    step: &Step,
    object: &Value,
    old: Option<&Value>,
    errors: Errors,
) -> Vec<String> {
    if step.status == 422 {
        let status = Status::invalid(definition.names.kind(), meta::name(object), errors);
        let status: Value = serde_json::from_slice(&status.to_json()).expect("a status is JSON");
        return differences(&step.answer, &status);
    }
    let mut found: Vec<String> = errors.iter().map(|error| format!("refused: {error}")).collect();
    let mut expected = step.answer.clone();
    let mut object = object.clone();
    json::settle_stored(&mut object, definition.schema()).expect("was settled before");
    let mut ignored = vec!["uid", "resourceVersion", "creationTimestamp", "managedFields"];
    if !old.is_some_and(meta::is_deleting) {
        // A collection or namespace was deleted in between.
        ignored.extend(["deletionTimestamp", "deletionGracePeriodSeconds"]);
    }
    for object in [&mut expected, &mut object] {
        for field in &ignored {
            meta::of_mut(object).remove(*field);
        }
    }
    found.extend(differences(&expected, &object));
    let warnings = (definition.warnings)(&object, old);
    let is_ours = |warning: &&String| {
        !["unknown field", "duplicate field", "already set in map", "PodSecurity", "PolicyBinding"]
            .iter()
            .any(|text| warning.contains(text))
            && Some(warning.as_str()) != definition.deprecation
            && !warning.starts_with(".metadata.ownerReferences")
    };
    let recorded: Vec<String> = step.warnings.iter().filter(is_ours).cloned().collect();
    if warnings != recorded {
        found.push(format!("warnings {warnings:?}, expected {recorded:?}"));
    }
    found
}

/// A deletion answers with the object if it stays, or if the kind says so.
fn delete(definition: &Definition, step: &Step, old: &Value) -> Vec<String> {
    let mut held = old.clone();
    let is_held = definition.hold_deletion.is_some_and(|hold| hold(&mut held));
    let is_kept = is_held || meta::finalizers(old).next().is_some();
    let asks_for_finalizer = ["Foreground", "Orphan"].iter().any(|policy| {
        step.query("propagationPolicy") == *policy
            || step.request["body"]["propagationPolicy"] == *policy
    });
    if is_kept || asks_for_finalizer {
        return differences(&step.answer["status"], &held["status"]);
    }
    let has_object = step.answer["kind"] == definition.names.kind;
    if has_object == definition.returns_deleted {
        Vec::new()
    } else {
        vec![format!("returns_deleted is {}", definition.returns_deleted)]
    }
}

/// A table of objects that earlier steps made.
fn table(definition: &'static Definition, step: &Step, objects: &Objects) -> Vec<String> {
    let now = Timestamp::parse(NOW).expect("the time of the records is a time");
    let mut found = Vec::new();
    let columns: Vec<Value> = definition
        .columns
        .iter()
        .map(|column| {
            let description = match column.description {
                Description::Text(text) => text,
                Description::Field(ty, field) => podo_descriptions::field(ty, field),
            };
            value!({
                "name": column.name, "type": column.kind, "format": column.format,
                "description": description, "priority": column.priority,
            })
        })
        .collect();
    if !step.answer["columnDefinitions"].is_null() {
        found.extend(differences(&step.answer["columnDefinitions"], &columns.into()));
    }
    for row in tree::items_at(&step.answer, &["rows"]) {
        let name = tree::str_at(row, &["object", "metadata", "name"]);
        let Some(object) = objects.get(&key(definition, step, name)) else { continue };
        let object = view(definition, object);
        let cells: Vec<Value> =
            definition.columns.iter().map(|column| (column.cell)(&object).at(now)).collect();
        found.extend(differences(&row["cells"], &cells.into()));
    }
    found
}
