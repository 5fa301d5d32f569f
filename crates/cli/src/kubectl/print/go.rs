//! Values as Go's `%#v` writes them, for what kubectl prints when a template fails.

use serde_json::Value;

use super::super::fault::quoted;

/// A decoded JSON document as Go source: `map[string]interface {}{"a":1}`.
pub(crate) fn syntax(value: &Value) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", join(items.iter().map(syntax).collect()))
        }
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{}:{}", quoted(key), syntax(value)));
            format!("map[string]interface {{}}{{{}}}", join(pairs.collect()))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn values_are_go_source() {
        assert_eq!(
            super::syntax(&json!({"a": [1, "x\n", null, true], "b": {}})),
            "map[string]interface {}{\"a\":[]interface {}{1, \"x\\n\", interface {}(nil), true}, \"b\":map[string]interface {}{}}"
        );
    }
}
