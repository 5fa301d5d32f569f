use std::sync::Arc;

use http_body_util::BodyExt as _;
use podo_base::Timestamp;

use super::*;
use crate::http::negotiate::{MetaVersion, Rendering};
use crate::http::table::IncludeObject;

fn list() -> List {
    let Some(definition) = podo_registry::find("", "v1", "configmaps") else {
        panic!("ConfigMaps are served");
    };
    let made = |name: &str| {
        let value = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": {"a": name}});
        Arc::new(Object::new(&value, definition.schema(), Box::default()))
    };
    List {
        definition,
        items: ["x", "y"].map(made).to_vec(),
        revision: 7,
        continue_token: "more".to_owned(),
        remaining: Some(300),
    }
}

async fn answer(form: Form, encoding: Encoding, is_pretty: bool) -> Vec<u8> {
    let context = Context {
        rendering: Rendering { encoding, form, is_pretty },
        include: IncludeObject::None,
        accepts_gzip: false,
        now: Timestamp::from_seconds(0),
    };
    let answer = respond(list(), &context).expect("it is rendered");
    answer.into_body().collect().await.expect("a body").to_bytes().to_vec()
}

const META: MetaVersion = MetaVersion::V1;

fn whole() -> Value {
    let items: Vec<Value> = list().items.iter().map(|item| item.value()).collect();
    json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata(&list()), "items": items})
}

fn partial() -> Value {
    let item = |name: &str| json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name}});
    json!({
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata(&list()),
        "items": [item("x"), item("y")],
    })
}

#[tokio::test]
async fn a_list_in_protobuf_is_the_message_of_the_whole_list() {
    let ty = builtin().get("core/v1.ConfigMapList").expect("known");
    let expected = protobuf::encode_object(&whole(), ty).expect("encoded");
    assert_eq!(answer(Form::Whole, Encoding::Protobuf, false).await, expected);
}

#[tokio::test]
async fn a_list_of_metadata_in_protobuf_has_nothing_else_of_its_items() {
    let bytes = answer(Form::MetadataList(META), Encoding::Protobuf, false).await;
    let envelope = protobuf::open(&bytes).expect("an envelope");
    assert_eq!(
        (&*envelope.api_version, &*envelope.kind),
        ("meta.k8s.io/v1", "PartialObjectMetadataList")
    );
    // Its fields have the tags of a typed list's, whose items have more.
    let ty = builtin().get("core/v1.ConfigMapList").expect("known");
    let read = protobuf::decode(&envelope.raw, ty, protobuf::Limits::REQUEST).expect("a message");
    let items = json!([{"metadata": {"name": "x"}}, {"metadata": {"name": "y"}}]);
    assert_eq!((&read["metadata"], &read["items"]), (&metadata(&list()), &items));
}

#[tokio::test]
async fn a_list_in_json_or_yaml_is_the_list() {
    let mut typed = whole();
    for item in typed["items"].as_array_mut().expect("items") {
        tree::set(item, "kind", Value::Null);
        tree::set(item, "apiVersion", Value::Null);
    }
    for (form, expected) in [(Form::Whole, typed), (Form::MetadataList(META), partial())] {
        for is_pretty in [false, true] {
            let bytes = answer(form, Encoding::Json, is_pretty).await;
            assert_eq!(bytes.ends_with(b"\n"), !is_pretty, "as Go's encoder");
            assert_eq!(serde_json::from_slice::<Value>(&bytes).expect("JSON"), expected);
        }
        let yaml = answer(form, Encoding::Yaml, false).await;
        assert_eq!(podo_api::yaml::to_json(&yaml).ok(), Some(expected));
    }
    let table: Value =
        serde_json::from_slice(&answer(Form::Table(META), Encoding::Json, false).await)
            .expect("JSON");
    assert_eq!(table["metadata"], metadata(&list()));
    assert_eq!(table["rows"][1], json!({"cells": ["y", 1, "<unknown>"], "object": null}));
}

#[tokio::test]
async fn the_metadata_of_one_object_in_protobuf_has_nothing_else_of_it() {
    let context = Context {
        rendering: Rendering {
            encoding: Encoding::Protobuf,
            form: Form::Metadata(META),
            is_pretty: false,
        },
        include: IncludeObject::None,
        accepts_gzip: false,
        now: Timestamp::from_seconds(0),
    };
    let List { definition, items, .. } = list();
    let outcome = crate::call::Outcome::Object { code: 200, definition, object: items[0].clone() };
    let answer = render::outcome(outcome, &context).expect("it is rendered");
    let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
    let envelope = protobuf::open(&bytes).expect("an envelope");
    assert_eq!(
        (&*envelope.api_version, &*envelope.kind),
        ("meta.k8s.io/v1", "PartialObjectMetadata")
    );
    let ty = definition.schema();
    let read = protobuf::decode(&envelope.raw, ty, protobuf::Limits::REQUEST).expect("a message");
    assert_eq!(read, json!({"metadata": {"name": "x"}}));
}
