//! `expose` and `autoscale`: objects made for another one.

use clap::Args;
use serde_json::{Value, json};

use super::applied;
use super::call::Call;
use super::context::Ctx;
use super::create::{int_or_string, port_number};
use super::discovery::with_group;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::kinds::schema_of_kind;
use super::labels::labels;
use super::overrides;
use super::record::RecordArgs;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::select::{Item, NOTHING_NAMED, Select};
use super::value::{Look, shown};

/// The kinds that have a scale.
const SCALED: [&str; 4] = ["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"];
/// The longest name of a service.
const NAME_MAX: usize = 63;

/// Make a service for a workload
#[derive(Debug, Args)]
pub(crate) struct Expose {
    /// TYPE NAME or TYPE/NAME
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// The service's name
    #[arg(long)]
    name: Option<String>,
    /// The service's port; that of the workload if not given
    #[arg(long)]
    port: Option<String>,
    /// The port of the Pods
    #[arg(long)]
    target_port: Option<String>,
    /// TCP, UDP or SCTP
    #[arg(long)]
    protocol: Option<String>,
    /// ClusterIP, NodePort or LoadBalancer
    #[arg(long)]
    r#type: Option<String>,
    /// The labels of the Pods
    #[arg(long)]
    selector: Option<String>,
    /// The service's labels
    #[arg(short, long)]
    labels: Option<String>,
    /// The cluster IP, or None
    #[arg(long)]
    cluster_ip: Option<String>,
    /// An address from outside
    #[arg(long)]
    external_ip: Option<String>,
    /// The address to ask of a load balancer
    #[arg(long)]
    load_balancer_ip: Option<String>,
    /// None or ClientIP
    #[arg(long)]
    session_affinity: Option<String>,
    /// A patch of the service
    #[arg(long, default_value = "")]
    overrides: String,
    /// json, merge or strategic
    #[arg(long, default_value = "merge")]
    override_type: String,
    #[command(flatten)]
    record: RecordArgs,
    /// Keep the configuration for a later apply
    #[arg(long)]
    save_config: bool,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-expose")]
    field_manager: String,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

/// Make a horizontal autoscaler for a workload
#[derive(Debug, Args)]
pub(crate) struct Autoscale {
    /// TYPE NAME or TYPE/NAME
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// The autoscaler's name
    #[arg(long)]
    name: Option<String>,
    /// The fewest Pods
    #[arg(long)]
    min: Option<i64>,
    /// The most Pods
    #[arg(long, required = true)]
    max: i64,
    /// The share of the requested CPU to aim for, such as 80%
    #[arg(long, alias = "cpu-percent")]
    cpu: Option<String>,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

pub(crate) async fn run(ctx: &Ctx, args: Expose) -> Outcome {
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Fault::refused(NOTHING_NAMED));
    }
    let dry_run = args.dry_run.parse(ctx)?;
    let report = Report::typed(&args.report, dry_run)?;
    let select = Select { words: &args.words, files: Some(&args.files), ..Select::default() };
    let mut visit = select.found(ctx).await?.visit();
    while let Some(item) = visit.next() {
        let made = async {
            let mut service = overridden(&args, service(&args, &item)?)?;
            args.record.mark(ctx, &mut service);
            if args.save_config && dry_run != DryRun::Client {
                applied::write_made(&mut service);
            }
            submit(ctx, &report, dry_run, &args.field_manager, service, "exposed").await
        };
        if let Err(fault) = made.await {
            visit.failed(fault);
        }
    }
    visit.end()
}

fn overridden(args: &Expose, service: Value) -> Result<Value, Fault> {
    match schema_of_kind("v1", "Service").filter(|_| !args.overrides.is_empty()) {
        Some(ty) => overrides::apply(service, &args.overrides, &args.override_type, ty),
        None => Ok(service),
    }
}

/// The kinds that have Pods whose ports can be exposed: group and kind.
const EXPOSED: [(&str, &str); 5] = [
    ("", "ReplicationController"),
    ("", "Service"),
    ("", "Pod"),
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
];

