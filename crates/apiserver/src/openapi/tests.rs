use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use http::StatusCode;
use podo_api::Value;

use super::*;
use crate::http::Response;

const ASKED_BY_CLIENTS: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

fn ask(headers: &[(&str, &str)]) -> Response {
    let mut request = http::Request::get("/openapi/v2");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    v2::serve(&parts)
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("a text"))
}

fn document_v2() -> Value {
    serde_json::from_slice(&v2::AS_JSON.unpack()).expect("JSON")
}

/// Calls `take` with all references in a value.
fn references(value: &Value, take: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(members) => {
            // A property may have this name too.
            if let Some(text) = members.get("$ref").and_then(Value::as_str) {
                take(text);
            }
            members.values().for_each(|value| references(value, take));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, take)),
        _ => {}
    }
}

#[track_caller]
fn check_references(document: &Value, schemas: &Value, place: &str) {
    let mut count = 0;
    references(document, &mut |reference| {
        let name = reference.strip_prefix(place).expect(reference);
        assert!(schemas.get(name).is_some(), "{reference} leads nowhere");
        count += 1;
    });
    assert!(count > 0);
}

#[test]
fn every_reference_resolves() {
    let v2 = document_v2();
    check_references(&v2, &v2["definitions"], "#/definitions/");
    for name in names() {
        let bytes = document(&name).expect("served").unpack();
        let v3: Value = serde_json::from_slice(&bytes).expect("JSON");
        check_references(&v3, &v3["components"]["schemas"], schemas::PLACE);
    }
}

#[test]
fn the_type_of_the_answer_is_negotiated() {
    let check = |accept: &str, expected: &str| {
        let response = ask(&[("accept", accept)]);
        assert_eq!(header(&response, "content-type"), expected, "{accept}");
    };
    let protobuf = ASKED_BY_CLIENTS.replace('@', ".");
    check("application/json", "application/json");
    check("*/*", "application/json");
    check("", "application/json");
    check(ASKED_BY_CLIENTS, &protobuf);
    check(&protobuf, &protobuf);
    check(&format!("text/plain, {ASKED_BY_CLIENTS};q=0.9, application/json;q=0.5"), &protobuf);
    assert_eq!(ask(&[("accept", "text/html")]).status(), StatusCode::NOT_ACCEPTABLE);
    assert_eq!(header(&ask(&[]), "content-type"), "application/json");
}

#[test]
fn a_client_that_has_the_document_is_told_so() {
    let first = ask(&[("accept-encoding", "gzip")]);
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(header(&first, "content-encoding"), "gzip");
    assert_eq!(header(&first, "vary"), "Accept, Accept-Encoding");
    let tag = header(&first, "etag");
    assert!(tag.starts_with('"') && tag.len() > 40, "{tag}");
    for known in [tag, &format!("W/{tag}"), &format!("\"other\", {tag}"), "*"] {
        let again = ask(&[("if-none-match", known)]);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(header(&again, "etag"), tag);
    }
    let plain = ask(&[("if-none-match", "\"other\"")]);
    assert_eq!((plain.status(), header(&plain, "content-encoding")), (StatusCode::OK, ""));
    let other_form = ask(&[("accept", ASKED_BY_CLIENTS), ("if-none-match", tag)]);
    assert_eq!(other_form.status(), StatusCode::OK);
}

#[test]
fn kubectl_finds_what_it_looks_for() {
    let document = document_v2();
    let pod = &document["definitions"]["io.k8s.api.core.v1.Pod"];
    assert_eq!(
        pod["x-kubernetes-group-version-kind"],
        json!([{"group": "", "kind": "Pod", "version": "v1"}])
    );
    let spec = &document["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"];
    let containers = &spec["containers"];
    assert_eq!(containers["items"], json!({"$ref": "#/definitions/io.k8s.api.core.v1.Container"}));
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-type"], "map");
    assert_eq!(spec["affinity"]["$ref"], "#/definitions/io.k8s.api.core.v1.Affinity");
    assert!(spec["affinity"]["description"].is_string());

    let path = &document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"];
    let patch = &path["patch"];
    assert_eq!(patch["x-kubernetes-action"], "patch");
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Pod");
    let named = |name: &str| {
        let parameters = patch["parameters"].as_array().expect("a list");
        parameters.iter().find(|parameter| parameter["name"] == name).expect("there").clone()
    };
    let expected =
        json!({"in": "query", "name": "fieldValidation", "type": "string", "uniqueItems": true});
    assert_eq!(named("fieldValidation"), expected);
    assert_eq!(named("body")["in"], "body");
    assert_eq!(patch["responses"]["200"]["schema"]["$ref"], "#/definitions/io.k8s.api.core.v1.Pod");
}

