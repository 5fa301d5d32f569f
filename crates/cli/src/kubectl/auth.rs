//! `auth whoami`, `auth can-i` and `auth reconcile`.

mod reconcile;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::print::{Output, ShowArgs};
use super::rules::{STANDARD_VERBS, compact};
use super::tabs::Tabs;
use super::value::{Look, shown};

/// The verbs that kubectl v1.36 knows of resources besides those that are standard in a role; any other is asked for with a warning.
const MORE_RESOURCE_VERBS: &[&str] = &["approve", "attest", "sign"];
/// The verbs of paths that are no resources.
const NON_RESOURCE_VERBS: &[&str] =
    &["delete", "get", "head", "options", "patch", "post", "put", "*"];

/// Ask who one is and what one may do
#[derive(Debug, Args)]
pub(crate) struct Auth {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Whoami(WhoAmI),
    CanI(CanI),
    Reconcile(reconcile::Reconcile),
}

/// Show who the server takes one for
#[derive(Debug, Args)]
struct WhoAmI {
    /// Taken and passed over, as kubectl does
    #[arg(hide = true)]
    _words: Vec<String>,
    /// json, yaml, ...
    #[arg(short, long)]
    output: Option<String>,
    #[command(flatten)]
    show: ShowArgs,
}

/// Ask whether an act is allowed
#[derive(Debug, Args)]
struct CanI {
    /// VERB TYPE[/NAME] or VERB /PATH
    words: Vec<String>,
    /// All that is allowed
    #[arg(long)]
    list: bool,
    /// Say it by the exit code only
    #[arg(short, long)]
    quiet: bool,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// A subresource
    #[arg(long)]
    subresource: Option<String>,
    /// No headers
    #[arg(long)]
    no_headers: bool,
}

pub(crate) async fn run(ctx: &Ctx, args: Auth) -> Outcome {
    match args.verb {
        Verb::Whoami(args) => who_am_i(ctx, args).await,
        Verb::Reconcile(args) => reconcile::run(ctx, args).await,
        Verb::CanI(args) if args.list => list(ctx, args).await,
        Verb::CanI(args) => can_i(ctx, args).await,
    }
}

async fn who_am_i(ctx: &Ctx, args: WhoAmI) -> Outcome {
    let output = Output::parse_plain(args.output.as_deref(), None)?;
    let request = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "status": {"userInfo": {}}});
    let call = Call::post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &request);
    let answer = ctx.call(call).await?;
    if !output.is_human() {
        return ctx.out(output.typed(&answer, args.show, true)?);
    }
    let user = answer.at("/status/userInfo").cloned().unwrap_or_default();
    let mut tabs = Tabs::table();
    tabs.push("ATTRIBUTE\tVALUE\n");
    tabs.push(&format!("Username\t{}\n", user.s("/username")));
    if !user.s("/uid").is_empty() {
        tabs.push(&format!("UID\t{}\n", user.s("/uid")));
    }
    let bracketed = |values: &[Value]| {
        let values: Vec<String> = values.iter().map(shown).collect();
        format!("[{}]", values.join(" "))
    };
    if !user.list("/groups").is_empty() {
        tabs.push(&format!("Groups\t{}\n", bracketed(user.list("/groups"))));
    }
    for (key, values) in user.entries("/extra") {
        tabs.push(&format!("Extra: {key}\t{}\n", bracketed(values.list(""))));
    }
    ctx.out(tabs.finish())
}

