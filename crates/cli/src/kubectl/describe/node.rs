//! Nodes, with the Pods on them.

use podo_api::quantity::Quantity;
use serde_json::Value;

use super::super::call::Call;
use super::super::fault::{Fault, chain};
use super::super::pods::pod_kind;
use super::super::select::{Select, list_all};
use super::super::time::{age, rfc1123z};
use super::super::value::{Look, shown};
use super::Subject;
use super::page::Page;
use super::resources::{Amounts, of_pod, of_pods};

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
/// Resources that every container may ask for; others are counted without a share.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

pub(super) async fn describe(subject: &Subject<'_>) -> Result<Page, Fault> {
    let node = subject.object;
    let mut page = subject.page();
    page.pair(0, "Roles", roles(node));
    page.labels(node);
    page.annotations(node);
    page.pair(0, "CreationTimestamp", rfc1123z(node.s("/metadata/creationTimestamp")));
    taints(&mut page, node);
    page.pair(0, "Unschedulable", node.b("/spec/unschedulable").to_string());
    lease(subject, &mut page).await;
    conditions(&mut page, node);
    page.line(0, "Addresses:");
    for address in node.list("/status/addresses") {
        page.pair(1, address.s("/type"), address.s("/address"));
    }
    for (label, pointer) in
        [("Capacity", "/status/capacity"), ("Allocatable", "/status/allocatable")]
    {
        let entries = node.entries(pointer);
        if !entries.is_empty() {
            page.line(0, format!("{label}:"));
        }
        entries.into_iter().for_each(|(name, amount)| page.pair(1, name, shown(amount)));
    }
    system(&mut page, node);

    let fields =
        format!("spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed", node.name());
    let select = Select { field_selector: Some(&fields), ..Select::default() };
    let kind = pod_kind(subject.ctx).await?;
    match list_all(subject.ctx, kind, None, &select).await {
        Ok(pods) => pods_table(&mut page, node, &pods),
        Err(fault) if fault.reason() == "Forbidden" => page.pair(0, "Pods", "not authorized"),
        Err(fault) => return Err(fault),
    }
    subject.events(&mut page);
    Ok(page)
}

fn roles(node: &Value) -> String {
    let mut roles = Vec::new();
    for (key, value) in node.entries("/metadata/labels") {
        if let Some(role) = key.strip_prefix(ROLE_PREFIX).filter(|role| !role.is_empty()) {
            roles.push(role.to_owned());
        } else if key == "kubernetes.io/role" && !shown(value).is_empty() {
            roles.push(shown(value));
        }
    }
    roles.sort();
    roles.dedup();
    if roles.is_empty() { "<none>".into() } else { roles.join(",") }
}

fn taints(page: &mut Page, node: &Value) {
    let mut taints: Vec<&Value> = node.list("/spec/taints").iter().collect();
    if taints.is_empty() {
        return page.pair(0, "Taints", "<none>");
    }
    taints.sort_by_key(|taint| format!("{},{}", taint.s("/effect"), taint.s("/key")));
    for (index, taint) in taints.into_iter().enumerate() {
        let (key, value, effect) = (taint.s("/key"), taint.s("/value"), taint.s("/effect"));
        let equals = if value.is_empty() { "" } else { "=" };
        let colon = if effect.is_empty() { "" } else { ":" };
        let head = if index == 0 { "Taints:" } else { "" };
        page.raw(&format!("{head}\t{key}{equals}{value}{colon}{effect}\n"));
    }
}

async fn lease(subject: &Subject<'_>, page: &mut Page) {
    let name = subject.object.name();
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}");
    match subject.ctx.call(Call::get(path)).await {
        Ok(lease) => {
            page.line(0, "Lease:");
            let unset =
                |text: &str| if text.is_empty() { "<unset>".into() } else { text.to_owned() };
            let time = |text: &str| if text.is_empty() { "<unset>".into() } else { rfc1123z(text) };
            page.pair(1, "HolderIdentity", unset(lease.s("/spec/holderIdentity")));
            page.pair(1, "AcquireTime", time(lease.s("/spec/acquireTime")));
            page.pair(1, "RenewTime", time(lease.s("/spec/renewTime")));
        }
        Err(fault) => page.pair(0, "Lease", format!("Failed to get lease: {}", chain(&fault))),
    }
}

