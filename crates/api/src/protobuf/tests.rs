use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema;

/// Objects with every field set, as upstream's own round trip tests keep them: beside the project, not in it.
fn samples() -> Option<PathBuf> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/upstream/api-testdata");
    folder.is_dir().then_some(folder)
}

fn ty(name: &str) -> TypeRef<'static> {
    schema::builtin().get(name).expect(name)
}

/// `core.v1.Pod` and the like as the schema table names them.
fn type_of(file: &str) -> Option<TypeRef<'static>> {
    let mut parts = file.split('.').rev();
    let (kind, version) = (parts.next()?, parts.next()?);
    let group = file.split('.').next()?;
    let builtin = schema::builtin();
    [group, "meta"].iter().find_map(|group| builtin.get(&format!("{group}/{version}.{kind}")))
}

#[test]
fn every_sample_of_upstream_survives_both_ways_byte_for_byte() {
    let Some(folder) = samples() else {
        eprintln!("SKIP protobuf round trip: no api-testdata beside the project");
        return;
    };
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("readable")
        .filter_map(|entry| {
            entry.ok()?.file_name().to_str()?.strip_suffix(".pb").map(str::to_owned)
        })
        .collect();
    names.sort();
    let (mut count, mut unknown, mut failed) = (0, Vec::new(), Vec::new());
    for name in names {
        let Some(ty) = type_of(&name) else {
            unknown.push(name);
            continue;
        };
        let bytes = std::fs::read(folder.join(format!("{name}.pb"))).expect("readable");
        let text = std::fs::read(folder.join(format!("{name}.json"))).expect("readable");
        let tree: Value = serde_json::from_slice(&text).expect("JSON");
        match decode_object(&bytes, ty, Limits::REQUEST) {
            Ok(decoded) if decoded == tree => {}
            Ok(decoded) => {
                failed.push(format!("{name} decode: {}", difference(&decoded, &tree, "")));
            }
            Err(error) => failed.push(format!("{name} decode: {error}")),
        }
        let encoded = encode_object(&tree, ty).expect("built in");
        if encoded != bytes {
            let at = encoded.iter().zip(&bytes).take_while(|(a, b)| a == b).count();
            failed.push(format!(
                "{name} encode: {} for {} bytes, first at {at}",
                encoded.len(),
                bytes.len()
            ));
        }
        count += 1;
    }
    assert!(failed.is_empty(), "{} of {count}:\n{}", failed.len(), failed.join("\n"));
    // The other samples are of versions that v1.36 does not serve.
    assert!(count >= 100, "only {count} samples have a type; these have none: {unknown:?}");
}

fn difference(a: &Value, b: &Value, path: &str) -> String {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            let differing = keys.into_iter().filter(|key| a.get(*key) != b.get(*key));
            differing
                .map(|key| {
                    difference(
                        a.get(key).unwrap_or(&json!("(none)")),
                        b.get(key).unwrap_or(&json!("(none)")),
                        &format!("{path}.{key}"),
                    )
                })
                .collect::<Vec<_>>()
                .join("; ")
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .map(|(at, (a, b))| difference(a, b, &format!("{path}[{at}]")))
            .collect::<Vec<_>>()
            .join("; "),
        _ => format!("{path}: {a} for {b}"),
    }
}

#[test]
fn zero_values_are_written_unless_they_are_pointers() {
    let raw = encode(&json!({}), ty("meta/v1.Status")).expect("built in");
    // metadata with four empty fields, status, message, reason, code; no details.
    assert_eq!(raw, [0x0a, 6, 0x0a, 0, 0x12, 0, 0x1a, 0, 0x12, 0, 0x1a, 0, 0x22, 0, 0x30, 0]);
    assert_eq!(decode(&raw, ty("meta/v1.Status"), Limits::REQUEST), Ok(json!({"metadata": {}})));
    let raw =
        encode(&json!({"gracePeriodSeconds": 0}), ty("meta/v1.DeleteOptions")).expect("built in");
    assert_eq!(raw, [0x08, 0]);
    assert_eq!(
        decode(&raw, ty("meta/v1.DeleteOptions"), Limits::REQUEST),
        Ok(json!({"gracePeriodSeconds": 0}))
    );
}

