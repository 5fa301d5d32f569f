//! Containers: what they are, how they are, what they get.

use serde_json::Value;

use super::super::fault::quoted;
use super::super::time::rfc1123z;
use super::super::value::{Look, shown};
use super::page::{Page, or_none, truth};
use super::resources::field_value;

/// The Pod that the containers are of and their statuses; neither for a template.
pub(super) struct Statuses<'a> {
    pub(super) pod: Option<&'a Value>,
    pub(super) list: &'a [Value],
}

/// A group of containers. `space` is put before titles of templates.
pub(super) fn all(
    page: &mut Page,
    title: &str,
    containers: &[Value],
    statuses: &Statuses<'_>,
    space: &str,
) {
    let none = if containers.is_empty() { " <none>" } else { "" };
    page.raw(&format!("{space}{title}:{none}\n"));
    for container in containers {
        let name = container.s("/name");
        let status = statuses.list.iter().find(|status| status.s("/name") == name);
        let indent = if space.is_empty() { "" } else { " " };
        page.line(1, format!("{indent}{name}:"));
        basics(page, container, status);
        for (label, pointer) in [("Command", "/command"), ("Args", "/args")] {
            let words = container.list(pointer);
            if !words.is_empty() {
                page.line(2, format!("{label}:"));
            }
            for word in words.iter().filter_map(Value::as_str) {
                word.split('\n').for_each(|line| page.line(3, line));
            }
        }
        if let Some(status) = status {
            state(page, "State", &status["state"]);
            if status.has("/lastState/terminated") {
                state(page, "Last State", &status["lastState"]);
            }
            page.pair(2, "Ready", truth(status.b("/ready")));
            page.pair(2, "Restart Count", status.i("/restartCount").to_string());
        }
        resources(page, &container["resources"], 2);
        let probes = [
            ("Liveness", "/livenessProbe"),
            ("Readiness", "/readinessProbe"),
            ("Startup", "/startupProbe"),
        ];
        for (label, pointer) in probes {
            if let Some(probe) = container.at(pointer) {
                page.pair(2, label, probe_text(probe));
            }
        }
        environment_sources(page, container.list("/envFrom"));
        environment(page, container, statuses.pod);
        mounts(page, container);
    }
}

fn basics(page: &mut Page, container: &Value, status: Option<&Value>) {
    if let Some(status) = status {
        page.pair(2, "Container ID", status.s("/containerID"));
    }
    page.pair(2, "Image", container.s("/image"));
    if let Some(status) = status {
        page.pair(2, "Image ID", status.s("/imageID"));
    }
    for (label, field) in [("Port", "/containerPort"), ("Host Port", "/hostPort")] {
        let ports: Vec<String> = container
            .list("/ports")
            .iter()
            .map(|port| {
                let text = format!("{}/{}", port.i(field), port.s("/protocol"));
                match port.s("/name") {
                    "" => text,
                    name => format!("{text} ({name})"),
                }
            })
            .collect();
        let plural = if ports.len() > 1 { "s" } else { "" };
        page.pair(2, &format!("{label}{plural}"), or_none(&ports.join(", ")));
    }
    let profile = container.s("/securityContext/seccompProfile/type");
    page.pair_if(2, "SeccompProfile", profile);
    if profile == "Localhost" {
        let own = container.s("/securityContext/seccompProfile/localhostProfile");
        page.pair(3, "LocalhostProfile", own);
    }
}

fn state(page: &mut Page, label: &str, state: &Value) {
    if let Some(running) = state.get("running") {
        page.pair(2, label, "Running");
        page.pair(3, "Started", rfc1123z(running.s("/startedAt")));
    } else if let Some(ended) = state.get("terminated") {
        page.pair(2, label, "Terminated");
        page.pair_if(3, "Reason", ended.s("/reason"));
        page.pair_if(3, "Message", ended.s("/message"));
        page.pair(3, "Exit Code", ended.i("/exitCode").to_string());
        if ended.i("/signal") > 0 {
            page.pair(3, "Signal", ended.i("/signal").to_string());
        }
        page.pair(3, "Started", rfc1123z(time_or_zero(ended.s("/startedAt"))));
        page.pair(3, "Finished", rfc1123z(time_or_zero(ended.s("/finishedAt"))));
    } else {
        page.pair(2, label, "Waiting");
        page.pair_if(3, "Reason", state.s("/waiting/reason"));
    }
}

/// Go's zero time stands for none.
fn time_or_zero(stamp: &str) -> &str {
    if stamp.is_empty() { "0001-01-01T00:00:00Z" } else { stamp }
}

/// Limits and requests.
pub(super) fn resources(page: &mut Page, resources: &Value, level: usize) {
    for (label, pointer) in [("Limits", "/limits"), ("Requests", "/requests")] {
        let entries = resources.entries(pointer);
        if !entries.is_empty() {
            page.line(level, format!("{label}:"));
        }
        for (name, amount) in entries {
            page.pair(level + 1, name, shown(amount));
        }
    }
}

