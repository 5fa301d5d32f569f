use podo_api::Value;
use serde_json::json;

use super::{VARINT, encode};
use crate::openapi::v2;

/// A field as it lies in the bytes: its number, and its bytes or its little-endian number.
type Field = (u64, Vec<u8>);

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first().expect("a number ends");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        shift += 7;
        if first & 0x80 == 0 {
            return value;
        }
    }
}

fn take(bytes: &mut &[u8], size: usize) -> Vec<u8> {
    let (taken, rest) = bytes.split_at(size);
    *bytes = rest;
    taken.to_vec()
}

fn fields(mut bytes: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            VARINT => varint(&mut bytes).to_le_bytes().to_vec(),
            1 => take(&mut bytes, 8),
            2 => {
                let size = usize::try_from(varint(&mut bytes)).expect("fits");
                take(&mut bytes, size)
            }
            other => panic!("layout {other}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

/// All values that lie below the fields of these numbers.
fn at(bytes: &[u8], path: &[u64]) -> Vec<Vec<u8>> {
    let Some((number, rest)) = path.split_first() else { return vec![bytes.to_vec()] };
    let below = fields(bytes).into_iter().filter(|(found, _)| found == number);
    below.flat_map(|(_, value)| at(&value, rest)).collect()
}

#[track_caller]
fn check_text(bytes: &[u8], path: &[u64], expected: &[&str]) {
    let texts: Vec<String> =
        at(bytes, path).into_iter().map(|text| String::from_utf8(text).expect("a text")).collect();
    assert_eq!(texts, expected, "{path:?}");
}

#[track_caller]
fn check_number(bytes: &[u8], path: &[u64], expected: &[u64]) {
    let numbers: Vec<u64> = at(bytes, path)
        .into_iter()
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("a number")))
        .collect();
    assert_eq!(numbers, expected, "{path:?}");
}

fn schema(words: Value) -> Vec<u8> {
    let document = encode(&json!({"definitions": {"a.B": words}}));
    check_text(&document, &[9, 1, 1], &["a.B"]);
    at(&document, &[9, 1, 2]).remove(0)
}

#[test]
fn the_bytes_of_a_small_document() {
    let document = json!({
        "swagger": "2.0",
        "info": {"title": "t", "version": "v"},
        "definitions": {"A": {"type": "string"}},
    });
    // The members are written in the order of their names.
    let expected = [
        b"\x4a\x12\x0a\x10\x0a\x01A\x12\x0b\xb2\x01\x08\x0a\x06string".as_slice(),
        b"\x12\x06\x0a\x01t\x12\x01v",
        b"\x0a\x032.0",
    ];
    assert_eq!(encode(&document), expected.concat());
}

#[test]
fn the_words_of_a_schema() {
    let bytes = schema(json!({
        "description": "text", "format": "int32", "type": "object",
        "required": ["x", "y"], "enum": ["p", 1], "maximum": 2.5, "minLength": 300, "uniqueItems": true,
        "properties": {"x-y": {"$ref": "#/definitions/C"}, "list": {"type": "array", "items": {"type": "string"}}},
        "additionalProperties": {"type": "boolean"},
        "allOf": [{"title": "one"}, {"title": "two"}],
    }));
    check_text(&bytes, &[4], &["text"]);
    check_text(&bytes, &[2], &["int32"]);
    check_text(&bytes, &[22, 1], &["object"]);
    check_text(&bytes, &[19], &["x", "y"]);
    check_text(&bytes, &[20, 2], &["\"p\"\n", "1\n"]);
    check_number(&bytes, &[7], &[2.5_f64.to_bits()]);
    check_number(&bytes, &[12], &[300]);
    check_number(&bytes, &[16], &[1]);
    check_text(&bytes, &[25, 1, 1], &["list", "x-y"]);
    check_text(&bytes, &[25, 1, 2, 1], &["#/definitions/C"]);
    check_text(&bytes, &[25, 1, 2, 23, 1, 22, 1], &["string"]);
    check_text(&bytes, &[21, 1, 22, 1], &["boolean"]);
    check_text(&bytes, &[24, 3], &["one", "two"]);
    check_number(&schema(json!({"additionalProperties": true})), &[21, 2], &[1]);
}

#[test]
fn extensions_are_yaml() {
    let bytes = schema(json!({
        "x-kubernetes-group-version-kind": [{"group": "", "kind": "Pod", "version": "v1"}],
        "x-kubernetes-patch-strategy": "merge",
    }));
    check_text(
        &bytes,
        &[31, 1],
        &["x-kubernetes-group-version-kind", "x-kubernetes-patch-strategy"],
    );
    check_text(
        &bytes,
        &[31, 2, 2],
        &["[{\"group\":\"\",\"kind\":\"Pod\",\"version\":\"v1\"}]\n", "\"merge\"\n"],
    );
}

#[test]
fn operations_and_parameters() {
    let document = encode(&json!({"paths": {"/a/{name}": {
        "parameters": [{"name": "name", "in": "path", "required": true, "type": "string"}],
        "patch": {
            "tags": ["t"], "consumes": ["c"], "produces": ["p"],
            "parameters": [
                {"in": "body", "name": "body", "required": true, "schema": {"$ref": "r"}},
                {"in": "query", "name": "dryRun", "type": "string", "uniqueItems": true},
            ],
            "responses": {"200": {"description": "OK", "schema": {"$ref": "s"}}},
            "x-kubernetes-action": "patch",
        },
    }}}));
    check_text(&document, &[8, 2, 1], &["/a/{name}"]);
    let item = at(&document, &[8, 2, 2]).remove(0);
    let in_path = at(&item, &[9, 1, 2, 4]).remove(0);
    check_number(&in_path, &[1], &[1]);
    check_text(&in_path, &[2], &["path"]);
    check_text(&in_path, &[4], &["name"]);
    check_text(&in_path, &[5], &["string"]);
    let patch = at(&item, &[8]).remove(0);
    check_text(&patch, &[1], &["t"]);
    check_text(&patch, &[7], &["c"]);
    check_text(&patch, &[6], &["p"]);
    check_text(&patch, &[8, 1, 1, 2], &["body"]);
    check_text(&patch, &[8, 1, 1, 5, 1], &["r"]);
    check_text(&patch, &[8, 1, 2, 3, 4], &["dryRun"]);
    check_text(&patch, &[8, 1, 2, 3, 6], &["string"]);
    check_number(&patch, &[8, 1, 2, 3, 20], &[1]);
    check_text(&patch, &[9, 1, 1], &["200"]);
    check_text(&patch, &[9, 1, 2, 1, 1], &["OK"]);
    check_text(&patch, &[9, 1, 2, 1, 2, 1, 1], &["s"]);
    check_text(&patch, &[13, 1], &["x-kubernetes-action"]);
    check_text(&patch, &[13, 2, 2], &["\"patch\"\n"]);
}

#[test]
fn the_document_that_is_served_has_the_same_parts_in_both_forms() {
    let protobuf = v2::AS_PROTOBUF.unpack();
    let json: Value = serde_json::from_slice(&v2::AS_JSON.unpack()).expect("JSON");
    check_text(&protobuf, &[1], &["2.0"]);
    check_text(&protobuf, &[2, 1], &["Kubernetes"]);
    for (section, path) in [("paths", [8, 2, 1]), ("definitions", [9, 1, 1])] {
        let mut names = at(&protobuf, &path);
        names.sort();
        let expected = json[section].as_object().expect("members").keys();
        assert_eq!(names, expected.map(|name| name.clone().into_bytes()).collect::<Vec<_>>());
    }
}
