//! `set image`, `set resources` and `set serviceaccount`, and what else is set in the specs of Pods.

use clap::Args;
use podo_api::quantity::Quantity;
use serde_json::{Map, Value};

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, quoted};
use super::super::labels::split;
use super::super::pods::go_type;
use super::super::select::Item;
use super::super::value::{Look, at_mut};
use super::{ALL_AND_SELECTOR, Common, Setter, refused_by_server, told_of};

/// Set images of containers
#[derive(Debug, Args)]
pub(super) struct Image {
    /// TYPE NAME or TYPE/NAME, then CONTAINER=IMAGE...
    words: Vec<String>,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Set requests and limits of containers
#[derive(Debug, Args)]
pub(super) struct Resources {
    /// TYPE NAME or TYPE/NAME
    words: Vec<String>,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// The containers, with * for any text
    #[arg(short, long, default_value = "*")]
    containers: String,
    /// NAME=QUANTITY,...
    #[arg(long, default_value = "")]
    limits: String,
    /// NAME=QUANTITY,...
    #[arg(long, default_value = "")]
    requests: String,
    #[command(flatten)]
    common: Common,
}

/// Set the service account
#[derive(Debug, Args)]
pub(super) struct ServiceAccount {
    /// TYPE NAME or TYPE/NAME, then the service account
    words: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// The path of the Pod's spec in an object of a kind.
fn path(object: &Value) -> Option<&'static [&'static str]> {
    match object.s("/kind") {
        "Pod" => Some(&["spec"]),
        "Deployment"
        | "ReplicaSet"
        | "StatefulSet"
        | "DaemonSet"
        | "Job"
        | "ReplicationController" => Some(&["spec", "template", "spec"]),
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => None,
    }
}

/// The Pod's spec in an object.
pub(super) fn of(object: &mut Value) -> Result<&mut Value, Fault> {
    let Some(path) = path(object) else {
        return Err(Fault::refused(format!(
            "the object is not a pod or does not have a pod template: {}",
            go_type(object)
        )));
    };
    Ok(at_mut(object, path))
}

/// The containers of a Pod's spec that a pattern fits, those that start it last.
pub(super) fn containers<'a>(
    spec: &'a mut Value,
    pattern: &'a str,
) -> impl Iterator<Item = &'a mut Value> {
    let mut groups = ["containers", "initContainers"].map(|_| Vec::new());
    for (key, value) in spec.as_object_mut().into_iter().flatten() {
        let at = match key.as_str() {
            "containers" => 0,
            "initContainers" => 1,
            _ => continue,
        };
        groups[at] = value.as_array_mut().into_iter().flatten().collect();
    }
    groups.into_iter().flatten().filter(move |container| fits(pattern, container.s("/name")))
}

/// Whether a name fits a pattern with `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len()
                && name.starts_with(head)
                && (tail.contains('*') && fits(tail, &name[head.len()..]) || name.ends_with(tail))
        }
    }
}

impl Image {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let setter = Setter::new(ctx, &self.common)?;
        let (words, changes) = split(&self.words, "image")?;
        let pairs: Vec<(&str, &str)> =
            changes.iter().filter_map(|text| text.split_once('=')).collect();
        if pairs.len() < changes.len() {
            let invalid = changes.iter().filter(|text| !text.contains('='));
            let invalid: Vec<&str> = invalid.map(String::as_str).collect();
            return Err(Fault::refused(format!("invalid image pairs: {}", invalid.join(","))));
        }
        setter.refuse_words(words)?;
        let items = setter.items(words, self.selector.as_deref()).await?;
        self.check(&setter, &pairs)?;
        let mut faults = Vec::new();
        for item in items {
            let mut after = item.object.clone();
            let changed = set_images(&mut after, &pairs, &mut faults);
            setter.common.record.mark(ctx, &mut after);
            if let Err(fault) = changed {
                faults.push(told_of(&item, &fault.message()));
            } else if let Err(fault) = setter.change(&item, &after, "image updated").await {
                let words = "failed to patch image update to pod template:";
                faults.push(refused_by_server(words, fault));
            }
        }
        Fault::all(faults)
    }

    /// All that is wrong with the flags is told together.
    fn check(&self, setter: &Setter<'_>, pairs: &[(&str, &str)]) -> Outcome {
        let mut faults = Vec::new();
        if self.common.all && self.selector.is_some() {
            faults.push(Fault::refused(ALL_AND_SELECTOR));
        }
        if pairs.is_empty() {
            faults.push(Fault::refused("at least one image update is required"));
        } else if pairs.len() > 1 && pairs.iter().any(|(name, _)| *name == "*") {
            faults.push(Fault::refused(
                "all containers are already specified by *, but saw more than one container_name=container_image pairs",
            ));
        }
        faults.extend(setter.refuse_local_dry_run().err());
        Fault::all(faults)
    }
}

