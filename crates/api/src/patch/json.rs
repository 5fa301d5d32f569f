//! JSON patch (RFC 6902) with the semantics of the library that Kubernetes v1.36 uses.
//!
//! It departs from the RFC: a path without a leading `/` loses its first part, negative indexes count from the end, `replace` may
//! set a missing key of an object, `copy` of a missing key copies `null`, and the root can only be tested and replaced.
//!
//! Not here: what the patch did to the object's meaning; the caller decodes and validates the result.

use serde_json::{Map, Value};

use super::go;

/// Operations in one patch (Kubernetes v1.36). Each costs a walk of the document, so more would cost time out of proportion to the body.
pub const OPERATIONS_MAX: usize = 10_000;

/// Bytes that all `copy` operations of a patch may add, as JSON (Kubernetes v1.36): the limit of a request body, since repeated
/// copies double a document each time.
pub const COPY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Why a document is not a patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The document has the wrong shape: a bad request.
    #[error("{0}")]
    Shape(String),
    /// More than [`OPERATIONS_MAX`] operations: the request entity is too large.
    #[error("The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {count}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// Why a patch does not apply. The client is only told that its request was in error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The operation is none of RFC 6902.
    #[error("unexpected kind: {0}")]
    Kind(String),
    /// The operation lacks a member.
    #[error("operation {operation} lacks {member:?}")]
    Member {
        /// The operation.
        operation: &'static str,
        /// `path`, `from` or `value`.
        member: &'static str,
    },
    /// A path leads nowhere.
    #[error("operation {operation} does not apply: the document has no path {path:?}")]
    Path {
        /// The operation.
        operation: &'static str,
        /// The path as the patch has it.
        path: String,
    },
    /// The tested value is another.
    #[error("testing value {path:?} failed")]
    Test {
        /// The path as the patch has it.
        path: String,
    },
    /// Copies would add more than [`COPY_BYTES_MAX`].
    #[error("copies add {bytes} bytes, more than {COPY_BYTES_MAX}")]
    CopySize {
        /// What they would add so far.
        bytes: usize,
    },
}

/// A decoded patch.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    operations: Vec<Map<String, Value>>,
    unknown: Vec<String>,
}

impl Patch {
    /// Takes a document for a patch.
    ///
    /// `is_checked` is whether field validation is on (`Warn` or `Strict`): the members are then typed as well, and the texts begin as
    /// upstream's do.
    pub fn decode(document: Value, is_checked: bool) -> Result<Self, DecodeError> {
        let items = match document {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            other => {
                let target = if is_checked { "[]handlers.jsonPatchOp" } else { "jsonpatch.Patch" };
                return Err(mismatch(&other, &format!("value of type {target}"), is_checked));
            }
        };
        let count = items.len();
        let mut patch = Self { operations: Vec::with_capacity(count), unknown: Vec::new() };
        for item in items {
            let operation = operation(item, is_checked)?;
            patch.note_unknown(&operation);
            patch.operations.push(operation);
        }
        if count > OPERATIONS_MAX {
            return Err(DecodeError::TooMany { count });
        }
        Ok(patch)
    }

    fn note_unknown(&mut self, operation: &Map<String, Value>) {
        let index = self.operations.len();
        for (name, _) in go::sorted(operation) {
            if !["op", "path", "from", "value"].contains(&name.as_str()) {
                self.unknown.push(format!("json patch unknown field \"[{index}].{name}\""));
            }
        }
    }

    /// The strict findings about members that no operation has, such as `json patch unknown field "[0].foo"`.
    ///
    /// Duplicates are found when the body is read; they begin with `json patch ` as well.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Applies the operations in their order.
    pub fn apply(&self, mut document: Value) -> Result<Value, ApplyError> {
        let mut copied_bytes = 0;
        for operation in &self.operations {
            match operation.get("op").and_then(Value::as_str).unwrap_or("unknown") {
                "add" => add(&mut document, operation)?,
                "remove" => remove(&mut document, operation)?,
                "replace" => replace(&mut document, operation)?,
                "move" => move_value(&mut document, operation)?,
                "copy" => copy(&mut document, operation, &mut copied_bytes)?,
                "test" => test(&document, operation)?,
                other => return Err(ApplyError::Kind(other.to_owned())),
            }
        }
        Ok(document)
    }
}

