//! `expose` and `autoscale`: objects made for another one.

use clap::Args;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::context::Ctx;
use super::create::int_or_string;
use super::fault::{Fault, Outcome};
use super::files::FileArgs;
use super::labels::labels;
use super::pods::selector_of;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::select::{Item, Select};
use super::value::{Look, shown};

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
    let select = Select { words: &args.words, files: Some(&args.files), ..Select::default() };
    let dry_run = args.dry_run.parse()?;
    let report = Report::new(&args.report, dry_run)?;
    for item in select.all_or_fault(ctx).await? {
        let service = service(&args, &item)?;
        submit(ctx, &report, dry_run, "v1", &item, service, "exposed").await?;
    }
    Ok(())
}

fn service(args: &Expose, item: &Item) -> Result<Value, Fault> {
    let object = &item.object;
    let selector = match (&args.selector, object.s("/kind")) {
        (Some(text), _) => labels(text)?,
        (None, "Pod") => labels_of(object),
        (None, "Service" | "ReplicationController" | "Deployment" | "ReplicaSet") => {
            labels(&selector_of(object)?)?
        }
        (None, kind) => {
            return Err(Fault::refused(format!("cannot expose a {kind}.{}", item.resource.group)));
        }
    };
    if selector.is_empty() {
        return Err(Fault::refused(
            "couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed",
        ));
    }
    let labels = match &args.labels {
        Some(text) => labels(text)?,
        None => labels_of(object),
    };
    let mut spec = json!({"ports": ports(args, object)?, "selector": selector});
    let optional = [
        ("type", &args.r#type),
        ("clusterIP", &args.cluster_ip),
        ("loadBalancerIP", &args.load_balancer_ip),
        ("sessionAffinity", &args.session_affinity),
    ];
    for (field, value) in optional {
        if let Some(value) = value {
            spec[field] = value.clone().into();
        }
    }
    if let Some(address) = &args.external_ip {
        spec["externalIPs"] = json!([address]);
    }
    let mut metadata = json!({"name": args.name.as_ref().unwrap_or(&item.name)});
    if !labels.is_empty() {
        metadata["labels"] = Value::Object(labels);
    }
    Ok(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec,
        "status": {"loadBalancer": {}},
    }))
}

fn labels_of(object: &Value) -> Map<String, Value> {
    object.at("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn ports(args: &Expose, object: &Value) -> Result<Vec<Value>, Fault> {
    let containers = ["/spec/containers", "/spec/template/spec/containers"];
    let mut known: Vec<(String, String)> = Vec::new();
    for port in containers.iter().flat_map(|at| object.list(at)).flat_map(|c| c.list("/ports")) {
        known.push((port.i("/containerPort").to_string(), port.s("/protocol").to_owned()));
    }
    for port in object.list("/spec/ports") {
        known.push((port.i("/port").to_string(), port.s("/protocol").to_owned()));
    }
    let wanted: Vec<String> = match &args.port {
        Some(text) => text.split(',').map(str::to_owned).collect(),
        None => known.iter().map(|(port, _)| port.clone()).collect(),
    };
    if wanted.is_empty() {
        return Err(Fault::refused("couldn't find port via --port flag or introspection"));
    }
    let is_named = wanted.len() > 1;
    let make = |(index, text): (usize, &String)| {
        let port: u16 = text.parse().map_err(|_not_a_port| {
            Fault::refused(format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
        })?;
        let own = known.iter().find(|(own, _)| own == text).map(|(_, protocol)| protocol.clone());
        let protocol = args.protocol.clone().or(own).filter(|protocol| !protocol.is_empty());
        let mut entry = json!({
            "port": port, "protocol": protocol.unwrap_or_else(|| "TCP".into()),
            "targetPort": args.target_port.as_deref().map_or(port.into(), int_or_string),
        });
        if is_named {
            entry["name"] = format!("port-{}", index + 1).into();
        }
        Ok(entry)
    };
    wanted.iter().enumerate().map(make).collect()
}

async fn submit(
    ctx: &Ctx,
    report: &Report,
    dry_run: DryRun,
    api_version: &str,
    item: &Item,
    mut object: Value,
    message: &str,
) -> Outcome {
    if let Some(namespace) = ctx.explicit_namespace() {
        object["metadata"]["namespace"] = namespace.into();
    }
    if dry_run != DryRun::Client {
        let kind = object.s("/kind");
        let discovery = ctx.discovery().await?;
        let resource = discovery.by_kind(api_version, kind).ok_or_else(|| {
            Fault::refused(format!("no matches for kind \"{kind}\" in version \"{api_version}\""))
        })?;
        let manager = if kind == "Service" { "kubectl-expose" } else { "kubectl-autoscale" };
        let call = Call::post(resource.collection(Some(&item.namespace)), &object)
            .query("dryRun", dry_run.query())
            .query("fieldManager", manager);
        object = ctx.call(call).await?;
    }
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
    let dry_run = args.dry_run.parse()?;
    let report = Report::new(&args.report, dry_run)?;
    for item in select.all_or_fault(ctx).await? {
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
        submit(ctx, &report, dry_run, "autoscaling/v2", &item, object, "autoscaled").await?;
    }
    Ok(())
}
