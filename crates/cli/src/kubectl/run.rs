//! `run`: one Pod from an image.

mod image;

use clap::Args;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::applied;
use super::call::Call;
use super::context::Ctx;
use super::create::{int_or_string, port_number};
use super::delete::CascadeArgs;
use super::exec::attach_to;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::kinds::schema_of;
use super::overrides;
use super::pods;
use super::pods::running_timeout;
use super::record::RecordArgs;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::value::{Look, at_mut};
use super::wait::{Seen, until_gone};

pub(crate) use self::image::is_reference;

/// Run an image in a Pod
#[derive(Debug, Args)]
pub(crate) struct Run {
    name: Option<String>,
    /// Arguments of the image's command
    arguments: Vec<String>,
    /// The image
    #[arg(long)]
    image: Option<String>,
    /// Always, IfNotPresent or Never
    #[arg(long)]
    image_pull_policy: Option<String>,
    /// Always, OnFailure or Never
    #[arg(long, alias = "restart-policy", default_value = "Always")]
    restart: String,
    /// NAME=VALUE; repeat for more
    #[arg(long)]
    env: Vec<String>,
    /// KEY=VALUE,...
    #[arg(short, long)]
    labels: Option<String>,
    /// KEY=VALUE; repeat for more
    #[arg(long)]
    annotations: Vec<String>,
    /// The port that the container listens on
    #[arg(long)]
    port: Option<String>,
    /// Make a service for the port
    #[arg(long)]
    expose: bool,
    /// The arguments are the command
    #[arg(long)]
    command: bool,
    /// Pass standard input on
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Standard input is a terminal
    #[arg(short, long)]
    tty: bool,
    /// Attach to the Pod
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    attach: Option<bool>,
    /// Delete the Pod when it has ended
    #[arg(long)]
    rm: bool,
    /// Keep standard input open after the first attach
    #[arg(long)]
    leave_stdin_open: bool,
    /// Privileged
    #[arg(long)]
    privileged: bool,
    /// Say less
    #[arg(short, long)]
    quiet: bool,
    /// JSON that is merged into the Pod
    #[arg(long)]
    overrides: Option<String>,
    /// json, merge or strategic
    #[arg(long, default_value = "merge")]
    override_type: String,
    /// Use the node's network
    #[arg(long)]
    host_network: bool,
    /// The service account
    #[arg(long)]
    service_account: Option<String>,
    /// Seconds that the Pod is given to end
    #[arg(long)]
    termination_grace_period_seconds: Option<i64>,
    /// How long to wait for the Pod
    #[arg(long, default_value = "1m")]
    pod_running_timeout: String,
    /// Seconds that the deleted Pod is given to end
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    grace_period: i64,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    cascade: CascadeArgs,
    #[command(flatten)]
    ignored: Ignored,
    /// Keep the configuration for a later apply
    #[arg(long)]
    save_config: bool,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-run")]
    field_manager: String,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// Arguments of the image's command
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Flags that kubectl takes and that say nothing about one Pod.
#[derive(Debug, Args)]
#[command(next_help_heading = "Without effect")]
struct Ignored {
    #[command(flatten)]
    files: FileArgs,
    #[arg(long, hide = true)]
    force: bool,
    #[arg(long, hide = true)]
    wait: bool,
    #[arg(long, hide = true)]
    timeout: Option<String>,
}

impl Run {
    fn policy(&self) -> &str {
        if self.restart.is_empty() { "Always" } else { &self.restart }
    }
}

pub(crate) async fn run(ctx: &Ctx, mut args: Run) -> Outcome {
    if args.name.is_none() {
        return Err(match args.image {
            Some(_) => Fault::usage("run", "NAME is required for run"),
            None => Fault::refused("required flag(s) \"image\" not set"),
        });
    }
    args.arguments.append(&mut args.rest);
    let dry_run = args.dry_run.parse(ctx)?;
    let is_attached = args.attach.unwrap_or(args.stdin);
    args.cascade.policy(ctx)?;
    check(&args, dry_run, is_attached)?;
    let report = Report::typed(&args.report, dry_run)?;
    let labels = labels(&args)?;
    let mut made = with_overrides(ctx, &args, pod(&args, &labels)?).await?;
    args.record.mark(ctx, &mut made);
    let pod = create(ctx, &args, made, dry_run).await?;
    let mut created = vec![pod];
    if args.expose {
        let service = create(ctx, &args, service(&args, &labels)?, dry_run).await?;
        report.done(ctx, &service, "created")?;
        if args.report.output.as_deref() == Some("yaml") {
            ctx.line("---")?;
        }
        created.push(service);
    }
    if !is_attached || dry_run != DryRun::None {
        return report.done(ctx, &created[0], "created");
    }
    let attached = attached(ctx, &args, &created[0]).await;
    if args.rm {
        for object in &created {
            delete(ctx, &args, object).await?;
        }
    }
    attached
}

fn check(args: &Run, dry_run: DryRun, is_attached: bool) -> Outcome {
    let Some(image) = args.image.as_deref() else {
        return Err(Fault::refused("required flag(s) \"image\" not set"));
    };
    if image.is_empty() {
        return Err(Fault::refused("--image is required"));
    }
    if !is_reference(image) {
        return Err(Fault::refused(format!(
            "Invalid image name {}: invalid reference format",
            quoted(image)
        )));
    }
    let wrong = |why: String| Err(Fault::usage("run", why));
    if args.tty && !args.stdin {
        return wrong("-i/--stdin is required for containers with -t/--tty=true".into());
    }
    if args.expose && args.port.is_none() {
        return wrong("--port must be set when exposing a service".into());
    }
    if !matches!(args.restart.as_str(), "" | "Always" | "OnFailure" | "Never") {
        return wrong(format!("invalid restart policy: {}", args.restart));
    }
    if args.rm && !is_attached {
        return wrong("--rm should only be used for attached containers".into());
    }
    if is_attached && dry_run != DryRun::None {
        return wrong(
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)"
                .into(),
        );
    }
    running_timeout("run", &args.pod_running_timeout)?;
    match args.image_pull_policy.as_deref() {
        None | Some("" | "Always" | "IfNotPresent" | "Never") => Ok(()),
        Some(other) => wrong(format!("invalid image pull policy: {other}")),
    }
}