fn operation(item: Value, is_checked: bool) -> Result<Map<String, Value>, DecodeError> {
    let operation = match item {
        Value::Object(operation) => operation,
        Value::Null => Map::new(),
        other => {
            let target = if is_checked { "handlers.jsonPatchOp" } else { "jsonpatch.Operation" };
            return Err(mismatch(&other, &format!("value of type {target}"), is_checked));
        }
    };
    for name in ["op", "path", "from"] {
        if is_checked
            && let Some(value) = operation.get(name)
            && !value.is_string()
            && !value.is_null()
        {
            let target = format!("struct field jsonPatchOp.{name} of type string");
            return Err(mismatch(value, &target, is_checked));
        }
    }
    Ok(operation)
}

fn mismatch(value: &Value, target: &str, is_checked: bool) -> DecodeError {
    let prefix = if is_checked { "error decoding patch: " } else { "" };
    let kind = go::json_kind(value);
    DecodeError::Shape(format!("{prefix}json: cannot unmarshal {kind} into Go {target}"))
}

fn add(document: &mut Value, operation: &Map<String, Value>) -> Result<(), ApplyError> {
    let path = path(operation, "add", "path")?;
    put(document, "add", path, value(operation))
}

fn remove(document: &mut Value, operation: &Map<String, Value>) -> Result<(), ApplyError> {
    let path = path(operation, "remove", "path")?;
    take(document, "remove", path).map(drop)
}

fn replace(document: &mut Value, operation: &Map<String, Value>) -> Result<(), ApplyError> {
    let path = path(operation, "replace", "path")?;
    let new = value(operation);
    if path.is_empty() {
        if !new.is_object() && !new.is_array() {
            return Err(ApplyError::Member { operation: "replace", member: "value" });
        }
        *document = new;
        return Ok(());
    }
    let missing = || ApplyError::Path { operation: "replace", path: path.to_owned() };
    let (owner, key) = owner_mut(document, path).ok_or_else(missing)?;
    match owner {
        Value::Object(map) => {
            map.insert(key, new);
        }
        Value::Array(items) => {
            let index = index(&key, items.len()).ok_or_else(missing)?;
            items[index] = new;
        }
        _ => return Err(missing()),
    }
    Ok(())
}

fn move_value(document: &mut Value, operation: &Map<String, Value>) -> Result<(), ApplyError> {
    let from = path(operation, "move", "from")?;
    let moved = take(document, "move", from)?;
    put(document, "move", path(operation, "move", "path")?, moved)
}

fn copy(
    document: &mut Value,
    operation: &Map<String, Value>,
    copied_bytes: &mut usize,
) -> Result<(), ApplyError> {
    let from = path(operation, "copy", "from")?;
    let copied = get(document, from)
        .ok_or_else(|| ApplyError::Path { operation: "copy", path: from.to_owned() })?
        .clone();
    *copied_bytes += json_bytes(&copied);
    if *copied_bytes > COPY_BYTES_MAX {
        return Err(ApplyError::CopySize { bytes: *copied_bytes });
    }
    put(document, "copy", path(operation, "copy", "path")?, copied)
}

fn test(document: &Value, operation: &Map<String, Value>) -> Result<(), ApplyError> {
    let path = path(operation, "test", "path")?;
    let expected = operation.get("value");
    let found = if path.is_empty() {
        document
    } else {
        get(document, path)
            .ok_or_else(|| ApplyError::Path { operation: "test", path: path.to_owned() })?
    };
    // A test without a value passes where there is none.
    if found == expected.unwrap_or(&Value::Null) {
        return Ok(());
    }
    Err(ApplyError::Test { path: path.to_owned() })
}

