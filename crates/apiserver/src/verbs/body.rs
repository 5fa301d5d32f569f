//! Reading what a call brings: the object of a create or update, the options of a delete.

use podo_api::json::{self, Decoded};
use podo_api::protobuf::{self, Limits};
use podo_api::schema::TypeRef;
use podo_api::{Status, Value, object, tree, yaml};

use crate::call::{Body, Call};
use crate::encoding::Encoding;
use crate::options::FieldValidation;

/// Older versions in which a kind is taken as well, in the form of the served one.
const ALSO_TAKEN: [(&str, &str); 1] = [("Eviction", "policy/v1beta1")];

/// How much of a body an error shows.
const SUMMARY_BYTES: usize = 30;

/// Decodes the body of a create or update as an object of the call's kind and sets its defaults.
pub(crate) fn decode_object(call: &Call, validation: FieldValidation) -> Result<Value, Status> {
    let definition = call.target.definition;
    let (kind, api_version, ty, default): (_, _, _, fn(&mut Value)) = match call.target.subresource
    {
        Some(subresource) if subresource.kind.2 != definition.names.kind => {
            let (group, version, kind) = subresource.kind;
            let api_version =
                if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
            let ty = podo_api::schema::builtin().get(subresource.ty);
            (
                kind,
                api_version,
                ty.ok_or_else(|| Status::internal("the subresource has no schema"))?,
                |_| {},
            )
        }
        _ => (
            definition.names.kind,
            definition.names.api_version(),
            definition.schema(),
            definition.default,
        ),
    };
    let mut value = match &call.body {
        Body::Bytes(encoding, bytes) => {
            let expected = Expected { kind, api_version: &api_version, ty };
            let decoded = decode_bytes(*encoding, bytes, &expected)?;
            report(call, validation, decoded, kind, &expected)?
        }
        Body::Tree(value) => value.clone(),
        Body::Patch(..) => return Err(Status::bad_request("a patch is not an object")),
    };
    tree::set(&mut value, "kind", kind);
    tree::set(&mut value, "apiVersion", api_version);
    default(&mut value);
    json::settle(&mut value, ty).map_err(Status::internal)?;
    Ok(value)
}

/// What a body must be.
struct Expected<'a> {
    kind: &'a str,
    api_version: &'a str,
    ty: TypeRef<'static>,
}

/// What was decoded, and the duplicate keys that YAML had.
struct Read {
    decoded: Decoded,
    yaml: Option<String>,
}

fn decode_bytes(encoding: Encoding, bytes: &[u8], expected: &Expected<'_>) -> Result<Read, Status> {
    let unrecognized = |error: &str| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {error} ({})",
            expected.kind,
            summary(bytes)
        ))
    };
    let mut duplicates = None;
    let converted;
    let json = match encoding {
        Encoding::Json => bytes,
        Encoding::Yaml => {
            let read = yaml::decode(bytes).map_err(|error| unrecognized(&error.to_string()))?;
            duplicates = read.strict_error().map(|error| error.to_string());
            converted = serde_json::to_vec(&read.value).map_err(Status::internal)?;
            &converted
        }
        Encoding::Protobuf => {
            let value = protobuf::decode_object(bytes, expected.ty, Limits::REQUEST)
                .map_err(|error| unrecognized(&error.to_string()))?;
            converted = serde_json::to_vec(&value).map_err(Status::internal)?;
            &converted
        }
    };
    json::check_syntax(json).map_err(|error| unrecognized(&version_kind_error(&error)))?;
    check_root(json).map_err(|error| unrecognized(&version_kind_error(&error)))?;
    check_type(json, expected)?;
    let decoded = json::decode(json, expected.ty).map_err(|error| {
        Status::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {error}",
            expected.kind,
            version_of(expected.api_version),
            expected.kind
        ))
    })?;
    Ok(Read { decoded, yaml: duplicates })
}

fn version_kind_error(error: &str) -> String {
    format!("couldn't get version/kind; json parse error: {error}")
}

fn version_of(api_version: &str) -> &str {
    api_version.rsplit('/').next().unwrap_or(api_version)
}

/// The root must be an object or null, in the words of Go, which reads `apiVersion` and `kind` first.
fn check_root(json: &[u8]) -> Result<(), String> {
    let found = match json.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'n') | None => return Ok(()),
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(_) => "number",
    };
    Err(format!(
        "json: cannot unmarshal {found} into Go value of type struct {{ APIVersion string \
         \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
    ))
}

