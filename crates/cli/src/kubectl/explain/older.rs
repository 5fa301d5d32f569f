//! `explain --output=plaintext-openapiv2`: the text that kubectl wrote before v1.27.

use serde_json::Value;

use super::super::discovery::Resource;
use super::super::fault::{Fault, quoted};
use super::super::value::Look;
use super::schema::Document;

/// The width of the text, indentation included.
const WIDTH: usize = 80;
/// How far descriptions of the whole are indented, and those of fields.
const INDENT_DESCRIPTION: usize = 5;
/// How far fields are indented, and each level of them.
const INDENT_FIELDS: usize = 3;
/// The deepest nesting that is walked: no type of Kubernetes v1.36 goes deeper than about twenty.
const DEPTH_MAX: usize = 64;

/// A schema by what it describes.
enum Shape<'a> {
    /// A name for another schema.
    Reference(&'a str, &'a Value),
    /// An object with fields.
    Kind,
    List(&'a Value),
    /// A map, and its values if they are all alike.
    Map(Option<&'a Value>),
    Primitive(&'a str),
    /// Anything.
    Any,
}

impl<'a> Shape<'a> {
    fn of(document: Document<'a>, schema: &'a Value) -> Self {
        let reference = match schema.list("/allOf") {
            [only] => Document::reference(only),
            _ => Document::reference(schema),
        };
        if let Some(name) = reference {
            return Self::Reference(name, document.named(name).unwrap_or(&Value::Null));
        }
        match schema.s("/type") {
            _ if schema.has("/properties") => Self::Kind,
            "array" => Self::List(schema.get("items").unwrap_or(&Value::Null)),
            "object" => Self::Map(Document::values_of(schema)),
            // Quantities, and what is either a number or a text, were texts before.
            "" if schema.has("/oneOf") => Self::Primitive("string"),
            "" => Self::Any,
            name => Self::Primitive(name),
        }
    }
}

/// A page under construction.
struct Page<'a> {
    document: Document<'a>,
    text: String,
}

/// What is said of the field at the end of a path.
pub(super) fn explain(
    document: Document<'_>,
    resource: &Resource,
    path: &[&str],
    is_recursive: bool,
) -> Result<String, Fault> {
    let root = document.of_kind(resource).ok_or_else(|| {
        let kind = format!("{}, Kind={}", resource.api_version(), resource.kind);
        Fault::refused(format!("couldn't find resource for {}", quoted(&kind)))
    })?;
    let schema = find(document, root, path)?;
    let mut page = Page { document, text: String::new() };
    page.model(resource, schema, path.last().copied(), is_recursive);
    Ok(page.text)
}

/// The schema at the end of a path; what is not an object takes no notice of the rest of it.
fn find<'a>(document: Document<'a>, root: &'a Value, path: &[&str]) -> Result<&'a Value, Fault> {
    let mut schema = root;
    let mut path = path;
    for _level in 0..DEPTH_MAX * 4 {
        let Some((field, rest)) = path.split_first() else {
            return Ok(schema);
        };
        schema = match Shape::of(document, schema) {
            Shape::Reference(_, next) | Shape::List(next) | Shape::Map(Some(next)) => next,
            Shape::Kind => {
                path = rest;
                schema["properties"].get(*field).ok_or_else(|| {
                    Fault::refused(format!("field {} does not exist", quoted(field)))
                })?
            }
            Shape::Map(None) | Shape::Primitive(_) | Shape::Any => return Ok(schema),
        };
    }
    Ok(schema)
}

impl<'a> Page<'a> {
    fn line(&mut self, indent: usize, text: &str) {
        if !text.is_empty() {
            self.text.extend(std::iter::repeat_n(' ', indent));
            self.text.push_str(text);
        }
        self.text.push('\n');
    }

    fn wrapped(&mut self, indent: usize, text: &str) {
        for line in wrap(text, WIDTH - indent) {
            self.line(indent, &line);
        }
    }

    fn model(&mut self, resource: &Resource, schema: &'a Value, name: Option<&str>, all: bool) {
        let type_name = self.type_name(schema, 0);
        let mut schema = schema;
        let mut descriptions = vec![schema.s("/description")];
        for _level in 0..DEPTH_MAX {
            schema = match Shape::of(self.document, schema) {
                Shape::Reference(_, next) | Shape::List(next) | Shape::Map(Some(next)) => next,
                Shape::Map(None) | Shape::Any => return,
                Shape::Primitive(_) => {
                    self.head(resource);
                    let name = name.unwrap_or_default();
                    self.line(0, &format!("FIELD:    {name} <{type_name}>\n"));
                    self.descriptions(&descriptions);
                    return;
                }
                Shape::Kind => {
                    self.head(resource);
                    if let Some(name) = name {
                        self.line(0, &format!("RESOURCE: {name} <{type_name}>\n"));
                    }
                    self.descriptions(&descriptions);
                    self.line(0, "\nFIELDS:");
                    if all {
                        self.names(schema, INDENT_FIELDS, &mut Vec::new());
                    } else {
                        self.fields(schema);
                    }
                    return;
                }
            };
            descriptions.push(schema.s("/description"));
        }
    }

    fn head(&mut self, resource: &Resource) {
        self.line(0, &format!("KIND:     {}", resource.kind));
        self.line(0, &format!("VERSION:  {}\n", resource.api_version()));
    }

    fn descriptions(&mut self, all: &[&str]) {
        self.line(0, "DESCRIPTION:");
        let all: Vec<&str> = all.iter().copied().filter(|text| !text.is_empty()).collect();
        for (index, text) in all.iter().enumerate() {
            if index > 0 {
                self.line(0, "");
            }
            self.wrapped(INDENT_DESCRIPTION, text);
        }
        if all.is_empty() {
            self.wrapped(INDENT_DESCRIPTION, "<empty>");
        }
    }

    fn fields(&mut self, schema: &'a Value) {
        for (name, field) in schema.entries("/properties") {
            let is_required = schema.list("/required").iter().any(|one| one == name);
            let required = if is_required { " -required-" } else { "" };
            let type_name = self.type_name(field, 0);
            self.line(INDENT_FIELDS, &format!("{name}\t<{type_name}>{required}"));
            self.wrapped(INDENT_DESCRIPTION, field.s("/description"));
            self.line(0, "");
        }
    }

    /// All fields below, by name and type; what is inside of itself is shown once.
    fn names(&mut self, schema: &'a Value, indent: usize, seen: &mut Vec<&'a str>) {
        match Shape::of(self.document, schema) {
            Shape::Reference(name, next) if !seen.contains(&name) => {
                seen.push(name);
                self.names(next, indent, seen);
                seen.pop();
            }
            Shape::List(next) | Shape::Map(Some(next)) => self.names(next, indent, seen),
            Shape::Kind if indent < DEPTH_MAX * INDENT_FIELDS => {
                for (name, field) in schema.entries("/properties") {
                    let type_name = self.type_name(field, 0);
                    self.line(indent, &format!("{name}\t<{type_name}>"));
                    self.names(field, indent + INDENT_FIELDS, seen);
                }
            }
            _ => {}
        }
    }

    fn type_name(&self, schema: &'a Value, level: usize) -> String {
        if level > DEPTH_MAX {
            return String::new();
        }
        let inner = |schema| self.type_name(schema, level + 1);
        match Shape::of(self.document, schema) {
            Shape::Reference(_, next) => inner(next),
            Shape::Kind => "Object".to_owned(),
            Shape::List(next) => format!("[]{}", inner(next)),
            Shape::Map(next) => format!("map[string]{}", next.map(inner).unwrap_or_default()),
            Shape::Primitive(name) => name.to_owned(),
            Shape::Any => String::new(),
        }
    }
}

/// Breaks text into lines; what looks like a list, code or a paragraph of its own stays apart.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for source in text.split('\n') {
        let is_blank = source.trim().is_empty();
        let is_code = source.starts_with("    ");
        let starts = is_code || is_blank || line.ends_with(':') || is_bullet(source.trim());
        if starts && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if is_code || (is_blank && !lines.is_empty()) {
            lines.push(if is_code { source.to_owned() } else { String::new() });
            continue;
        }
        for word in source.split_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Whether a line begins an item of a list.
fn is_bullet(line: &str) -> bool {
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = if digits.len() < line.len() {
        Some(digits.strip_prefix('.').unwrap_or(digits))
    } else {
        line.strip_prefix(['-', '*'])
    };
    rest.is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn paragraphs_lists_and_code_keep_their_lines() {
        assert_eq!(
            wrap("one two\nthree\n\nfour:\n - a b\n - c\n    code  x", 9),
            ["one two", "three", "", "four:", "- a b", "- c", "    code  x"]
        );
        assert_eq!(wrap("one\ntwo toolongtofit", 7), ["one two", "toolongtofit"]);
        assert!(wrap("", 7).is_empty());
    }
}
