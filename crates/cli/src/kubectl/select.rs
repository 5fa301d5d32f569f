//! From words on the command line to objects: `TYPE[,TYPE] [NAME…]`, `TYPE/NAME…`, `-f`, `-l`, `--all`.

mod declared;
mod found;
pub(crate) mod validate;

use std::collections::HashSet;

use serde_json::Value;

use super::call::Call;
use super::context::Ctx;
use super::discovery::Resource;
use super::fault::{Fault, quoted};
use super::files::FileArgs;
use super::value::Look;

pub(crate) use declared::{Latest, Reading, declared_in, must_be_in};
pub(crate) use found::Found;

/// How many objects are asked for at a time, as kubectl does.
pub(crate) const CHUNK: i64 = 500;

/// What is said when nothing is named.
pub(crate) const NOTHING_NAMED: &str = "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";

/// A kind, and the names that were asked for: none means all that match.
#[derive(Debug, Clone)]
pub(crate) struct Pick {
    pub(crate) resource: Resource,
    pub(crate) names: Vec<String>,
}

/// One object that a command works on.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) resource: Resource,
    /// Its namespace; empty for a kind without.
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// As the server has it, or as a file declares it.
    pub(crate) object: Value,
    /// The file it came from; empty if it came from the server.
    pub(crate) source: String,
}

impl Item {
    /// The path of the object.
    pub(crate) fn path(&self) -> String {
        self.resource.object(Some(&self.namespace), &self.name)
    }

    /// `pod/NAME`.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.resource.label(), self.name)
    }
}

/// What to select; the default selects nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Select<'a> {
    pub(crate) words: &'a [String],
    pub(crate) files: Option<&'a FileArgs>,
    pub(crate) selector: Option<&'a str>,
    pub(crate) field_selector: Option<&'a str>,
    pub(crate) is_all: bool,
    pub(crate) is_all_namespaces: bool,
    /// Take objects of files as they are and names as given, without asking the server for them.
    pub(crate) is_local: bool,
    /// Take objects of files as they are, of whatever kind, without asking the server about anything.
    pub(crate) is_offline: bool,
    /// Take objects of files as they are, but ask the server for those that are named.
    pub(crate) is_lazy: bool,
    /// A kind without a name or selector means all of its objects, as in `get`.
    pub(crate) is_empty_all: bool,
}

/// Reads `TYPE[,TYPE] [NAME…]` or `TYPE/NAME…`.
pub(crate) async fn picks(ctx: &Ctx, words: &[String]) -> Result<Vec<Pick>, Fault> {
    let discovery = ctx.discovery().await?;
    let kinds =
        words.iter().map(|word| word.split_once('/').map_or(word.as_str(), |(kind, _)| kind));
    for kind in
        kinds.take(if words.iter().any(|word| word.contains('/')) { words.len() } else { 1 })
    {
        for other in kind.split(',').flat_map(|kind| discovery.rivals(kind)) {
            ctx.warn_once(&other);
        }
    }
    let mut picks: Vec<Pick> = Vec::new();
    if words.iter().any(|word| word.contains('/')) {
        for word in words {
            let Some((kind, name)) = word.split_once('/') else {
                return Err(Fault::refused(
                    "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
                ));
            };
            if name.contains('/') {
                return Err(Fault::refused(
                    "arguments in resource/name form may not have more than one slash",
                ));
            }
            if kind.is_empty() || name.is_empty() || kind.contains(',') {
                return Err(Fault::refused(
                    "arguments in resource/name form must have a single resource and name",
                ));
            }
            let resource = discovery.require(kind)?.clone();
            picks.push(Pick { resource, names: vec![name.to_owned()] });
        }
        return Ok(picks);
    }
    let Some((kinds, names)) = words.split_first() else {
        return Ok(picks);
    };
    let mut seen = HashSet::new();
    for kind in kinds.split(',').filter(|kind| seen.insert(*kind)) {
        let found = discovery.find(kind);
        let category = if found.is_none() { discovery.category(kind) } else { Vec::new() };
        if kind.is_empty() {
            return Err(Fault::refused("the server doesn't have a resource type \"\""));
        }
        if category.is_empty() {
            let resource = discovery.require(kind)?.clone();
            picks.push(Pick { resource, names: names.to_vec() });
        }
        picks.extend(
            category
                .into_iter()
                .map(|resource| Pick { resource: resource.clone(), names: names.to_vec() }),
        );
    }
    // Several words may mean one kind.
    let mut known = Vec::new();
    picks.retain(|pick| {
        let is_new = !known.contains(&pick.resource);
        known.push(pick.resource.clone());
        is_new
    });
    Ok(picks)
}

