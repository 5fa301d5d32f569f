//! `describe`: an object in words, with what belongs to it and its events.

mod access;
mod container;
mod data;
mod generic;
mod network;
mod node;
mod page;
mod pod;
mod policy;
mod resources;
mod storage;
mod volume;
mod workload;

use clap::Args;
use serde_json::Value;

use self::page::Page;
pub(super) use self::page::interval;
pub(super) use self::workload::{is_current, replica_sets};
use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::files::FileArgs;
use super::select::{CHUNK, Item, Select, items_of, list_all, picks};
use super::value::Look;

/// Describe objects
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// TYPE [NAME PREFIX...] or TYPE/NAME...
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Show events; of several objects only when said
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    show_events: Option<bool>,
    /// How many objects to ask for at a time
    #[arg(long, default_value_t = CHUNK, hide = true)]
    chunk_size: i64,
}

/// What a describer works with.
struct Subject<'a> {
    ctx: &'a Ctx,
    object: &'a Value,
    events: Option<Vec<Value>>,
}

pub(crate) async fn run(ctx: &Ctx, args: Describe) -> Outcome {
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Fault::refused(
            "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported resources.",
        ));
    }
    let select = Select {
        words: &args.words,
        files: Some(&args.files),
        selector: args.selector.as_deref(),
        is_all_namespaces: args.all_namespaces,
        is_empty_all: true,
        is_lazy: true,
        ..Select::default()
    };
    let (items, mut fault) = select.found(ctx).await?.infos();
    let mut is_told_alone = false;
    if let (Some(fault), [kind, prefix]) = (&fault, args.words.as_slice())
        && fault.is_not_found()
    {
        let kind_alone = kind.split('/').next().unwrap_or(kind);
        let matching = matching(ctx, kind_alone, prefix).await?;
        if !matching.is_empty() {
            // Kubectl v1.36 shows no events of objects that are found by a prefix, and ends each with an empty line.
            for item in &matching {
                ctx.line(one(ctx, item, args.show_events.unwrap_or(false)).await?)?;
            }
            return Ok(());
        }
        if kind.contains('/') {
            is_told_alone = true;
        }
    }
    // Two names are taken for a kind and a prefix as well: then only what is not there is told.
    if let Some(fault) = fault.take_if(|_| is_told_alone) {
        return Err(fault);
    }
    let show_events = args.show_events.unwrap_or(items.len() <= 1 && fault.is_none());
    let is_nothing = items.is_empty() && fault.is_none();
    let mut faults: Vec<Fault> = fault.into_iter().collect();
    describe_all(ctx, items, show_events, &mut faults).await?;
    if is_nothing {
        if args.all_namespaces {
            ctx.note("No resources found");
        } else {
            ctx.note(format!("No resources found in {} namespace.", ctx.namespace()?));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Fault::Many(faults)) }
}

/// The objects whose names begin with a prefix.
async fn matching(ctx: &Ctx, kind: &str, prefix: &str) -> Result<Vec<Item>, Fault> {
    let mut found = Vec::new();
    for pick in picks(ctx, &[kind.to_owned()]).await? {
        let all =
            list_all(ctx, &pick.resource, Some(&ctx.namespace()?), &Select::default()).await?;
        found.extend(all.into_iter().filter(|object| object.name().starts_with(prefix)).map(
            |object| Item {
                resource: pick.resource.clone(),
                namespace: object.namespace().to_owned(),
                name: object.name().to_owned(),
                object,
                source: String::new(),
            },
        ));
    }
    Ok(found)
}

/// Describes all; those that cannot be are among the faults, each of which is told once.
async fn describe_all(
    ctx: &Ctx,
    items: Vec<Item>,
    show_events: bool,
    faults: &mut Vec<Fault>,
) -> Outcome {
    let mut told: Vec<String> = Vec::new();
    let mut is_first = true;
    for item in items {
        match latest_text(ctx, item, show_events).await {
            Ok(text) => {
                if !is_first {
                    ctx.out("\n\n")?;
                }
                is_first = false;
                ctx.out(text)?;
            }
            Err(fault) if told.contains(&fault.message()) => {}
            Err(fault) => {
                told.push(fault.message());
                faults.push(fault);
            }
        }
    }
    Ok(())
}

