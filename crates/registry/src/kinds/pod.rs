//! Pod: containers that run together on one node.
//!
//! Here is the definition; each topic has a file of its own: [`defaults`], [`validate`], [`update`], [`status`], [`strategy`],
//! [`table`], [`warnings`], and of the subresources that change the spec [`ephemeral`] and [`resize`].

pub(crate) mod defaults;
pub(crate) mod diff;
pub(crate) mod ephemeral;
mod image_name;
pub(crate) mod internal;
pub(crate) mod labels;
pub(crate) mod resize;
pub(crate) mod resources;
mod status;
pub(crate) mod strategy;
mod table;
mod update;
pub(crate) mod validate;
pub(crate) mod view;
pub(crate) mod warnings;

use podo_api::field::Errors;
use podo_api::{Value, meta};

use crate::{
    Definition, Generation, Names, Selectable, StatusPolicy, Strategy, Subresource, Verb, proxy_of,
    status_of,
};
use view::{at, is_on, list, text};

/// Pod.
pub(crate) static POD: Definition = Definition {
    names: Names {
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        short: &["po"],
        categories: &["all"],
        ..Definition::BASE.names
    },
    ty: TY,
    subresources: &[
        stream("attach", "PodAttachOptions"),
        Subresource {
            name: "binding",
            kind: ("", "v1", "Binding"),
            ty: "core/v1.Binding",
            verbs: &[Verb::Create],
        },
        part("ephemeralcontainers"),
        Subresource {
            name: "eviction",
            kind: ("policy", "v1", "Eviction"),
            ty: "policy/v1.Eviction",
            verbs: &[Verb::Create],
        },
        stream("exec", "PodExecOptions"),
        Subresource { name: "log", kind: ("", "v1", "Pod"), ty: "", verbs: &[Verb::Get] },
        stream("portforward", "PodPortForwardOptions"),
        proxy_of("PodProxyOptions"),
        part("resize"),
        status_of("", "v1", "Pod", TY),
    ],
    status: StatusPolicy::Separate,
    strategies: &[
        Strategy {
            subresource: "ephemeralcontainers",
            prepare: ephemeral::prepare,
            validate: |new, old, errors| {
                validate::pod(new, errors);
                ephemeral::validate(new, old, errors);
            },
        },
        Strategy {
            subresource: "resize",
            prepare: resize::prepare,
            validate: |new, old, errors| {
                validate::pod(new, errors);
                resize::validate(new, old, errors);
            },
        },
    ],
    status_resets: &[
        &["spec"],
        &["metadata", "deletionTimestamp"],
        &["metadata", "ownerReferences"],
    ],
    generation: Generation::Spec,
    columns: table::COLUMNS,
    row_conditions: table::row_conditions,
    selectable: SELECTABLE,
    default: defaults::pod,
    prepare_create: strategy::prepare_create,
    prepare_update: strategy::prepare_update,
    prepare_status: strategy::prepare_status,
    validate: validate_pod,
    validate_update: update::validate,
    validate_status: status::validate,
    warnings: warnings::pod,
    grace: Some(strategy::grace),
    returns_deleted: true,
    ..Definition::BASE
};

const TY: &str = "core/v1.Pod";

/// A subresource that opens a stream.
const fn stream(name: &'static str, kind: &'static str) -> Subresource {
    Subresource { name, kind: ("", "v1", kind), ty: "", verbs: &[Verb::Create, Verb::Get] }
}

/// A subresource that changes a part of the Pod.
const fn part(name: &'static str) -> Subresource {
    Subresource {
        name,
        kind: ("", "v1", "Pod"),
        ty: TY,
        verbs: &[Verb::Get, Verb::Patch, Verb::Update],
    }
}

/// The fields that selectors can name.
const SELECTABLE: &[Selectable] = &[
    Selectable { label: "spec.nodeName", read: |pod| of_spec(pod, "nodeName") },
    Selectable { label: "spec.restartPolicy", read: |pod| of_spec(pod, "restartPolicy") },
    Selectable { label: "spec.schedulerName", read: |pod| of_spec(pod, "schedulerName") },
    Selectable { label: "spec.serviceAccountName", read: |pod| of_spec(pod, "serviceAccountName") },
    Selectable {
        label: "spec.hostNetwork",
        read: |pod| is_on(at(pod, "spec"), "hostNetwork").to_string(),
    },
    Selectable { label: "status.phase", read: |pod| of_status(pod, "phase") },
    Selectable { label: "status.podIP", read: pod_ip },
    // Known as a label, but upstream never gives it a value.
    Selectable { label: "status.podIPs", read: |_| String::new() },
    Selectable {
        label: "status.nominatedNodeName",
        read: |pod| of_status(pod, "nominatedNodeName"),
    },
    // The oldest name of `spec.nodeName`.
    Selectable { label: "spec.host", read: |pod| of_spec(pod, "nodeName") },
];

fn of_spec(pod: &Value, name: &str) -> String {
    text(at(pod, "spec"), name).to_owned()
}

fn of_status(pod: &Value, name: &str) -> String {
    text(at(pod, "status"), name).to_owned()
}

fn pod_ip(pod: &Value) -> String {
    list(at(pod, "status"), "podIPs").first().map_or("", |ip| text(ip, "ip")).to_owned()
}

/// Validates a Pod that is to be created or was updated; one that has no version yet is to be created.
fn validate_pod(pod: &Value, errors: &mut Errors) {
    validate::pod(pod, errors);
    if meta::resource_version(pod).unwrap_or(0) == 0 {
        validate::create(pod, errors);
    }
}

#[cfg(test)]
mod tests;
