//! Pods and Pod templates.

use serde_json::Value;

use super::super::time::{age, rfc1123z};
use super::super::value::Look;
use super::Subject;
use super::container::{self, Statuses};
use super::page::Page;
use super::{resources, volume};

pub(super) fn describe(subject: &Subject<'_>) -> Page {
    let pod = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", pod.namespace());
    head(&mut page, pod);
    page.pair(0, "IP", pod.s("/status/podIP"));
    let ips = pod.list("/status/podIPs");
    if ips.is_empty() {
        page.pair(0, "IPs", "<none>");
    } else {
        page.line(0, "IPs:");
        ips.iter().for_each(|ip| page.pair(1, "IP", ip.s("/ip")));
    }
    page.controller(pod);
    page.pair_if(0, "NominatedNodeName", pod.s("/status/nominatedNodeName"));
    if let Some(own) = pod.at("/spec/resources") {
        page.line(0, "Resources:");
        container::resources(&mut page, own, 1);
    }
    let groups = [
        ("Init Containers", "/spec/initContainers", "/status/initContainerStatuses"),
        ("Containers", "/spec/containers", "/status/containerStatuses"),
        ("Ephemeral Containers", "/spec/ephemeralContainers", "/status/ephemeralContainerStatuses"),
    ];
    for (title, containers, statuses) in groups {
        let containers = pod.list(containers);
        if title == "Containers" || !containers.is_empty() {
            let statuses = Statuses { pod: Some(pod), list: pod.list(statuses) };
            container::all(&mut page, title, containers, &statuses, "");
        }
    }
    conditions(&mut page, pod);
    volume::all(&mut page, pod.list("/spec/volumes"), "");
    let class = pod.s("/status/qosClass");
    page.pair(0, "QoS Class", if class.is_empty() { resources::qos_class(pod) } else { class });
    page.map("", "Node-Selectors", pod.at("/spec/nodeSelector"));
    tolerations(&mut page, "Tolerations", pod.list("/spec/tolerations"));
    spread(&mut page, pod.list("/spec/topologySpreadConstraints"), "");
    subject.events(&mut page);
    page
}

fn head(page: &mut Page, pod: &Value) {
    if pod.has("/spec/priority") {
        page.pair(0, "Priority", pod.i("/spec/priority").to_string());
    }
    page.pair_if(0, "Priority Class Name", pod.s("/spec/priorityClassName"));
    page.pair_if(0, "Runtime Class Name", pod.s("/spec/runtimeClassName"));
    page.pair_if(0, "Service Account", pod.s("/spec/serviceAccountName"));
    match pod.s("/spec/nodeName") {
        "" => page.pair(0, "Node", "<none>"),
        node => page.pair(0, "Node", format!("{node}/{}", pod.s("/status/hostIP"))),
    }
    if pod.has("/status/startTime") {
        page.pair(0, "Start Time", rfc1123z(pod.s("/status/startTime")));
    }
    page.labels(pod);
    page.annotations(pod);
    let phase = pod.s("/status/phase");
    if pod.has("/metadata/deletionTimestamp") && !matches!(phase, "Failed" | "Succeeded") {
        let since = age(pod.s("/metadata/deletionTimestamp"));
        page.pair(0, "Status", format!("Terminating (lasts {since})"));
        let grace = pod.i("/metadata/deletionGracePeriodSeconds");
        page.pair(0, "Termination Grace Period", format!("{grace}s"));
    } else {
        page.pair(0, "Status", phase);
    }
    page.pair_if(0, "Reason", pod.s("/status/reason"));
    page.pair_if(0, "Message", pod.s("/status/message"));
    let profile = pod.s("/spec/securityContext/seccompProfile/type");
    page.pair_if(0, "SeccompProfile", profile);
    if profile == "Localhost" {
        let own = pod.s("/spec/securityContext/seccompProfile/localhostProfile");
        page.pair(0, "LocalhostProfile", own);
    }
}

