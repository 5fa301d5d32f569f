//! `set selector`.

use clap::Args;
use podo_api::patch::strategic;
use serde_json::{Value, json};

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome};
use super::super::kinds::schema_of_kind;
use super::super::labels::label_selector;
use super::super::value::{Look, at_mut};
use super::{Common, Setter};

/// Set the selector of a service
#[derive(Debug, Args)]
pub(super) struct Selector {
    /// TYPE NAME or TYPE/NAME, then the selector
    words: Vec<String>,
    /// Only if the object is of this version
    #[arg(long)]
    resource_version: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Selector {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let Some((text, words)) = self.words.split_last() else {
            return Err(Fault::refused("one selector is required"));
        };
        let selector = label_selector(text)?;
        let setter = Setter::new(ctx, &self.common)?;
        for mut item in setter.items(words, None).await? {
            if item.object.s("/kind") != "Service" {
                return Err(Fault::refused("setting a selector is only supported for Services"));
            }
            if let Some(expressions) = selector.get("matchExpressions") {
                return Err(Fault::refused(format!(
                    "match expression {} not supported on this object",
                    shown(expressions)
                )));
            }
            let mut after = item.object.clone();
            at_mut(&mut after, &["spec"])["selector"] = selector["matchLabels"].clone();
            self.common.record.mark(ctx, &mut after);
            if let Some(version) = &self.resource_version {
                at_mut(&mut item.object, &["metadata"])["resourceVersion"] = Value::Null;
                at_mut(&mut after, &["metadata"])["resourceVersion"] = version.clone().into();
            }
            let patch = match schema_of_kind("v1", "Service") {
                Some(ty) => strategic::create_two_way(&item.object, &after, ty)
                    .map_err(|error| Fault::refused(error.to_string()))?,
                None => json!({}),
            };
            setter.submit(&item, &after, &patch, "selector updated").await?;
        }
        Ok(())
    }
}

/// Expressions as Go prints a list of structs with `%v`.
fn shown(expressions: &Value) -> String {
    let one = |expression: &Value| {
        let values: Vec<&str> =
            expression.list("/values").iter().filter_map(Value::as_str).collect();
        format!("{{{} {} [{}]}}", expression.s("/key"), expression.s("/operator"), values.join(" "))
    };
    let all: Vec<String> = expressions.as_array().into_iter().flatten().map(one).collect();
    format!("[{}]", all.join(" "))
}
