//! Makes `crates/api/src/schema/v1_36.tsv`, the fact table of every type of Kubernetes v1.36.
//!
//! Reads two lists of facts beside the project: `schema-1.36.tsv` (protobuf tags, lists, patches, defaults) and
//! `go-fields-1.36.tsv` (order, Go types, `omitzero`). Writes names, numbers, types and rules only: no text of upstream's.
//!
//! One line a type (`T` and its name), then one line a field; the columns are those of [`COLUMNS`].

use std::collections::HashMap;
use std::fs;
use std::path::Path;

const FACTS: &str = "../shared/upstream/facts";
const TABLE: &str = "crates/api/src/schema/v1_36.tsv";

/// What a field's line holds, in order.
const COLUMNS: &str =
    "# field tag wrapper type presence list keys maptype patch mergekey default gotype";

/// A column of `schema-1.36.tsv`.
mod column {
    pub(super) const DEFINITION: usize = 0;
    pub(super) const FIELD: usize = 1;
    pub(super) const TAG: usize = 2;
    pub(super) const WRAPPER: usize = 3;
    pub(super) const TYPE: usize = 4;
    pub(super) const GO_KIND: usize = 5;
    pub(super) const OMIT_EMPTY: usize = 6;
    pub(super) const REQUIRED: usize = 7;
    pub(super) const LIST_TYPE: usize = 8;
    pub(super) const DEFAULT: usize = 13;
}

/// What Go's source says of a field beyond the schema: its place, its type's name, `omitzero`.
struct GoField {
    position: usize,
    go_type: String,
    omit_zero: bool,
}

/// Makes the table and says how large it is.
pub(crate) fn run() -> Result<String, String> {
    let go = go_fields(&read("go-fields-1.36.tsv")?);
    let text = read("schema-1.36.tsv")?;
    let mut types: Vec<(&str, Vec<Vec<&str>>)> = Vec::new();
    for line in text.lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        match types.last_mut() {
            Some((name, rows)) if *name == row[column::DEFINITION] => rows.push(row),
            _ => types.push((row[column::DEFINITION], vec![row])),
        }
    }
    let mut table = format!("{COLUMNS}\n");
    for (name, rows) in &mut types {
        table.push_str(&type_lines(name, rows, &go));
    }
    fs::write(TABLE, &table).map_err(|error| format!("{TABLE}: {error}"))?;
    Ok(format!("{TABLE}: {} types, {} bytes", types.len(), table.len()))
}

