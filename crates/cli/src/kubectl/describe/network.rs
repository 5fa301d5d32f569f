//! Services, EndpointSlices and Ingresses.

use serde_json::Value;

use super::super::call::Call;
use super::super::fault::Fault;
use super::super::select::{Select, list_all};
use super::super::value::{Look, pairs, shown};
use super::Subject;
use super::page::Page;

/// How many endpoints are named before the rest is counted.
const ENDPOINTS_MAX: usize = 3;

pub(super) async fn service(subject: &Subject<'_>) -> Result<Page, Fault> {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.labels(object);
    page.annotations(object);
    page.pair(0, "Selector", pairs(object.at("/spec/selector"), "<none>"));
    page.pair(0, "Type", object.s("/spec/type"));
    page.pair_if(0, "IP Family Policy", object.s("/spec/ipFamilyPolicy"));
    page.pair(0, "IP Families", list_or_none(object.list("/spec/ipFamilies")));
    page.pair(0, "IP", object.s("/spec/clusterIP"));
    page.pair(0, "IPs", list_or_none(object.list("/spec/clusterIPs")));
    page.pair_if(0, "External IPs", &joined(object.list("/spec/externalIPs")));
    page.pair_if(0, "Desired LoadBalancer IP", object.s("/spec/loadBalancerIP"));
    page.pair_if(0, "External Name", object.s("/spec/externalName"));
    let addresses =
        object.list("/status/loadBalancer/ingress").iter().map(|one| match one.s("/ip") {
            "" => one.s("/hostname").to_owned(),
            ip if one.has("/ipMode") => format!("{ip} ({})", one.s("/ipMode")),
            ip => ip.to_owned(),
        });
    page.pair_if(0, "LoadBalancer Ingress", &addresses.collect::<Vec<_>>().join(", "));
    let slices = slices(subject, object.name()).await?;
    for port in object.list("/spec/ports") {
        let name = if port.s("/name").is_empty() { "<unset>" } else { port.s("/name") };
        let protocol = port.s("/protocol");
        page.line(0, format!("Port:\t{name}\t{}/{protocol}", port.i("/port")));
        let target = port.get("targetPort").map_or("0".into(), shown);
        page.pair(0, "TargetPort", format!("{target}/{protocol}"));
        page.pair_if(0, "AppProtocol", port.s("/appProtocol"));
        if port.i("/nodePort") != 0 {
            page.line(0, format!("NodePort:\t{name}\t{}/{protocol}", port.i("/nodePort")));
        }
        page.pair(0, "Endpoints", endpoints(&slices, port.s("/name")));
    }
    page.pair(0, "Session Affinity", object.s("/spec/sessionAffinity"));
    page.pair_if(0, "External Traffic Policy", object.s("/spec/externalTrafficPolicy"));
    page.pair_if(0, "Internal Traffic Policy", object.s("/spec/internalTrafficPolicy"));
    if object.i("/spec/healthCheckNodePort") != 0 {
        page.pair(0, "HealthCheck NodePort", object.i("/spec/healthCheckNodePort").to_string());
    }
    page.pair_if(
        0,
        "LoadBalancer Source Ranges",
        &joined(object.list("/spec/loadBalancerSourceRanges")),
    );
    page.pair_if(0, "Traffic Distribution", object.s("/spec/trafficDistribution"));
    subject.events(&mut page);
    Ok(page)
}

pub(super) fn endpoints_object(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.labels(object);
    page.annotations(object);
    page.line(0, "Subsets:");
    for subset in object.list("/subsets") {
        for (label, field) in
            [("Addresses", "/addresses"), ("NotReadyAddresses", "/notReadyAddresses")]
        {
            let addresses: Vec<&str> = subset.list(field).iter().map(|one| one.s("/ip")).collect();
            let text = addresses.join(",");
            page.pair(1, label, if text.is_empty() { "<none>" } else { &text });
        }
        let ports = subset.list("/ports");
        if !ports.is_empty() {
            page.line(1, "Ports:");
            page.line(2, "Name\tPort\tProtocol");
            page.line(2, "----\t----\t--------");
        }
        for port in ports {
            let name = if port.s("/name").is_empty() { "<unset>" } else { port.s("/name") };
            page.line(2, format!("{name}\t{}\t{}", port.i("/port"), port.s("/protocol")));
        }
        page.line(0, "");
    }
    subject.events(&mut page);
    page
}

fn joined(values: &[Value]) -> String {
    values.iter().map(shown).collect::<Vec<_>>().join(",")
}

fn list_or_none(values: &[Value]) -> String {
    if values.is_empty() { "<none>".into() } else { joined(values) }
}

async fn slices(subject: &Subject<'_>, service: &str) -> Result<Vec<Value>, Fault> {
    let discovery = subject.ctx.discovery().await?;
    let Some(kind) = discovery.by_group_kind("discovery.k8s.io", "EndpointSlice") else {
        return Ok(Vec::new());
    };
    let selector = format!("kubernetes.io/service-name={service}");
    let select = Select { selector: Some(&selector), ..Select::default() };
    list_all(subject.ctx, kind, Some(subject.object.namespace()), &select).await
}

