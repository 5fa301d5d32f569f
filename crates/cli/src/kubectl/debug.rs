//! `debug`: a container beside those of a Pod, a changed copy of a Pod, or a Pod on a node.

mod profile;

use std::time::Duration;

use clap::Args;
use podo_api::patch::strategic;
use podo_api::schema::builtin;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{Call, STRATEGIC};
use super::context::Ctx;
use super::exec::attach_to;
use super::fault::{Fault, Outcome, go_text, quoted};
use super::pods;
use super::run::{is_reference, log};
use super::select::Select;
use super::value::{Look, at_mut, object_mut};
use super::wait::Seen;

use self::profile::{Keep, Profile, Style, container_mut};

/// What `--custom` must not say.
const FIXED: [&str; 5] = ["name", "command", "image", "lifecycle", "volumeDevices"];
/// What is said of an image's name that is none.
const INVALID: &str = "invalid reference format";
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
    /// With --copy-to: on the same node
    #[arg(long)]
    same_node: bool,
    /// With --copy-to: one process namespace
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    share_processes: Option<bool>,
    #[command(flatten)]
    keep: Keep,
    /// With --copy-to: CONTAINER=IMAGE of containers to change
    #[arg(long)]
    set_image: Vec<String>,
    /// NAME=VALUE; repeat for more
    #[arg(long)]
    env: Vec<String>,
    /// A file with a part of a container's spec, which is merged into that of the profile
    #[arg(long)]
    custom: Option<String>,
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

/// What the flags come to.
struct Debugger<'a> {
    ctx: &'a Ctx,
    args: &'a Debug,
    profile: Profile,
    env: Vec<(String, String)>,
    images: Vec<(String, String)>,
    /// What `--custom` says of the container.
    custom: Option<Value>,
}

pub(crate) async fn run(ctx: &Ctx, args: Debug) -> Outcome {
    let debugger = Debugger {
        ctx,
        args: &args,
        env: pairs("env", &args.env)?,
        images: pairs("set-image", &args.set_image)?,
        profile: Profile::parse(&args.profile)?,
        custom: args.custom.as_deref().map(custom).transpose()?,
    };
    debugger.check()?;
    let named = |word: &String| {
        if word.contains('/') { word.clone() } else { format!("pods/{word}") }
    };
    let words: Vec<String> = args.words.iter().map(named).collect();
    let select = Select { words: &words, ..Select::default() };
    for item in select.found(ctx).await?.first_fault()? {
        let (pod, container) = match item.resource.kind.as_str() {
            "Node" => debugger.on_node(&item.name).await?,
            "Pod" if args.copy_to().is_some() => debugger.copied(&item.object).await?,
            "Pod" => debugger.beside(&item.object).await?,
            kind => {
                let kind =
                    format!("{}/{}, Kind={kind}", item.resource.group, item.resource.version);
                return Err(Fault::refused(format!("{} not supported by debug", quoted(&kind))));
            }
        };
        if args.attach.unwrap_or(args.stdin) && !container.is_empty() {
            let running = started(ctx, &pod, &container).await?;
            attached(ctx, &args, &running, &container).await?;
        }
    }
    Ok(())
}

/// Attaches to a container; of one that has ended already, its log is shown.
async fn attached(ctx: &Ctx, args: &Debug, pod: &Value, name: &str) -> Outcome {
    if status_of(pod, name).is_some_and(|status| status.has("/state/terminated")) {
        return log(ctx, pod, Some(name)).await;
    }
    let attached = attach_to(ctx, pod, Some(name), args.stdin, args.tty, args.quiet).await;
    let Err(fault) = attached else { return Ok(()) };
    ctx.note(format!(
        "warning: couldn't attach to pod/{}, falling back to streaming logs: {fault}",
        pod.name()
    ));
    log(ctx, pod, Some(name)).await
}

/// What the Pod says of a container, of either sort.
fn status_of<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    let groups = ["/status/ephemeralContainerStatuses", "/status/containerStatuses"];
    let mut statuses = groups.into_iter().flat_map(|group| pod.list(group));
    statuses.find(|status| status.s("/name") == name)
}

