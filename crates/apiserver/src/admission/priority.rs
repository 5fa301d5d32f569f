//! Priority: a Pod's `priorityClassName` becomes a number; one class at most is the default.

use podo_api::{Status, Value, tree};

use super::{Operation, Request};
use crate::verbs::all_of;

const GROUP: &str = "scheduling.k8s.io";
const PLURAL: &str = "priorityclasses";

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

/// There is one class for Pods that name none.
pub(super) fn validate(request: &Request<'_>, value: &Value) -> Result<(), Status> {
    let names = &request.definition().names;
    let is_write = matches!(request.operation, Operation::Create | Operation::Update);
    let is_class = (names.group, names.plural) == (GROUP, PLURAL);
    if !is_class || !is_write || !tree::is_true(value, &["globalDefault"]) {
        return Ok(());
    }
    let present = default_class(request)?;
    let Some(name) = present.as_ref().map(podo_api::meta::name) else { return Ok(()) };
    if request.operation == Operation::Update && name == podo_api::meta::name(value) {
        return Ok(());
    }
    let why =
        format!("PriorityClass {name} is already marked as default. Only one default can exist");
    Err(request.forbidden(value, why))
}

/// The class of Pods that name none; of several the least.
fn default_class(request: &Request<'_>) -> Result<Option<Value>, Status> {
    let classes = classes(request)?.into_iter();
    let marked = classes.filter(|class| tree::is_true(class, &["globalDefault"]));
    Ok(marked.min_by_key(|class| tree::int_at(class, &["value"]).unwrap_or(0)))
}

fn default(request: &Request<'_>) -> Result<Priority, Status> {
    Ok(match default_class(request)? {
        Some(class) => of_class(&class),
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
    let definition = podo_registry::find(GROUP, "v1", PLURAL)
        .ok_or_else(|| Status::internal("priority classes are not served"))?;
    Ok(all_of(request.api, definition, "")?.iter().map(|entry| entry.value.view()).collect())
}