fn service(args: &Expose, item: &Item) -> Result<Value, Fault> {
    let object = &item.object;
    let (group, kind) = (item.resource.group.as_str(), item.resource.kind.as_str());
    if !EXPOSED.contains(&(group, kind)) {
        return Err(Fault::refused(format!("cannot expose a {}", with_group(kind, group))));
    }
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let selector = match given(&args.selector) {
        Some(text) => Value::Object(labels(&text)?),
        None => selector_of(object).map_err(|why| {
            Fault::refused(format!(
                "couldn't retrieve selectors via --selector flag or introspection: {why}"
            ))
        })?,
    };
    let ports = ports(args, object)?;
    let own = object.at("/metadata/labels").cloned().unwrap_or_default();
    let labels = given(&args.labels).map(|text| labels(&text)).transpose()?;
    let mut spec = json!({"selector": selector});
    if !ports.is_empty() {
        spec["ports"] = Value::Array(ports);
    }
    let kind = given(&args.r#type);
    let balancer =
        given(&args.load_balancer_ip).filter(|_| kind.as_deref() == Some("LoadBalancer"));
    let affinity = given(&args.session_affinity);
    if let Some(other) = affinity.as_deref().filter(|text| !matches!(*text, "None" | "ClientIP")) {
        return Err(Fault::refused(format!("unknown session affinity: {other}")));
    }
    let cluster_ip = given(&args.cluster_ip);
    let optional = [
        ("type", kind),
        ("clusterIP", cluster_ip),
        ("loadBalancerIP", balancer),
        ("sessionAffinity", affinity),
    ];
    for (field, value) in optional {
        if let Some(value) = value {
            spec[field] = value.into();
        }
    }
    if let Some(address) = given(&args.external_ip) {
        spec["externalIPs"] = json!([address]);
    }
    let name = given(&args.name).unwrap_or_else(|| item.name.chars().take(NAME_MAX).collect());
    let mut metadata = json!({"name": name});
    match labels {
        Some(labels) => metadata["labels"] = labels.into(),
        None if own != json!({}) && !own.is_null() => metadata["labels"] = own,
        None => {}
    }
    Ok(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec,
        "status": {"loadBalancer": {}},
    }))
}

/// The labels by which the Pods behind an object are found.
fn selector_of(object: &Value) -> Result<Value, &'static str> {
    let at = |pointer: &str| object.at(pointer).filter(|map| !map.is_null()).cloned();
    let filled = |pointer: &str| at(pointer).filter(|map| *map != json!({}));
    match object.s("/kind") {
        "Pod" => filled("/metadata/labels").ok_or("the pod has no labels and cannot be exposed"),
        "Service" => at("/spec/selector").ok_or("the service has no pod selector set"),
        "Deployment" => filled("/spec/selector/matchLabels")
            .ok_or("invalid deployment: no selectors, therefore cannot be exposed"),
        "ReplicaSet" => filled("/spec/selector/matchLabels")
            .ok_or("invalid replicaset: no selectors, therefore cannot be exposed"),
        _ => Ok(at("/spec/selector").unwrap_or_default()),
    }
}

/// The ports that an object has by itself, each with its protocol.
fn known_ports(object: &Value) -> Vec<(String, String)> {
    let protocol = |port: &Value| match port.s("/protocol") {
        "" => "TCP".to_owned(),
        own => own.to_owned(),
    };
    if object.s("/kind") == "Service" {
        let all = object.list("/spec/ports").iter();
        return all.map(|port| (port.i("/port").to_string(), protocol(port))).collect();
    }
    let pod = if object.s("/kind") == "Pod" { "/spec" } else { "/spec/template/spec" };
    let containers = object.list(&format!("{pod}/containers")).iter();
    let all = containers.flat_map(|container| container.list("/ports"));
    all.map(|port| (port.i("/containerPort").to_string(), protocol(port))).collect()
}