/// The ready endpoints behind a port of that name.
fn endpoints(slices: &[Value], port_name: &str) -> String {
    if slices.is_empty() {
        return "<none>".into();
    }
    let mut all = Vec::new();
    for slice in slices {
        let ports = slice.list("/ports");
        let fits = ports.iter().filter(|port| port.s("/name") == port_name);
        let numbers: Vec<Option<i64>> = if ports.is_empty() {
            vec![None]
        } else {
            fits.map(|port| Some(port.i("/port"))).collect()
        };
        for number in numbers {
            for endpoint in slice.list("/endpoints") {
                if endpoint.at("/conditions/ready").and_then(Value::as_bool) == Some(false) {
                    continue;
                }
                let address = endpoint.s("/addresses/0");
                all.push(match number {
                    None => address.to_owned(),
                    Some(port) if address.contains(':') => format!("[{address}]:{port}"),
                    Some(port) => format!("{address}:{port}"),
                });
            }
        }
    }
    let shown = all[..all.len().min(ENDPOINTS_MAX)].join(",");
    match all.len().saturating_sub(ENDPOINTS_MAX) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

pub(super) fn endpoint_slice(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.labels(object);
    page.annotations(object);
    page.pair(0, "AddressType", object.s("/addressType"));
    let ports = object.list("/ports");
    if ports.is_empty() {
        page.line(0, "Ports: <unset>");
    } else {
        page.line(0, "Ports:");
        page.line(1, "Name\tPort\tProtocol");
        page.line(1, "----\t----\t--------");
    }
    let unset = |text: &str| if text.is_empty() { "<unset>".to_owned() } else { text.to_owned() };
    for port in ports {
        let number = port.get("port").map_or("<unset>".into(), shown);
        page.line(1, format!("{}\t{number}\t{}", unset(port.s("/name")), port.s("/protocol")));
    }
    let endpoints = object.list("/endpoints");
    page.line(0, if endpoints.is_empty() { "Endpoints: <none>" } else { "Endpoints:" });
    for endpoint in endpoints {
        let addresses: Vec<String> = endpoint.list("/addresses").iter().map(shown).collect();
        let addresses = if addresses.is_empty() { "<none>".into() } else { addresses.join(", ") };
        page.pair(1, "- Addresses", addresses);
        page.line(2, "Conditions:");
        page.pair(3, "Ready", endpoint.at("/conditions/ready").map_or("<unset>".into(), shown));
        page.pair(2, "Hostname", unset(endpoint.s("/hostname")));
        if let Some(target) = endpoint.get("targetRef") {
            page.pair(2, "TargetRef", format!("{}/{}", target.s("/kind"), target.s("/name")));
        }
        page.pair(2, "NodeName", unset(endpoint.s("/nodeName")));
        page.pair(2, "Zone", unset(endpoint.s("/zone")));
    }
    subject.events(&mut page);
    page
}

pub(super) async fn ingress(subject: &Subject<'_>) -> Result<Page, Fault> {
    let object = subject.object;
    let mut page = subject.page();
    page.labels(object);
    page.pair(0, "Namespace", object.namespace());
    let addresses = object.list("/status/loadBalancer/ingress").iter();
    let addresses: Vec<&str> = addresses
        .map(|one| if one.s("/ip").is_empty() { one.s("/hostname") } else { one.s("/ip") })
        .collect();
    page.pair(0, "Address", addresses.join(","));
    let class = object.s("/spec/ingressClassName");
    page.pair(0, "Ingress Class", if class.is_empty() { "<none>" } else { class });
    let default = match object.at("/spec/defaultBackend") {
        Some(backend) => backend_text(subject, backend).await,
        None => "<default>".into(),
    };
    page.pair(0, "Default backend", &default);
    let tls = object.list("/spec/tls");
    if !tls.is_empty() {
        page.line(0, "TLS:");
    }
    for one in tls {
        let hosts = joined(one.list("/hosts"));
        match one.s("/secretName") {
            "" => page.line(1, format!("SNI routes {hosts}")),
            secret => page.line(1, format!("{secret} terminates {hosts}")),
        }
    }
    page.raw("Rules:\n  Host\tPath\tBackends\n");
    page.line(1, "----\t----\t--------");
    let mut has_rule = false;
    for rule in object.list("/spec/rules").iter().filter(|rule| rule.has("/http")) {
        has_rule = true;
        let host = if rule.s("/host").is_empty() { "*" } else { rule.s("/host") };
        page.line(1, format!("{host}\t"));
        for path in rule.list("/http/paths") {
            let backend = backend_text(subject, &path["backend"]).await;
            page.line(2, format!("\t{} \t{backend}", path.s("/path")));
        }
    }
    if !has_rule {
        page.line(1, format!("*\t*\t{default}"));
    }
    page.annotations(object);
    subject.events(&mut page);
    Ok(page)
}

async fn backend_text(subject: &Subject<'_>, backend: &Value) -> String {
    let Some(own) = backend.get("service") else {
        let Some(resource) = backend.get("resource") else {
            return String::new();
        };
        let group = resource.at("/apiGroup").map_or("<none>".into(), shown);
        return format!(
            "APIGroup: {group}, Kind: {}, Name: {}",
            resource.s("/kind"),
            resource.s("/name")
        );
    };
    let name = own.s("/name");
    let port = match own.s("/port/name") {
        "" => own.i("/port/number").to_string(),
        port => port.to_owned(),
    };
    let path = format!("/api/v1/namespaces/{}/services/{name}", subject.object.namespace());
    let found = async {
        let slices = slices(subject, name).await?;
        let service = subject.ctx.call(Call::get(path)).await?;
        let ports = service.list("/spec/ports").iter();
        let fitting = ports.clone().rfind(|one| {
            one.s("/name") == own.s("/port/name") && !one.s("/name").is_empty()
                || one.i("/port") == own.i("/port/number")
        });
        let port_name = fitting.map_or("", |port| port.s("/name"));
        Ok::<String, Fault>(endpoints(&slices, port_name))
    };
    match found.await {
        Ok(endpoints) => format!("{name}:{port} ({endpoints})"),
        Err(fault) => format!("{name}:{port} (<error: {fault}>)"),
    }
}
