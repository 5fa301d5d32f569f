//! `explain`: what a kind's fields are, from the server's OpenAPI v3.

mod schema;
mod wrap;

use clap::Args;
use serde_json::Value;

use self::schema::Document;
use super::call::Call;
use super::context::Ctx;
use super::discovery::{split_version, unserved};
use super::fault::{Fault, Outcome, quoted};
use super::value::Look;

/// Explain the fields of a kind
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// TYPE or TYPE.FIELD.FIELD...
    path: Option<String>,
    /// All fields below, by name only
    #[arg(long)]
    recursive: bool,
    /// How deep; 0 is to the end
    #[arg(long, default_value_t = 0)]
    max_depth: usize,
    /// The version to explain, as group/version
    #[arg(long)]
    api_version: Option<String>,
    /// plaintext
    #[arg(short, long, default_value = "plaintext")]
    output: String,
}

pub(crate) async fn run(ctx: &Ctx, args: Explain) -> Outcome {
    let Some(path) = args.path else {
        return Err(Fault::refused(
            "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.",
        ));
    };
    if args.output != "plaintext" {
        return Err(Fault::refused(format!("unrecognized format: {}", args.output)));
    }
    if path.starts_with('.') {
        return Err(Fault::refused("invalid jsonpath syntax, first node must be field node"));
    }
    let discovery = ctx.discovery().await?;
    // `deployments.apps.spec` may name a group: the longest kind that fits is meant.
    let parts: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
    let named = (1..=parts.len()).rev().find_map(|end| {
        let found = discovery.find(&parts[..end].join("."))?;
        (end == 1 || !found.group.is_empty()).then_some((found, &parts[end..]))
    });
    let Some((resource, fields)) = named else {
        return Err(Fault::Bare(unserved(parts.first().copied().unwrap_or_default())));
    };
    let mut resource = resource.clone();
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
    let depth = schema::Depth { is_recursive: args.recursive, levels_max: args.max_depth };
    let body = document.explain(schema, fields, depth).ok_or_else(|| {
        let last = fields.last().copied().unwrap_or_default();
        Fault::refused(format!("field {} does not exist", quoted(last)))
    })?;
    ctx.line(body)
}
