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

/// What an operation is about.
#[derive(Clone, Copy)]
struct Subject {
    kind: &'static Definition,
    subresource: Option<&'static Subresource>,
    /// Whether the objects of all namespaces are meant.
    is_everywhere: bool,
}

impl Subject {
    fn verbs(self) -> &'static [Verb] {
        self.subresource.map_or(self.kind.verbs, |subresource| subresource.verbs)
    }

    /// The schema type of what it takes and gives; empty for text.
    fn ty(self) -> &'static str {
        self.subresource.map_or(self.kind.ty, |subresource| subresource.ty)
    }

    /// Group, version and kind of what it takes and gives.
    fn group_version_kind(self) -> (&'static str, &'static str, &'static str) {
        let names = &self.kind.names;
        let own = (names.group, names.version, names.kind);
        self.subresource.map_or(own, |subresource| subresource.kind)
    }

    /// Whether the request is handed on with whatever method it has.
    fn is_connection(self) -> bool {
        self.group_version_kind().2.ends_with("Options")
    }

    fn tag(self) -> String {
        let group = go_name(self.kind.names.group);
        let (first, rest) = group.split_at(1);
        format!("{}{rest}_{}", first.to_lowercase(), self.kind.names.version)
    }

    /// The name of an operation, which is that of a function in the clients that are made from the document.
    fn operation_id(self, verb: Verb) -> String {
        let names = &self.kind.names;
        let (word, middle) = match verb {
            _ if self.is_connection() => ("connect", capitalised(method(verb))),
            Verb::Get => ("read", String::new()),
            Verb::Update => ("replace", String::new()),
            Verb::DeleteCollection => ("delete", "Collection".to_owned()),
            _ => (verb.as_str(), String::new()),
        };
        let scope =
            if self.kind.is_namespaced() && !self.is_everywhere { "Namespaced" } else { "" };
        let part = self.subresource.map_or_else(String::new, |part| capitalised(part.name));
        let end = if self.is_everywhere { "ForAllNamespaces" } else { "" };
        let (group, version) = (go_name(names.group), capitalised(names.version));
        format!("{word}{group}{version}{middle}{scope}{}{part}{end}", names.kind)
    }

    fn description(self, verb: Verb) -> String {
        let kind = self.kind.names.kind;
        let part = self.subresource.map_or("", |subresource| subresource.name);
        let of = if part.is_empty() { String::new() } else { format!("{part} of ") };
        match verb {
            _ if self.is_connection() => {
                format!("connect {} requests to {of}{kind}", method(verb).to_uppercase())
            }
            Verb::Create | Verb::Delete => format!("{} {of}{}{kind}", verb.as_str(), article(kind)),
            Verb::DeleteCollection => format!("delete collection of {kind}"),
            Verb::Get => format!("read {of}the specified {kind}"),
            Verb::List | Verb::Watch => format!("list or watch objects of kind {kind}"),
            Verb::Patch => format!("partially update {of}the specified {kind}"),
            Verb::Update => format!("replace {of}the specified {kind}"),
        }
    }
}

/// `RbacAuthorization` for `rbac.authorization.k8s.io`.
fn go_name(group: &str) -> String {
    let group = if group.is_empty() { "core" } else { group.trim_end_matches(".k8s.io") };
    group.split('.').map(capitalised).collect()
}

fn capitalised(name: &str) -> String {
    let (first, rest) = name.split_at(name.len().min(1));
    format!("{}{rest}", first.to_uppercase())
}

/// A kind that is named in the plural has none.
fn article(kind: &str) -> &'static str {
    if kind.ends_with('s') && !kind.ends_with("ss") {
        ""
    } else if kind.starts_with(['A', 'E', 'I', 'O', 'U']) {
        "an "
    } else {
        "a "
    }
}

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
    let own = Subject { kind, subresource: None, is_everywhere: false };
    let collection_verbs = [Verb::List, Verb::Create, Verb::DeleteCollection];
    insert(paths, &collection, operations(own, &collection_verbs, schemas));
    if kind.is_namespaced() && kind.verbs.contains(&Verb::List) {
        let everywhere = Subject { is_everywhere: true, ..own };
        let path = format!("{base}/{}", names.plural);
        insert(paths, &path, operations(everywhere, &[Verb::List], schemas));
    }
    if matches!(kind.storage, Storage::None) {
        return;
    }
    let object = format!("{collection}/{{name}}");
    let object_verbs = [Verb::Get, Verb::Update, Verb::Patch, Verb::Delete];
    insert(paths, &object, operations(own, &object_verbs, schemas));
    for subresource in kind.subresources {
        let part = Subject { subresource: Some(subresource), ..own };
        let verbs = [Verb::Get, Verb::Create, Verb::Update, Verb::Patch, Verb::Delete];
        let path = format!("{object}/{}", subresource.name);
        insert(paths, &path, operations(part, &verbs, schemas));
    }
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

fn operations(subject: Subject, wanted: &[Verb], schemas: &mut Schemas) -> Map<String, Value> {
    let (group, version, name) = subject.group_version_kind();
    let mut operations = Map::new();
    for verb in wanted.iter().filter(|verb| subject.verbs().contains(verb)) {
        let mut operation = operation(subject, *verb, schemas);
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
fn codes(subject: Subject, verb: Verb) -> &'static [(&'static str, &'static str)] {
    match verb {
        _ if subject.is_connection() => &[("200", "OK")],
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
fn action(subject: Subject, verb: Verb) -> &'static str {
    match verb {
        _ if subject.is_connection() => "connect",
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

fn operation(subject: Subject, verb: Verb, schemas: &mut Schemas) -> Value {
    let ty = subject.ty();
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
    for (code, description) in codes(subject, verb) {
        let answer = json!({"description": description, "content": content_of_answer});
        responses.insert((*code).to_owned(), answer);
    }
    responses.insert("401".to_owned(), unauthorized());
    let mut operation = json!({
        "tags": [subject.tag()],
        "description": subject.description(verb),
        "operationId": subject.operation_id(verb),
        "parameters": parameters,
        "responses": responses,
        "x-kubernetes-action": action(subject, verb),
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
