use podo_base::SystemClock;

use super::*;
use crate::http::negotiate::MetaVersion;

fn encoder(form: Form, encoding: Encoding) -> Encoder {
    let definition = podo_registry::find("", "v1", "configmaps").expect("ConfigMaps are served");
    let rendering = Rendering { encoding, form, is_pretty: false };
    let clock = Arc::new(SystemClock);
    Encoder { definition, rendering, include: IncludeObject::None, clock, is_first: true }
}

fn map() -> Arc<Object> {
    let value = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}, "data": {"a": "b"}});
    let schema = encoder(Form::Whole, Encoding::Json).definition.schema();
    Arc::new(Object::new(&value, schema, Box::default()))
}

/// Type, version, kind and fields of an event in protobuf.
fn opened(frame: &[u8]) -> (String, String, String, Value) {
    let (length, event) = frame.split_at(4);
    assert_eq!(length, u32::try_from(event.len()).expect("short").to_be_bytes());
    let event = protobuf::open_watch_event(event).expect("an event");
    let envelope = protobuf::open(&event.object).expect("an envelope");
    let schema = encoder(Form::Whole, Encoding::Json).definition.schema();
    let fields = protobuf::decode(&envelope.raw, schema, protobuf::Limits::REQUEST);
    (event.event_type, envelope.api_version, envelope.kind, fields.expect("a message"))
}

#[test]
fn an_event_of_metadata_in_protobuf_has_nothing_else_of_its_object() {
    let metadata = json!({"metadata": {"name": "x"}});
    for (version, api_version) in
        [(MetaVersion::V1, "meta.k8s.io/v1"), (MetaVersion::V1Beta1, "meta.k8s.io/v1beta1")]
    {
        let mut encoder = encoder(Form::Metadata(version), Encoding::Protobuf);
        let seen = opened(&encoder.encode(EventKind::Deleted, &map()));
        let kind = "PartialObjectMetadata".to_owned();
        assert_eq!(seen, ("DELETED".to_owned(), api_version.to_owned(), kind, metadata.clone()));
    }
    let whole = opened(&encoder(Form::Whole, Encoding::Protobuf).encode(EventKind::Added, &map()));
    assert_eq!(whole.3["data"], json!({"a": "b"}));
}

#[test]
fn events_in_json_are_lines() {
    let mut encoder = encoder(Form::Metadata(MetaVersion::V1), Encoding::Json);
    let line = encoder.encode(EventKind::Modified, &map());
    assert!(line.ends_with(b"}\n"));
    let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "x"}});
    let event: Value = serde_json::from_slice(&line).expect("JSON");
    assert_eq!(event, json!({"type": "MODIFIED", "object": partial}));
}

#[test]
fn an_error_is_a_status_in_any_form_and_encoding() {
    let status = Status::expired("gone");
    for form in [Form::Whole, Form::Metadata(MetaVersion::V1), Form::Table(MetaVersion::V1)] {
        let line = encoder(form, Encoding::Json).error(&status);
        let event: Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(
            (&event["type"], &event["object"]["reason"]),
            (&json!("ERROR"), &json!("Expired"))
        );
        let frame = encoder(form, Encoding::Protobuf).error(&status);
        let event = protobuf::open_watch_event(&frame[4..]).expect("an event");
        let envelope = protobuf::open(&event.object).expect("an envelope");
        assert_eq!((&*event.event_type, &*envelope.kind), ("ERROR", "Status"));
    }
}