fn path<'a>(
    operation: &'a Map<String, Value>,
    name: &'static str,
    member: &'static str,
) -> Result<&'a str, ApplyError> {
    operation
        .get(member)
        .and_then(Value::as_str)
        .ok_or(ApplyError::Member { operation: name, member })
}

/// The operation's value; one that is not there is `null`.
fn value(operation: &Map<String, Value>) -> Value {
    operation.get("value").cloned().unwrap_or(Value::Null)
}

/// The parts between the first `/` and the last, and the last: `None` if the path has no `/`.
fn split(path: &str) -> Option<(impl Iterator<Item = String>, String)> {
    let (_, rest) = path.split_once('/')?;
    let (parts, key) =
        rest.rsplit_once('/').map_or((None, rest), |(parts, key)| (Some(parts), key));
    Some((parts.into_iter().flat_map(|parts| parts.split('/')).map(unescape), unescape(key)))
}

/// RFC 6901: `~1` is a slash, `~0` a tilde, in one pass.
fn unescape(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    let mut rest = part;
    while let Some(at) = rest.find('~') {
        out.push_str(&rest[..at]);
        let (replacement, width) = match rest.as_bytes().get(at + 1) {
            Some(b'1') => ("/", 2),
            Some(b'0') => ("~", 2),
            _ => ("~", 1),
        };
        out.push_str(replacement);
        rest = &rest[at + width..];
    }
    out.push_str(rest);
    out
}

/// A key as an index into a list of `len` items. A negative one counts from the end.
fn index(key: &str, len: usize) -> Option<usize> {
    let number: i64 = key.parse().ok()?;
    let len = i64::try_from(len).ok()?;
    let index = if number < 0 { number + len } else { number };
    usize::try_from(index).ok().filter(|_| index < len)
}

fn child<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(index(key, items.len())?),
        _ => None,
    }
}

/// What holds the last part of the path, and that part.
fn owner_mut<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (mut parts, key) = split(path)?;
    let owner = parts.try_fold(document, |value, part| match value {
        Value::Object(map) => map.get_mut(&part),
        Value::Array(items) => {
            let index = index(&part, items.len())?;
            items.get_mut(index)
        }
        _ => None,
    })?;
    (owner.is_object() || owner.is_array()).then_some((owner, key))
}

/// The value at a path; a missing key of an object is `null`.
fn get<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    static NULL: Value = Value::Null;
    let (mut parts, key) = split(path)?;
    let owner = parts.try_fold(document, |value, part| child(value, &part))?;
    match owner {
        Value::Object(map) => Some(map.get(&key).unwrap_or(&NULL)),
        Value::Array(_) => child(owner, &key),
        _ => None,
    }
}

fn put(
    document: &mut Value,
    operation: &'static str,
    path: &str,
    value: Value,
) -> Result<(), ApplyError> {
    let missing = || ApplyError::Path { operation, path: path.to_owned() };
    let (owner, key) = owner_mut(document, path).ok_or_else(missing)?;
    match owner {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(&key, items.len() + 1).ok_or_else(missing)?;
            items.insert(index, value);
        }
        _ => return Err(missing()),
    }
    Ok(())
}

fn take(document: &mut Value, operation: &'static str, path: &str) -> Result<Value, ApplyError> {
    let missing = || ApplyError::Path { operation, path: path.to_owned() };
    let (owner, key) = owner_mut(document, path).ok_or_else(missing)?;
    match owner {
        Value::Object(map) => map.remove(&key).ok_or_else(missing),
        Value::Array(items) => {
            let index = index(&key, items.len()).ok_or_else(missing)?;
            Ok(items.remove(index))
        }
        _ => Err(missing()),
    }
}

/// About how long the value is as JSON.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| json_bytes(item) + 1).sum::<usize>() + 2,
        Value::Object(map) => {
            map.iter().map(|(key, value)| key.len() + json_bytes(value) + 4).sum::<usize>() + 2
        }
    }
}

#[cfg(test)]
mod tests;