fn labels(args: &Run) -> Result<Map<String, Value>, Fault> {
    match args.labels.as_deref() {
        None | Some("") => Ok(Map::from_iter([("run".to_owned(), json!(args.name))])),
        Some(text) => super::labels::labels(text),
    }
}

fn pod(args: &Run, labels: &Map<String, Value>) -> Result<Value, Fault> {
    let mut container = json!({"name": args.name, "image": args.image, "resources": {}});
    if let Some(policy) = args.image_pull_policy.as_ref().filter(|policy| !policy.is_empty()) {
        container["imagePullPolicy"] = policy.clone().into();
    }
    if !args.arguments.is_empty() {
        container[if args.command { "command" } else { "args" }] = json!(args.arguments);
    }
    if !args.env.is_empty() {
        container["env"] = variables(&args.env)?;
    }
    if let Some(port) = &args.port {
        container["ports"] = json!([{"containerPort": port_number(port)?}]);
    }
    if args.stdin {
        container["stdin"] = true.into();
        if !args.leave_stdin_open {
            container["stdinOnce"] = true.into();
        }
    }
    if args.tty {
        container["tty"] = true.into();
    }
    if args.privileged {
        container["securityContext"] = json!({"privileged": true});
    }
    let mut spec = json!({
        "containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": args.policy(),
    });
    if args.host_network {
        spec["hostNetwork"] = true.into();
    }
    if let Some(name) = &args.service_account {
        spec["serviceAccountName"] = name.clone().into();
    }
    if let Some(seconds) = args.termination_grace_period_seconds {
        spec["terminationGracePeriodSeconds"] = seconds.into();
    }
    let mut metadata = json!({"name": args.name, "labels": labels});
    for text in &args.annotations {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Fault::refused(format!("invalid annotations format: {text}")))?;
        metadata["annotations"][key] = value.into();
    }
    Ok(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {}}))
}

fn variables(env: &[String]) -> Result<Value, Fault> {
    let pairs = env.iter().map(|text| match text.split_once('=') {
        Some((name, value)) if podo_api::names::env_var_name(name).is_empty() => {
            let mut variable = json!({"name": name});
            if !value.is_empty() {
                variable["value"] = value.into();
            }
            Ok(variable)
        }
        _ => Err(Fault::refused(format!("invalid env: {text}"))),
    });
    pairs.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn service(args: &Run, labels: &Map<String, Value>) -> Result<Value, Fault> {
    let port = args.port.as_deref().unwrap_or_default();
    Ok(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": args.name},
        "spec": {
            "ports": [{"port": port_number(port)?, "protocol": "TCP", "targetPort": int_or_string(port)}],
            "selector": labels,
        },
        "status": {"loadBalancer": {}},
    }))
}

async fn with_overrides(ctx: &Ctx, args: &Run, pod: Value) -> Result<Value, Fault> {
    let Some(text) = args.overrides.as_ref().filter(|text| !text.is_empty()) else {
        return Ok(pod);
    };
    let kind = pods::pod_kind(ctx).await?;
    let ty = schema_of(kind).ok_or_else(|| Fault::refused("the server has no Pods"))?;
    overrides::apply(pod, text, &args.override_type, ty)
}

