//! The columns of a Node's table.

use std::collections::BTreeSet;

use podo_api::table::Cell;
use podo_api::{Value, meta};

use crate::kinds::pod::view::{at, list, text};
use crate::kinds::resource::joined;
use crate::table::{AGE, NAME};
use crate::{Column, Description};

const NONE: &str = "<none>";
const UNKNOWN: &str = "<unknown>";

/// Labels that give a node a role by their key.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";

/// The label that gives a node a role by its value.
const ROLE_LABEL: &str = "kubernetes.io/role";

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column {
        name: "Status",
        kind: "string",
        format: "",
        description: Description::Text("The status of the node"),
        priority: 0,
        cell: |node| status(node).into(),
    },
    Column {
        name: "Roles",
        kind: "string",
        format: "",
        description: Description::Text("The roles of the node"),
        priority: 0,
        cell: |node| roles(node).into(),
    },
    AGE,
    Column {
        name: "Version",
        kind: "string",
        format: "",
        description: Description::Field("core/v1.NodeSystemInfo", "kubeletVersion"),
        priority: 0,
        cell: |node| info(node, "kubeletVersion").into(),
    },
    address_column("Internal-IP", |node| address(node, "InternalIP").into()),
    address_column("External-IP", |node| address(node, "ExternalIP").into()),
    info_column("OS-Image", "osImage", |node| known(info(node, "osImage")).into()),
    info_column("Kernel-Version", "kernelVersion", |node| kernel(node).into()),
    info_column("Container-Runtime", "containerRuntimeVersion", |node| {
        known(info(node, "containerRuntimeVersion")).into()
    }),
];

const fn address_column(name: &'static str, cell: fn(&Value) -> Cell) -> Column {
    let description = Description::Field("core/v1.NodeStatus", "addresses");
    Column { name, kind: "string", format: "", description, priority: 1, cell }
}

const fn info_column(name: &'static str, field: &'static str, cell: fn(&Value) -> Cell) -> Column {
    let description = Description::Field("core/v1.NodeSystemInfo", field);
    Column { name, kind: "string", format: "", description, priority: 1, cell }
}

fn info<'a>(node: &'a Value, field: &str) -> &'a str {
    text(at(at(node, "status"), "nodeInfo"), field)
}

fn known(text: &str) -> &str {
    if text.is_empty() { UNKNOWN } else { text }
}

fn status(node: &Value) -> String {
    let conditions = list(at(node, "status"), "conditions");
    let ready = conditions.iter().rev().find(|condition| text(condition, "type") == "Ready");
    let status = match ready.map(|condition| text(condition, "status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let is_closed = at(at(node, "spec"), "unschedulable") == true;
    if is_closed { format!("{status},SchedulingDisabled") } else { status.to_owned() }
}

fn roles(node: &Value) -> String {
    let roles = meta::pairs(node, "labels").filter_map(|(key, value)| {
        let role = if key == ROLE_LABEL { value } else { key.strip_prefix(ROLE_PREFIX)? };
        (!role.is_empty()).then_some(role)
    });
    joined(roles.collect::<BTreeSet<_>>(), NONE)
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let addresses = list(at(node, "status"), "addresses");
    let found = addresses.iter().find(|address| text(address, "type") == kind);
    found.map_or(NONE, |address| text(address, "address"))
}

fn kernel(node: &Value) -> String {
    match (info(node, "kernelVersion"), info(node, "architecture")) {
        ("", _) => UNKNOWN.to_owned(),
        (kernel, "") => kernel.to_owned(),
        (kernel, architecture) => format!("{kernel} ({architecture})"),
    }
}
