//! What is checked before an object of a file is sent: that it has a kind, and that the server will check its fields.

mod model;

use podo_client::https::RequestError;
use serde_json::Value;

use super::super::call::Call;
use super::super::context::Ctx;
use super::super::discovery::Discovery;
use super::super::fault::Fault;
use super::super::value::Look;

/// What is added to everything that is found here.
pub(crate) const ADVICE: &str =
    "if you choose to ignore these errors, turn validation off with --validate=false";
/// Where the server lists the kinds that are defined by its users.
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Checks a document; `validation` is the value of `fieldValidation`.
pub(crate) async fn check(ctx: &Ctx, object: &Value, validation: &str) -> Result<(), Fault> {
    if matches!(validation, "" | "Ignore") {
        return Ok(());
    }
    let found = problems(ctx, object, validation == "Strict").await?;
    match found.as_slice() {
        [] => Ok(()),
        [one] => Err(told(one)),
        many => Err(told(&format!("[{}]", many.join(", ")))),
    }
}

fn told(why: &str) -> Fault {
    Fault::refused(format!("error validating data: {why}; {ADVICE}"))
}

async fn problems(ctx: &Ctx, object: &Value, is_strict: bool) -> Result<Vec<String>, Fault> {
    let lacking = lacking(object);
    if !lacking.is_empty() {
        return Ok(lacking);
    }
    let (version, kind) = (object.s("/apiVersion"), object.s("/kind"));
    let is_list = (version, kind) == ("v1", "List");
    let discovery = match ctx.discovery().await {
        Ok(discovery) => discovery,
        Err(fault) => {
            let why = refused_connection(ctx, "/openapi/v2", &fault);
            let why = why.unwrap_or_else(|| fault.message());
            return Ok(vec![if is_list {
                why
            } else {
                format!("failed to download openapi: {why}")
            }]);
        }
    };
    if is_list {
        return if is_strict { of_list(ctx, object).await } else { Ok(Vec::new()) };
    }
    // A version that is not served is told of where the kind is looked for.
    if !discovery.has_version(version) || checks_fields(discovery, version, kind) {
        return Ok(Vec::new());
    }
    match ctx.call(Call::get(DEFINITIONS)).await {
        Ok(_definitions) => Ok(Vec::new()),
        Err(Fault::Closed) => Err(Fault::Closed),
        Err(fault) => {
            Ok(vec![format!("failed to check CRD: failed to list CRDs: {}", fault.message())])
        }
    }
}

/// Whether the server checks the fields of a kind: it does of those that can be patched. A kind in lower case is not known here.
fn checks_fields(discovery: &Discovery, version: &str, kind: &str) -> bool {
    let found = discovery.by_kind(version, kind);
    found.is_some_and(|resource| resource.kind == kind && resource.has_verb("patch"))
}

/// Of a list kubectl itself looks at the items.
async fn of_list(ctx: &Ctx, list: &Value) -> Result<Vec<String>, Fault> {
    let Some(Value::Array(items)) = list.at("/items") else {
        return Ok(vec!["invalid object to validate".to_owned()]);
    };
    // Of a server that has no such document, nothing is known to be wrong.
    let document = match ctx.call(Call::get("/openapi/v2")).await {
        Err(fault) if fault.is_not_found() => Value::Null,
        document => document?,
    };
    let mut problems = Vec::new();
    for item in items {
        let lacking = lacking(item);
        let is_typed = lacking.is_empty();
        problems.extend(lacking);
        if is_typed {
            problems.extend(model::check(&document, item));
        }
    }
    Ok(problems)
}

/// What an object lacks to say of which kind it is.
fn lacking(object: &Value) -> Vec<String> {
    if !object.is_object() {
        return vec!["invalid object to validate".to_owned()];
    }
    let mut lacking = Vec::new();
    match object.at("/apiVersion") {
        None | Some(Value::Null) => lacking.push("apiVersion not set".to_owned()),
        Some(Value::String(version)) if version.matches('/').count() > 1 => {
            lacking.push(format!("unexpected GroupVersion string: {version}"));
        }
        Some(Value::String(_)) => {}
        Some(_) => lacking.push("apiVersion isn't string type".to_owned()),
    }
    match object.at("/kind") {
        None | Some(Value::Null) => lacking.push("kind not set".to_owned()),
        Some(Value::String(_)) => {}
        Some(_) => lacking.push("kind isn't string type".to_owned()),
    }
    lacking
}

/// How Go tells of a server that does not listen.
pub(super) fn refused_connection(ctx: &Ctx, path: &str, fault: &Fault) -> Option<String> {
    let Fault::Request(RequestError::Refused { address }) = fault else { return None };
    let base = ctx.base_url()?;
    Some(format!(
        "Get \"{base}{path}?timeout=32s\": dial tcp {address}: connect: connection refused"
    ))
}
