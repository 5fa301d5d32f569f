//! [`Object`]: an object as it is kept, listed and watched.
//!
//! Holds always
//! - The bytes are the canonical JSON of a settled tree: what a GET answers, and, without [`Object::list_prefix`], an item of a list.
//! - The facts beside the bytes are those of the bytes, and so are the forms that were made of them.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::protobuf::ProtobufError;
use crate::schema::TypeRef;
use crate::table::Row;
use crate::{json, meta, protobuf, tree};

/// What stands before the resourceVersion in canonical JSON. Quotes within strings are escaped and only `kind`, `apiVersion`, and
/// strings of `metadata` come before, so its first occurrence is the field itself.
const VERSION_FIELD: &[u8] = b"\"resourceVersion\":\"";

/// What stands before the metadata, in the same way.
const METADATA: &[u8] = b"\"metadata\":";

/// An object: canonical JSON and the facts that everybody asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    /// The name.
    pub name: Box<str>,
    /// The namespace; empty for a cluster-scoped object.
    pub namespace: Box<str>,
    /// The UID.
    pub uid: Box<str>,
    /// The revision that the object was written at; 0 for one that was not written yet.
    pub resource_version: u64,
    /// The labels, sorted by key.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// The values of the kind's selectable fields, in the order in which its definition lists them.
    pub fields: Box<[Box<str>]>,
    json: Bytes,
    made: Made,
}

/// Forms of the object that are made when they are first asked for. They follow from the bytes, so objects are equal without them,
/// and a copy, which may get other bytes, makes its own.
#[derive(Default)]
struct Made {
    protobuf: OnceLock<Box<[u8]>>,
    row: OnceLock<(Row, Range<usize>)>,
}

impl Clone for Made {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Made {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Made {}

impl Object {
    /// The object of a settled tree of type `ty` as it is, with the values of its kind's selectable fields.
    pub fn new(value: &Value, ty: TypeRef<'_>, fields: Box<[Box<str>]>) -> Self {
        let mut out = Vec::with_capacity(1024);
        json::encode(value, ty, &mut out);
        let mut labels: Box<[(Box<str>, Box<str>)]> =
            meta::pairs(value, "labels").map(|(key, value)| (key.into(), value.into())).collect();
        labels.sort_unstable();
        Self {
            name: meta::name(value).into(),
            namespace: meta::namespace(value).into(),
            uid: meta::uid(value).into(),
            resource_version: meta::resource_version(value).unwrap_or(0),
            labels,
            fields,
            json: out.into(),
            made: Made::default(),
        }
    }

    /// An object that is to be stored: [`Object::at_version`] gives it the version that it is stored at.
    pub fn draft(value: &Value, ty: TypeRef<'_>, fields: Box<[Box<str>]>) -> Self {
        if meta::resource_version(value).is_some() {
            return Self::new(value, ty, fields);
        }
        let mut value = value.clone();
        meta::set(&mut value, "resourceVersion", "0");
        Self::new(&value, ty, fields)
    }

    /// The same object at another revision.
    #[must_use]
    pub fn at_version(&self, resource_version: u64) -> Self {
        let mut object = self.clone();
        if let Some((start, end)) = version_span(&self.json) {
            let version = resource_version.to_string();
            let mut out = Vec::with_capacity(self.json.len() + version.len());
            out.extend_from_slice(&self.json[..start]);
            out.extend_from_slice(version.as_bytes());
            out.extend_from_slice(&self.json[end..]);
            object.json = out.into();
        }
        object.resource_version = resource_version;
        object
    }

    /// The canonical JSON.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The whole tree: for who writes the object.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or_default()
    }

    /// The tree without `managedFields`: for who reads the object. They are the larger part of most trees.
    pub fn view(&self) -> Value {
        self.to().unwrap_or_default()
    }

