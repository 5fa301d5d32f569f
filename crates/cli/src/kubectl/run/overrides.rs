//! `--overrides`: a patch of what the flags made, of one of three kinds.

use podo_api::json::{decode, decode_any};
use podo_api::patch::json::{ApplyError, Patch};
use podo_api::patch::{merge, strategic};
use podo_api::schema::TypeRef;
use serde_json::Value;

use super::super::fault::Fault;

/// What a merge patch that is none is told.
const NO_MERGE_PATCH: &str = "Invalid JSON Patch";
/// What a strategic merge patch that is none is told.
const NO_DOCUMENT: &str = "invalid JSON document";

/// The object with the patch applied, as a struct of its type takes it.
pub(super) fn apply(
    object: Value,
    text: &str,
    kind: &str,
    ty: TypeRef<'_>,
) -> Result<Value, Fault> {
    let parsed = decode_any(text.as_bytes()).map(|decoded| decoded.value);
    let object_or = |refusal: &str| match &parsed {
        Ok(patch @ Value::Object(_)) => Ok(patch.clone()),
        _ => Err(Fault::refused(refusal)),
    };
    let patched = match kind {
        "merge" => merge::apply(object, object_or(NO_MERGE_PATCH)?),
        "strategic" if parsed == Ok(Value::Null) => object,
        "strategic" => strategic::apply(object, &mut object_or(NO_DOCUMENT)?, ty)
            .map_err(|error| Fault::refused(error.to_string()))?,
        "json" => Patch::decode(parsed.map_err(Fault::refused)?, false)
            .map_err(|error| Fault::refused(error.to_string()))?
            .apply(object.clone())
            .map_err(|error| Fault::refused(unfit(&object, &error)))?,
        other => return Err(Fault::refused(format!("invalid override type: {other}"))),
    };
    let decoded = decode(patched.to_string().as_bytes(), ty).map_err(Fault::refused)?;
    Ok(decoded.value)
}

/// Why a JSON patch does not apply to an object, in the words of the library that kubectl v1.33 to v1.36 use.
fn unfit(object: &Value, error: &ApplyError) -> String {
    match error {
        ApplyError::Kind(kind) => format!("Unexpected kind: {kind}"),
        ApplyError::Test { path } => format!("testing value {path} failed: test failed"),
        ApplyError::Path { operation, path } => {
            let (owner, key) = path.rsplit_once('/').unwrap_or(("", path));
            match (object.pointer(owner), *operation) {
                (None, _) => format!(
                    "{operation} operation does not apply: doc is missing path: \"{path}\": missing value"
                ),
                (Some(_), "remove" | "move") => format!(
                    "error in {operation} for path: '{}': Unable to remove nonexistent key: {key}: missing value",
                    if *operation == "remove" { path } else { key }
                ),
                (Some(_), _) => format!(
                    "{operation} operation does not apply: doc is missing key: {path}: missing value"
                ),
            }
        }
        other => other.to_string(),
    }
}
