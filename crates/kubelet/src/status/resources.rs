//! What containers and their Pod have in force, as statuses tell it (Kubernetes v1.36 `convertContainerStatusResources`).

use std::collections::BTreeMap;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use podo_api::quantity::{Format, Quantity};

use super::StatusInput;
use crate::container::resources::Amounts;
use crate::observed::{ObservedContainer, RunState};
use crate::resize::Held;

type List = BTreeMap<String, Text>;

/// What a container has: one that runs may not have what it was given yet.
pub(super) fn of_container(
    input: StatusInput<'_>,
    container: &k8s::Container,
    record: &ObservedContainer,
) -> k8s::ResourceRequirements {
    let given = Held::of(input.pod, container);
    if record.state != RunState::Running {
        return given.resources;
    }
    let has = input.resize.allocation.before(&container.name).unwrap_or(&given);
    let amounts = record.amounts.unwrap_or(has.amounts);
    let mut told = given.resources.clone();
    told.limits = told.limits.map(|list| limits(list, given.amounts, amounts));
    told.requests = told.requests.map(|list| requests(list, given.amounts, amounts, has));
    told
}

/// The list of what was given with what is in force, which only numbers tell. As it is written where it is the same.
fn limits(mut list: List, given: Amounts, has: Amounts) -> List {
    if given.cpu_quota != has.cpu_quota {
        set(&mut list, "cpu", Quantity::from_milli(has.milli_cpu_limit(), Format::DecimalSi));
    }
    if given.memory_limit != has.memory_limit {
        set(&mut list, "memory", Quantity::from_value(has.memory_limit, Format::BinarySi));
    }
    list
}

/// The same of requests. Of a request of memory nothing is in the cgroup.
fn requests(mut list: List, given: Amounts, amounts: Amounts, has: &Held) -> List {
    if given.cpu_shares != amounts.cpu_shares {
        set(&mut list, "cpu", Quantity::from_milli(amounts.milli_cpu_request(), Format::DecimalSi));
    }
    let memory = has.resources.requests.as_ref().and_then(|all| all.get("memory"));
    if let (Some(told), Some(memory)) = (list.get_mut("memory"), memory) {
        told.clone_from(memory);
    }
    list
}

/// Sets an amount that is told of; none where there is no limit.
fn set(list: &mut List, name: &str, amount: Quantity) {
    if amount.is_zero() {
        list.remove(name);
    } else if let Some(text) = list.get_mut(name) {
        *text = Text(amount.to_string());
    }
}

/// What a Pod as a whole was given and has, if it asks for something as a whole (KEP-5419).
pub(super) fn of_pod(input: StatusInput<'_>) -> (Option<List>, Option<k8s::ResourceRequirements>) {
    let Some(given) = input.pod.spec.resources.clone() else { return (None, None) };
    let is_changing = input.resize.allocation.progress().is_some();
    let told = input.old.resources.clone().filter(|_| is_changing);
    let allocated = given.requests.clone().filter(|list| !list.is_empty());
    (allocated, Some(told.unwrap_or(given)))
}