/// What is asked about a kind of object.
async fn attributes(ctx: &Ctx, args: &CanI, verb: &str, target: &str) -> Result<Value, Fault> {
    let namespace = if args.all_namespaces { String::new() } else { ctx.namespace()? };
    let (kind, in_target) = target.split_once('/').map_or((target, None), |(k, n)| (k, Some(n)));
    let mut attributes = json!({"verb": verb, "namespace": namespace});
    if let Some(resource) = ctx.discovery().await?.find(kind) {
        attributes["resource"] = resource.plural.clone().into();
        attributes["group"] = resource.group.clone().into();
        if !resource.is_namespaced && kind != "*" {
            attributes["namespace"] = "".into();
            let told = format!(
                "resource '{}' is not namespace scoped{}\n",
                resource.plural,
                in_group(&resource.group)
            );
            if !args.all_namespaces {
                ctx.warn_once(&told);
            }
        }
    } else {
        let (resource, group) = kind.split_once('.').unwrap_or((kind, ""));
        attributes["resource"] = resource.into();
        attributes["group"] = group.into();
        if kind != "*" {
            let place = in_group(group);
            ctx.warn_once(&format!(
                "the server doesn't have a resource type '{resource}'{place}\n"
            ));
        }
    }
    if let Some(name) = in_target {
        attributes["name"] = name.into();
    }
    if let Some(subresource) = &args.subresource {
        attributes["subresource"] = subresource.clone().into();
    }
    Ok(attributes)
}

async fn can_i(ctx: &Ctx, args: CanI) -> Outcome {
    let [verb, target] = args.words.as_slice() else {
        return Err(Fault::refused(
            "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples.",
        ));
    };
    if args.no_headers {
        return Err(Fault::refused("--no-headers cannot be set without --list specified"));
    }
    if target.starts_with('/') && args.subresource.is_some() {
        return Err(Fault::refused("--subresource can not be used with NonResourceURL"));
    }
    let known: &[&[&str]] = if target.starts_with('/') {
        &[NON_RESOURCE_VERBS]
    } else {
        &[STANDARD_VERBS, MORE_RESOURCE_VERBS]
    };
    if !known.iter().any(|verbs| verbs.contains(&verb.as_str())) {
        ctx.warn_once(&format!("verb '{verb}' is not a known verb\n"));
    }
    let spec = if target.starts_with('/') {
        json!({"nonResourceAttributes": {"verb": verb, "path": target}})
    } else {
        json!({"resourceAttributes": attributes(ctx, &args, verb, target).await?})
    };
    let review = json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": spec});
    let call = Call::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review);
    let answer = ctx.call(call).await?;
    let is_allowed = answer.b("/status/allowed");
    if !args.quiet {
        let mut text = if is_allowed { "yes".to_owned() } else { "no".to_owned() };
        if !is_allowed && !answer.s("/status/reason").is_empty() {
            text = format!("{text} - {}", answer.s("/status/reason"));
        }
        if !answer.s("/status/evaluationError").is_empty() {
            text = format!("{text} - {}", answer.s("/status/evaluationError"));
        }
        ctx.line(text)?;
    }
    if is_allowed { Ok(()) } else { Err(Fault::exit(1)) }
}

fn in_group(group: &str) -> String {
    if group.is_empty() { String::new() } else { format!(" in group '{group}'") }
}

async fn list(ctx: &Ctx, args: CanI) -> Outcome {
    if !args.words.is_empty() {
        return Err(Fault::refused("list option must be specified with no arguments"));
    }
    if args.quiet || args.all_namespaces || args.subresource.is_some() {
        return Err(Fault::refused(
            "list option can't be specified with neither quiet, all-namespaces nor subresource options",
        ));
    }
    let review = json!({
        "kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
        "spec": {"namespace": ctx.namespace()?},
    });
    let call = Call::post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &review);
    let answer = ctx.call(call).await?;
    if answer.b("/status/incomplete") {
        let why = answer.s("/status/evaluationError");
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        ctx.note(format!("Warning: the list may be incomplete{why}"));
    }
    let mut rules = answer.list("/status/resourceRules").to_vec();
    for rule in &mut rules {
        if rule.list("/apiGroups").is_empty() {
            rule["apiGroups"] = json!([""]);
        }
    }
    rules.extend_from_slice(answer.list("/status/nonResourceRules"));
    let mut tabs = Tabs::table();
    if !args.no_headers {
        tabs.push("Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
    }
    compact(&rules).iter().for_each(|line| tabs.push(&format!("{line}\n")));
    ctx.out(tabs.finish())
}
