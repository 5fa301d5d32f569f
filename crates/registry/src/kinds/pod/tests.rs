//! The recorded scenarios with Pods, replayed without a server.

mod admission;

use std::collections::BTreeMap;

use podo_api::field::Errors;
use podo_api::json::{decode, settle};
use podo_api::selector::field::Selector;
use podo_api::{Value, meta, status::Status, tree};
use podo_base::Timestamp;

use super::{POD, ephemeral, internal, resize};
use crate::metadata;
use crate::tests::compare::differences;
use crate::tests::scenario::{self, Step};

/// The areas that are about more than the kind: admission, apply, encodings, bindings.
const SKIPPED_AREAS: &[&str] = &["admission", "apply", "protobuf", "watch"];

type Prepare = fn(&mut Value, &Value);

type Validate = fn(&Value, &Value, &mut Errors);

/// The Pods of a scenario, as the recorded answers left them.
type Pods = BTreeMap<String, Value>;

#[test]
fn recorded_scenarios_come_out_the_same() {
    let Some(scenarios) = scenario::all("recorded_scenarios_come_out_the_same") else { return };
    let mut failures = Vec::new();
    let mut count = 0;
    for scenario in
        scenarios.iter().filter(|scenario| !SKIPPED_AREAS.contains(&scenario.area.as_str()))
    {
        let mut pods = Pods::new();
        for step in scenario.steps.iter().filter(|step| step.is_about(&POD)) {
            let found = replay(step, &mut pods);
            count += usize::from(found.is_some());
            let place = format!("{}/{} {}", scenario.area, scenario.name, step.number);
            failures.extend(found.into_iter().flatten().map(|line| format!("{place}: {line}")));
        }
    }
    assert!(count > 300, "only {count} steps were replayed");
    assert!(
        failures.is_empty(),
        "{} differences in {count} steps:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// A Pod with every field set passes through all code that looks at it.
#[test]
fn a_pod_with_every_field_is_looked_at_without_a_panic() {
    let Some(bytes) =
        scenario::full_object("a_pod_with_every_field_is_looked_at_without_a_panic", "core.v1.Pod")
    else {
        return;
    };
    let mut pod = decode(&bytes, POD.schema()).expect("upstream's own object can be read").value;
    (POD.default)(&mut pod);
    let once = pod.clone();
    (POD.default)(&mut pod);
    assert_eq!(once, pod, "defaults are set in one go");
    let mut errors = Errors::new();
    (POD.validate)(&pod, &mut errors);
    assert!(!errors.is_empty(), "it names every volume source at once");
    (POD.validate_update)(&pod, &once, &mut errors);
    (POD.validate_status)(&pod, &once, &mut errors);
    ephemeral::validate(&pod, &once, &mut errors);
    resize::validate(&pod, &once, &mut errors);
    (POD.warnings)(&pod, Some(&once));
    for column in POD.columns {
        (column.cell)(&pod).at(Timestamp::default());
    }
    (POD.prepare_create)(&mut pod);
    settled(&mut pod);
    assert!(!internal::pretty(&pod["spec"], "core/v1.PodSpec").is_empty());
}

/// Replays a step: how the answer differs, or `None` if the step is about something else.
fn replay(step: &Step, pods: &mut Pods) -> Option<Vec<String>> {
    if step.answer["kind"] == "Table" {
        return Some(table(&step.answer, pods));
    }
    let selector = step.query("fieldSelector");
    if !selector.is_empty() && step.status == 200 && step.answer["kind"] == "PodList" {
        return Some(selected(selector, &step.answer, pods));
    }
    let found = match (step.method.as_str(), step.status, step.subresource.as_str()) {
        ("POST", 201 | 422, "") => create(step),
        _ if !matches!(step.answer["kind"].as_str(), Some("Pod" | "Status")) => None,
        ("PATCH" | "PUT", 200 | 422, "" | "status" | "ephemeralcontainers" | "resize") => {
            update(step, pods.get(&step.name)?)
        }
        ("DELETE", 200, "") => Some(delete(step, pods.get(&step.name)?)),
        _ => None,
    };
    if step.status < 300 && step.answer["kind"] == "Pod" && step.query("dryRun").is_empty() {
        pods.insert(meta::name(&step.answer).to_owned(), step.answer.clone());
    }
    found
}

fn create(step: &Step) -> Option<Vec<String>> {
    let mut pod = step.object(&POD)?;
    meta::set(&mut pod, "namespace", "ns");
    meta::set(&mut pod, "creationTimestamp", scenario::NOW);
    if meta::name(&pod).is_empty() && !meta::str(&pod, "generateName").is_empty() {
        let name = format!("{}abcde", meta::str(&pod, "generateName"));
        meta::set(&mut pod, "name", name);
    }
    (POD.default)(&mut pod);
    let once = pod.clone();
    (POD.default)(&mut pod);
    assert_eq!(once, pod, "defaults are set in one go");
    admission::admit(&mut pod, &step.answer);
    (POD.prepare_create)(&mut pod);
    settled(&mut pod);
    let mut errors = Errors::new();
    metadata::validate(&POD, &pod, &mut errors);
    (POD.validate)(&pod, &mut errors);
    Some(compare_answer(step, &pod, None, errors))
}

fn update(step: &Step, old: &Value) -> Option<Vec<String>> {
    let mut pod = step.patched(&POD, old)?;
    for field in ["creationTimestamp", "namespace", "uid"] {
        meta::copy(&mut pod, old, field);
    }
    (POD.default)(&mut pod);
    if step.subresource.is_empty() {
        admission::admit_update(&mut pod, old);
    }
    let (prepare, validate): (Prepare, Validate) = match step.subresource.as_str() {
        "status" => (POD.prepare_status, POD.validate_status),
        "ephemeralcontainers" => (ephemeral::prepare, ephemeral::validate),
        "resize" => (resize::prepare, resize::validate),
        _ => (POD.prepare_update, POD.validate_update),
    };
    prepare(&mut pod, old);
    settled(&mut pod);
    let mut errors = Errors::new();
    metadata::validate(&POD, &pod, &mut errors);
    metadata::validate_update(&pod, old, &mut errors);
    if step.subresource != "status" {
        (POD.validate)(&pod, &mut errors);
    }
    validate(&pod, old, &mut errors);
    Some(compare_answer(step, &pod, Some(old), errors))
}

fn settled(pod: &mut Value) {
    settle(pod, POD.schema()).expect("what came out of a decoder has the right shapes");
}

fn compare_answer(step: &Step, pod: &Value, old: Option<&Value>, errors: Errors) -> Vec<String> {
    if step.status == 422 {
        let status = Status::invalid(POD.names.kind(), meta::name(pod), errors);
        let status: Value = serde_json::from_slice(&status.to_json()).expect("a status is JSON");
        return differences(&step.answer, &status);
    }
    let mut found: Vec<String> = errors.iter().map(|error| format!("refused: {error}")).collect();
    let warnings = (POD.warnings)(pod, old);
    let mut expected = step.answer.clone();
    let mut pod = pod.clone();
    for object in [&mut expected, &mut pod] {
        for field in [
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "managedFields",
        ] {
            meta::of_mut(object).remove(field);
        }
        for field in ["apiVersion", "kind"] {
            tree::take(object, field);
        }
    }
    found.extend(differences(&expected, &pod));
    let recorded: Vec<String> = step
        .warnings
        .iter()
        .filter(|warning| !warning.contains("unknown field"))
        .cloned()
        .collect();
    if warnings != recorded {
        found.push(format!("warnings {warnings:?}, expected {recorded:?}"));
    }
    found
}

/// The deletion of a Pod: the grace that it gets shows in the answer.
fn delete(step: &Step, old: &Value) -> Vec<String> {
    if step.answer["kind"] != "Pod" {
        return vec!["a Pod is what its deletion answers with".to_owned()];
    }
    let asked = tree::int_at(&step.request, &["body", "gracePeriodSeconds"])
        .or_else(|| step.query("gracePeriodSeconds").parse().ok());
    let grace = POD.grace.map_or(0, |grace| grace(old, asked));
    let recorded =
        tree::int_at(&step.answer, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0);
    let before = tree::int_at(old, &["metadata", "deletionGracePeriodSeconds"]);
    // A second deletion can only shorten the grace; that is the pipeline's.
    if grace == recorded || before == Some(recorded) {
        Vec::new()
    } else {
        vec![format!("grace {grace}, expected {recorded}")]
    }
}

/// A list of the names of the Pods that a field selector chooses.
fn selected(selector: &str, answer: &Value, pods: &Pods) -> Vec<String> {
    let selector = Selector::parse(selector).expect("a selector that was answered can be read");
    let fits = |pod: &&Value| {
        selector.terms().iter().all(|term| term.matches(&field_value(pod, &term.field)))
    };
    let names: Vec<&str> = pods.values().filter(fits).map(meta::name).collect();
    let recorded: Vec<&str> =
        tree::items_at(answer, &["items"]).iter().filter_map(Value::as_str).collect();
    if names == recorded { Vec::new() } else { vec![format!("{names:?}, expected {recorded:?}")] }
}

fn field_value(pod: &Value, label: &str) -> String {
    if let Some(field) = label.strip_prefix("metadata.") {
        return meta::str(pod, field).to_owned();
    }
    let field = POD.selectable.iter().find(|field| field.label == label);
    field.map(|field| (field.read)(pod)).expect("a field that was answered can be selected")
}

/// A table of Pods that earlier steps made.
fn table(answer: &Value, pods: &Pods) -> Vec<String> {
    let now = Timestamp::parse(scenario::NOW).expect("the time of the records is a time");
    let columns: Vec<Value> = POD.columns.iter().map(|column| {
        serde_json::json!({"name": column.name, "type": column.kind, "format": column.format, "priority": column.priority})
    }).collect();
    let mut recorded = answer["columnDefinitions"].clone();
    let mut found = Vec::new();
    for (column, recorded) in POD.columns.iter().zip(recorded.as_array_mut().into_iter().flatten())
    {
        let description = tree::take(recorded, "description").unwrap_or_default();
        if let crate::Description::Text(text) = column.description
            && description != text
        {
            found.push(format!("description of {}: {text}, expected {description}", column.name));
        }
    }
    if !recorded.is_null() {
        found.extend(differences(&recorded, &columns.into()));
    }
    for row in tree::items_at(answer, &["rows"]) {
        let Some(pod) = pods.get(tree::str_at(row, &["object", "metadata", "name"])) else {
            found.push("a row of an unknown Pod".to_owned());
            continue;
        };
        let cells: Vec<Value> =
            POD.columns.iter().map(|column| (column.cell)(pod).at(now)).collect();
        found.extend(differences(&row["cells"], &cells.into()));
        let conditions = (POD.row_conditions)(pod);
        let conditions = if conditions.is_empty() { Value::Null } else { conditions.into() };
        found.extend(differences(&row["conditions"], &conditions));
    }
    found
}