/// The members of all of upstream's v3 documents at a place; `None` if they are absent.
fn upstream(place: &str) -> Option<BTreeMap<String, Value>> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/upstream/openapi-v3");
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).ok()? {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("readable");
        let document: Value = serde_json::from_slice(&bytes).expect("JSON");
        for (name, schema) in
            document.pointer(place).and_then(Value::as_object).into_iter().flatten()
        {
            all.insert(name.clone(), schema.clone());
        }
    }
    Some(all)
}

/// Removes what makes no difference: texts for people, the order of what is required, the type that a list has anyway; and the values
/// of enumerations, which upstream's files leave out.
fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|key, value| match key.as_str() {
                "description" => !value.is_string(),
                "x-kubernetes-list-type" => value != "atomic",
                "enum" => !value.is_array(),
                "x-kubernetes-unions" => false,
                _ => true,
            });
            if let Some(Value::Array(required)) = members.get_mut("required") {
                required.sort_by_key(ToString::to_string);
            }
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// The schemas of a v3 document.
fn definitions(name: &str) -> Map<String, Value> {
    let bytes = document(name).expect("served").unpack();
    let document: Value = serde_json::from_slice(&bytes).expect("JSON");
    document["components"]["schemas"].as_object().expect("schemas").clone()
}

#[test]
fn values_of_enumerations_are_listed_and_told() {
    let core = definitions("api/v1");
    let property = |ty: &str, name: &str| {
        core[&format!("io.k8s.api.core.v1.{ty}")]["properties"][name].clone()
    };
    let protocol = property("ContainerPort", "protocol");
    assert_eq!(protocol["enum"], json!(["SCTP", "TCP", "UDP"]));
    let text = protocol["description"].as_str().expect("a text");
    assert!(
        text.ends_with("\n\nPossible enum values:\n - `\"SCTP\"`\n - `\"TCP\"`\n - `\"UDP\"`"),
        "{text}"
    );
    let policy = property("PodSpec", "restartPolicy");
    let text = policy["description"].as_str().expect("a text");
    assert!(text.ends_with(":\n - `\"Always\"`\n - `\"Never\"`\n - `\"OnFailure\"`"), "{text}");
    let families = property("ServiceSpec", "ipFamilies");
    assert_eq!(families["items"], json!({"type": "string", "enum": ["", "IPv4", "IPv6"]}));
    assert!(property("Container", "restartPolicy").get("enum").is_none());
}

#[test]
fn a_document_that_is_not_there_is_answered_with_nothing() {
    let (parts, ()) = http::Request::get("/").body(()).expect("a request").into_parts();
    let options = Options::new(Vec::new());
    let answer = serve(&parts, "/openapi/v3/apis/none/v1", &options).expect("served");
    assert_eq!((answer.status(), header(&answer, "content-type")), (StatusCode::NOT_FOUND, ""));
    let answer = serve(&parts, "/openapi/v3/version", &options).expect("served");
    assert_eq!(answer.status(), StatusCode::OK);
}

#[test]
fn definitions_are_those_of_upstream() {
    let Some(upstream) = upstream("/components/schemas") else {
        eprintln!("SKIP definitions_are_those_of_upstream: ../shared is absent");
        return;
    };
    let mut different = BTreeSet::new();
    for (name, mut own) in names().iter().flat_map(|name| definitions(name)) {
        let mut theirs = upstream.get(&name).cloned().unwrap_or_default();
        // Each of upstream's documents knows this kind of its own group only.
        if name.ends_with(".DeleteOptions") {
            own["x-kubernetes-group-version-kind"] =
                theirs["x-kubernetes-group-version-kind"].clone();
        }
        strip(&mut own);
        strip(&mut theirs);
        if own != theirs {
            eprintln!("{name}\n  own    {own}\n  theirs {theirs}");
            different.insert(name);
        }
    }
    assert_eq!(different, BTreeSet::new());
}

#[test]
fn operations_are_named_as_upstream_names_them() {
    let Some(upstream) = upstream("/paths") else {
        eprintln!("SKIP operations_are_named_as_upstream_names_them: ../shared is absent");
        return;
    };
    let mut count = 0;
    for name in names() {
        let bytes = document(&name).expect("served").unpack();
        let own: Value = serde_json::from_slice(&bytes).expect("JSON");
        for (path, item) in own["paths"].as_object().expect("paths") {
            for (method, operation) in
                item.as_object().expect("an item").iter().filter(|(key, _)| *key != "parameters")
            {
                let theirs = &upstream[path][method];
                for word in ["operationId", "description", "tags", "x-kubernetes-action"] {
                    assert_eq!(operation[word], theirs[word], "{method} {path} {word}");
                }
                let codes = |value: &Value| -> BTreeSet<String> {
                    value["responses"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(code, _)| code.clone())
                        .collect()
                };
                assert_eq!(codes(operation), codes(theirs), "{method} {path}");
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}