    /// The typed view without `managedFields`.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match self.managed_fields_span() {
            Some(span) => {
                let rest = [&self.json[..span.start], &self.json[span.end..]].concat();
                serde_json::from_slice(&rest)
            }
            None => serde_json::from_slice(&self.json),
        }
    }

    /// Where `managedFields` are, with the comma before them. They are the last field of the metadata.
    fn managed_fields_span(&self) -> Option<Range<usize>> {
        // Within a string the quotes would be escaped, and a key of a map has a string behind it.
        const START: &[u8] = b",\"managedFields\":[";
        let start = find(&self.json, START)?;
        let metadata = self.metadata_span();
        metadata.contains(&start).then(|| start..metadata.end - 1)
    }

    /// The message of the object in protobuf, without envelope.
    ///
    /// # Errors
    /// [`ProtobufError::NoForm`] for types that are not built in.
    pub fn protobuf(&self, ty: TypeRef<'_>) -> Result<&[u8], ProtobufError> {
        if let Some(made) = self.made.protobuf.get() {
            return Ok(made);
        }
        let made = protobuf::encode(&self.value(), ty)?;
        Ok(self.made.protobuf.get_or_init(|| made.into()))
    }

    /// The row of the object in the table of its kind, which `make` makes, and the JSON of the object's metadata.
    pub fn row(&self, make: impl FnOnce(&Value) -> Row) -> (&Row, &[u8]) {
        let make = || (make(&self.value()), self.metadata_span());
        let (row, metadata) = self.made.row.get_or_init(make);
        (row, &self.json[metadata.clone()])
    }

    /// The JSON of the metadata.
    pub fn metadata_json(&self) -> &[u8] {
        &self.json[self.metadata_span()]
    }

    fn metadata_span(&self) -> Range<usize> {
        let start = self.list_prefix() + METADATA.len();
        let rest = self.json.get(start..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
        let length = values.next().and_then(Result::ok).map_or(0, |metadata| metadata.get().len());
        start..start + length
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        let at = self.labels.binary_search_by(|(label, _)| (**label).cmp(key)).ok()?;
        Some(&self.labels[at].1)
    }

    /// How many bytes of [`Object::json`] stand for `kind` and `apiVersion`, which the items of a typed list leave out.
    ///
    /// An item is `{` and the bytes from there on.
    pub fn list_prefix(&self) -> usize {
        find(&self.json, METADATA).unwrap_or(0)
    }

    /// The bytes of memory that the object holds.
    pub fn weight(&self) -> usize {
        let labels: usize =
            self.labels.iter().map(|(key, value)| key.len() + value.len() + 32).sum();
        let fields: usize = self.fields.iter().map(|field| field.len() + 16).sum();
        size_of::<Self>()
            + self.json.len()
            + self.name.len()
            + self.namespace.len()
            + 36
            + labels
            + fields
    }
}

/// Where the digits of the resourceVersion are.
fn version_span(json: &[u8]) -> Option<(usize, usize)> {
    let start = find(json, VERSION_FIELD)? + VERSION_FIELD.len();
    let length = json[start..].iter().position(|&byte| byte == b'"')?;
    Some((start, start + length))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.namespace, self.name, self.resource_version)
    }
}

/// Reads the group-version and kind of a tree: `("apps/v1", "Deployment")`.
pub fn group_version_kind(value: &Value) -> (&str, &str) {
    (tree::str_at(value, &["apiVersion"]), tree::str_at(value, &["kind"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::builtin;
    use serde_json::json;

    #[test]
    fn the_version_is_replaced_in_the_bytes_and_nothing_else_is() {
        let ty = builtin().get("core/v1.ConfigMap").expect("known");
        let value = json!({"kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {"name": "x\"resourceVersion\":\"", "namespace": "n", "labels": {"b": "2", "a": "1"}}});
        let draft = Object::draft(&value, ty, Box::default());
        let object = draft.at_version(4711);
        assert_eq!(object.resource_version, 4711);
        let mut expected = value.clone();
        meta::set(&mut expected, "resourceVersion", "4711");
        assert_eq!(object.value(), expected);
        assert_eq!(object.at_version(5).value()["metadata"]["resourceVersion"], "5");
        assert_eq!((object.label("a"), object.label("c")), (Some("1"), None));
        assert!(object.json()[object.list_prefix()..].starts_with(b"\"metadata\""));
    }

    #[test]
    fn who_reads_an_object_is_not_shown_who_manages_its_fields() {
        let ty = builtin().get("core/v1.ConfigMap").expect("known");
        let decoy = ",\"managedFields\":[";
        let bare = json!({"kind": "ConfigMap", "apiVersion": "v1", "data": {"managedFields": "[", "a": decoy},
            "metadata": {"name": "x", "annotations": {"a": "b", "managedFields": "[", "z": decoy}}});
        let mut value = bare.clone();
        value["metadata"]["managedFields"] =
            json!([{"manager": "m", "operation": "Update", "fieldsV1": {"f:data": {"f:a]}": {}}}}]);
        for value in [&bare, &value] {
            let object = Object::new(value, ty, Box::default());
            assert_eq!((&object.view(), &object.value()), (&bare, value));
            let metadata: Value = serde_json::from_slice(object.metadata_json()).expect("JSON");
            assert_eq!(metadata, value["metadata"]);
        }
    }
}