fn read(name: &str) -> Result<String, String> {
    let path = Path::new(FACTS).join(name);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn type_lines(name: &str, rows: &mut [Vec<&str>], go: &HashMap<String, GoField>) -> String {
    rows.sort_by_key(|row| position(name, row, go));
    let mut lines = format!("T\t{}\n", short(name));
    for row in rows.iter() {
        let go_field = go.get(&go_key(name, row[column::FIELD]));
        let mut cells = vec![
            row[column::FIELD].to_owned(),
            row[column::TAG].to_owned(),
            wrapper_tags(row[column::WRAPPER]),
            type_text(row[column::TYPE]),
            presence(row, go_field),
        ];
        cells.extend(row[column::LIST_TYPE..=column::DEFAULT].iter().map(|&cell| cell.to_owned()));
        cells.push(go_field.map(|field| go_type(name, &field.go_type)).unwrap_or_default());
        lines.push_str(cells.join("\t").trim_end_matches('\t'));
        lines.push('\n');
    }
    lines
}

/// Go's order where it is known; embedded structs stand where their wrapper's tag puts them.
fn position(name: &str, row: &[&str], go: &HashMap<String, GoField>) -> (usize, usize) {
    let tag = row[column::TAG].parse().unwrap_or(0);
    if let Some(field) = go.get(&go_key(name, row[column::FIELD])) {
        return (field.position + 1, 0);
    }
    match row[column::FIELD] {
        "kind" if tag == 0 => (0, 0),
        "apiVersion" if tag == 0 => (0, 1),
        _ => {
            let wrapper = row[column::WRAPPER].rsplit('=').next().and_then(|n| n.parse().ok());
            (wrapper.map_or(usize::MAX, |wrapper: usize| wrapper - 1), tag + 2)
        }
    }
}

/// `*` a pointer, `?` a value left out when zero, `!` a value always written, `0` left out when zero even as a struct; an `r` behind
/// it says that OpenAPI lists the field as required.
fn presence(row: &[&str], go: Option<&GoField>) -> String {
    let omit_empty = row[column::OMIT_EMPTY] == "1";
    let mark = match (row[column::GO_KIND], omit_empty) {
        _ if go.is_some_and(|field| field.omit_zero) => "0",
        ("ptr", true) => "*",
        ("ptr", false) => "&",
        (_, true) => "?",
        (_, false) => "!",
    };
    let required = if row[column::REQUIRED] == "1" { "r" } else { "" };
    format!("{mark}{required}")
}

/// `core/v1.PodSpec` for `api.core.v1.PodSpec`; the same for the other modules' groups.
fn short(definition: &str) -> String {
    let parts: Vec<&str> = definition.split('.').collect();
    match parts.as_slice() {
        [.., group, version, kind] if version.starts_with('v') => {
            format!("{group}/{version}.{kind}")
        }
        [.., kind] => (*kind).to_owned(),
        [] => String::new(),
    }
}

fn type_text(text: &str) -> String {
    let (prefix, base) = text.rfind([']', '}']).map_or(("", text), |at| text.split_at(at + 1));
    let base = match base {
        "string" => "s".to_owned(),
        "string:byte" => "bytes".to_owned(),
        "boolean" => "bool".to_owned(),
        "integer:int32" => "i32".to_owned(),
        "integer:int64" => "i64".to_owned(),
        "number:double" => "f64".to_owned(),
        other => short(other),
    };
    format!("{prefix}{base}")
}

fn wrapper_tags(text: &str) -> String {
    let tags: Vec<&str> =
        text.split('/').filter_map(|part| part.split_once('=').map(|(_, tag)| tag)).collect();
    tags.join(",")
}

fn go_key(definition: &str, field: &str) -> String {
    let name = short(definition);
    format!("{name}/{field}")
}

/// The Go type as `encoding/json` prints it: without pointer, with the package that owns the name.
fn go_type(definition: &str, text: &str) -> String {
    let text = text.trim_start_matches('*');
    let version = short(definition);
    let version = version.split(['/', '.']).nth(1).unwrap_or("v1").to_owned();
    let at = text.rfind([']', '*']).map_or(0, |at| at + 1);
    let (prefix, base) = text.split_at(at);
    let is_builtin = base.chars().next().is_none_or(char::is_lowercase);
    match base.split_once('.') {
        Some(("metav1", name)) => format!("{prefix}v1.{name}"),
        Some(_) => text.to_owned(),
        None if is_builtin => text.to_owned(),
        None => format!("{prefix}{version}.{base}"),
    }
}

fn go_fields(text: &str) -> HashMap<String, GoField> {
    let mut fields = HashMap::new();
    let mut last = String::new();
    let mut position = 0;
    for line in text.lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        let [package, name, json, go_type, _, _, omit_zero, ..] = row.as_slice() else { continue };
        let mut path = package.rsplit('/');
        let (version, group) = (path.next().unwrap_or(""), path.next().unwrap_or(""));
        let owner = format!("{group}/{version}.{name}");
        if owner != last {
            position = 0;
            last.clone_from(&owner);
        }
        position += 1;
        let field =
            GoField { position, go_type: (*go_type).to_owned(), omit_zero: *omit_zero == "1" };
        fields.insert(format!("{owner}/{json}"), field);
    }
    fields
}
