//! Discovery: which groups, versions and resources there are, in the old form and in the aggregated one.
//!
//! Everything here is made from [`podo_registry::KINDS`]; a kind that is not served is simply absent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use http::request::Parts;
use podo_api::schema::builtin;
use podo_api::{Status, Value, json, protobuf, yaml};
use podo_registry::{Definition, KINDS, Scope, Storage, Subresource};
use serde_json::{Map, json};
use sha2::{Digest, Sha256};

use crate::encoding::Encoding;
use crate::http::{Response, Wanted, header_text, negotiate, respond, unroutable};
use crate::server::Server;

/// The groups in the order in which upstream lists them, by priority.
const GROUP_ORDER: &[&str] = &[
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
];

/// The media type of the aggregated form.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers a discovery path; `None` for any other.
pub(crate) fn serve(
    _server: &Server,
    parts: &Parts,
    path: &str,
) -> Result<Option<Response>, Status> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (value, aggregated) = match segments.as_slice() {
        ["api"] => (core_versions(parts), Some(group_discovery(&[""]))),
        ["apis"] => (group_list(), Some(group_discovery(&groups()))),
        ["api", "v1"] => (resources("", "v1"), None),
        ["api", ..] => return Err(Status::no_such_resource()),
        ["apis", group] if has_group(group) => (group_value(group, true), None),
        ["apis", group, version] if has_group(group) => {
            if !versions(group).contains(version) {
                return Err(Status::no_such_resource());
            }
            (resources(group, version), None)
        }
        ["apis", group, ..] if has_group(group) => return Err(Status::no_such_resource()),
        _ => return Ok(None),
    };
    render(parts, &value, aggregated.as_ref()).map(Some)
}

fn render(parts: &Parts, value: &Value, aggregated: Option<&Value>) -> Result<Response, Status> {
    let accept = header_text(&parts.headers, "accept");
    if let Some(aggregated) = aggregated
        && wants_aggregated(accept)
    {
        return Ok(tagged(parts, aggregated));
    }
    let refused = |(status, _)| if aggregated.is_some() { unroutable() } else { status };
    let rendering = negotiate(accept, Wanted::Plain).map_err(refused)?;
    let bytes = match rendering.encoding {
        Encoding::Yaml => yaml::from_json(value).into_bytes(),
        Encoding::Json => format!("{value}\n").into_bytes(),
        Encoding::Protobuf => in_protobuf(value)?,
    };
    Ok(respond(200, bytes, rendering.content_type(), false))
}

fn in_protobuf(value: &Value) -> Result<Vec<u8>, Status> {
    let ty = format!("meta/v1.{}", value["kind"].as_str().unwrap_or(""));
    let ty = builtin().get(&ty).ok_or_else(|| Status::internal(format!("no type {ty}")))?;
    let mut value = value.clone();
    json::settle(&mut value, ty).map_err(Status::internal)?;
    protobuf::encode_object(&value, ty).map_err(Status::internal)
}

/// Every path of discovery.
pub(crate) fn paths() -> Vec<String> {
    let mut paths = ["/api", "/api/v1", "/apis", "/apis/"].map(str::to_owned).to_vec();
    for group in groups() {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions(group).into_iter().map(|version| format!("/apis/{group}/{version}")));
    }
    paths
}

/// Whether the first clause that can be served asks for the aggregated form.
fn wants_aggregated(accept: Option<&str>) -> bool {
    for clause in accept.unwrap_or("").split(',') {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let parameters: Vec<&str> = parts.collect();
        let is_json = media == "application/json";
        if is_json
            && ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"]
                .iter()
                .all(|p| parameters.contains(p))
        {
            return true;
        }
        let is_plain = !parameters.iter().any(|parameter| parameter.starts_with("as="));
        if is_plain && matches!(media, "application/json" | "*/*" | "application/yaml") {
            return false;
        }
    }
    false
}

/// An answer that the client may keep: it can ask whether it is still current.
fn tagged(parts: &Parts, value: &Value) -> Response {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let tag = format!("\"{}\"", hex(&Sha256::digest(&bytes)));
    let is_known = header_text(&parts.headers, "if-none-match") == Some(&tag);
    let mut response = if is_known {
        respond(304, Vec::new(), AGGREGATED, false)
    } else {
        respond(200, bytes, AGGREGATED, false)
    };
    let headers = response.headers_mut();
    if let Ok(tag) = http::HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, http::HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("public"));
    response
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The groups that are served, core left out, in upstream's order.
pub(crate) fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = Vec::new();
    for kind in KINDS {
        if !kind.names.group.is_empty() && !groups.contains(&kind.names.group) {
            groups.push(kind.names.group);
        }
    }
    groups.sort_by_key(|group| {
        GROUP_ORDER.iter().position(|known| known == group).unwrap_or(usize::MAX)
    });
    groups
}

fn has_group(group: &str) -> bool {
    KINDS.iter().any(|kind| kind.names.group == group)
}

/// The versions of a group, the preferred one first.
pub(crate) fn versions(group: &str) -> Vec<&'static str> {
    let mut versions: Vec<&str> = Vec::new();
    for kind in KINDS.iter().filter(|kind| kind.names.group == group) {
        if !versions.contains(&kind.names.version) {
            versions.push(kind.names.version);
        }
    }
    versions
}