fn conditions(page: &mut Page, pod: &Value) {
    let conditions = pod.list("/status/conditions");
    let gates = pod.list("/spec/readinessGates");
    if !gates.is_empty() {
        page.raw("Readiness Gates:\n  Type\tStatus\n");
        for gate in gates {
            let kind = gate.s("/conditionType");
            let found = conditions.iter().find(|condition| condition.s("/type") == kind);
            page.line(1, format!("{kind} \t{} ", found.map_or("<none>", |c| c.s("/status"))));
        }
    }
    if !conditions.is_empty() {
        page.raw("Conditions:\n  Type\tStatus\n");
        for condition in conditions {
            page.line(1, format!("{} \t{} ", condition.s("/type"), condition.s("/status")));
        }
    }
}

pub(super) fn tolerations(page: &mut Page, title: &str, tolerations: &[Value]) {
    if tolerations.is_empty() {
        return page.raw(&format!("{title}:\t<none>\n"));
    }
    let mut tolerations: Vec<&Value> = tolerations.iter().collect();
    tolerations.sort_by_key(|toleration| toleration.s("/key"));
    for (index, toleration) in tolerations.into_iter().enumerate() {
        let (key, value, effect) =
            (toleration.s("/key"), toleration.s("/value"), toleration.s("/effect"));
        let mut text = key.to_owned();
        if !value.is_empty() {
            text = format!("{text}={value}");
        }
        if !effect.is_empty() {
            text = format!("{text}:{effect}");
        }
        if toleration.s("/operator") == "Exists" && value.is_empty() {
            text = if text.is_empty() { "op=Exists".into() } else { format!("{text} op=Exists") };
        }
        if toleration.has("/tolerationSeconds") {
            text = format!("{text} for {}s", toleration.i("/tolerationSeconds"));
        }
        let head = if index == 0 { format!("{title}:") } else { String::new() };
        page.raw(&format!("{head}\t{text}\n"));
    }
}

fn spread(page: &mut Page, constraints: &[Value], space: &str) {
    let mut constraints: Vec<&Value> = constraints.iter().collect();
    constraints.sort_by_key(|constraint| constraint.s("/topologyKey"));
    for (index, constraint) in constraints.into_iter().enumerate() {
        let head = if index == 0 { "Topology Spread Constraints:" } else { "" };
        let mut text = format!(
            "{}:{} when max skew {} is exceeded",
            constraint.s("/topologyKey"),
            constraint.s("/whenUnsatisfiable"),
            constraint.i("/maxSkew")
        );
        if let Some(selector) = constraint.at("/labelSelector") {
            text = format!("{text} for selector {}", selector_text(Some(selector)));
        }
        page.raw(&format!("{space}{head}\t{text}\n"));
    }
}

/// A `LabelSelector` as text; `<none>` if it has no requirement.
pub(super) fn selector_text(selector: Option<&Value>) -> String {
    let parsed = podo_api::selector::label::Selector::from_value(selector);
    parsed
        .map(|selector| selector.to_string())
        .ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "<none>".into())
}

/// The template of a workload's Pods.
pub(super) fn template(page: &mut Page, template: Option<&Value>) {
    page.line(0, "Pod Template:");
    let Some(template) = template else {
        return page.raw("  <unset>");
    };
    page.map("", "  Labels", template.at("/metadata/labels"));
    if !template.entries("/metadata/annotations").is_empty() {
        page.annotation_map("  Annotations", template.at("/metadata/annotations"));
    }
    page.pair_if(1, "Service Account", template.s("/spec/serviceAccountName"));
    let none = Statuses { pod: None, list: &[] };
    let init = template.list("/spec/initContainers");
    if !init.is_empty() {
        container::all(page, "Init Containers", init, &none, "  ");
    }
    container::all(page, "Containers", template.list("/spec/containers"), &none, "  ");
    volume::all(page, template.list("/spec/volumes"), "  ");
    spread(page, template.list("/spec/topologySpreadConstraints"), "  ");
    page.pair_if(1, "Priority Class Name", template.s("/spec/priorityClassName"));
    page.map("", "  Node-Selectors", template.at("/spec/nodeSelector"));
    tolerations(page, "  Tolerations", template.list("/spec/tolerations"));
}
