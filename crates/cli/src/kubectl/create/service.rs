//! `create service`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, quoted};
use super::super::value::Look;
use super::Common;

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
        if object.s("/spec/type") == "ExternalName" {
            let name = object.s("/spec/externalName");
            if !podo_api::names::dns1123_subdomain(name).is_empty() {
                return Err(Fault::refused(format!("invalid service external name {name}")));
            }
        }
        // Like kubectl's, these commands take the flag and do nothing with it.
        let common = Common { save_config: false, ..common };
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
            let mut parts = text.split(':');
            let port = parts.next().unwrap_or_default();
            // What follows a second colon is passed over.
            let target = parts.next();
            let port: u16 = port.parse().map_err(|error: std::num::ParseIntError| {
                let why = match error.kind() {
                    std::num::IntErrorKind::PosOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                Fault::refused(format!("strconv.ParseUint: parsing {}: {why}", quoted(port)))
            })?;
            Ok(json!({
                "name": text.replace(':', "-"), "port": port, "protocol": "TCP",
                "targetPort": target.map_or(Ok(port.into()), target_port)?,
            }))
        })
        .collect()
}

/// The port of the Pods, by number or by name.
fn target_port(text: &str) -> Result<Value, Fault> {
    let (port, faults) = match text.parse::<i64>() {
        Ok(number) => (number.into(), podo_api::names::port_number(number)),
        Err(_not_a_number) => (text.into(), podo_api::names::port_name(text)),
    };
    if faults.is_empty() { Ok(port) } else { Err(Fault::refused(faults.join(","))) }
}
