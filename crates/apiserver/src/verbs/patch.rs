//! PATCH: a change that is described rather than given whole, in one of three forms.
//!
//! The patch is applied to the object as it is, in the version that the client knows; what comes out is decoded like a body, with
//! the same care for unknown fields, and then written like an update.

use podo_api::field::{Errors, Path};
use podo_api::json::{self, Decoded};
use podo_api::patch::{go, json as json_patch, merge, strategic};
use podo_api::status::{Details, GroupResource};
use podo_api::{Reason, Status, Value, meta, tree};

use podo_registry::Definition;

use super::produce;
use crate::api::Api;
use crate::call::{Body, Call, Outcome};
use crate::encoding::PatchKind;
use crate::options::FieldValidation;

/// A patch that was read.
enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

pub(super) async fn patch(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let write = call.options.write("PatchOptions")?;
    let (patch, findings) = read(call, write.field_validation)?;
    let produced = |old: &Value| {
        let mut result = apply(call, &patch, old, &findings, write.field_validation)?;
        check_identity(call, &result)?;
        // Upstream looks for them after admission, and says so.
        produce::dedup_owners(call, &mut result, " after mutating admission happens");
        Ok(result)
    };
    produce::rewrite(api, call, &write, &produced).await
}

/// Reads the patch, and what is odd about its text.
fn read(call: &Call, validation: FieldValidation) -> Result<(Patch, Vec<String>), Status> {
    let Body::Patch(kind, bytes) = &call.body else {
        return Err(Status::bad_request("the body is not a patch"));
    };
    let prefix = if *kind == PatchKind::Strategic { "" } else { "error decoding patch: " };
    let bad = |error: String| Status::bad_request(format!("{prefix}{error}"));
    let Decoded { value, strict } = json::decode_any(bytes).map_err(bad)?;
    let is_checked = validation != FieldValidation::Ignore;
    let mut findings = if is_checked { strict } else { Vec::new() };
    let patch = match kind {
        PatchKind::Json => {
            let patch =
                json_patch::Patch::decode(value, is_checked).map_err(|error| match &error {
                    json_patch::DecodeError::Shape(text) => Status::bad_request(text.clone()),
                    json_patch::DecodeError::TooMany { .. } => Status::too_large(&error),
                })?;
            if is_checked {
                findings.extend_from_slice(patch.unknown());
            }
            Patch::Json(patch)
        }
        PatchKind::Merge => Patch::Merge(
            merge::decode(value, is_checked)
                .map_err(|error| Status::bad_request(error.to_string()))?,
        ),
        PatchKind::Strategic => {
            Patch::Strategic(strategic::decode(value).map_err(|error| strategic_failed(&error))?)
        }
    };
    Ok((patch, findings))
}

/// What the patch makes of the object, decoded and with defaults.
fn apply(
    call: &Call,
    patch: &Patch,
    old: &Value,
    findings: &[String],
    validation: FieldValidation,
) -> Result<Value, Status> {
    let definition = call.target.definition;
    let (patched, shown) = match patch {
        Patch::Json(patch) => {
            let patched = patch.apply(old.clone()).map_err(|_| rejected())?;
            let shown = shown_document(call, &patched, old);
            (patched, shown)
        }
        Patch::Merge(patch) => {
            let patched = merge::apply(old.clone(), patch.clone());
            let shown = shown_document(call, &patched, old);
            (patched, shown)
        }
        Patch::Strategic(patch) => {
            let mut patch = patch.clone();
            let patched = strategic::apply(old.clone(), &mut patch, definition.schema())
                .map_err(|error| strategic_failed(&error))?;
            (patched, go::text(&patch))
        }
    };
    let text = serde_json::to_vec(&patched).map_err(Status::internal)?;
    // Upstream reads what came out as the kind that it says it is, and only then sees that it is another.
    let decoded = json::decode(&text, said_kind(&patched).unwrap_or(definition).schema())
        .map_err(|error| unusable(&shown, error))?;
    let mut findings = findings.to_vec();
    findings.extend(decoded.strict);
    if !findings.is_empty() {
        match validation {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => {
                findings.into_iter().for_each(|finding| call.warnings.add(finding));
            }
            FieldValidation::Strict => {
                return Err(unusable(
                    &shown,
                    format!("strict decoding error: {}", findings.join(", ")),
                ));
            }
        }
    }
    let mut value = decoded.value;
    (definition.default)(&mut value);
    json::settle(&mut value, definition.schema()).map_err(Status::internal)?;
    Ok(value)
}

/// The served kind that a document says it is.
fn said_kind(document: &Value) -> Option<&'static Definition> {
    let text = |field| tree::str_at(document, &[field]);
    podo_registry::KINDS.iter().copied().find(|known| {
        known.names.kind == text("kind") && known.names.api_version() == text("apiVersion")
    })
}

/// A patch may not make another object out of the one that it is for.
fn check_identity(call: &Call, value: &Value) -> Result<(), Status> {
    let names = &call.target.definition.names;
    let (kind, api_version) =
        (tree::str_at(value, &["kind"]), tree::str_at(value, &["apiVersion"]));
    if kind != names.kind || api_version != names.api_version() {
        return Err(Status::bad_request(format!(
            "the patched object is {api_version} {kind}, not {} {}: a patch cannot change apiVersion or kind",
            names.api_version(),
            names.kind
        )));
    }
    let (given, wanted) = (meta::name(value), &*call.target.name);
    if given != wanted {
        return Err(Status::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({wanted})"
        )));
    }
    if call.target.definition.is_namespaced() && meta::namespace(value) != &*call.target.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// The patched document as an error shows it: its top level in alphabetical order, of which what the patch left alone is in the
/// order of the schema.
fn shown_document(call: &Call, patched: &Value, old: &Value) -> String {
    let Some(map) = patched.as_object() else { return go::json(patched) };
    let ty = call.target.definition.schema();
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort();
    let members: Vec<String> = keys
        .into_iter()
        .map(|key| {
            let value = &map[key];
            let text = match ty.field(key).and_then(|field| ty.resolve(&field.shape)) {
                Some(inner) if old.get(key) == Some(value) => {
                    let mut out = Vec::new();
                    json::encode(value, inner, &mut out);
                    String::from_utf8_lossy(&out).into_owned()
                }
                _ => go::json(value),
            };
            format!("{}:{text}", go::json(&Value::from(key.as_str())))
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

/// 422: the operations do not fit the object.
fn rejected() -> Status {
    let message = "the server rejected our request due to an error in our request";
    Status::about(Reason::Invalid, message, Details::default())
}

/// 422: what the patch makes is no object of the kind.
fn unusable(shown: &str, why: String) -> Status {
    let mut errors = Errors::new();
    errors.invalid(&Path::new("patch"), shown, why);
    Status::invalid(GroupResource { group: "", resource: "" }, "", errors)
}

fn strategic_failed(error: &strategic::PatchError) -> Status {
    match error.class() {
        strategic::ErrorClass::BadRequest => Status::bad_request(error.to_string()),
        strategic::ErrorClass::Unprocessable => rejected(),
        strategic::ErrorClass::Internal => Status::failure(Reason::Unknown, error.to_string()),
    }
}
