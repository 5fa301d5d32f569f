//! Any other kind: its fields as they are, with names made readable.

use serde_json::{Map, Value};

use super::super::value::{Look, shown};
use super::Subject;
use super::page::Page;

/// What the head of the page has said already.
const SKIPPED: [&str; 5] = ["managedFields", "name", "namespace", "labels", "annotations"];

pub(super) fn describe(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.labels(object);
    page.annotations(object);
    if let Some(fields) = object.as_object() {
        content(&mut page, 0, fields, false);
    }
    subject.events(&mut page);
    page
}

fn content(page: &mut Page, level: usize, fields: &Map<String, Value>, is_metadata: bool) {
    for (name, value) in fields {
        if is_metadata && SKIPPED.contains(&name.as_str()) {
            continue;
        }
        let label = label(name);
        match value {
            Value::Object(inner) => {
                page.line(level, format!("{label}:"));
                content(page, level + 1, inner, level == 0 && name == "metadata");
            }
            Value::Array(items) => {
                page.line(level, format!("{label}:"));
                for item in items {
                    match item {
                        Value::Object(inner) => content(page, level + 1, inner, false),
                        other => page.line(level + 1, shown(other)),
                    }
                }
            }
            other => page.pair(level, &label, shown(other)),
        }
    }
}

/// A field's name in words: `apiVersion` is `API Version`.
fn label(field: &str) -> String {
    if field.chars().any(|c| !c.is_alphabetic() && c != '-') {
        return field.to_owned();
    }
    let words = words(field).into_iter().map(|word| {
        if ["API", "URL", "UID", "GUID"].contains(&word.to_uppercase().as_str()) {
            return word.to_uppercase();
        }
        if word.to_lowercase() != word {
            return word;
        }
        let mut chars = word.chars();
        match chars.next() {
            Some(first) => first.to_uppercase().chain(chars).collect(),
            None => word,
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Splits camel case: where a lower letter meets an upper one, and before the last of a run of upper ones.
fn words(field: &str) -> Vec<String> {
    #[derive(PartialEq, Clone, Copy)]
    enum Class {
        Lower,
        Upper,
        Other,
    }
    let class = |c: char| match c {
        c if c.is_lowercase() => Class::Lower,
        c if c.is_uppercase() => Class::Upper,
        _ => Class::Other,
    };
    let mut runs: Vec<(Class, String)> = Vec::new();
    for c in field.chars() {
        match runs.last_mut() {
            Some((last, run)) if *last == class(c) => run.push(c),
            _ => runs.push((class(c), c.to_string())),
        }
    }
    for index in 0..runs.len().saturating_sub(1) {
        if runs[index].0 == Class::Upper
            && runs[index + 1].0 == Class::Lower
            && let Some(last) = runs[index].1.pop()
        {
            runs[index + 1].1.insert(0, last);
        }
    }
    runs.into_iter().map(|(_, run)| run).filter(|run| !run.is_empty()).collect()
}
