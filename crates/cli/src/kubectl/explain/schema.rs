//! Walks an OpenAPI v3 document: finds a kind's schema, follows fields, writes what they are.
//!
//! Holds     references that come back to themselves end the walk.

use serde_json::{Value, json};

use super::super::discovery::Resource;
use super::super::value::{Look, shown};
use super::wrap::{indent, wrap};

/// The most values of an enum that a list of fields shows.
const ENUM_SHOWN: usize = 4;
/// The deepest nesting that is walked: no type of Kubernetes v1.36 goes deeper than about twenty.
const DEPTH_MAX: usize = 64;

/// A document.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) root: &'a Value,
}

impl<'a> Document<'a> {
    /// The schema of a kind.
    pub(super) fn of_kind(self, resource: &Resource) -> Option<&'a Value> {
        let wanted =
            json!({"group": resource.group, "kind": resource.kind, "version": resource.version});
        let schemas = self.root.at("/components/schemas")?.as_object()?;
        schemas
            .values()
            .find(|schema| schema.list("/x-kubernetes-group-version-kind").contains(&wanted))
    }

    /// The schema that a reference names.
    pub(super) fn named(self, reference: &str) -> Option<&'a Value> {
        let name = reference.rsplit('/').next()?;
        self.root["components"]["schemas"].get(name)
    }

    pub(super) fn reference(schema: &'a Value) -> Option<&'a str> {
        schema.get("$ref").and_then(Value::as_str)
    }

    fn resolve(self, schema: &'a Value) -> &'a Value {
        Self::reference(schema).and_then(|name| self.named(name)).unwrap_or(schema)
    }

    /// The schema of a map's values.
    pub(super) fn values_of(schema: &'a Value) -> Option<&'a Value> {
        schema.get("additionalProperties").filter(|values| values.is_object())
    }

    /// What is said of the field at the end of a path; `None` if there is no such field.
    pub(super) fn explain(
        self,
        schema: &'a Value,
        path: &[&str],
        is_recursive: bool,
    ) -> Option<String> {
        self.follow(schema, path, is_recursive, &mut Vec::new())
    }

    fn follow(
        self,
        schema: &'a Value,
        path: &[&str],
        is_recursive: bool,
        seen: &mut Vec<&'a str>,
    ) -> Option<String> {
        let resolved = self.resolve(schema);
        let Some((field, rest)) = path.split_first() else {
            return Some(self.whole(resolved, is_recursive));
        };
        if let Some(reference) = Self::reference(schema) {
            if seen.contains(&reference) {
                return None;
            }
            seen.push(reference);
        }
        if let Some(next) = resolved["properties"].get(*field) {
            let mut text = String::new();
            if rest.is_empty() {
                let kind = self.type_name(next);
                text = format!("FIELD: {field} <{kind}>\n{}\n\n", enumerated(next));
            }
            return self.follow(next, rest, is_recursive, &mut Vec::new()).map(|more| text + &more);
        }
        if let Some(items) = resolved.get("items") {
            return self.follow(items, path, is_recursive, seen);
        }
        if let Some(values) = Self::values_of(resolved) {
            return self.follow(values, path, is_recursive, seen);
        }
        let mut alternatives = resolved.list("/allOf").iter();
        alternatives.find_map(|alternative| self.follow(alternative, path, is_recursive, seen))
    }

    fn whole(self, schema: &'a Value, is_recursive: bool) -> String {
        let mut description = String::new();
        self.description(schema, &mut description, 0);
        if description.is_empty() {
            description.push_str("<empty>");
        }
        let mut text = format!("DESCRIPTION:\n{}\n", indent(&wrap(&description, 76), 4));
        if let Some(docs) = schema.get("externalDocs") {
            text.push_str(&format!("\n{}", external(docs, 0, 76)));
        }
        let mut fields = String::new();
        self.fields(schema, 1, is_recursive, &mut Vec::new(), &mut fields);
        if !fields.is_empty() {
            text.push_str(&format!("FIELDS:\n{fields}"));
        }
        text
    }

    fn description(self, schema: &'a Value, out: &mut String, level: usize) {
        let schema = self.resolve(schema);
        let own = schema.s("/description");
        if !own.is_empty() {
            out.push_str(own);
            out.push('\n');
        }
        if level > DEPTH_MAX {
            return;
        }
        for part in schema.list("/allOf") {
            self.description(part, out, level + 1);
        }
        for part in [schema.get("items"), Self::values_of(schema)].into_iter().flatten() {
            self.description(part, out, level + 1);
        }
    }

    fn fields(
        self,
        schema: &'a Value,
        level: usize,
        is_recursive: bool,
        seen: &mut Vec<&'a str>,
        out: &mut String,
    ) {
        let count = seen.len();
        if let Some(reference) = Self::reference(schema) {
            if seen.contains(&reference) {
                return;
            }
            seen.push(reference);
        }
        let resolved = self.resolve(schema);
        for (name, field) in resolved.entries("/properties") {
            let is_required = resolved.list("/required").iter().any(|one| one == name);
            self.field(name, field, is_required, level, is_recursive, out);
            if is_recursive && level < DEPTH_MAX {
                self.fields(field, level + 1, is_recursive, seen, out);
            }
        }
        for part in resolved.list("/allOf") {
            self.fields(part, level, is_recursive, seen, out);
        }
        for part in [resolved.get("items"), Self::values_of(resolved)].into_iter().flatten() {
            self.fields(part, level, is_recursive, seen, out);
        }
        seen.truncate(count);
    }

    fn field(
        self,
        name: &str,
        field: &'a Value,
        is_required: bool,
        level: usize,
        is_short: bool,
        out: &mut String,
    ) {
        let amount = level * 2;
        let pad = " ".repeat(amount);
        let required = if is_required { " -required-" } else { "" };
        out.push_str(&format!("{pad}{name}\t<{}>{required}", self.type_name(field)));
        let values = field.list("/enum");
        if !values.is_empty() {
            let shown: Vec<String> = values.iter().take(ENUM_SHOWN).map(enum_value).collect();
            let more = if values.len() > ENUM_SHOWN { ", ...." } else { "" };
            out.push_str(&format!("\n{pad}enum: {}{more}", shown.join(", ")));
        }
        out.push('\n');
        if is_short {
            return;
        }
        let description = match field.s("/description") {
            "" => "<no description>",
            text => text,
        };
        out.push_str(&indent(&wrap(description, 78 - amount), amount + 2));
        out.push('\n');
        if let Some(docs) = field.get("externalDocs") {
            out.push('\n');
            out.push_str(&external(docs, amount + 2, 76 - amount));
        }
        out.push('\n');
    }

    /// A type in few words: `string`, `[]Container`, `map[string]string`.
    fn type_name(self, schema: &'a Value) -> String {
        if let Some(items) = schema.get("items") {
            return format!("[]{}", self.type_name(items));
        }
        if let Some(values) = Self::values_of(schema) {
            return format!("map[string]{}", self.type_name(values));
        }
        if let ([only], false) = (schema.list("/allOf"), schema.has("/properties")) {
            return self.type_name(only);
        }
        if let Some(reference) = Self::reference(schema) {
            let resolved = self.resolve(schema);
            return match resolved.s("/type") {
                "" | "object" => reference.rsplit(['/', '.']).next().unwrap_or("Object").to_owned(),
                plain => plain.to_owned(),
            };
        }
        match schema.s("/type") {
            "" | "object" => "Object".into(),
            plain => plain.to_owned(),
        }
    }
}

fn enum_value(value: &Value) -> String {
    if value == "" { "\"\"".into() } else { shown(value) }
}

fn enumerated(schema: &Value) -> String {
    let values = schema.list("/enum");
    if values.is_empty() {
        return String::new();
    }
    let lines = values.iter().map(|value| format!("\n    {}", enum_value(value)));
    format!("ENUM:{}", lines.collect::<String>())
}

fn external(docs: &Value, amount: usize, width: usize) -> String {
    let mut text = indent("EXTERNAL DOCS:", amount) + "\n";
    if !docs.s("/description").is_empty() {
        text.push_str(&indent(
            &wrap(docs.s("/description"), width),
            amount + if amount == 0 { 4 } else { 2 },
        ));
        text.push('\n');
    }
    if !docs.s("/url").is_empty() {
        text.push_str(&indent(
            &format!("URL: {}", docs.s("/url")),
            amount + if amount == 0 { 4 } else { 2 },
        ));
        text.push('\n');
    }
    text
}
