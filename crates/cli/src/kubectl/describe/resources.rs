//! Sums of resources: what a Pod asks for, and what fields of containers say.

use std::collections::BTreeMap;

use podo_api::quantity::Quantity;
use serde_json::Value;

use super::super::value::{Look, shown};

/// Amounts by resource.
pub(super) type Amounts = BTreeMap<String, Quantity>;

fn amounts(resources: &Value, which: &str) -> Amounts {
    let entries = resources.entries(&format!("/{which}"));
    entries
        .into_iter()
        .filter_map(|(name, amount)| Some((name.to_owned(), shown(amount).parse().ok()?)))
        .collect()
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = match total.get(name) {
            Some(own) => own.add(amount),
            None => amount.clone(),
        };
        total.insert(name.clone(), sum);
    }
}

fn at_least(total: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        if total.get(name).is_none_or(|own| own < amount) {
            total.insert(name.clone(), amount.clone());
        }
    }
}

/// What a Pod asks for (`requests`) or may use (`limits`): containers and sidecars together, or what its largest init step
/// needs; what the Pod says as a whole comes before that (Kubernetes v1.36, KEP-753 and KEP-2837).
pub(super) fn of_pod(pod: &Value, which: &str) -> Amounts {
    let mut total = Amounts::new();
    for container in pod.list("/spec/containers") {
        add(&mut total, &amounts(&container["resources"], which));
    }
    let mut sidecars = Amounts::new();
    let mut starting = Amounts::new();
    for container in pod.list("/spec/initContainers") {
        let own = amounts(&container["resources"], which);
        let mut step = sidecars.clone();
        add(&mut step, &own);
        if container.s("/restartPolicy") == "Always" {
            add(&mut total, &own);
            sidecars.clone_from(&step);
        }
        at_least(&mut starting, &step);
    }
    at_least(&mut total, &starting);
    for (name, amount) in
        pod.at("/spec/resources").map(|own| amounts(own, which)).unwrap_or_default()
    {
        total.insert(name, amount);
    }
    let overhead: Amounts = pod
        .entries("/spec/overhead")
        .into_iter()
        .filter_map(|(name, amount)| Some((name.to_owned(), shown(amount).parse().ok()?)))
        .filter(|(name, _)| which == "requests" || total.contains_key(name))
        .collect();
    add(&mut total, &overhead);
    total
}

/// What all Pods together ask for or may use.
pub(super) fn of_pods(pods: &[Value], which: &str) -> Amounts {
    let mut total = Amounts::new();
    for pod in pods {
        add(&mut total, &of_pod(pod, which));
    }
    total
}

/// The class of service that a Pod's requests and limits mean.
pub(super) fn qos_class(pod: &Value) -> &'static str {
    let all = || pod.list("/spec/containers").iter().chain(pod.list("/spec/initContainers"));
    let has_any = all().any(|container| {
        ["cpu", "memory"].iter().any(|name| {
            container["resources"]["requests"].get(*name).is_some()
                || container["resources"]["limits"].get(*name).is_some()
        })
    });
    if !has_any {
        return "BestEffort";
    }
    let is_guaranteed = all().all(|container| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = container["resources"]["limits"].get(*name);
            let request = container["resources"]["requests"].get(*name).or(limit);
            limit.is_some() && limit == request
        })
    });
    if is_guaranteed { "Guaranteed" } else { "Burstable" }
}

/// The value of a `resourceFieldRef`: whole units of its divisor, rounded up.
pub(super) fn field_value(container: &Value, field: &Value) -> Option<String> {
    let (which, name) = field.s("/resource").split_once('.')?;
    let own = container["resources"][which].get(name).map(shown);
    let amount: Quantity = own.as_deref().unwrap_or("0").parse().ok()?;
    let divisor: Quantity = match field.at("/divisor").map(shown) {
        Some(text) if text != "0" => text.parse().ok()?,
        _ => "1".parse().ok()?,
    };
    let (amount, divisor) = if name == "cpu" {
        (amount.milli_value(), divisor.milli_value())
    } else {
        (amount.value(), divisor.value())
    };
    (divisor > 0).then(|| ((amount + divisor - 1) / divisor).to_string())
}
