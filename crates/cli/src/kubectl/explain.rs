//! `explain`: what a kind's fields are, from the server's OpenAPI v3.

mod older;
mod schema;
mod wrap;

use clap::Args;
use serde_json::Value;

use self::schema::Document;
use super::call::Call;
use super::context::Ctx;
use super::discovery::{Resource, split_version, unserved};
use super::fault::{Fault, Outcome, quoted};
use super::print::jsonpath::JsonPath;
use super::value::Look;

/// The form that kubectl had before v1.27.
const OLDER: &str = "plaintext-openapiv2";

/// Explain the fields of a kind
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// TYPE or TYPE.FIELD.FIELD...
    path: Option<String>,
    /// All fields below, by name only
    #[arg(long)]
    recursive: bool,
    /// The version to explain, as group/version
    #[arg(long)]
    api_version: Option<String>,
    /// plaintext or plaintext-openapiv2
    #[arg(short, long, default_value = "plaintext")]
    output: String,
}

pub(crate) async fn run(ctx: &Ctx, args: Explain) -> Outcome {
    let Some(path) = args.path else {
        return Err(Fault::refused(
            "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.",
        ));
    };
    if !matches!(args.output.as_str(), "plaintext" | OLDER) {
        return Err(Fault::refused(format!("unrecognized format: {}", args.output)));
    }
    if path.starts_with('.') || path.contains("..") {
        return Err(Fault::refused("invalid jsonpath syntax, first node must be field node"));
    }
    JsonPath::parse_relaxed(path.trim_end_matches('.'))?;
    let discovery = ctx.discovery().await?;
    let parts: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
    let (kind, mut fields) =
        parts.split_first().map_or(("", &[][..]), |(kind, rest)| (*kind, rest));
    let Some(resource) = discovery.find(kind) else {
        return Err(Fault::Bare(unserved(kind)));
    };
    let mut resource = resource.clone();
    // `leases.coordination.k8s.io.spec` and `leases.v1.coordination.k8s.io.spec`: the group is no field.
    fields = behind_group(fields, &resource);
    if let Some(version) = &args.api_version {
        resource = discovery
            .by_kind(version, &resource.kind)
            .ok_or_else(|| {
                let (group, version) = split_version(version);
                let resource = format!("{group}/{version}, Resource={}", resource.plural);
                Fault::refused(format!("couldn't find resource for {}", quoted(&resource)))
            })?
            .clone();
    }
    let root = if resource.group.is_empty() { "api" } else { "apis" };
    let key = format!("{root}/{}", resource.api_version());
    let index = ctx.call(Call::get("/openapi/v3")).await?;
    let Some(entry) = index["paths"].get(&key) else {
        return Err(Fault::refused(format!(
            "couldn't find resource for {}",
            quoted(&format!("{}, Resource={}", resource.api_version(), resource.plural))
        )));
    };
    let document: Value = ctx.call(Call::get(entry.s("/serverRelativeURL"))).await?;
    let document = Document { root: &document };
    if args.output == OLDER {
        return ctx.out(older::explain(document, &resource, fields, args.recursive)?);
    }
    let schema = document.of_kind(&resource).ok_or_else(|| {
        Fault::refused(format!(
            "GVR ({}, Resource={}) not found in OpenAPI schema",
            resource.api_version(),
            resource.plural
        ))
    })?;
    let mut text = String::new();
    if !resource.group.is_empty() {
        text.push_str(&format!("GROUP:      {}\n", resource.group));
    }
    text.push_str(&format!("KIND:       {}\nVERSION:    {}\n\n", resource.kind, resource.version));
    ctx.out(&text)?;
    let body = document.explain(schema, fields, args.recursive).ok_or_else(|| {
        let last = fields.last().copied().unwrap_or_default();
        Fault::refused(format!("field {} does not exist", quoted(last)))
    })?;
    ctx.line(body)
}

/// The fields of a path, without the group of its kind, alone or with the version before it.
fn behind_group<'a, 'b>(fields: &'a [&'b str], resource: &Resource) -> &'a [&'b str] {
    let Resource { group, version, .. } = resource;
    let behind = |place: &str| {
        let length = place.split('.').count();
        let is_first = place.split('.').eq(fields.iter().take(length).copied());
        is_first.then(|| &fields[length..])
    };
    behind(&format!("{version}.{group}")).or_else(|| behind(group)).unwrap_or(fields)
}