#[test]
fn negative_numbers_take_ten_bytes() {
    let tree = json!({"metadata": {}, "value": -2, "globalDefault": true});
    let raw = encode(&tree, ty("scheduling/v1.PriorityClass")).expect("built in");
    let number = [0x10, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert!(raw.windows(number.len()).any(|window| window == number), "{raw:x?}");
    assert_eq!(decode(&raw, ty("scheduling/v1.PriorityClass"), Limits::REQUEST), Ok(tree));
}

#[test]
fn the_schema_of_a_custom_resource_keeps_its_alternatives() {
    let tree = json!({
        "$schema": "s", "$ref": "#/r", "type": "object", "default": {"a": [1, 2.5, null]}, "enum": ["x", 1, null],
        "maximum": 1.5, "minimum": 2, "maxLength": 0,
        "items": {"type": "string"}, "additionalProperties": {"type": "integer"}, "additionalItems": false,
        "properties": {"b": {"items": [{"type": "string"}, {}], "additionalProperties": true}, "a": {"default": "x"}},
        "dependencies": {"d": ["e", "f"], "g": {"type": "string"}},
        "x-kubernetes-preserve-unknown-fields": false, "x-kubernetes-list-map-keys": ["k"],
        "x-kubernetes-validations": [{"rule": "self.a", "optionalOldSelf": true}], "nullable": true
    });
    let ty = ty("apiextensions/v1.JSONSchemaProps");
    let raw = encode(&tree, ty).expect("built in");
    assert_eq!(decode(&raw, ty, Limits::REQUEST), Ok(tree));
}

#[test]
fn times_are_cut_to_what_json_shows() {
    let ty = ty("coordination/v1.LeaseSpec");
    // renewTime (4) {seconds: -1, nanos: 999999999}: microseconds stay, nanoseconds go.
    let mut raw = vec![0x22, 0x11, 0x08];
    raw.extend([0xff; 9]);
    raw.extend([0x01, 0x10, 0xff, 0x93, 0xeb, 0xdc, 0x03]);
    raw[1] = u8::try_from(raw.len() - 2).expect("short");
    assert_eq!(
        decode(&raw, ty, Limits::REQUEST),
        Ok(json!({"renewTime": "1969-12-31T23:59:59.999999Z"}))
    );
    assert_eq!(decode(&[0x22, 0], ty, Limits::REQUEST), Ok(json!({})));
}

#[test]
fn bytes_that_are_no_object_have_the_errors_of_upstream() {
    let config_map = ty("core/v1.ConfigMap");
    let error = |bytes: &[u8]| {
        decode_object(bytes, config_map, Limits::REQUEST).expect_err("invalid").to_string()
    };
    assert_eq!(error(b""), "empty data");
    assert_eq!(error(b"k8s\0"), "empty body");
    assert_eq!(
        error(b"xxxx"),
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    );
    assert_eq!(error(b"k8s\0\xff\xff\xff"), "unexpected EOF");
    assert_eq!(error(&[b"k8s\0".as_slice(), &[0xff; 11]].concat()), "proto: integer overflow");
    let raw =
        |raw: &[u8]| decode(raw, config_map, Limits::REQUEST).expect_err("invalid").to_string();
    assert_eq!(raw(&[0x08, 1]), "proto: wrong wireType = 0 for field Metadata");
    assert_eq!(raw(&[0x00]), "proto: ConfigMap: illegal tag 0 (wire type 0)");
    assert_eq!(raw(&[0x0c]), "proto: ConfigMap: wiretype end group for non-group");
    assert_eq!(
        raw(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        "proto: negative length found during unmarshaling"
    );
    assert_eq!(raw(&[0x0f]), "proto: illegal wireType 7");
}

#[test]
fn unknown_fields_are_passed_over_groups_included() {
    let raw = [
        0xf8, 0x7f, 1, 0xfb, 0x7f, 0x08, 1, 0x13, 0x14, 0xfc, 0x7f, 0x12, 6, 0x0a, 1, b'a', 0x12,
        1, b'b',
    ];
    assert_eq!(
        decode(&raw, ty("core/v1.ConfigMap"), Limits::REQUEST),
        Ok(json!({"metadata": {}, "data": {"a": "b"}}))
    );
}

#[test]
fn what_bytes_may_become_is_bounded() {
    let raw: Vec<u8> = std::iter::repeat_n([0x12, 0], 1_000).flatten().collect();
    let limits = Limits { depth: 10, messages: 500 };
    assert_eq!(
        decode(&raw, ty("core/v1.PodSpec"), limits),
        Err(ProtobufError::Limit { what: "values", limit: 500 })
    );
    // not (28) within not, 300 levels deep.
    let mut nested = Vec::new();
    for _ in 0..300 {
        let mut writer = wire::Writer::new();
        writer.message(28, &nested);
        nested = writer.finish();
    }
    let limits = Limits::REQUEST;
    assert_eq!(
        decode(&nested, ty("apiextensions/v1.JSONSchemaProps"), limits),
        Err(ProtobufError::Limit { what: "levels", limit: 200 })
    );
}

#[test]
fn lists_and_watch_events_are_made_of_encoded_objects() {
    let config_map = ty("core/v1.ConfigMap");
    let item = json!({"metadata": {"name": "x", "annotations": {"a": "b".repeat(300)}}, "data": {"k": "v"}});
    let list = json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": [item, item]});
    let metadata = encode(&list["metadata"], ty("meta/v1.ListMeta")).expect("built in");
    let encoded = encode(&item, config_map).expect("built in");
    let mut sealed = list_head("v1", "ConfigMapList", &metadata, [encoded.len(); 2].into_iter());
    push_item(&encoded, &mut sealed);
    push_item(&encoded, &mut sealed);
    sealed.extend_from_slice(LIST_TAIL);
    assert_eq!(sealed, encode_object(&list, ty("core/v1.ConfigMapList")).expect("built in"));
    assert_eq!(decode_object(&sealed, ty("core/v1.ConfigMapList"), Limits::TRUSTED), Ok(list));

    let object = seal("v1", "ConfigMap", &encoded);
    let frame = watch_frame("ADDED", &object);
    let length = u32::from_be_bytes(frame[..4].try_into().expect("four bytes"));
    assert_eq!(usize::try_from(length).expect("small"), frame.len() - 4);
    let event = open_watch_event(&frame[4..]).expect("valid");
    assert_eq!((event.event_type.as_str(), event.object), ("ADDED", object));

    let partial = encode_partial_metadata(&item).expect("built in");
    assert_eq!(
        decode(&open(&partial).expect("an envelope").raw, config_map, Limits::REQUEST),
        Ok(json!({"metadata": item["metadata"]}))
    );
}

#[test]
fn typical_answers_are_those_that_were_recorded() {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "pods \"none-such\" not found", "reason": "NotFound", "details": {"name": "none-such", "kind": "pods"}, "code": 404});
    let recorded = "azhzAAoMCgJ2MRIGU3RhdHVzElMKBgoAEgAaABIHRmFpbHVyZRoacG9kcyAibm9uZS1zdWNoIiBub3QgZm91bmQiCE5vdEZvdW5kKhcKCW5vbmUtc3VjaBIAGgRwb2RzKAAyADCUAxoAIgA=";
    check_recorded(&status, "meta/v1.Status", recorded);
    let resources = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "coordination.k8s.io/v1", "resources": [
        {"name": "leases", "singularName": "lease", "namespaced": true, "kind": "Lease", "storageVersionHash": "gqkMMb/YqFM=",
         "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]}]});
    let recorded = "azhzAAoVCgJ2MRIPQVBJUmVzb3VyY2VMaXN0EokBChZjb29yZGluYXRpb24uazhzLmlvL3YxEm8KBmxlYXNlcxABGgVMZWFzZSJDCgZjcmVhdGUKBmRlbGV0ZQoQZGVsZXRlY29sbGVjdGlvbgoDZ2V0CgRsaXN0CgVwYXRjaAoGdXBkYXRlCgV3YXRjaDIFbGVhc2VCAEoAUgxncWtNTWIvWXFGTT0aACIA";
    check_recorded(&resources, "meta/v1.APIResourceList", recorded);
    let group = json!({"kind": "APIGroup", "apiVersion": "v1", "name": "coordination.k8s.io",
        "versions": [{"groupVersion": "coordination.k8s.io/v1", "version": "v1"}],
        "preferredVersion": {"groupVersion": "coordination.k8s.io/v1", "version": "v1"}});
    let recorded = "azhzAAoOCgJ2MRIIQVBJR3JvdXASUQoTY29vcmRpbmF0aW9uLms4cy5pbxIcChZjb29yZGluYXRpb24uazhzLmlvL3YxEgJ2MRocChZjb29yZGluYXRpb24uazhzLmlvL3YxEgJ2MRoAIgA=";
    check_recorded(&group, "meta/v1.APIGroup", recorded);
}

#[track_caller]
fn check_recorded(tree: &Value, name: &str, recorded: &str) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let encoded = encode_object(tree, ty(name)).expect("built in");
    assert_eq!(STANDARD.encode(&encoded), recorded);
    assert_eq!(decode_object(&encoded, ty(name), Limits::TRUSTED).as_ref(), Ok(tree));
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for name in ["core/v1.Pod", "apiextensions/v1.JSONSchemaProps", "meta/v1.ObjectMeta", "coordination/v1.LeaseSpec"] {
            let _ = decode(&bytes, ty(name), Limits::REQUEST);
        }
        let _ = open(&bytes);
        let _ = open_watch_event(&bytes);
    }

    #[test]
    fn a_damaged_object_is_decoded_or_refused_without_a_panic(at in 0usize..400, byte in any::<u8>()) {
        let tree = json!({"metadata": {"name": "p", "labels": {"a": "b"}, "creationTimestamp": "2024-01-01T00:00:00Z"},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}, "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"port": "http"}}, "env": [{"name": "X", "value": "y"}]}],
                "volumes": [{"name": "v", "configMap": {"name": "m"}}]}});
        let mut raw = encode(&tree, ty("core/v1.Pod")).expect("built in");
        let at = at % raw.len();
        raw[at] = byte;
        if let Ok(decoded) = decode(&raw, ty("core/v1.Pod"), Limits::REQUEST) {
            let again = encode(&decoded, ty("core/v1.Pod")).expect("built in");
            let decoded_again = decode(&again, ty("core/v1.Pod"), Limits::REQUEST);
            prop_assert_eq!(decoded_again, Ok(decoded));
        }
    }
}
