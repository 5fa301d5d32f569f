//! Makes `crates/api/src/schema/v1_36.tsv`, the fact table of every type of Kubernetes v1.36.
//!
//! Reads two lists of facts beside the project: `schema-1.36.tsv` (protobuf tags, lists, patches, defaults) and
//! `go-fields-1.36.tsv` (order, Go types, `omitzero`); the defaults that are zero values, which the first leaves out, are those of
//! upstream's OpenAPI, and which Go types are enumerations says `crates/descriptions/enums.tsv`. Writes names, numbers, types and
//! rules only: no text of upstream's.
//!
//! One line a type (`T` and its name), then one line a field; the columns are those of [`COLUMNS`].

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

const FACTS: &str = "../shared/upstream/facts";
const OPENAPI: &str = "../shared/upstream/openapi-v3";
const ENUMS: &str = "crates/descriptions/enums.tsv";
const TABLE: &str = "crates/api/src/schema/v1_36.tsv";

/// What a field's line holds, in order.
const COLUMNS: &str =
    "# field tag wrapper type presence list keys maptype patch mergekey default gotype enum";

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

/// What is known beside the schema: the fields of Go's structs, which of its types are enumerations, and by type and field the
/// defaults that are zero values.
struct Go {
    fields: HashMap<String, GoField>,
    enumerations: HashSet<String>,
    zero_defaults: HashMap<String, String>,
}

/// Makes the table and says how large it is.
pub(crate) fn run() -> Result<String, String> {
    let fields = go_fields(&read(&Path::new(FACTS).join("go-fields-1.36.tsv"))?);
    let enumerations = read(Path::new(ENUMS))?;
    let enumerations = enumerations.lines().filter_map(|line| line.strip_prefix("E\t"));
    let go = Go {
        fields,
        enumerations: enumerations.map(str::to_owned).collect(),
        zero_defaults: zero_defaults()?,
    };
    let text = read(&Path::new(FACTS).join("schema-1.36.tsv"))?;
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

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The defaults of upstream's OpenAPI that are zero values, by type and field.
fn zero_defaults() -> Result<HashMap<String, String>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{OPENAPI}: {error}");
    let mut defaults = HashMap::new();
    for entry in fs::read_dir(OPENAPI).map_err(|error| failed(&error))? {
        let path = entry.map_err(|error| failed(&error))?.path();
        let document: Value =
            serde_json::from_str(&read(&path)?).map_err(|error| failed(&error))?;
        for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
            for (field, property) in schema["properties"].as_object().into_iter().flatten() {
                let default = property["default"].to_string();
                if matches!(&*default, "\"\"" | "0" | "false") {
                    defaults.insert(go_key(name, field), default);
                }
            }
        }
    }
    Ok(defaults)
}

fn type_lines(name: &str, rows: &mut [Vec<&str>], go: &Go) -> String {
    rows.sort_by_key(|row| position(name, row, &go.fields));
    let mut lines = format!("T\t{}\n", short(name));
    for row in rows.iter() {
        let go_field = go.fields.get(&go_key(name, row[column::FIELD]));
        let mut cells = vec![
            row[column::FIELD].to_owned(),
            row[column::TAG].to_owned(),
            wrapper_tags(row[column::WRAPPER]),
            type_text(row[column::TYPE]),
            presence(row, go_field),
        ];
        cells.extend(row[column::LIST_TYPE..column::DEFAULT].iter().map(|&cell| cell.to_owned()));
        cells.push(go.default(name, row));
        cells.push(go_field.map(|field| go_type(name, &field.go_type)).unwrap_or_default());
        cells.push(go.enumeration(name, row));
        lines.push_str(cells.join("\t").trim_end_matches('\t'));
        lines.push('\n');
    }
    lines
}

impl Go {
    /// The default of a field; zero values of fields that are always written need not be said.
    fn default(&self, definition: &str, row: &[&str]) -> String {
        let own = row[column::DEFAULT];
        if !own.is_empty() || (row[column::GO_KIND] != "ptr" && row[column::OMIT_EMPTY] != "1") {
            return own.to_owned();
        }
        let zero = self.zero_defaults.get(&go_key(definition, row[column::FIELD]));
        zero.cloned().unwrap_or_default()
    }

    /// The enumeration that the value of a field, or each of its items, is of. A field of an embedded struct has Go's type there.
    fn enumeration(&self, definition: &str, row: &[&str]) -> String {
        let short = short(definition);
        let (package, _) = short.rsplit_once('.').unwrap_or((&short, ""));
        let owner = match row[column::WRAPPER].rsplit('/').next().and_then(|it| it.split_once('='))
        {
            Some((embedded, _)) => format!("{package}.{}", capitalised(embedded)),
            None => short.clone(),
        };
        let Some(field) = self.fields.get(&format!("{owner}/{}", row[column::FIELD])) else {
            return String::new();
        };
        let base = field.go_type.rsplit([']', '*']).next().unwrap_or("");
        let name = match base.split_once('.') {
            Some(("v1" | "corev1" | "apiv1", name)) => format!("core/v1.{name}"),
            _ => format!("{package}.{base}"),
        };
        self.enumerations.get(&name).cloned().unwrap_or_default()
    }
}

fn capitalised(name: &str) -> String {
    let (first, rest) = name.split_at(name.len().min(1));
    format!("{}{rest}", first.to_uppercase())
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
        ("", _) if row[column::REQUIRED].is_empty() => "?",
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
