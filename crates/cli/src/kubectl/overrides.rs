//! Patches that are applied here, of one of three kinds: those of `--overrides`, of what the flags made, and of `patch` without a server.

use podo_api::json::{decode, decode_any};
use podo_api::patch::json::{ApplyError, Patch};
use podo_api::patch::{merge, strategic};
use podo_api::schema::TypeRef;
use serde_json::Value;

use super::fault::{Fault, quoted};
use super::kinds::schema_of_kind;
use super::value::Look;

/// What a merge patch that is none is told.
const NO_MERGE_PATCH: &str = "Invalid JSON Patch";
/// What a strategic merge patch that is none is told.
const NO_DOCUMENT: &str = "invalid JSON document";

/// The object with the patch applied, as a struct of its type takes it.
pub(crate) fn apply(
    object: Value,
    text: &str,
    kind: &str,
    ty: TypeRef<'_>,
) -> Result<Value, Fault> {
    let patched = patched(object, text, kind, Some(ty))?;
    if !patched.is_object() {
        return Err(Fault::refused(
            "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }",
        ));
    }
    let (version, kind) = (patched.s("/apiVersion"), patched.s("/kind"));
    let ty = schema_of_kind(version, kind).ok_or_else(|| {
        Fault::refused(format!(
            "no kind {} is registered for version {} in scheme \"pkg/scheme/scheme.go:28\"",
            quoted(kind),
            quoted(version)
        ))
    })?;
    let decoded = decode(patched.to_string().as_bytes(), ty).map_err(Fault::refused)?;
    Ok(decoded.value)
}

/// The object with the patch applied. A strategic one needs to know the object's type.
pub(crate) fn patched(
    object: Value,
    text: &str,
    kind: &str,
    ty: Option<TypeRef<'_>>,
) -> Result<Value, Fault> {
    let parsed = decode_any(text.as_bytes()).map(|decoded| decoded.value);
    let object_or = |refusal: &str| match &parsed {
        Ok(patch @ Value::Object(_)) => Ok(patch.clone()),
        _ => Err(Fault::refused(refusal)),
    };
    let patched = match kind {
        "merge" if parsed.as_ref().is_ok_and(Value::is_array) => parsed.unwrap_or_default(),
        "merge" => merge::apply(object, object_or(NO_MERGE_PATCH)?),
        "strategic" if parsed == Ok(Value::Null) => object,
        "strategic" => {
            let ty = ty.ok_or_else(|| Fault::refused(NO_DOCUMENT))?;
            strategic::apply(object, &mut object_or(NO_DOCUMENT)?, ty)
                .map_err(|error| Fault::refused(error.to_string()))?
        }
        "json" => Patch::decode(parsed.map_err(Fault::refused)?, false)
            .map_err(|error| Fault::refused(error.to_string()))?
            .apply(object.clone())
            .map_err(|error| Fault::refused(unfit(&object, &error)))?,
        other => return Err(Fault::refused(format!("invalid override type: {other}"))),
    };
    Ok(patched)
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