fn conditions(page: &mut Page, node: &Value) {
    let conditions = node.list("/status/conditions");
    if conditions.is_empty() {
        return;
    }
    page.raw(
        "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n",
    );
    page.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
    for condition in conditions {
        let time = |pointer| match condition.s(pointer) {
            "" => rfc1123z("0001-01-01T00:00:00Z"),
            stamp => rfc1123z(stamp),
        };
        page.line(
            1,
            format!(
                "{} \t{} \t{} \t{} \t{} \t{}",
                condition.s("/type"),
                condition.s("/status"),
                time("/lastHeartbeatTime"),
                time("/lastTransitionTime"),
                condition.s("/reason"),
                condition.s("/message")
            ),
        );
    }
}

fn system(page: &mut Page, node: &Value) {
    page.line(0, "System Info:");
    let rows = [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
    ];
    for (label, field) in rows {
        page.pair(1, label, node.s(&format!("/status/nodeInfo/{field}")));
    }
    page.pair_if(0, "PodCIDR", node.s("/spec/podCIDR"));
    let ranges: Vec<String> = node.list("/spec/podCIDRs").iter().map(shown).collect();
    page.pair_if(0, "PodCIDRs", &ranges.join(","));
    page.pair_if(0, "ProviderID", node.s("/spec/providerID"));
}

/// The share of a whole in percent, rounded down.
fn percent(part: &Quantity, whole: &Quantity, is_cpu: bool) -> i64 {
    let (part, whole) = if is_cpu {
        (part.milli_value(), whole.milli_value())
    } else {
        (part.value(), whole.value())
    };
    if whole == 0 {
        0
    } else {
        i64::try_from(i128::from(part) * 100 / i128::from(whole)).unwrap_or(i64::MAX)
    }
}

fn pods_table(page: &mut Page, node: &Value, pods: &[Value]) {
    page.pair(0, "Non-terminated Pods", format!("({} in total)", pods.len()));
    page.line(
        1,
        "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge",
    );
    page.line(
        1,
        "---------\t----\t\t------------\t----------\t---------------\t-------------\t---",
    );
    let whole = |name: &str| -> Quantity {
        let pointers = ["/status/allocatable", "/status/capacity"];
        let list = pointers.iter().find_map(|pointer| node.at(pointer));
        let amount = list.and_then(|list| list.get(name)).map(shown);
        amount.and_then(|amount| amount.parse().ok()).unwrap_or(Quantity::ZERO)
    };
    let cell = |amounts: &Amounts, name: &str| {
        let amount = amounts.get(name).cloned().unwrap_or(Quantity::ZERO);
        format!("{amount} ({}%)", percent(&amount, &whole(name), name == "cpu"))
    };
    for pod in pods {
        let (requests, limits) = (of_pod(pod, "requests"), of_pod(pod, "limits"));
        page.line(
            1,
            format!(
                "{}\t{}\t\t{}\t{}\t{}\t{}\t{}",
                pod.namespace(),
                pod.name(),
                cell(&requests, "cpu"),
                cell(&limits, "cpu"),
                cell(&requests, "memory"),
                cell(&limits, "memory"),
                age(pod.s("/metadata/creationTimestamp"))
            ),
        );
    }
    page.raw(
        "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n",
    );
    page.line(1, "Resource\tRequests\tLimits");
    page.line(1, "--------\t--------\t------");
    let (requests, limits) = (of_pods(pods, "requests"), of_pods(pods, "limits"));
    for name in STANDARD {
        page.line(1, format!("{name}\t{}\t{}", cell(&requests, name), cell(&limits, name)));
    }
    let own = node.entries("/status/allocatable").into_iter().map(|(name, _)| name);
    let names: Vec<&str> = own.filter(|name| !STANDARD.contains(name) && *name != "pods").collect();
    for name in names.iter().filter(|name| name.starts_with("hugepages-")) {
        page.line(1, format!("{name}\t{}\t{}", cell(&requests, name), cell(&limits, name)));
    }
    for name in names.iter().filter(|name| !name.starts_with("hugepages-")) {
        let plain = |amounts: &Amounts| amounts.get(*name).map_or("0".into(), ToString::to_string);
        page.line(1, format!("{name}\t{}\t{}", plain(&requests), plain(&limits)));
    }
}