fn probe_text(probe: &Value) -> String {
    let times = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        probe.i("/initialDelaySeconds"),
        probe.i("/timeoutSeconds"),
        probe.i("/periodSeconds"),
        probe.i("/successThreshold"),
        probe.i("/failureThreshold")
    );
    if let Some(exec) = probe.get("exec") {
        let words: Vec<String> = exec.list("/command").iter().map(shown).collect();
        return format!("exec [{}] {times}", words.join(" "));
    }
    if let Some(http) = probe.get("httpGet") {
        let port = http.get("port").map(shown).unwrap_or_default();
        let host = http.s("/host");
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let path = http.s("/path");
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        let scheme = http.s("/scheme").to_lowercase();
        return format!("http-get {scheme}://{host}:{port}{slash}{path} {times}");
    }
    if let Some(tcp) = probe.get("tcpSocket") {
        let port = tcp.get("port").map(shown).unwrap_or_default();
        return format!("tcp-socket {}:{port} {times}", tcp.s("/host"));
    }
    if let Some(grpc) = probe.get("grpc") {
        return format!("grpc <pod>:{} {} {times}", grpc.i("/port"), grpc.s("/service"));
    }
    format!("unknown {times}")
}

fn environment_sources(page: &mut Page, sources: &[Value]) {
    if !sources.is_empty() {
        page.line(2, "Environment Variables from:");
    }
    for source in sources {
        let (kind, reference) = match source.get("configMapRef") {
            Some(reference) => ("ConfigMap", reference),
            None => ("Secret", &source["secretRef"]),
        };
        let prefix = match source.s("/prefix") {
            "" => String::new(),
            prefix => format!(" with prefix '{prefix}'"),
        };
        let (name, optional) = (reference.s("/name"), reference.b("/optional"));
        page.line(3, format!("{name}\t{kind}{prefix}\tOptional: {optional}"));
    }
}

fn environment(page: &mut Page, container: &Value, pod: Option<&Value>) {
    let variables = container.list("/env");
    page.line(2, if variables.is_empty() { "Environment:\t<none>" } else { "Environment:" });
    for variable in variables {
        let name = variable.s("/name");
        let Some(from) = variable.get("valueFrom") else {
            let mut lines = variable.s("/value").split('\n');
            page.line(3, format!("{name}:\t{}", lines.next().unwrap_or_default()));
            lines.for_each(|line| page.line(3, format!("\t{line}")));
            continue;
        };
        if let Some(field) = from.get("fieldRef") {
            let path = field.s("/fieldPath");
            let value = pod.and_then(|pod| pod_field(pod, path)).unwrap_or_default();
            let version = field.s("/apiVersion");
            page.line(3, format!("{name}:\t{value} ({version}:{path})"));
        } else if let Some(field) = from.get("resourceFieldRef") {
            let resource = field.s("/resource");
            let mut value = field_value(container, field).unwrap_or_default();
            if value == "0" && matches!(resource, "limits.cpu" | "limits.memory") {
                value = "node allocatable".into();
            }
            page.line(3, format!("{name}:\t{value} ({resource})"));
        } else if let Some(key) = from.get("secretKeyRef") {
            let (of, optional) = (key.s("/name"), key.b("/optional"));
            let key = key.s("/key");
            page.line(
                3,
                format!("{name}:\t<set to the key '{key}' in secret '{of}'>\tOptional: {optional}"),
            );
        } else if let Some(key) = from.get("configMapKeyRef") {
            let (of, optional) = (key.s("/name"), key.b("/optional"));
            let key = key.s("/key");
            page.line(
                3,
                format!(
                    "{name}:\t<set to the key '{key}' of config map '{of}'>\tOptional: {optional}"
                ),
            );
        }
    }
}

/// The fields of a Pod that kubectl can show: those of its metadata.
fn pod_field(pod: &Value, path: &str) -> Option<String> {
    let field = path.strip_prefix("metadata.")?;
    matches!(field, "name" | "namespace").then(|| shown(&pod["metadata"][field]))
}

fn mounts(page: &mut Page, container: &Value) {
    let mut mounts: Vec<&Value> = container.list("/volumeMounts").iter().collect();
    let none = if mounts.is_empty() { "\t<none>" } else { "" };
    page.line(2, format!("Mounts:{none}"));
    mounts.sort_by_key(|mount| mount.s("/mountPath"));
    for mount in mounts {
        let mut flags = if mount.b("/readOnly") { "ro".to_owned() } else { "rw".to_owned() };
        if !mount.s("/subPath").is_empty() {
            flags = format!("{flags},path={}", quoted(mount.s("/subPath")));
        }
        page.line(3, format!("{} from {} ({flags})", mount.s("/mountPath"), mount.s("/name")));
    }
    let mut devices: Vec<&Value> = container.list("/volumeDevices").iter().collect();
    if !devices.is_empty() {
        page.line(2, format!("Devices:{none}"));
    }
    devices.sort_by_key(|device| device.s("/devicePath"));
    for device in devices {
        page.line(3, format!("{} from {}", device.s("/devicePath"), device.s("/name")));
    }
}