impl Select<'_> {
    /// The namespace to look in; `None` for all.
    fn scope(&self, ctx: &Ctx) -> Result<Option<String>, Fault> {
        if self.is_all_namespaces { Ok(None) } else { ctx.namespace().map(Some) }
    }

    /// Finds the objects, and what keeps others from being found.
    pub(crate) async fn found(&self, ctx: &Ctx) -> Result<Found, Fault> {
        if let Some(files) = self.files.filter(|files| !files.is_empty()) {
            files.refuse_words(self.words)?;
            let selector = self.selector;
            let is_own = self.is_local || self.is_lazy || self.is_offline;
            let latest = if is_own { Latest::No } else { Latest::Object };
            let is_offline = self.is_offline;
            return files
                .declared(ctx, Reading { selector, latest, is_offline, ..Reading::default() })
                .await;
        }
        let mut found = Found::default();
        for pick in picks(ctx, self.words).await? {
            if !pick.names.is_empty() {
                self.refuse_selector(self.words.iter().any(|word| word.contains('/')))?;
                for name in &pick.names {
                    found.steps.push(self.named(ctx, &pick.resource, name).await);
                }
                continue;
            }
            let wants_all = self.is_all
                || self.is_empty_all
                || self.selector.is_some()
                || self.field_selector.is_some();
            if !wants_all {
                return Err(Fault::refused("resource(s) were provided, but no name was specified"));
            }
            match self.list(ctx, &pick.resource).await {
                Ok(items) => found.steps.extend(items.into_iter().map(Ok)),
                Err(fault) => found.unread.push(fault),
            }
        }
        Ok(found)
    }

    fn refuse_selector(&self, is_paired: bool) -> Result<(), Fault> {
        if self.selector.is_none() && self.field_selector.is_none() && !self.is_all {
            return Ok(());
        }
        Err(Fault::refused(if is_paired {
            "selectors and the all flag cannot be used when passing resource/name arguments"
        } else {
            "name cannot be provided when a selector is specified"
        }))
    }

    /// Finds the objects; anything that is not found is a fault of the whole.
    pub(crate) async fn all_or_fault(&self, ctx: &Ctx) -> Result<Vec<Item>, Fault> {
        self.found(ctx).await?.all_or_fault()
    }

    async fn named(&self, ctx: &Ctx, resource: &Resource, name: &str) -> Result<Item, Fault> {
        if self.is_all_namespaces && resource.is_namespaced {
            return Err(Fault::refused(
                "a resource cannot be retrieved by name across all namespaces",
            ));
        }
        let namespace = if resource.is_namespaced { ctx.namespace()? } else { String::new() };
        let object = if self.is_local {
            Value::Null
        } else {
            ctx.object(resource, &namespace, name).await?
        };
        let name = name.to_owned();
        Ok(Item { resource: resource.clone(), namespace, name, object, source: String::new() })
    }

    async fn list(&self, ctx: &Ctx, resource: &Resource) -> Result<Vec<Item>, Fault> {
        let scope = self.scope(ctx)?;
        let objects = list_all(ctx, resource, scope.as_deref(), self).await?;
        Ok(objects
            .into_iter()
            .map(|object| Item {
                resource: resource.clone(),
                namespace: object.namespace().to_owned(),
                name: object.name().to_owned(),
                object,
                source: String::new(),
            })
            .collect())
    }
}

impl Ctx {
    /// One object as the server has it. Of what is not there because its namespace is not, only the namespace is told.
    pub(crate) async fn object(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Value, Fault> {
        match self.call(Call::get(resource.object(Some(namespace), name))).await {
            Err(fault) => Err(self.lacking(resource, namespace, fault).await),
            found => found,
        }
    }

    /// What is said of an object that is not there.
    pub(crate) async fn lacking(
        &self,
        resource: &Resource,
        namespace: &str,
        fault: Fault,
    ) -> Fault {
        let is_made = matches!(namespace, "" | "default");
        if !fault.is_not_found() || !resource.is_namespaced || is_made {
            return fault;
        }
        let asked = self.call(Call::get(format!("/api/v1/namespaces/{namespace}"))).await;
        asked.err().filter(Fault::is_not_found).unwrap_or(fault)
    }
}

/// What is said when a list is refused: the question is repeated, as kubectl does for what it takes for a wrong one.
pub(crate) fn listing(
    fault: Fault,
    resource: &Resource,
    labels: Option<&str>,
    fields: Option<&str>,
) -> Fault {
    if !matches!(fault.reason(), "BadRequest" | "NotFound") {
        return fault;
    }
    let (labels, fields) = (labels.unwrap_or_default(), fields.unwrap_or_default());
    let kind =
        quoted(&format!("{}/{}, Resource={}", resource.group, resource.version, resource.plural));
    if labels.is_empty() && fields.is_empty() {
        return fault.context(&format!("Unable to list {kind}"));
    }
    fault.context(&format!(
        "Unable to find {kind} that match label selector {}, field selector {}",
        quoted(labels),
        quoted(fields)
    ))
}

/// All objects of a kind that match, asked for in pieces; each with its `apiVersion` and `kind`.
pub(crate) async fn list_all(
    ctx: &Ctx,
    resource: &Resource,
    namespace: Option<&str>,
    select: &Select<'_>,
) -> Result<Vec<Value>, Fault> {
    let mut objects = Vec::new();
    let mut more = String::new();
    loop {
        let call = Call::get(resource.collection(namespace))
            .query("fieldSelector", select.field_selector.unwrap_or_default())
            .query("labelSelector", select.selector.unwrap_or_default())
            .query("limit", CHUNK.to_string())
            .query("continue", more);
        let mut list = ctx
            .call(call)
            .await
            .map_err(|fault| listing(fault, resource, select.selector, select.field_selector))?;
        more = list.s("/metadata/continue").to_owned();
        objects.extend(items_of(&mut list, resource));
        if more.is_empty() {
            return Ok(objects);
        }
    }
}

/// Takes the items out of a list and names their kind, which lists leave out.
pub(crate) fn items_of(list: &mut Value, resource: &Resource) -> Vec<Value> {
    let Value::Array(items) = list["items"].take() else {
        return Vec::new();
    };
    let typed = items.into_iter().map(|mut item| {
        if item.is_object() {
            item["apiVersion"] = resource.api_version().into();
            item["kind"] = resource.kind.clone().into();
        }
        item
    });
    typed.collect()
}
