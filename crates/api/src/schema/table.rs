//! Reads the committed fact table into a [`Schema`].
//!
//! `T` and a name open a type; each line after it is a field with the columns
//! `field tag wrapper type presence list keys maptype patch mergekey default gotype enum`.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{
    Field, ListType, PatchStrategy, Presence, Scalar, Schema, Shape, Type, TypeId, type_id,
};

/// Types of the table whose JSON is a single value.
const SCALARS: &[(&str, Scalar)] = &[
    ("s", Scalar::String),
    ("bool", Scalar::Bool),
    ("i32", Scalar::Int32),
    ("i64", Scalar::Int64),
    ("f64", Scalar::Double),
    ("bytes", Scalar::Bytes),
    ("Quantity", Scalar::Quantity),
    ("IntOrString", Scalar::IntOrString),
    ("RawExtension", Scalar::Any),
    ("meta/v1.Time", Scalar::Time),
    ("meta/v1.MicroTime", Scalar::MicroTime),
    ("meta/v1.FieldsV1", Scalar::Any),
    ("apiextensions/v1.JSON", Scalar::Any),
    ("apiextensions/v1.JSONSchemaPropsOrArray", Scalar::Any),
    ("apiextensions/v1.JSONSchemaPropsOrBool", Scalar::Any),
    ("apiextensions/v1.JSONSchemaPropsOrStringArray", Scalar::Any),
];

/// Names given a place, in order of first mention.
#[derive(Default)]
struct Names {
    ids: HashMap<&'static str, TypeId>,
    order: Vec<&'static str>,
}

impl Names {
    fn id(&mut self, name: &'static str) -> TypeId {
        *self.ids.entry(name).or_insert_with(|| {
            self.order.push(name);
            type_id(self.order.len() - 1)
        })
    }
}

/// Parses the table. The text is the project's own; a line that does not fit is a defect of the build and panics in the tests.
pub(super) fn parse(text: &'static str) -> Schema {
    let mut names = Names::default();
    let mut fields: HashMap<&'static str, Vec<Field>> = HashMap::new();
    let mut current = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("T\t") {
            current = name;
            names.id(name);
            continue;
        }
        let field = parse_field(line, &mut names);
        fields.entry(current).or_default().push(field);
    }
    let types = names
        .order
        .iter()
        .map(|name| Type::new(Cow::Borrowed(name), fields.remove(name).unwrap_or_default()));
    Schema::new(types.collect())
}

fn parse_field(line: &'static str, names: &mut Names) -> Field {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or("");
    let is_required;
    Field {
        name: Cow::Borrowed(next()),
        tag: next().parse().unwrap_or(0),
        wrapper: next().split(',').filter_map(|tag| tag.parse().ok()).collect(),
        shape: parse_shape(next(), names),
        presence: {
            let mark;
            (mark, is_required) = split_required(next());
            parse_presence(mark)
        },
        is_required,
        list: parse_list(next()),
        keys: next().split(',').filter(|key| !key.is_empty()).map(Cow::Borrowed).collect(),
        is_atomic: next() == "atomic",
        patch: parse_patch(next()),
        merge_key: Cow::Borrowed(next()),
        default: Some(next()).filter(|text| !text.is_empty()).map(Cow::Borrowed),
        go_type: Cow::Borrowed(next()),
        enumeration: Cow::Borrowed(next()),
    }
}

fn parse_shape(text: &'static str, names: &mut Names) -> Shape {
    if let Some(item) = text.strip_prefix("[]") {
        return Shape::List(Box::new(parse_shape(item, names)));
    }
    if let Some(value) = text.strip_prefix("{}") {
        return Shape::Map(Box::new(parse_shape(value, names)));
    }
    match SCALARS.iter().find(|(name, _)| *name == text) {
        Some(&(_, scalar)) => Shape::Scalar(scalar),
        None => Shape::Struct(names.id(text)),
    }
}

/// A required field has an `r` behind its presence.
fn split_required(mark: &str) -> (&str, bool) {
    mark.strip_suffix('r').map_or((mark, false), |mark| (mark, true))
}

fn parse_presence(mark: &str) -> Presence {
    match mark {
        "*" => Presence::Pointer,
        "&" => Presence::NullablePointer,
        "!" => Presence::Always,
        "0" => Presence::OmitZero,
        _ => Presence::OmitEmpty,
    }
}

fn parse_list(text: &str) -> ListType {
    match text {
        "map" => ListType::Map,
        "set" => ListType::Set,
        _ => ListType::Atomic,
    }
}

fn parse_patch(text: &str) -> PatchStrategy {
    match text {
        "merge" => PatchStrategy::Merge,
        "retainKeys" => PatchStrategy::RetainKeys,
        "merge,retainKeys" => PatchStrategy::MergeRetainKeys,
        "replace" => PatchStrategy::Replace,
        _ => PatchStrategy::Default,
    }
}