fn set_images(object: &mut Value, pairs: &[(&str, &str)], faults: &mut Vec<Fault>) -> Outcome {
    let spec = of(object)?;
    for (name, image) in pairs {
        let mut is_found = false;
        for container in containers(spec, "*") {
            if *name == "*" || container.s("/name") == *name {
                container["image"] = (*image).into();
                is_found = true;
            }
        }
        if !is_found {
            let why = format!("error: unable to find container named {}", quoted(name));
            faults.push(Fault::Bare(why));
        }
    }
    Ok(())
}

impl Resources {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let setter = Setter::new(ctx, &self.common)?;
        setter.refuse_words(&self.words)?;
        let items = setter.items(&self.words, self.selector.as_deref()).await?;
        setter.refuse_local_dry_run()?;
        if self.common.all && self.selector.is_some() {
            return Err(Fault::refused(ALL_AND_SELECTOR));
        }
        if self.limits.is_empty() && self.requests.is_empty() {
            return Err(Fault::refused(
                "you must specify an update to requests or limits (in the form of --requests/--limits)",
            ));
        }
        let wanted = [("limits", amounts(&self.limits)?), ("requests", amounts(&self.requests)?)];
        let mut faults = Vec::new();
        for item in items {
            if let Err(fault) = self.one(&setter, &item, &wanted).await {
                faults.push(fault);
            }
        }
        Fault::all(faults)
    }

    async fn one(
        &self,
        setter: &Setter<'_>,
        item: &Item,
        wanted: &[(&str, Map<String, Value>)],
    ) -> Outcome {
        let mut after = item.object.clone();
        let spec = of(&mut after).map_err(|fault| told_of(item, &fault.message()))?;
        let mut is_found = false;
        for container in containers(spec, &self.containers) {
            is_found = true;
            for (field, amounts) in wanted.iter().filter(|(_, amounts)| !amounts.is_empty()) {
                for (name, amount) in amounts {
                    at_mut(container, &["resources", field])[name] = amount.clone();
                }
            }
        }
        if !is_found {
            let why = format!("error: unable to find container named {}", self.containers);
            return Err(Fault::Bare(why));
        }
        setter.common.record.mark(setter.ctx, &mut after);
        let changed = setter.change(item, &after, "resource requirements updated").await;
        let words = "failed to patch resources update to pod template";
        changed.map(|_is_changed| ()).map_err(|fault| refused_by_server(words, fault))
    }
}

/// `NAME=QUANTITY,...`, the quantities in their plainest form.
pub(crate) fn amounts(text: &str) -> Result<Map<String, Value>, Fault> {
    let mut map = Map::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (name, amount) =
            part.split_once('=').filter(|(_, amount)| !amount.contains('=')).ok_or_else(|| {
                Fault::refused(format!(
                    "Invalid argument syntax {part}, expected <resource>=<value>"
                ))
            })?;
        let amount: Quantity =
            amount.parse().map_err(|error: podo_api::quantity::QuantityError| {
                Fault::refused(error.to_string())
            })?;
        map.insert(name.to_owned(), amount.to_string().into());
    }
    Ok(map)
}

impl ServiceAccount {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        const MESSAGE: &str = "serviceaccount updated";
        let setter = Setter::new(ctx, &self.common)?;
        setter.refuse_local_dry_run()?;
        let Some((name, words)) = self.words.split_last() else {
            return Err(Fault::refused("serviceaccount is required"));
        };
        let mut faults = Vec::new();
        for item in setter.items(words, None).await? {
            let mut after = item.object.clone();
            match of(&mut after) {
                Ok(spec) => spec["serviceAccountName"] = name.clone().into(),
                Err(fault) => {
                    faults.push(told_of(&item, &fault.message()));
                    continue;
                }
            }
            self.common.record.mark(ctx, &mut after);
            let sent = match setter.change(&item, &after, MESSAGE).await {
                // What is so already is told as well.
                Ok(false) => setter.submit(&item, &after, &serde_json::json!({}), MESSAGE).await,
                sent => sent.map(|_is_changed| ()),
            };
            if let Err(fault) = sent {
                faults.push(refused_by_server("failed to patch ServiceAccountName", fault));
            }
        }
        Fault::all(faults)
    }
}
