//! `create service` and `create ingress`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome};
use super::super::value::Look;
use super::{Common, int_or_string};

/// Create a service
#[derive(Debug, Subcommand)]
pub(super) enum Service {
    #[command(name = "clusterip")]
    ClusterIp(ClusterIp),
    #[command(name = "nodeport")]
    NodePort(NodePort),
    #[command(name = "loadbalancer")]
    LoadBalancer(LoadBalancer),
    #[command(name = "externalname")]
    ExternalName(ExternalName),
}

/// Create a service with an address inside of the cluster
#[derive(Debug, Args)]
pub(super) struct ClusterIp {
    name: String,
    /// PORT[:TARGET]; repeat for more
    #[arg(long, value_delimiter = ',')]
    tcp: Vec<String>,
    /// The address, or None
    #[arg(long)]
    clusterip: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Create a service with a port on each node
#[derive(Debug, Args)]
pub(super) struct NodePort {
    name: String,
    /// PORT[:TARGET]; repeat for more
    #[arg(long, value_delimiter = ',')]
    tcp: Vec<String>,
    /// The port on the nodes
    #[arg(long)]
    node_port: Option<u16>,
    #[command(flatten)]
    common: Common,
}

/// Create a service with an outside address
#[derive(Debug, Args)]
pub(super) struct LoadBalancer {
    name: String,
    /// PORT[:TARGET]; repeat for more
    #[arg(long, value_delimiter = ',')]
    tcp: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Create a service that is another name
#[derive(Debug, Args)]
pub(super) struct ExternalName {
    name: String,
    /// The other name
    #[arg(long)]
    external_name: Option<String>,
    /// PORT[:TARGET]; repeat for more
    #[arg(long, value_delimiter = ',')]
    tcp: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl Service {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let (object, common) = match self {
            Self::ClusterIp(args) => (cluster_ip(&args)?, args.common),
            Self::NodePort(args) => (node_port(&args)?, args.common),
            Self::LoadBalancer(args) => {
                need_port(&args.tcp)?;
                (service(&args.name, "LoadBalancer", ports(&args.tcp)?), args.common)
            }
            Self::ExternalName(args) => (external_name(&args)?, args.common),
        };
        let words = format!("failed to create {} service:", object.s("/spec/type"));
        common.submit(ctx, object, Some(&words)).await
    }
}

fn cluster_ip(args: &ClusterIp) -> Result<Value, Fault> {
    if args.clusterip.as_deref() != Some("None") {
        need_port(&args.tcp)?;
    }
    let mut object = service(&args.name, "ClusterIP", ports(&args.tcp)?);
    if let Some(address) = &args.clusterip {
        object["spec"]["clusterIP"] = address.clone().into();
    }
    Ok(object)
}

fn node_port(args: &NodePort) -> Result<Value, Fault> {
    need_port(&args.tcp)?;
    let mut object = service(&args.name, "NodePort", ports(&args.tcp)?);
    if let Some(port) = args.node_port {
        for own in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
            own["nodePort"] = port.into();
        }
    }
    Ok(object)
}

fn external_name(args: &ExternalName) -> Result<Value, Fault> {
    let Some(external) = &args.external_name else {
        return Err(Fault::refused("required flag(s) \"external-name\" not set"));
    };
    let mut object = service(&args.name, "ExternalName", ports(&args.tcp)?);
    object["spec"]["externalName"] = external.clone().into();
    Ok(object)
}

fn need_port(tcp: &[String]) -> Result<(), Fault> {
    if tcp.is_empty() {
        return Err(Fault::refused("at least one tcp port specifier must be provided"));
    }
    Ok(())
}

fn service(name: &str, kind: &str, ports: Vec<Value>) -> Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"type": kind, "selector": {"app": name}},
        "status": {"loadBalancer": {}},
    });
    if !ports.is_empty() {
        object["spec"]["ports"] = Value::Array(ports);
    }
    object
}