fn ports(args: &Expose, object: &Value) -> Result<Vec<Value>, Fault> {
    let known = known_ports(object);
    let wanted: Vec<&str> = match args.port.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => text.split(',').collect(),
        None => {
            let mut seen = std::collections::HashSet::new();
            let own = known.iter().map(|(port, _)| port.as_str());
            own.filter(|port| seen.insert(*port)).collect()
        }
    };
    if wanted.is_empty() && args.cluster_ip.as_deref() != Some("None") {
        return Err(Fault::refused("couldn't find port via --port flag or introspection"));
    }
    let target = args.target_port.as_deref().filter(|text| !text.is_empty());
    let given = args.protocol.as_deref().filter(|text| !text.is_empty());
    let mut ports = Vec::new();
    for (index, text) in wanted.iter().enumerate() {
        let port = port_number(text)?;
        let own =
            known.iter().filter(|(own, _)| own == text).map(|(_, protocol)| protocol.as_str());
        let own: Vec<&str> = own.collect();
        let protocols = match given {
            Some(protocol) => vec![protocol],
            None if own.is_empty() => vec!["TCP"],
            None => own,
        };
        for protocol in &protocols {
            let mut entry = json!({
                "port": port, "protocol": protocol,
                "targetPort": target.map_or(port.into(), int_or_string),
            });
            if protocols.len() > 1 {
                entry["name"] = format!("port-{}-{}", index + 1, protocol.to_lowercase()).into();
            } else if wanted.len() > 1 {
                entry["name"] = format!("port-{}", index + 1).into();
            }
            ports.push(entry);
        }
    }
    Ok(ports)
}

/// Creates an object that was made for another one. Like kubectl, it does so in the namespace of the command line.
async fn submit(
    ctx: &Ctx,
    report: &Report,
    dry_run: DryRun,
    manager: &str,
    mut object: Value,
    message: &str,
) -> Outcome {
    if dry_run == DryRun::Client {
        if let Some(namespace) = ctx.explicit_namespace() {
            object["metadata"]["namespace"] = namespace.into();
        }
        return report.done(ctx, &object, message);
    }
    let (version, kind) = (object.s("/apiVersion"), object.s("/kind"));
    let resource = ctx.discovery().await?.by_kind(version, kind).ok_or_else(|| {
        Fault::refused(format!(
            "no matches for kind {} in version {}",
            quoted(kind),
            quoted(version)
        ))
    })?;
    let call = Call::post(resource.collection(Some(&ctx.namespace()?)), &object)
        .query("dryRun", dry_run.query())
        .query("fieldManager", manager);
    let object = ctx.call(call).await?;
    report.done(ctx, &object, message)
}

pub(crate) async fn autoscale(ctx: &Ctx, args: Autoscale) -> Outcome {
    if args.max < 1 {
        return Err(Fault::refused(format!(
            "--max=MAXPODS is required and must be at least 1, max: {}",
            args.max
        )));
    }
    if args.min.is_some_and(|min| min > args.max) {
        return Err(Fault::refused(format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {}, min: {}",
            args.max,
            args.min.unwrap_or(0)
        )));
    }
    let select = Select { words: &args.words, files: Some(&args.files), ..Select::default() };
    let dry_run = args.dry_run.parse(ctx)?;
    let report = Report::new(&args.report, dry_run)?;
    for item in select.all_or_fault(ctx).await? {
        let resource = &item.resource;
        if !SCALED.contains(&resource.kind.as_str()) {
            return Err(Fault::refused(format!(
                "cannot autoscale a {}: could not find scale subresource for {}/{}, Resource={} in discovery information",
                resource.kind, resource.group, resource.version, resource.plural
            )));
        }
        let mut spec = json!({
            "maxReplicas": args.max,
            "scaleTargetRef": {
                "apiVersion": item.resource.api_version(), "kind": item.resource.kind, "name": item.name,
            },
        });
        if let Some(min) = args.min.filter(|min| *min > 0) {
            spec["minReplicas"] = min.into();
        }
        if let Some(cpu) = &args.cpu {
            let share = cpu.trim_end_matches('%').parse::<i64>().ok().filter(|share| *share > 0);
            let share = share.ok_or_else(|| {
                Fault::refused(format!("invalid value for --cpu: {}", shown(&cpu.clone().into())))
            })?;
            spec["metrics"] = json!([{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": share},
            }}]);
        }
        let object = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": args.name.as_ref().unwrap_or(&item.name)},
            "spec": spec,
            "status": {"currentMetrics": null, "desiredReplicas": 0},
        });
        submit(ctx, &report, dry_run, "kubectl-autoscale", object, "autoscaled").await?;
    }
    Ok(())
}