/// `apiVersion` and `kind` may be left out; where they are given they must be those of the endpoint.
fn check_type(json: &[u8], expected: &Expected<'_>) -> Result<(), Status> {
    #[derive(serde::Deserialize, Default)]
    #[serde(default, rename_all = "camelCase")]
    struct TypeMeta {
        api_version: Option<String>,
        kind: Option<String>,
    }
    let meta: Option<TypeMeta> = serde_json::from_slice(json).unwrap_or_default();
    let meta = meta.unwrap_or_default();
    let (api_version, kind) = (meta.api_version.unwrap_or_default(), meta.kind.unwrap_or_default());
    let is_kind = kind.is_empty() || kind == expected.kind;
    let is_version = api_version.is_empty()
        || api_version == expected.api_version
        || ALSO_TAKEN.contains(&(expected.kind, &*api_version));
    if is_kind && is_version {
        return Ok(());
    }
    let kind = if kind.is_empty() { expected.kind } else { &kind };
    let version = if api_version.is_empty() { expected.api_version } else { &api_version };
    if !is_version && is_kind {
        return Err(Status::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            expected.api_version
        )));
    }
    if is_served(version, kind) {
        return Err(Status::bad_request(format!(
            "{kind} in version \"{0}\" cannot be handled as a {1}: converting ({0}.{kind}) to ({2}.{1}): unknown conversion",
            version_of(version),
            expected.kind,
            package_of(expected.api_version),
        )));
    }
    Err(Status::bad_request(format!(
        "{kind} in version \"{}\" cannot be handled as a {}: no kind \"{kind}\" is registered for version \"{version}\" in \
         scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\"",
        version_of(version),
        expected.kind,
    )))
}

/// Whether a kind of this name and version is known, though it is not what is expected.
fn is_served(api_version: &str, kind: &str) -> bool {
    podo_registry::KINDS
        .iter()
        .any(|known| known.names.kind == kind && known.names.api_version() == api_version)
}

/// The Go package of a group's internal types: the first part of its name.
fn package_of(api_version: &str) -> &str {
    match api_version.split_once('/') {
        None => "core",
        Some((group, _)) => group.split('.').next().unwrap_or(group),
    }
}

/// Warns of unknown and duplicate fields. What YAML says of several lines is as many warnings.
fn warn(call: &Call, findings: &[String]) {
    for finding in findings {
        match finding.strip_prefix("yaml: unmarshal errors:\n") {
            Some(lines) => lines.lines().for_each(|line| call.warnings.add(line.trim())),
            None => call.warnings.add(finding.as_str()),
        }
    }
}

/// What is done about unknown and duplicate fields.
fn report(
    call: &Call,
    validation: FieldValidation,
    read: Read,
    kind: &str,
    expected: &Expected<'_>,
) -> Result<Value, Status> {
    let mut findings: Vec<String> = read.yaml.into_iter().collect();
    findings.extend(read.decoded.strict);
    if !findings.is_empty() {
        match validation {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => warn(call, &findings),
            FieldValidation::Strict => {
                return Err(Status::bad_request(format!(
                    "{kind} in version \"{}\" cannot be handled as a {kind}: strict decoding error: {}",
                    version_of(expected.api_version),
                    findings.join(", ")
                )));
            }
        }
    }
    Ok(read.decoded.value)
}

/// A body in an error text: as it is if it looks like JSON, else in hexadecimal, cut short.
fn summary(bytes: &[u8]) -> String {
    const EMPTY: &str = "<empty>";
    if bytes.is_empty() {
        return EMPTY.to_owned();
    }
    let is_text = bytes.first() == Some(&b'{');
    let shown = &bytes[..bytes.len().min(SUMMARY_BYTES)];
    let mut text = if is_text {
        String::from_utf8_lossy(shown).into_owned()
    } else {
        shown.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    if bytes.len() > SUMMARY_BYTES {
        text.push_str(" ...");
    }
    text
}

/// Decodes the options in the body of a delete; `None` if the body is empty.
pub(super) fn decode_options(call: &Call) -> Result<Option<Value>, Status> {
    let (encoding, bytes) = match &call.body {
        Body::Bytes(_, bytes) if bytes.is_empty() => return Ok(None),
        Body::Bytes(encoding, bytes) => (*encoding, bytes),
        Body::Tree(value) => return Ok(Some(value.clone())),
        Body::Patch(..) => return Err(Status::bad_request("a patch is not an options object")),
    };
    let ty = podo_api::schema::builtin()
        .get("meta/v1.DeleteOptions")
        .ok_or_else(|| Status::internal("the schema lacks DeleteOptions"))?;
    let converted;
    let json: &[u8] = match encoding {
        Encoding::Json => bytes,
        Encoding::Yaml => {
            let value =
                yaml::to_json(bytes).map_err(|error| Status::bad_request(error.to_string()))?;
            converted = serde_json::to_vec(&value).map_err(Status::internal)?;
            &converted
        }
        Encoding::Protobuf => {
            let value = protobuf::decode_object(bytes, ty, Limits::REQUEST)
                .map_err(|error| Status::bad_request(error.to_string()))?;
            converted = serde_json::to_vec(&value).map_err(Status::internal)?;
            &converted
        }
    };
    json::check_syntax(json).map_err(|error| Status::bad_request(version_kind_error(&error)))?;
    check_root(json).map_err(|error| Status::bad_request(version_kind_error(&error)))?;
    let decoded = json::decode(json, ty).map_err(Status::bad_request)?;
    let (api_version, kind) = object::group_version_kind(&decoded.value);
    if !kind.is_empty() && kind != "DeleteOptions" {
        return Err(Status::bad_request(format!(
            "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme \
             \"pkg/apis/meta/internalversion/scheme/register.go:27\""
        )));
    }
    Ok(Some(decoded.value))
}