/// `KEY=VALUE,...` of a flag that is given once or more.
fn pairs(flag: &str, texts: &[String]) -> Result<Vec<(String, String)>, Fault> {
    let mut all = Vec::new();
    for text in texts {
        for part in text.split(',') {
            let (key, value) = part.split_once('=').ok_or_else(|| {
                Fault::refused(format!(
                    "invalid argument {} for \"--{flag}\" flag: {part} must be formatted as key=value\nSee 'kubectl debug --help' for usage.",
                    quoted(text)
                ))
            })?;
            all.push((key.to_owned(), value.to_owned()));
        }
    }
    Ok(all)
}

/// Reads the file of `--custom`.
fn custom(path: &str) -> Result<Value, Fault> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Fault::refused(format!(
            "must pass a container spec json file for custom profile: open {path}: {}",
            go_text(&error)
        ))
    })?;
    let custom = podo_api::yaml::to_json(text.as_bytes()).map_err(|error| {
        Fault::refused(format!("{path} does not contain a valid container spec: {error}"))
    })?;
    if FIXED.iter().any(|field| custom.get(field).is_some_and(|value| !value.is_null())) {
        return Err(Fault::refused(
            "name, command, image, lifecycle and volume devices are not modifiable via custom profile",
        ));
    }
    Ok(custom)
}

impl Debug {
    fn copy_to(&self) -> Option<&str> {
        self.copy_to.as_deref().filter(|name| !name.is_empty())
    }

    fn image(&self) -> Option<&str> {
        self.image.as_deref().filter(|image| !image.is_empty())
    }

    /// What is wrong with flags that go together, the first thing first.
    fn contradiction(&self) -> Option<&'static str> {
        let (has_image, has_name) = (self.image().is_some(), self.container.is_some());
        let is_copy = self.copy_to().is_some();
        let refused = [
            (
                self.attach == Some(true) && !has_image && !has_name,
                "you must specify --container or create a new container using --image in order to attach.",
            ),
            (
                is_copy && !has_image && self.set_image.is_empty() && self.command.is_empty(),
                "you must specify --image, --set-image or command arguments.",
            ),
            (
                is_copy && !self.command.is_empty() && !has_name && !has_image,
                "you must specify an existing container or a new image when specifying args.",
            ),
            (!is_copy && self.replace, "--replace may only be used with --copy-to."),
            (!is_copy && self.same_node, "--same-node may only be used with --copy-to."),
            (
                !is_copy && !self.set_image.is_empty(),
                "--set-image may only be used with --copy-to.",
            ),
            (!is_copy && !has_image, "you must specify --image when not using --copy-to."),
        ];
        refused.iter().find(|(is_so, _)| *is_so).map(|(_, why)| *why)
    }
}