fn ports(tcp: &[String]) -> Result<Vec<Value>, Fault> {
    tcp.iter()
        .map(|text| {
            let (port, target) = text.split_once(':').unwrap_or((text, text));
            let port: u16 = port.parse().map_err(|_not_a_port| {
                Fault::refused(format!("invalid port in tcp port specifier {text:?}"))
            })?;
            Ok(json!({
                "name": text.replace(':', "-"), "port": port, "protocol": "TCP",
                "targetPort": int_or_string(target),
            }))
        })
        .collect()
}

/// Create an ingress
#[derive(Debug, Args)]
pub(super) struct Ingress {
    name: String,
    /// HOST/PATH=SERVICE:PORT[,tls[=SECRET]]; repeat for more
    #[arg(long)]
    rule: Vec<String>,
    /// The ingress class
    #[arg(long)]
    class: Option<String>,
    /// SERVICE:PORT for what no rule fits
    #[arg(long)]
    default_backend: Option<String>,
    /// KEY=VALUE; repeat for more
    #[arg(long)]
    annotation: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl Ingress {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        if self.rule.is_empty() && self.default_backend.is_none() {
            return Err(Fault::refused(
                "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)",
            ));
        }
        let mut spec = json!({});
        if let Some(class) = self.class {
            spec["ingressClassName"] = class.into();
        }
        if let Some(text) = &self.default_backend {
            spec["defaultBackend"] = backend(text)?;
        }
        let mut rules: Vec<(String, Vec<Value>)> = Vec::new();
        let mut tls: Vec<(String, Vec<String>)> = Vec::new();
        for text in &self.rule {
            let (rule, option) =
                text.split_once(',').map_or((text.as_str(), None), |(r, o)| (r, Some(o)));
            let wrong = || {
                Fault::refused(format!(
                    "rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
                ))
            };
            let (place, target) = rule.split_once('=').ok_or_else(wrong)?;
            let (host, path) = place.split_once('/').ok_or_else(wrong)?;
            let (path, kind) = match path.strip_suffix('*') {
                Some(prefix) => (format!("/{prefix}"), "Prefix"),
                None => (format!("/{path}"), "Exact"),
            };
            let entry = json!({"path": path, "pathType": kind, "backend": backend(target)?});
            match rules.iter_mut().find(|(own, _)| own == host) {
                Some((_, paths)) => paths.push(entry),
                None => rules.push((host.to_owned(), vec![entry])),
            }
            if let Some(option) = option {
                let secret = option.strip_prefix("tls").ok_or_else(wrong)?.trim_start_matches('=');
                match tls.iter_mut().find(|(own, _)| own == secret) {
                    Some((_, hosts)) => hosts.push(host.to_owned()),
                    None => tls.push((secret.to_owned(), vec![host.to_owned()])),
                }
            }
        }
        if !tls.is_empty() {
            spec["tls"] = tls
                .into_iter()
                .map(|(secret, hosts)| {
                    let mut entry = json!({});
                    if hosts != [""] {
                        entry["hosts"] = json!(hosts);
                    }
                    if !secret.is_empty() {
                        entry["secretName"] = secret.into();
                    }
                    entry
                })
                .collect();
        }
        if !rules.is_empty() {
            spec["rules"] = rules
                .into_iter()
                .map(|(host, paths)| {
                    let mut rule = json!({"http": {"paths": paths}});
                    if !host.is_empty() {
                        rule["host"] = host.into();
                    }
                    rule
                })
                .collect();
        }
        let mut object = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": self.name},
            "spec": spec, "status": {"loadBalancer": {}},
        });
        for text in &self.annotation {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            object["metadata"]["annotations"][key] = value.into();
        }
        self.common.submit(ctx, object, Some("failed to create ingress:")).await
    }
}

fn backend(text: &str) -> Result<Value, Fault> {
    let (service, port) = text.split_once(':').ok_or_else(|| {
        Fault::refused(format!("backend {text} should be in format servicename:serviceport"))
    })?;
    let port = match int_or_string(port) {
        Value::Number(number) => json!({"number": number}),
        name => json!({"name": name}),
    };
    Ok(json!({"service": {"name": service, "port": port}}))
}