/// The kinds of a group and version, by resource.
pub(crate) fn kinds_of(group: &str, version: &str) -> Vec<&'static Definition> {
    let mut kinds: Vec<&'static Definition> = KINDS
        .iter()
        .copied()
        .filter(|kind| kind.names.group == group && kind.names.version == version)
        .collect();
    kinds.sort_by_key(|kind| kind.names.plural);
    kinds
}

fn core_versions(parts: &Parts) -> Value {
    let host = header_text(&parts.headers, "host")
        .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": host.unwrap_or("")}],
    })
}

fn group_list() -> Value {
    let groups: Vec<Value> = groups().into_iter().map(|group| group_value(group, false)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group_value(group: &str, is_alone: bool) -> Value {
    let versions: Vec<Value> = versions(group)
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    let mut value =
        json!({"name": group, "preferredVersion": versions.first(), "versions": versions});
    if is_alone {
        value["kind"] = "APIGroup".into();
        value["apiVersion"] = "v1".into();
    }
    value
}

fn resources(group: &str, version: &str) -> Value {
    let mut resources = Vec::new();
    for kind in kinds_of(group, version) {
        resources.push(resource(kind));
        resources.extend(
            kind.subresources.iter().map(|subresource| subresource_value(kind, subresource)),
        );
    }
    let group_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut list =
        json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
    // The list of the core group has no apiVersion: it is older than the rule.
    if !group.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    list
}

fn verbs(verbs: &[podo_registry::Verb]) -> Vec<&'static str> {
    verbs.iter().map(|verb| verb.as_str()).collect()
}

fn resource(kind: &'static Definition) -> Value {
    let names = &kind.names;
    let mut value = Map::new();
    value.insert("name".to_owned(), names.plural.into());
    value.insert("singularName".to_owned(), names.singular.into());
    value.insert("namespaced".to_owned(), kind.is_namespaced().into());
    value.insert("kind".to_owned(), names.kind.into());
    value.insert("verbs".to_owned(), verbs(kind.verbs).into());
    if !names.short.is_empty() {
        value.insert("shortNames".to_owned(), names.short.to_vec().into());
    }
    if !names.categories.is_empty() {
        value.insert("categories".to_owned(), names.categories.to_vec().into());
    }
    if !matches!(kind.storage, Storage::None) {
        value.insert("storageVersionHash".to_owned(), storage_version_hash(kind).into());
    }
    Value::Object(value)
}

/// The first eight bytes of the SHA-256 of `group/version/kind` of the stored form.
fn storage_version_hash(kind: &'static Definition) -> String {
    let names = &kind.stored().names;
    let digest = Sha256::digest(format!("{}/{}/{}", names.group, names.version, names.kind));
    STANDARD.encode(&digest[..8])
}

fn subresource_value(kind: &'static Definition, subresource: &Subresource) -> Value {
    let (group, version, name) = subresource.kind;
    let mut value = json!({
        "name": format!("{}/{}", kind.names.plural, subresource.name),
        "singularName": "",
        "namespaced": kind.is_namespaced(),
        "kind": name,
        "verbs": verbs(subresource.verbs),
    });
    if (group, version) != (kind.names.group, kind.names.version) {
        value["group"] = group.into();
        value["version"] = version.into();
    }
    value
}

fn group_discovery(groups: &[&str]) -> Value {
    let items: Vec<Value> = groups
        .iter()
        .map(|group| {
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            let versions: Vec<Value> = versions(group)
                .into_iter()
                .map(|version| version_discovery(group, version))
                .collect();
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn version_discovery(group: &str, version: &str) -> Value {
    let resources: Vec<Value> =
        kinds_of(group, version).into_iter().map(resource_discovery).collect();
    json!({"version": version, "resources": resources, "freshness": "Current"})
}

/// A kind of the enclosing group and version is named without them.
fn response_kind(kind: &Definition, (group, version, name): (&str, &str, &str)) -> Value {
    if (group, version) == (kind.names.group, kind.names.version) {
        return json!({"group": "", "version": "", "kind": name});
    }
    json!({"group": group, "version": version, "kind": name})
}

fn resource_discovery(kind: &'static Definition) -> Value {
    let names = &kind.names;
    let scope = if kind.scope == Scope::Namespaced { "Namespaced" } else { "Cluster" };
    let mut value = json!({
        "resource": names.plural,
        "responseKind": response_kind(kind, (names.group, names.version, names.kind)),
        "scope": scope,
        "singularResource": names.singular,
        "verbs": verbs(kind.verbs),
    });
    if !names.short.is_empty() {
        value["shortNames"] = names.short.to_vec().into();
    }
    if !names.categories.is_empty() {
        value["categories"] = names.categories.to_vec().into();
    }
    if !kind.subresources.is_empty() {
        let subresources: Vec<Value> = kind
            .subresources
            .iter()
            .map(|subresource| {
                json!({
                    "subresource": subresource.name,
                    "responseKind": response_kind(kind, subresource.kind),
                    "verbs": verbs(subresource.verbs),
                })
            })
            .collect();
        value["subresources"] = subresources.into();
    }
    value
}