impl Debugger<'_> {
    fn check(&self) -> Outcome {
        let args = self.args;
        if let Some(why) = args.contradiction() {
            return Err(Fault::refused(why));
        }
        if let Some(image) = args.image().filter(|image| !is_reference(image)) {
            return Err(Fault::refused(format!("invalid image name {}: {INVALID}", quoted(image))));
        }
        if args.words.is_empty() {
            return Err(Fault::refused("NAME or filename is required for debug"));
        }
        if let Some(policy) = &args.image_pull_policy
            && !matches!(policy.as_str(), "" | "Always" | "IfNotPresent" | "Never")
        {
            return Err(Fault::refused(format!("invalid image pull policy: {policy}")));
        }
        if let Some((name, image)) = self.images.iter().find(|(_, image)| !is_reference(image)) {
            return Err(Fault::refused(format!(
                "invalid image name {} for container {}: {INVALID}",
                quoted(image),
                quoted(name)
            )));
        }
        if let Some(target) = &args.target {
            if args.copy_to().is_some() {
                return Err(Fault::refused(
                    "--target is incompatible with --copy-to. Use --share-processes instead.",
                ));
            }
            self.say(&format!(
                "Targeting container {}. If you don't see processes from this container it may be because the container runtime doesn't support this feature.",
                quoted(target)
            ))?;
        }
        if args.tty && !args.stdin {
            return Err(Fault::refused("-i/--stdin is required for containers with -t/--tty=true"));
        }
        if self.profile == Profile::Legacy {
            self.ctx.note("--profile=legacy is deprecated and planned to be removed in v1.39. It is recommended to specify other profile, for example \"--profile=general\".");
        }
        Ok(())
    }

    fn say(&self, text: &str) -> Outcome {
        if self.args.quiet { Ok(()) } else { self.ctx.line(text) }
    }

    /// The container's name, made if none is given.
    fn name(&self) -> Result<String, Fault> {
        if let Some(name) = self.args.container.as_ref().filter(|name| !name.is_empty()) {
            return Ok(name.clone());
        }
        let name = format!("debugger-{}", podo_base::name_suffix(5));
        self.say(&format!("Defaulting debug container name to {name}."))?;
        Ok(name)
    }

    /// Writes what the flags say of a container into it.
    fn describe(&self, container: &mut Value) {
        let args = self.args;
        if !args.command.is_empty() {
            container[if args.arguments_only { "args" } else { "command" }] = json!(args.command);
            if !args.arguments_only {
                object_mut(container).remove("args");
            }
        }
        if !self.env.is_empty() {
            let env = self.env.iter().map(|(name, value)| json!({"name": name, "value": value}));
            container["env"] = env.collect();
        }
        let texts =
            [("image", args.image()), ("imagePullPolicy", args.image_pull_policy.as_deref())];
        for (field, value) in texts {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                container[field] = value.into();
            }
        }
        for (field, is_set) in [("stdin", args.stdin), ("tty", args.tty)] {
            if is_set {
                container[field] = true.into();
            } else {
                object_mut(container).remove(field);
            }
        }
    }

    /// Lets the profile, and then the user's own, change a Pod.
    fn shape(&self, pod: &mut Value, name: &str, style: Style) -> Outcome {
        self.profile.apply(&self.args.keep, pod, name, style);
        let Some((custom, container)) = self.custom.clone().zip(container_mut(pod, name)) else {
            return Ok(());
        };
        let ty = builtin().get("core/v1.Container");
        let mut custom = custom;
        *container = match ty {
            Some(ty) => strategic::apply(container.clone(), &mut custom, ty)
                .map_err(|error| Fault::refused(error.to_string()))?,
            None => container.clone(),
        };
        Ok(())
    }

    /// Tells that rights may be of no use, as the Pod's user is not root.
    fn warn_of_user(&self, pod: &Value, container: Option<&Value>) {
        let Some(security) = container.and_then(|container| container.get("securityContext"))
        else {
            return;
        };
        let user = pod.at("/spec/securityContext/runAsUser").and_then(Value::as_i64);
        let is_root = user.is_none_or(|user| user == 0) || security["runAsUser"] == 0;
        let has_rights =
            security["privileged"] == true || !security.list("/capabilities/add").is_empty();
        if !is_root && has_rights {
            self.ctx.note("Warning: Non-root user is configured for the entire target Pod, and some capabilities granted by debug profile may not work. Please consider using \"--custom\" with a custom profile that specifies \"securityContext.runAsUser: 0\".");
        }
    }

    /// An ephemeral container in the Pod (KEP-277).
    async fn beside(&self, pod: &Value) -> Result<(Value, String), Fault> {
        let name = self.name()?;
        let mut own = json!({
            "name": name, "resources": {}, "terminationMessagePolicy": "File",
        });
        self.describe(&mut own);
        if let Some(target) = &self.args.target {
            own["targetContainerName"] = target.clone().into();
        }
        let mut changed = pod.clone();
        let all = at_mut(&mut changed, &["spec", "ephemeralContainers"]);
        let mut containers = all.as_array().cloned().unwrap_or_default();
        containers.push(own);
        *all = containers.into();
        self.shape(&mut changed, &name, Style::Beside)?;
        self.warn_of_user(pod, changed.list("/spec/ephemeralContainers").last());
        let ty = builtin().get("core/v1.Pod").ok_or_else(|| Fault::refused("Pods have no type"))?;
        let patch = strategic::create_two_way(pod, &changed, ty)
            .map_err(|error| Fault::refused(error.to_string()))?;
        let path = format!("{}/{}/ephemeralcontainers", pods_of(pod.namespace()), pod.name());
        Ok((self.ctx.call(Call::patch(path, STRATEGIC, &patch)).await?, name))
    }

    async fn copied(&self, pod: &Value) -> Result<(Value, String), Fault> {
        let (copy, name) = self.copy(pod)?;
        let mut containers = copy.list("/spec/containers").iter();
        self.warn_of_user(&copy, containers.find(|own| own.s("/name") == name));
        let place = pods_of(pod.namespace());
        let made = self.ctx.call(Call::post(&place, &copy)).await?;
        if self.args.replace {
            let options = json!({"gracePeriodSeconds": 0});
            self.ctx.call(Call::delete(format!("{place}/{}", pod.name()), &options)).await?;
        }
        Ok((made, name))
    }

    /// A Pod like another, with other images and a container for debugging.
    fn copy(&self, pod: &Value) -> Result<(Value, String), Fault> {
        let mut copy = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": self.args.copy_to, "namespace": pod.namespace()},
            "spec": pod["spec"],
        });
        for field in ["annotations", "labels"] {
            if let Some(map) = pod["metadata"].get(field) {
                copy["metadata"][field] = map.clone();
            }
        }
        object_mut(&mut copy["spec"]).remove("ephemeralContainers");
        if let Some(is_shared) = self.args.share_processes {
            copy["spec"]["shareProcessNamespace"] = is_shared.into();
        }
        if !self.args.same_node {
            object_mut(&mut copy["spec"]).remove("nodeName");
        }
        for own in copy["spec"]["containers"].as_array_mut().into_iter().flatten() {
            let is_own = |(name, _): &&(String, String)| own["name"] == name.as_str();
            let of_all = self.images.iter().find(|(name, _)| name == "*");
            if let Some((_, image)) = self.images.iter().find(is_own).or(of_all) {
                own["image"] = image.clone().into();
            }
        }
        let given = self.args.container.clone().unwrap_or_default();
        let mut name = given.clone();
        if container_mut(&mut copy, &given).is_none() {
            if self.args.image().is_none() {
                if !self.images.is_empty() {
                    return Ok((copy, String::new()));
                }
                return Err(Fault::refused("you must specify image when creating new container"));
            }
            name = self.name()?;
            let fresh = json!({
                "name": name, "resources": {}, "terminationMessagePolicy": "File",
            });
            if let Some(all) = copy["spec"]["containers"].as_array_mut() {
                all.push(fresh);
            }
        }
        if let Some(container) = container_mut(&mut copy, &name) {
            self.describe(container);
        }
        self.shape(&mut copy, &name, Style::Copy)?;
        Ok((copy, name))
    }

    /// A Pod on the node that sees its processes, network and files.
    async fn on_node(&self, node: &str) -> Result<(Value, String), Fault> {
        let name = self.args.container.clone().unwrap_or_else(|| "debugger".into());
        let mut own = json!({
            "name": name, "resources": {}, "terminationMessagePolicy": "File",
        });
        self.describe(&mut own);
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("node-debugger-{node}-{}", podo_base::name_suffix(5)),
                "labels": {"app.kubernetes.io/managed-by": "kubectl-debug"},
            },
            "spec": {
                "containers": [own], "nodeName": node, "restartPolicy": "Never",
                "tolerations": [{"operator": "Exists"}],
            },
        });
        self.say(&format!(
            "Creating debugging pod {} with container {name} on node {node}.",
            pod.name()
        ))?;
        self.shape(&mut pod, &name, Style::Node)?;
        let call = Call::post(pods_of(&self.ctx.namespace()?), &pod);
        Ok((self.ctx.call(call).await?, name))
    }
}

fn pods_of(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

/// Waits until the container runs or has ended.
async fn started(ctx: &Ctx, pod: &Value, container: &str) -> Result<Value, Fault> {
    let deadline = Instant::now() + START_TIMEOUT;
    pods::until(ctx, pod, Some(deadline), |pod| {
        let own = status_of(pod, container);
        let has_begun =
            own.is_some_and(|own| own.has("/state/running") || own.has("/state/terminated"));
        Ok(if has_begun { Seen::Done } else { Seen::NotYet })
    })
    .await
}
