//! Defaults of requests and limits, of containers and of the Pod as a whole (KEP-2837).

use podo_api::Value;
use podo_api::quantity::Quantity;
use podo_api::tree;

use super::super::resources::{
    Amounts, aggregate, amounts, is_hugepages, is_overcommittable, is_pod_level,
};
use super::super::view::at;

/// Sets the requests that are not set to the limits.
pub(super) fn requests_from_limits(spec: &mut Value) {
    for name in ["containers", "initContainers"] {
        for container in tree::items_mut(spec, name) {
            let Some(resources) = container.get_mut("resources") else { continue };
            let limits = at(resources, "limits").clone();
            add_missing(resources, "requests", &limits);
        }
    }
}

/// Sets requests and huge page limits of the Pod as a whole, if it has any requests or limits of its own.
pub(super) fn pod_level(spec: &mut Value) {
    let own = at(spec, "resources");
    let (limits, requests) = (amounts(own, "limits"), amounts(own, "requests"));
    if limits.is_empty() && requests.is_empty() {
        return;
    }
    let hugepages: Amounts = aggregate(spec, "limits")
        .into_iter()
        .filter(|(name, _)| {
            is_hugepages(name) && is_pod_level(name) && !requests.contains_key(name)
        })
        .collect();
    set_missing(spec, "limits", hugepages);
    if amounts(at(spec, "resources"), "limits").is_empty() {
        return;
    }
    let of_containers = aggregate(spec, "requests")
        .into_iter()
        .filter(|(name, _)| is_pod_level(name) && is_overcommittable(name))
        .collect();
    set_missing(spec, "requests", of_containers);
    let of_limits = amounts(at(spec, "resources"), "limits")
        .into_iter()
        .filter(|(name, _)| is_pod_level(name))
        .collect();
    set_missing(spec, "requests", of_limits);
}

fn set_missing(spec: &mut Value, list: &str, amounts: Amounts) {
    let missing: Value =
        amounts.into_iter().map(|(name, amount)| (name, Value::from(amount.to_string()))).collect();
    add_missing(super::field(spec, "resources"), list, &missing);
}

fn add_missing(resources: &mut Value, list: &str, missing: &Value) {
    for (name, amount) in missing.as_object().into_iter().flatten() {
        let owner = tree::map_mut(resources, list);
        owner.entry(name.clone()).or_insert_with(|| amount.clone());
    }
}

/// Rounds requests and limits up to thousandths, the finest that Kubernetes keeps of them.
pub(super) fn round_up_requirements(resources: &mut Value) {
    for list in ["limits", "requests"] {
        round_up(resources.get_mut(list));
    }
}

/// Rounds the amounts of a list of resources up to thousandths.
pub(super) fn round_up(list: Option<&mut Value>) {
    for amount in
        list.and_then(Value::as_object_mut).into_iter().flat_map(serde_json::Map::values_mut)
    {
        let Some(quantity) = amount.as_str().and_then(|text| text.parse::<Quantity>().ok()) else {
            continue;
        };
        let milli = quantity.milli_value();
        let rounded = Quantity::from_milli(milli, quantity.format());
        // A number beyond the range of thousandths has no finer part.
        if milli != i64::MAX && milli != i64::MIN && rounded != quantity {
            *amount = Value::from(rounded.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_with_limits_of_its_own_requests_what_its_containers_request() {
        let mut spec = json!({
            "containers": [{"resources": {"requests": {"cpu": "2"}}}, {"resources": {"requests": {"cpu": "1"}}}],
            "resources": {"limits": {"cpu": "4", "memory": "1Gi"}},
        });
        pod_level(&mut spec);
        assert_eq!(spec["resources"]["requests"], json!({"cpu": "3", "memory": "1Gi"}));
    }

    #[test]
    fn amounts_are_rounded_up_to_thousandths() {
        let mut list = json!({"cpu": "100u", "memory": "1Gi", "huge": "10E"});
        round_up(Some(&mut list));
        assert_eq!(list, json!({"cpu": "1m", "memory": "1Gi", "huge": "10E"}));
    }
}
