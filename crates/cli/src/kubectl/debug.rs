//! `debug`: a container beside those of a Pod, a changed copy of a Pod, or a Pod on a node.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{Call, STRATEGIC};
use super::context::Ctx;
use super::exec::attach_to;
use super::fault::{Fault, Outcome};
use super::pods;
use super::select::Select;
use super::value::{Look, object_mut};
use super::wait::Seen;

/// How long the container may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Debug Pods and nodes
#[derive(Debug, Args)]
pub(crate) struct Debug {
    /// POD, TYPE/NAME or node/NAME
    words: Vec<String>,
    /// The image of the container
    #[arg(long)]
    image: Option<String>,
    /// Always, IfNotPresent or Never
    #[arg(long)]
    image_pull_policy: Option<String>,
    /// The container's name
    #[arg(short, long)]
    container: Option<String>,
    /// The container whose processes it sees
    #[arg(long)]
    target: Option<String>,
    /// Make a copy of the Pod by this name
    #[arg(long)]
    copy_to: Option<String>,
    /// With --copy-to: delete the original
    #[arg(long)]
    replace: bool,
    /// With --copy-to: one process namespace
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    share_processes: bool,
    /// With --copy-to: CONTAINER=IMAGE of containers to change
    #[arg(long, value_delimiter = ',')]
    set_image: Vec<String>,
    /// NAME=VALUE; repeat for more
    #[arg(long)]
    env: Vec<String>,
    /// Pass standard input on
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Standard input is a terminal
    #[arg(short, long)]
    tty: bool,
    /// Attach to the container
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    attach: Option<bool>,
    /// Say less
    #[arg(short, long)]
    quiet: bool,
    /// The rights of the container: general, baseline, restricted, netadmin, sysadmin or legacy
    #[arg(long, default_value = "general")]
    profile: String,
    /// The arguments are the command's
    #[arg(long)]
    arguments_only: bool,
    /// The command
    #[arg(last = true)]
    command: Vec<String>,
}

pub(crate) async fn run(ctx: &Ctx, args: Debug) -> Outcome {
    if args.image.is_none() && args.copy_to.is_none() {
        return Err(Fault::refused("you must specify --image or --copy-to"));
    }
    if args.tty && !args.stdin {
        return Err(Fault::refused("-i/--stdin is required for containers with -t/--tty=true"));
    }
    let words: Vec<String> = match args.words.as_slice() {
        [one] if !one.contains('/') => vec![format!("pods/{one}")],
        other => other.to_vec(),
    };
    let select = Select { words: &words, ..Select::default() };
    for item in select.all_or_fault(ctx).await? {
        let (pod, container) = match item.resource.kind.as_str() {
            "Node" => on_node(ctx, &args, &item.name).await?,
            "Pod" if args.copy_to.is_some() => copied(ctx, &args, &item.object).await?,
            "Pod" => beside(ctx, &args, &item.object).await?,
            other => return Err(Fault::refused(format!("{other:?} not supported by debug"))),
        };
        if args.attach.unwrap_or(args.stdin) {
            let running = started(ctx, &pod, &container).await?;
            attach_to(ctx, &running, Some(&container), args.stdin, args.tty, args.quiet).await?;
        }
    }
    Ok(())
}