/// One object in words; one of a file as the server has it.
async fn latest_text(ctx: &Ctx, mut item: Item, show_events: bool) -> Result<String, Fault> {
    if !item.source.is_empty() {
        item.object = ctx.call(Call::get(item.path())).await?;
    }
    one(ctx, &item, show_events).await
}

/// One object in words.
async fn one(ctx: &Ctx, item: &Item, show_events: bool) -> Result<String, Fault> {
    let events = if show_events { events_of(ctx, &item.object).await } else { None };
    let subject = Subject { ctx, object: &item.object, events };
    let group = item.resource.group.as_str();
    let mut page = match (group, item.resource.kind.as_str()) {
        ("", "Pod") => pod::describe(&subject),
        ("", "Node") => node::describe(&subject).await?,
        ("", "Namespace") => policy::namespace(&subject).await?,
        ("", "ResourceQuota") => policy::quota(&subject),
        ("", "LimitRange") => policy::limit_range(&subject),
        ("", "Endpoints") => network::endpoints_object(&subject),
        ("", "Service") => network::service(&subject).await?,
        ("", "ConfigMap") => data::config_map(&subject),
        ("", "Secret") => data::secret(&subject),
        ("", "ServiceAccount") => access::service_account(&subject),
        ("", "PersistentVolumeClaim") => storage::claim(&subject).await?,
        ("", "PersistentVolume") => storage::volume(&subject),
        ("storage.k8s.io", "StorageClass") => storage::class(&subject),
        ("", "ReplicationController") => workload::replicas(&subject).await?,
        ("apps", "ReplicaSet") => workload::replicas(&subject).await?,
        ("apps", "Deployment") => workload::deployment(&subject).await?,
        ("apps", "StatefulSet") => workload::stateful_set(&subject).await?,
        ("apps", "DaemonSet") => workload::daemon_set(&subject).await?,
        ("batch", "Job") => workload::job(&subject),
        ("batch", "CronJob") => workload::cron_job(&subject),
        ("networking.k8s.io", "Ingress") => network::ingress(&subject).await?,
        ("discovery.k8s.io", "EndpointSlice") => network::endpoint_slice(&subject),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => access::role(&subject),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            access::binding(&subject)
        }
        ("scheduling.k8s.io", "PriorityClass") => policy::priority_class(&subject),
        _ => generic::describe(&subject),
    };
    Ok(page.finish())
}

/// The events about an object; `None` if they cannot be had, which is no reason not to describe it.
async fn events_of(ctx: &Ctx, object: &Value) -> Option<Vec<Value>> {
    let events = ctx.discovery().await.ok()?.by_kind("v1", "Event")?;
    let mut fields = vec![format!("involvedObject.name={}", object.name())];
    let namespace = object.namespace();
    if !namespace.is_empty() {
        fields.push(format!("involvedObject.namespace={namespace}"));
    }
    fields.push(format!("involvedObject.kind={}", object.s("/kind")));
    if object.s("/kind") != "Node" {
        // Events of a node carry its name as UID when the kubelet made them.
        fields.push(format!("involvedObject.uid={}", object.s("/metadata/uid")));
    }
    let call = Call::get(events.collection(Some(namespace)))
        .query("fieldSelector", fields.join(","))
        .query("limit", CHUNK.to_string());
    let mut list = ctx.call(call).await.ok()?;
    Some(items_of(&mut list, events))
}

impl Subject<'_> {
    /// Begins a page with the object's name and what else most kinds begin with.
    fn page(&self) -> Page {
        let mut page = Page::new();
        page.pair(0, "Name", self.object.name());
        page
    }

    /// Writes the events, if they are to be shown.
    fn events(&self, page: &mut Page) {
        if let Some(events) = &self.events {
            page.events(events);
        }
    }
}

/// A Pod template in words, with tabs where columns would be laid out: as `rollout history` prints it.
pub(super) fn template_text(template: &Value) -> String {
    let mut page = Page::new();
    pod::template(&mut page, Some(template));
    page.bare()
}
