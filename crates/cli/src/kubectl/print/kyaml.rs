//! KYAML: YAML that keeps its structure in braces and its strings in quotes, so that no indentation and no guess counts.

use serde_json::Value;

/// What ends a line inside a string without adding to it.
const FOLD: &str = "\\\n";

/// A document with its head.
pub(super) fn print(value: &Value) -> String {
    let mut out = "---\n".to_owned();
    node(&mut out, value, 0);
    out.push('\n');
    out
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn node(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Object(map) => {
            out.push_str("{\n");
            for (key, value) in map {
                indent(out, depth + 1);
                name(out, key);
                out.push_str(": ");
                node(out, value, depth + 1);
                out.push_str(",\n");
            }
            indent(out, depth);
            out.push('}');
        }
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        // Items that have braces of their own share lines with those of the list.
        Value::Array(items) if items.iter().all(|item| item.is_object() || item.is_array()) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                node(out, item, depth);
            }
            out.push(']');
        }
        Value::Array(items) => {
            out.push_str("[\n");
            for item in items {
                indent(out, depth + 1);
                node(out, item, depth + 1);
                out.push_str(",\n");
            }
            indent(out, depth);
            out.push(']');
        }
        Value::String(text) => string(out, text, depth + 1),
        plain => out.push_str(&plain.to_string()),
    }
}

/// A key: quoted where some reader of YAML could take it for something else than text.
fn name(out: &mut String, key: &str) {
    if is_plain(key) {
        out.push_str(key);
    } else {
        out.push('"');
        key.chars().for_each(|letter| escape(out, letter));
        out.push('"');
    }
}

fn is_plain(key: &str) -> bool {
    let last = key.chars().count().saturating_sub(1);
    let allowed = |(at, letter): (usize, char)| {
        letter.is_alphanumeric()
            || letter == '_'
            || (at > 0 && at < last && matches!(letter, '-' | '.' | '/'))
    };
    !key.is_empty() && key.chars().enumerate().all(allowed) && !is_ambiguous(key)
}

/// Whether a reader of YAML takes the text for a null, a boolean, a number or a date.
fn is_ambiguous(key: &str) -> bool {
    let lower = key.to_lowercase();
    if matches!(
        lower.as_str(),
        "null" | "~" | "true" | "t" | "y" | "yes" | "on" | "false" | "f" | "n" | "no" | "off"
    ) {
        return true;
    }
    let bare = lower.replace('_', "");
    let is_integer =
        bare.strip_prefix("0x").is_some_and(|hex| i64::from_str_radix(hex, 16).is_ok())
            || bare.strip_prefix("0b").is_some_and(|bits| i64::from_str_radix(bits, 2).is_ok())
            || bare.strip_prefix("0o").is_some_and(|octal| i64::from_str_radix(octal, 8).is_ok());
    is_integer || bare.parse::<f64>().is_ok() || is_date(key)
}

/// `2006-1-2`, with or without a time after it.
fn is_date(key: &str) -> bool {
    let mut parts = key.splitn(3, '-');
    let mut next = || parts.next().unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (year, month, day) = (next(), next(), next());
    let day = day.split(['T', 't', ' ']).next().unwrap_or_default();
    year.len() == 4 && [year, month, day].into_iter().all(is_number)
}

/// A string; each of several lines stands on a line of its own.
fn string(out: &mut String, text: &str, depth: usize) {
    out.push('"');
    if !text.contains('\n') {
        text.chars().for_each(|letter| escape(out, letter));
        out.push('"');
        return;
    }
    out.push_str(FOLD);
    let mut begins_line = true;
    for letter in text.chars() {
        if begins_line {
            indent(out, depth);
            // Blanks before the first letter of a line mean nothing unless they are escaped.
            out.push(if letter.is_whitespace() && letter != '\n' { '\\' } else { ' ' });
        }
        begins_line = letter == '\n';
        escape(out, letter);
        if begins_line {
            out.push_str(FOLD);
        }
    }
    if !begins_line {
        out.push_str(FOLD);
    }
    indent(out, depth);
    out.push('"');
}

fn escape(out: &mut String, letter: char) {
    match letter {
        '"' | '\\' => out.extend(['\\', letter]),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        '\0' => out.push_str("\\0"),
        '\u{1b}' => out.push_str("\\e"),
        '\u{85}' => out.push_str("\\N"),
        '\u{a0}' => out.push_str("\\_"),
        '\u{2028}' => out.push_str("\\L"),
        '\u{2029}' => out.push_str("\\P"),
        control if (control as u32) < 0x20 || control as u32 == 0x7f => {
            out.push_str(&format!("\\x{:02x}", control as u32));
        }
        control if control.is_control() => out.push_str(&format!("\\u{:04x}", control as u32)),
        letter => out.push(letter),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{is_plain, print};

    #[test]
    fn strings_are_quoted_and_lines_are_folded() {
        let object = json!({
            "a": [], "b": {}, "c": ["x", 1, null, true], "d": [{"e": "f"}, {"g": 2}],
            "h": "x\ny\n", "i": "  x\n\ty", "j": [["k"]], "n": "q\"\\",
        });
        let expected = r#"---
{
  a: [],
  b: {},
  c: [
    "x",
    1,
    null,
    true,
  ],
  d: [{
    e: "f",
  }, {
    g: 2,
  }],
  h: "\
     x\n\
     y\n\
    ",
  i: "\
    \  x\n\
    \\ty\
    ",
  j: [[
    "k",
  ]],
  "n": "q\"\\",
}
"#;
        assert_eq!(print(&object), expected);
    }

    #[test]
    fn keys_are_quoted_where_they_could_be_something_else() {
        for (key, expected) in [
            ("app.kubernetes.io/name", true),
            ("f:data", false),
            (".", false),
            ("-x", false),
            ("no", false),
            ("1e3", false),
            ("0x1f", false),
            ("2020-01-02", false),
            ("a b", false),
            ("", false),
            ("x1", true),
        ] {
            assert_eq!(is_plain(key), expected, "{key:?}");
        }
    }
}
