//! The paths of a document: what can be asked of a kind, and in which forms.

use podo_api::Value;
use podo_registry::{Definition, Storage, Subresource, Verb};
use serde_json::{Map, json};

use super::schemas::Schemas;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The media types of a patch.
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// Adds the paths of a kind.
pub(super) fn add(
    kind: &'static Definition,
    paths: &mut Map<String, Value>,
    schemas: &mut Schemas,
) {
    let names = &kind.names;
    let base = if names.group.is_empty() {
        "/api/v1".to_owned()
    } else {
        format!("/apis/{}/{}", names.group, names.version)
    };
    let collection = if kind.is_namespaced() {
        format!("{base}/namespaces/{{namespace}}/{}", names.plural)
    } else {
        format!("{base}/{}", names.plural)
    };
    let own = (names.group, names.version, names.kind);
    let collection_verbs = [Verb::List, Verb::Create, Verb::DeleteCollection];
    let object_verbs = [Verb::Get, Verb::Update, Verb::Patch, Verb::Delete];
    insert(
        paths,
        &collection,
        operations(kind, &collection_verbs, kind.verbs, own, kind.ty, schemas),
    );
    if kind.is_namespaced() && kind.verbs.contains(&Verb::List) {
        let everywhere = operations(kind, &[Verb::List], kind.verbs, own, kind.ty, schemas);
        insert(paths, &format!("{base}/{}", names.plural), everywhere);
    }
    if matches!(kind.storage, Storage::None) {
        return;
    }
    let object = format!("{collection}/{{name}}");
    insert(paths, &object, operations(kind, &object_verbs, kind.verbs, own, kind.ty, schemas));
    for subresource in kind.subresources {
        add_subresource(kind, &object, subresource, paths, schemas);
    }
}

fn add_subresource(
    kind: &'static Definition,
    object: &str,
    subresource: &Subresource,
    paths: &mut Map<String, Value>,
    schemas: &mut Schemas,
) {
    let verbs = [Verb::Get, Verb::Create, Verb::Update, Verb::Patch];
    let path = format!("{object}/{}", subresource.name);
    insert(
        paths,
        &path,
        operations(kind, &verbs, subresource.verbs, subresource.kind, subresource.ty, schemas),
    );
}

fn insert(paths: &mut Map<String, Value>, path: &str, operations: Map<String, Value>) {
    if operations.is_empty() {
        return;
    }
    let mut item = operations;
    let mut parameters = Vec::new();
    for name in ["name", "namespace"] {
        if path.contains(&format!("{{{name}}}")) {
            parameters.push(parameter(name, "path", true, "string"));
        }
    }
    parameters.push(parameter("pretty", "query", false, "string"));
    item.insert("parameters".to_owned(), parameters.into());
    paths.insert(path.to_owned(), item.into());
}

fn parameter(name: &str, place: &str, is_required: bool, ty: &str) -> Value {
    let mut value = json!({"name": name, "in": place, "schema": {"type": ty, "uniqueItems": true}});
    if is_required {
        value["required"] = true.into();
    }
    value
}

fn operations(
    kind: &'static Definition,
    wanted: &[Verb],
    served: &[Verb],
    (group, version, name): (&str, &str, &str),
    ty: &str,
    schemas: &mut Schemas,
) -> Map<String, Value> {
    let mut operations = Map::new();
    for verb in wanted.iter().filter(|verb| served.contains(verb)) {
        let mut operation = operation(kind, *verb, ty, schemas);
        operation["x-kubernetes-group-version-kind"] =
            json!({"group": group, "version": version, "kind": name});
        operations.insert(method(*verb).to_owned(), operation);
    }
    operations
}

fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Get | Verb::List | Verb::Watch => "get",
        Verb::Create => "post",
        Verb::Update => "put",
        Verb::Patch => "patch",
        Verb::Delete | Verb::DeleteCollection => "delete",
    }
}

/// The codes of success, and what is said of them.
fn codes(verb: Verb) -> &'static [(&'static str, &'static str)] {
    match verb {
        Verb::Create => &[("200", "OK"), ("201", "Created"), ("202", "Accepted")],
        Verb::Update | Verb::Patch => &[("200", "OK"), ("201", "Created")],
        Verb::Delete => &[("200", "OK"), ("202", "Accepted")],
        Verb::Get | Verb::List | Verb::Watch | Verb::DeleteCollection => &[("200", "OK")],
    }
}

fn unauthorized() -> Value {
    json!({"description": "Unauthorized"})
}

/// OpenAPI's word for a verb: the method where it says enough.
fn action(verb: Verb) -> &'static str {
    match verb {
        Verb::Create | Verb::Update => method(verb),
        _ => verb.as_str(),
    }
}

/// The path of the server's version.
pub(super) fn version(schemas: &mut Schemas) -> Value {
    json!({"get": {
        "tags": ["version"],
        "description": "get the version information for this server",
        "operationId": "getCodeVersion",
        "responses": {
            "200": {"description": "OK", "content": content("pkg/version.Info", &[JSON], schemas)},
            "401": unauthorized(),
        },
    }})
}

fn operation(kind: &'static Definition, verb: Verb, ty: &str, schemas: &mut Schemas) -> Value {
    let is_write = matches!(verb, Verb::Create | Verb::Update | Verb::Patch);
    let mut parameters = Vec::new();
    if is_write {
        for name in ["dryRun", "fieldManager", "fieldValidation"] {
            parameters.push(parameter(name, "query", false, "string"));
        }
    }
    if verb == Verb::List {
        for name in [
            "continue",
            "fieldSelector",
            "labelSelector",
            "resourceVersion",
            "resourceVersionMatch",
        ] {
            parameters.push(parameter(name, "query", false, "string"));
        }
        parameters.push(parameter("limit", "query", false, "integer"));
        parameters.push(parameter("watch", "query", false, "boolean"));
    }
    let answer = match verb {
        Verb::List | Verb::DeleteCollection => format!("{ty}List"),
        _ => ty.to_owned(),
    };
    let content_of_answer = content(&answer, &[JSON, YAML, PROTOBUF], schemas);
    let mut responses = Map::new();
    for (code, description) in codes(verb) {
        let answer = json!({"description": description, "content": content_of_answer});
        responses.insert((*code).to_owned(), answer);
    }
    responses.insert("401".to_owned(), unauthorized());
    let mut operation = json!({
        "tags": [format!("{}_{}", if kind.names.group.is_empty() { "core" } else { kind.names.group }, kind.names.version)],
        "parameters": parameters,
        "responses": responses,
        "x-kubernetes-action": action(verb),
    });
    match verb {
        Verb::Create | Verb::Update => {
            operation["requestBody"] =
                json!({"required": true, "content": content(ty, &["*/*"], schemas)});
        }
        Verb::Patch => {
            let body = schemas.reference("meta/v1.Patch");
            let content: Map<String, Value> = PATCHES
                .iter()
                .map(|&media| (media.to_owned(), json!({"schema": body.clone()})))
                .collect();
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        _ => {}
    }
    operation
}

fn content(ty: &str, media: &[&str], schemas: &mut Schemas) -> Value {
    let schema = if ty.is_empty() { json!({"type": "string"}) } else { schemas.reference(ty) };
    media
        .iter()
        .map(|&media| (media.to_owned(), json!({"schema": schema.clone()})))
        .collect::<Map<_, _>>()
        .into()
}
