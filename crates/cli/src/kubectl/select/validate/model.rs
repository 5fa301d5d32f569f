//! Checks objects by the OpenAPI v2 document of a server, as kubectl does of those that it takes for the server to not check.
//!
//! Holds     only what kubectl's own check finds is told: unknown fields, missing ones, and types that do not fit.

use serde_json::Value;

use super::super::super::discovery::split_version;
use super::super::super::fault::quoted;
use super::super::super::value::Look;

/// The deepest nesting that is looked into: no type of Kubernetes v1.36 goes deeper than about twenty.
const DEPTH_MAX: usize = 64;

/// What is wrong with an object; nothing is known of a kind that is not in the document.
pub(super) fn check(document: &Value, object: &Value) -> Vec<String> {
    let Some((name, schema)) = definition_of(document, object) else { return Vec::new() };
    let mut check = Check { document, problems: Vec::new() };
    let place = Place { path: object.s("/kind").to_owned(), ty: name.to_owned(), depth: 0 };
    check.value(object, schema, &place);
    check.problems
}

/// The definition of an object's kind, and its name.
fn definition_of<'a>(document: &'a Value, object: &Value) -> Option<(&'a str, &'a Value)> {
    let (group, version) = split_version(object.s("/apiVersion"));
    let is_meant = |kind: &Value| {
        kind.s("/group") == group && kind.s("/version") == version && kind["kind"] == object["kind"]
    };
    let kinds = |schema: &'a Value| schema.list("/x-kubernetes-group-version-kind").iter();
    let mut all = document.entries("/definitions").into_iter();
    all.find(|(_, schema)| kinds(schema).any(is_meant))
}

/// Where a value is, and how its type is called.
struct Place {
    path: String,
    ty: String,
    depth: usize,
}

impl Place {
    fn field(&self, key: &str) -> Self {
        Self { ty: format!("{}.{key}", self.ty), ..self.entry(&format!(".{key}")) }
    }

    /// A part whose type is called as the whole.
    fn entry(&self, step: &str) -> Self {
        Self { path: self.path.clone() + step, ty: self.ty.clone(), depth: self.depth + 1 }
    }
}

struct Check<'a> {
    document: &'a Value,
    problems: Vec<String>,
}

impl<'a> Check<'a> {
    fn found(&mut self, place: &Place, why: &str) {
        self.problems.push(format!("ValidationError({}): {why}", place.path));
    }

    fn value(&mut self, value: &Value, schema: &'a Value, place: &Place) {
        if place.depth > DEPTH_MAX {
            return;
        }
        if let Some(name) = schema.s("/$ref").strip_prefix("#/definitions/") {
            if let Some(schema) = self.document["definitions"].get(name) {
                self.value(value, schema, &Place { ty: name.to_owned(), ..place.entry("") });
            }
            return;
        }
        let has_fields = schema.get("properties").is_some();
        match (schema.s("/type"), value) {
            ("" | "object", Value::Object(_)) if has_fields => self.fields(value, schema, place),
            ("", _) if !has_fields => {}
            ("object", Value::Object(map)) => {
                for (key, value) in map {
                    self.part(
                        value,
                        schema.get("additionalProperties"),
                        &place.entry(&format!(".{key}")),
                    );
                }
            }
            ("array", Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    let place = place.entry(&format!("[{at}]"));
                    if item.is_null() {
                        self.found(&place, &nothing(&place));
                    } else {
                        self.part(item, schema.get("items"), &place);
                    }
                }
            }
            (expected, value) => self.scalar(value, expected, place),
        }
    }

    /// A value of a map or an item of a list.
    fn part(&mut self, value: &Value, schema: Option<&'a Value>, place: &Place) {
        if value.is_null() {
            self.problems.push(nothing(place));
        } else if let Some(schema) = schema {
            self.value(value, schema, place);
        }
    }

    /// The fields of a struct, then those that it lacks.
    fn fields(&mut self, value: &Value, schema: &'a Value, place: &Place) {
        for (key, field) in value.entries("").into_iter().filter(|(_, field)| !field.is_null()) {
            match schema["properties"].get(key) {
                Some(schema) => self.value(field, schema, &place.field(key)),
                None => {
                    self.found(place, &format!("unknown field {} in {}", quoted(key), place.ty));
                }
            }
        }
        for required in schema.list("/required").iter().filter_map(Value::as_str) {
            if value.get(required).is_none_or(Value::is_null) {
                let required = quoted(required);
                self.found(place, &format!("missing required field {required} in {}", place.ty));
            }
        }
    }

    /// A value that is no struct, map or list, or should be none.
    fn scalar(&mut self, value: &Value, expected: &str, place: &Place) {
        let got = match value {
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "map",
            Value::Null => return,
        };
        let (got, expected) = match (got, expected) {
            // So kubectl words it.
            ("array", "object" | "") => ("map", "array"),
            ("array" | "map", expected) => (got, expected),
            (_, "string") | ("number", "integer") => return,
            (got, expected) if got == expected => return,
            (got, "object" | "") => (got, "map"),
            (got, expected) => (got, expected),
        };
        let why = format!(
            "invalid type for {}: got {}, expected {}",
            place.ty,
            quoted(got),
            quoted(expected)
        );
        self.found(place, &why);
    }
}

fn nothing(place: &Place) -> String {
    format!("unknown object type \"nil\" in {}", place.path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_fit_is_told_by_its_path_and_its_type() {
        let document = json!({"definitions": {
            "io.x.Thing": {
                "type": "object",
                "required": ["kind"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "data": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "parts": {"type": "array", "items": {"$ref": "#/definitions/io.x.Part"}},
                    "any": {},
                },
                "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Thing"}],
            },
            "io.x.Part": {
                "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}},
            },
        }});
        let cases = [
            (json!({"any": [1], "parts": [{"name": 7}]}), vec![]),
            (json!({"q": 1}), vec!["ValidationError(Thing): unknown field \"q\" in io.x.Thing"]),
            (
                json!({"data": {"a": "x"}, "parts": [{}]}),
                vec![
                    "ValidationError(Thing.data.a): invalid type for io.x.Thing.data: got \"string\", expected \"integer\"",
                    "ValidationError(Thing.parts[0]): missing required field \"name\" in io.x.Part",
                ],
            ),
            (
                json!({"data": "x", "parts": {}}),
                vec![
                    "ValidationError(Thing.data): invalid type for io.x.Thing.data: got \"string\", expected \"map\"",
                    "ValidationError(Thing.parts): invalid type for io.x.Thing.parts: got \"map\", expected \"array\"",
                ],
            ),
        ];
        for (mut object, problems) in cases {
            object["apiVersion"] = "v1".into();
            object["kind"] = "Thing".into();
            assert_eq!(check(&document, &object), problems, "{object}");
        }
    }
}