async fn create(ctx: &Ctx, args: &Run, mut object: Value, dry_run: DryRun) -> Result<Value, Fault> {
    if let Some(namespace) = ctx.explicit_namespace() {
        at_mut(&mut object, &["metadata"])["namespace"] = namespace.into();
    }
    if dry_run == DryRun::Client {
        return Ok(object);
    }
    if args.save_config {
        applied::write_made(&mut object);
    }
    let resource = ctx.discovery().await?.require(object.s("/kind"))?;
    let call = Call::post(resource.collection(Some(&ctx.namespace()?)), &object)
        .query("dryRun", dry_run.query())
        .query("fieldManager", args.field_manager.clone());
    ctx.call(call).await
}

/// Waits until the Pod runs, attaches, and takes over how its process ended.
async fn attached(ctx: &Ctx, args: &Run, created: &Value) -> Outcome {
    let limit = running_timeout("run", &args.pod_running_timeout)?;
    let deadline = Instant::now() + limit;
    let pod = pods::until(ctx, created, Some(deadline), |pod| {
        Ok(match pod.s("/status/phase") {
            "Succeeded" | "Failed" => Seen::Done,
            "Running" if pods::is_ready(pod) => Seen::Done,
            _ => Seen::NotYet,
        })
    });
    let pod = pod.await.map_err(untimed)?;
    if matches!(pod.s("/status/phase"), "Succeeded" | "Failed") {
        log(ctx, &pod, None).await?;
    } else {
        // What was written before the attachment would be lost.
        if let Err(fault) = log(ctx, &pod, None).await {
            ctx.note(format!("warning: couldn't fetch pre-attach logs: {fault}"));
        }
        let attach = attach_to(ctx, &pod, None, args.stdin, args.tty, args.quiet).await;
        if let Err(fault) = attach {
            ctx.note(format!(
                "warning: couldn't attach to pod/{}, falling back to streaming logs: {fault}",
                pod.name()
            ));
            log(ctx, &pod, None).await?;
        }
    }
    if args.leave_stdin_open || args.policy() == "Always" {
        return Ok(());
    }
    let wants_success = args.policy() == "OnFailure";
    let deadline = Instant::now() + limit;
    let ended = pods::until(ctx, &pod, Some(deadline), |pod| {
        Ok(match pod.s("/status/phase") {
            "Succeeded" => Seen::Done,
            "Failed" if !wants_success => Seen::Done,
            _ => Seen::NotYet,
        })
    });
    exit_of(&ended.await?)
}

/// Of a Pod that does not run in time, kubectl says no more than that.
fn untimed(fault: Fault) -> Fault {
    const TIMED_OUT: &str = "timed out waiting for the condition";
    match fault {
        Fault::Refused(text) if text.starts_with(TIMED_OUT) => Fault::refused(TIMED_OUT),
        fault => fault,
    }
}

fn exit_of(pod: &Value) -> Outcome {
    let place = format!("{}/{}", pod.namespace(), pod.name());
    match pod.s("/status/phase") {
        "Succeeded" => Ok(()),
        "Failed" => {
            let ended = pod.at("/status/containerStatuses/0/state/terminated");
            let code = ended.map_or(0, |ended| ended.i("/exitCode"));
            match (ended, u8::try_from(code)) {
                (Some(ended), Ok(code @ 1..)) => {
                    let text = format!(
                        "pod {place} terminated ({})\n{}",
                        ended.s("/reason"),
                        ended.s("/message")
                    );
                    Err(Fault::Exit { code, text })
                }
                _ => Err(Fault::refused(format!("pod {place} failed with unknown exit code"))),
            }
        }
        other => Err(Fault::refused(format!("pod {place} left in phase {other}"))),
    }
}

/// Shows the log of a container of a Pod, the one that is meant if none is named.
pub(crate) async fn log(ctx: &Ctx, pod: &Value, name: Option<&str>) -> Outcome {
    let container = pods::container(ctx, pod, name, true)?;
    let path = format!("/api/v1/namespaces/{}/pods/{}/log", pod.namespace(), pod.name());
    let body =
        ctx.fetch(Call::get(path).accept("*/*").query("container", container.s("/name"))).await?;
    ctx.out(&body)?;
    ctx.flush()
}

async fn delete(ctx: &Ctx, args: &Run, object: &Value) -> Outcome {
    let resource = ctx.discovery().await?.require(object.s("/kind"))?;
    let mut options = json!({"propagationPolicy": "Background"});
    if args.grace_period >= 0 {
        options["gracePeriodSeconds"] = args.grace_period.into();
    }
    let path = resource.object(Some(object.namespace()), object.name());
    match ctx.call(Call::delete(path, &options)).await {
        Ok(_) => {
            if !args.quiet {
                ctx.line(format!(
                    "{} \"{}\" deleted from {} namespace",
                    resource.label(),
                    object.name(),
                    object.namespace()
                ))?;
            }
            let uid = Some(object.s("/metadata/uid"));
            until_gone(ctx, resource, object.namespace(), object.name(), uid, None).await
        }
        Err(fault) if fault.is_not_found() => Ok(()),
        Err(fault) => Err(fault),
    }
}