fn container(args: &Debug, name: &str) -> Result<Value, Fault> {
    let policy = args.image_pull_policy.as_deref().unwrap_or("");
    let mut container = json!({
        "name": name, "image": args.image, "resources": {}, "terminationMessagePolicy": "File",
    });
    if !policy.is_empty() {
        container["imagePullPolicy"] = policy.into();
    }
    if args.stdin {
        container["stdin"] = true.into();
    }
    if args.tty {
        container["tty"] = true.into();
    }
    if !args.command.is_empty() {
        container[if args.arguments_only { "args" } else { "command" }] = json!(args.command);
    }
    let pairs = args.env.iter().map(|text| {
        text.split_once('=').map(|(name, value)| json!({"name": name, "value": value}))
    });
    let env: Option<Vec<Value>> = pairs.collect();
    let env =
        env.ok_or_else(|| Fault::refused("environment variables must be of the form key=value"))?;
    if !env.is_empty() {
        container["env"] = Value::Array(env);
    }
    let rights = match args.profile.as_str() {
        "legacy" | "baseline" => None,
        "general" => Some(json!({"capabilities": {"add": ["SYS_PTRACE"]}})),
        "restricted" => Some(json!({
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"},
        })),
        "netadmin" => Some(json!({"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}})),
        "sysadmin" => Some(json!({"privileged": true})),
        other => return Err(Fault::refused(format!("unknown profile: {other}"))),
    };
    if let Some(rights) = rights {
        container["securityContext"] = rights;
    }
    Ok(container)
}

fn name_of(args: &Debug) -> String {
    args.container.clone().unwrap_or_else(|| format!("debugger-{}", podo_base::name_suffix(5)))
}

/// An ephemeral container in the Pod (KEP-277).
async fn beside(ctx: &Ctx, args: &Debug, pod: &Value) -> Result<(Value, String), Fault> {
    let name = name_of(args);
    let mut own = container(args, &name)?;
    if let Some(target) = &args.target {
        own["targetContainerName"] = target.clone().into();
        ctx.note(format!("Targeting container {target:?}. If you don't see processes from this container it may be because the container runtime doesn't support this feature."));
    }
    if args.container.is_none() && !args.quiet {
        ctx.note(format!("Defaulting debug container name to {name}."));
    }
    let path =
        format!("/api/v1/namespaces/{}/pods/{}/ephemeralcontainers", pod.namespace(), pod.name());
    let patch = json!({"spec": {"ephemeralContainers": [own]}});
    let pod = ctx.call(Call::patch(path, STRATEGIC, &patch)).await?;
    Ok((pod, name))
}

async fn copied(ctx: &Ctx, args: &Debug, pod: &Value) -> Result<(Value, String), Fault> {
    let mut copy = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": args.copy_to, "namespace": pod.namespace(), "annotations": pod["metadata"]["annotations"]},
        "spec": pod["spec"],
    });
    if copy["metadata"]["annotations"].is_null() {
        object_mut(&mut copy["metadata"]).remove("annotations");
    }
    if !args.replace {
        object_mut(&mut copy["spec"]).remove("nodeName");
    }
    object_mut(&mut copy["spec"]).remove("ephemeralContainers");
    copy["spec"]["shareProcessNamespace"] = args.share_processes.into();
    for text in &args.set_image {
        let (name, image) = text
            .split_once('=')
            .ok_or_else(|| Fault::refused(format!("invalid --set-image: {text}")))?;
        for own in copy["spec"]["containers"].as_array_mut().into_iter().flatten() {
            if name == "*" || own["name"] == name {
                own["image"] = image.into();
            }
        }
    }
    let name = name_of(args);
    let all = copy["spec"]["containers"].as_array_mut();
    let containers = all.ok_or_else(|| Fault::refused("the pod has no containers"))?;
    match containers.iter_mut().find(|own| own["name"] == name.as_str()) {
        Some(own) => {
            for (field, value) in container(args, &name)?.as_object().into_iter().flatten() {
                if !value.is_null() && field != "resources" {
                    own[field] = value.clone();
                }
            }
        }
        None if args.image.is_some() => containers.push(container(args, &name)?),
        None => {}
    }
    if args.replace {
        let path = format!("/api/v1/namespaces/{}/pods/{}", pod.namespace(), pod.name());
        ctx.call(Call::delete(path, &json!({"gracePeriodSeconds": 0}))).await?;
    }
    let path = format!("/api/v1/namespaces/{}/pods", pod.namespace());
    let made = ctx.call(Call::post(path, &copy)).await?;
    Ok((made, name))
}

/// A Pod on the node that sees its processes, network and files.
async fn on_node(ctx: &Ctx, args: &Debug, node: &str) -> Result<(Value, String), Fault> {
    let name = args.container.clone().unwrap_or_else(|| "debugger".into());
    let mut own = container(args, &name)?;
    let sees_host = !matches!(args.profile.as_str(), "baseline" | "restricted" | "netadmin");
    if args.profile == "general" {
        object_mut(&mut own).remove("securityContext");
    }
    let mut spec = json!({
        "nodeName": node, "restartPolicy": "Never", "tolerations": [{"operator": "Exists"}],
    });
    if args.profile != "restricted" && args.profile != "baseline" {
        for field in ["hostIPC", "hostNetwork", "hostPID"] {
            spec[field] = true.into();
        }
    }
    if sees_host {
        spec["volumes"] = json!([{"name": "host-root", "hostPath": {"path": "/"}}]);
        own["volumeMounts"] = json!([{"name": "host-root", "mountPath": "/host"}]);
    }
    spec["containers"] = json!([own]);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("node-debugger-{node}-{}", podo_base::name_suffix(5)),
            "labels": {"app.kubernetes.io/managed-by": "kubectl-debug"},
        },
        "spec": spec,
    });
    ctx.note(format!(
        "Creating debugging pod {} with container {name} on node {node}.",
        pod.name()
    ));
    let path = format!("/api/v1/namespaces/{}/pods", ctx.namespace()?);
    Ok((ctx.call(Call::post(path, &pod)).await?, name))
}

/// Waits until the container runs or has ended.
async fn started(ctx: &Ctx, pod: &Value, container: &str) -> Result<Value, Fault> {
    let groups = ["/status/ephemeralContainerStatuses", "/status/containerStatuses"];
    let deadline = Instant::now() + START_TIMEOUT;
    pods::until(ctx, pod, Some(deadline), |pod| {
        let mut statuses = groups.iter().flat_map(|group| pod.list(group));
        let own = statuses.find(|status| status.s("/name") == container);
        let has_begun =
            own.is_some_and(|own| own.has("/state/running") || own.has("/state/terminated"));
        Ok(if has_begun { Seen::Done } else { Seen::NotYet })
    })
    .await
}
