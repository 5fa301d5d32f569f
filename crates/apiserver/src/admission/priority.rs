//! Priority: a Pod's `priorityClassName` becomes a number; one class at most is the default.

use podo_api::{Status, Value, tree};

use super::{Operation, Request};
use crate::verbs::all_of;

/// What a Pod gets when it is created.
struct Priority {
    class: String,
    value: i64,
    preemption: String,
}

pub(super) fn admit(
    request: &Request<'_>,
    value: &mut Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    if !request.is_main("pods") {
        return Ok(());
    }
    match (request.operation, old) {
        (Operation::Create, _) => create(request, value),
        (Operation::Update, Some(old)) => {
            keep(value, old);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A class that says it is the default must be the only one that does.
pub(super) fn validate(
    request: &Request<'_>,
    value: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    let is_written = matches!(request.operation, Operation::Create | Operation::Update);
    let is_class = request.definition().names.kind == "PriorityClass";
    if !is_class || !is_written || !tree::is_true(value, &["globalDefault"]) {
        return Ok(());
    }
    let classes = classes(request)?;
    let Some(default) = chosen(&classes).map(podo_api::meta::name) else { return Ok(()) };
    if old.is_some() && default == podo_api::meta::name(value) {
        return Ok(());
    }
    let why =
        format!("PriorityClass {default} is already marked as default. Only one default can exist");
    Err(request.forbidden(value, why))
}

/// The default class; of several the one with the lowest value.
fn chosen(classes: &[Value]) -> Option<&Value> {
    classes
        .iter()
        .filter(|class| tree::is_true(class, &["globalDefault"]))
        .min_by_key(|class| tree::int_at(class, &["value"]).unwrap_or(0))
}

fn create(request: &Request<'_>, value: &mut Value) -> Result<(), Status> {
    let name = tree::str_at(value, &["spec", "priorityClassName"]).to_owned();
    let priority = if name.is_empty() { default(request)? } else { named(request, value, &name)? };
    let given = tree::int_at(value, &["spec", "priority"]);
    if let Some(given) = given.filter(|given| *given != priority.value) {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed \
             {} from the given PriorityClass name",
            priority.value
        );
        return Err(request.forbidden(value, why));
    }
    let preemption = tree::str_at(value, &["spec", "preemptionPolicy"]);
    if !preemption.is_empty() && preemption != priority.preemption {
        let why = format!(
            "the string value of PreemptionPolicy ({preemption}) must not be provided in pod spec; priority admission controller \
             computed {} from the given PriorityClass name",
            priority.preemption
        );
        return Err(request.forbidden(value, why));
    }
    let spec = tree::as_map(value).entry("spec").or_insert(Value::Null);
    tree::set(spec, "priority", priority.value);
    tree::set(spec, "preemptionPolicy", priority.preemption);
    if !priority.class.is_empty() {
        tree::set(spec, "priorityClassName", priority.class);
    }
    Ok(())
}

/// An update that leaves the priority out means the present one.
fn keep(value: &mut Value, old: &Value) {
    for field in ["priority", "preemptionPolicy"] {
        if tree::at(value, &["spec", field]).is_null() {
            let spec = tree::as_map(value).entry("spec").or_insert(Value::Null);
            tree::copy(spec, tree::at(old, &["spec"]), field);
        }
    }
}

fn default(request: &Request<'_>) -> Result<Priority, Status> {
    Ok(match chosen(&classes(request)?) {
        Some(class) => of_class(class),
        None => Priority {
            class: String::new(),
            value: 0,
            preemption: "PreemptLowerPriority".to_owned(),
        },
    })
}

fn named(request: &Request<'_>, value: &Value, name: &str) -> Result<Priority, Status> {
    let found =
        classes(request)?.iter().find(|class| podo_api::meta::name(class) == name).map(of_class);
    found.ok_or_else(|| {
        request.forbidden(value, format!("no PriorityClass with name {name} was found"))
    })
}

fn of_class(class: &Value) -> Priority {
    Priority {
        class: podo_api::meta::name(class).to_owned(),
        value: tree::int_at(class, &["value"]).unwrap_or(0),
        preemption: tree::str_at(class, &["preemptionPolicy"]).to_owned(),
    }
}

fn classes(request: &Request<'_>) -> Result<Vec<Value>, Status> {
    let definition = podo_registry::find("scheduling.k8s.io", "v1", "priorityclasses")
        .ok_or_else(|| Status::internal("priority classes are not served"))?;
    Ok(all_of(request.api, definition, "")?.iter().map(|entry| entry.value.view()).collect())
}
