//! `api-resources` and `api-versions`.

use clap::Args;
use serde_json::{Value, json};

use super::context::Ctx;
use super::discovery::Resource;
use super::fault::{Fault, Outcome, quoted};
use super::print::json as json_text;
use super::tabs::Tabs;

/// List the kinds that the server serves
#[derive(Debug, Args)]
pub(crate) struct ApiResources {
    /// Only of this group
    #[arg(long)]
    api_group: Option<String>,
    /// Only with (or without) namespaces
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    namespaced: Option<bool>,
    /// Only those with these verbs
    #[arg(long, value_delimiter = ',')]
    verbs: Vec<String>,
    /// Only those of these categories
    #[arg(long, value_delimiter = ',')]
    categories: Vec<String>,
    /// name or kind
    #[arg(long)]
    sort_by: Option<String>,
    /// No headers
    #[arg(long)]
    no_headers: bool,
    /// Taken for compatibility
    #[arg(long, hide = true)]
    cached: bool,
    /// wide, name, json or yaml
    #[arg(short, long)]
    output: Option<String>,
    /// Taken for compatibility
    #[arg(long, hide = true)]
    show_managed_fields: bool,
}

/// List the versions that the server serves
#[derive(Debug, Args)]
pub(crate) struct ApiVersions {}

pub(crate) async fn run(ctx: &Ctx, args: ApiResources) -> Outcome {
    let discovery = ctx.discovery().await?;
    let mut found: Vec<_> = discovery
        .resources()
        .iter()
        .filter(|resource| !resource.verbs.is_empty() && discovery.is_preferred(resource))
        .filter(|resource| args.api_group.as_ref().is_none_or(|group| *group == resource.group))
        .filter(|resource| args.namespaced.is_none_or(|is| is == resource.is_namespaced))
        .filter(|resource| args.verbs.iter().all(|verb| resource.has_verb(verb)))
        .filter(|resource| args.categories.iter().all(|one| resource.categories.contains(one)))
        .collect();
    match args.sort_by.as_deref() {
        None => found.sort_by(|a, b| (&a.group, &a.plural).cmp(&(&b.group, &b.plural))),
        Some("name") => found.sort_by(|a, b| a.plural.cmp(&b.plural)),
        Some("kind") => found.sort_by(|a, b| a.kind.cmp(&b.kind)),
        Some(_) => return Err(Fault::refused("--sort-by accepts only name or kind")),
    }
    let is_wide = match args.output.as_deref() {
        None | Some("") => false,
        Some("wide") => true,
        Some("name") => {
            return found.iter().try_for_each(|resource| ctx.line(resource.qualified()));
        }
        Some("json") => return ctx.line(as_json(&document(&found))),
        Some("yaml") => return ctx.out(podo_api::yaml::from_json(&document(&found))),
        Some(other) => {
            return Err(Fault::refused(format!(
                "unable to match a printer suitable for the output format {}, allowed formats are: json,kyaml,name,wide,yaml",
                quoted(other)
            )));
        }
    };
    let mut tabs = Tabs::table();
    if !args.no_headers {
        let more = if is_wide { "\tVERBS\tCATEGORIES" } else { "" };
        tabs.push(&format!("NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND{more}\n"));
    }
    for resource in found {
        let mut line = format!(
            "{}\t{}\t{}\t{}\t{}",
            resource.plural,
            resource.short.join(","),
            resource.api_version(),
            resource.is_namespaced,
            resource.kind
        );
        if is_wide {
            line =
                format!("{line}\t{}\t{}", resource.verbs.join(","), resource.categories.join(","));
        }
        tabs.push(&format!("{line}\n"));
    }
    ctx.out(tabs.finish())
}

/// A document with its fields in the order of Go's structs.
fn as_json(document: &Value) -> String {
    match podo_api::schema::builtin().get("meta/v1.APIResourceList") {
        Some(ty) => json_text::pretty_typed(document, ty),
        None => json_text::pretty(document),
    }
}

/// The kinds as one object.
fn document(found: &[&Resource]) -> Value {
    let one = |resource: &&Resource| {
        let mut one = json!({
            "name": resource.plural, "singularName": resource.singular, "kind": resource.kind,
            "namespaced": resource.is_namespaced, "version": resource.version, "verbs": resource.verbs,
        });
        if !resource.group.is_empty() {
            one["group"] = resource.group.clone().into();
        }
        for (field, values) in
            [("shortNames", &resource.short), ("categories", &resource.categories)]
        {
            if !values.is_empty() {
                one[field] = json!(values);
            }
        }
        one
    };
    let resources: Vec<Value> = found.iter().map(one).collect();
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "", "resources": resources})
}

pub(crate) async fn versions(ctx: &Ctx, _args: ApiVersions) -> Outcome {
    let mut versions = ctx.discovery().await?.group_versions();
    versions.sort();
    versions.iter().try_for_each(|version| ctx.line(version))
}
