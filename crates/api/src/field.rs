//! Field paths and the errors that validation finds at them (Kubernetes v1.36 `field.Error`).
//!
//! The texts are part of the wire: clients and people match them. All errors of an object are collected, none hides another.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use serde_json::Value;

/// A path to a field, such as `spec.containers[0].name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Path(String);

impl Path {
    /// The path to a field of the object itself.
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The object itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// A field of what this path leads to.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self::new(name) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// An item of the list that this path leads to.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// An entry of the map that this path leads to.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The root is written like this by upstream when an error is about the whole object.
        f.write_str(if self.0.is_empty() { "<nil>" } else { &self.0 })
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A value must be set.
    Required,
    /// The value is malformed or out of range.
    Invalid,
    /// The value is not one of a known list.
    NotSupported,
    /// The value occurs twice where it must be unique.
    Duplicate,
    /// The field may not be set, or not changed, under these circumstances.
    Forbidden,
    /// What the value refers to does not exist.
    NotFound,
    /// The value is too long.
    TooLong,
    /// The list is too long.
    TooMany,
    /// The list is too short.
    TooFew,
    /// The value has the wrong type.
    TypeInvalid,
    /// The server could not decide.
    Internal,
}

impl ErrorKind {
    /// The reason of the cause in a Status.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TooFew => "FieldValueTooFew",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Internal => "InternalError",
        }
    }

    /// The words that open the error's text.
    const fn text(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not found",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::TooFew => "Too few",
            Self::Internal => "Internal error",
        }
    }
}

/// One finding of validation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where.
    pub field: Path,
    /// The value as the text shows it; `None` where the text shows none.
    pub value: Option<String>,
    /// Why, or what would be right; may be empty.
    pub detail: String,
}

impl FieldError {
    /// How much text it holds.
    fn bytes(&self) -> usize {
        self.field.0.len() + self.value.as_ref().map_or(0, String::len) + self.detail.len()
    }

    /// The text without the field, as a cause's `message` holds it.
    pub fn body(&self) -> String {
        let mut text = self.kind.text().to_owned();
        for part in self.value.iter().chain(Some(&self.detail).filter(|detail| !detail.is_empty()))
        {
            let _infallible = write!(text, ": {part}");
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// Shows a value as error texts do: strings quoted, numbers and booleans bare, everything else as JSON.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

/// A string in Go's double quotes.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        push_quoted(&mut out, letter);
    }
    out.push('"');
    out
}

fn push_quoted(out: &mut String, letter: char) {
    let _infallible = match letter {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\n' => out.write_str("\\n"),
        '\t' => out.write_str("\\t"),
        '\r' => out.write_str("\\r"),
        '\u{7}' => out.write_str("\\a"),
        '\u{8}' => out.write_str("\\b"),
        '\u{b}' => out.write_str("\\v"),
        '\u{c}' => out.write_str("\\f"),
        c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => write!(out, "\\x{:02x}", u32::from(c)),
        c if (0x80..0xa0).contains(&u32::from(c)) => write!(out, "\\u{:04x}", u32::from(c)),
        c => out.write_char(c),
    };
}

/// How much text is kept of what is wrong with one object; what is found beyond it is left unsaid.
const ERRORS_BYTES_MAX: usize = 4 << 20;

/// The findings of one validation, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Errors {
    found: Vec<FieldError>,
    /// The text in them.
    bytes: usize,
}

impl Errors {
    /// No findings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether no more of them are kept: what makes the text of one long need not be put together then.
    pub fn is_full(&self) -> bool {
        self.bytes >= ERRORS_BYTES_MAX
    }

    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, FieldError> {
        self.found.iter()
    }

    /// Adds a finding.
    pub fn push(&mut self, error: FieldError) {
        if !self.is_full() {
            self.bytes += error.bytes();
            self.found.push(error);
        }
    }

    /// Adds the findings of another validation.
    pub fn append(&mut self, other: Errors) {
        other.into_iter().for_each(|error| self.push(error));
    }

    /// The value must be set.
    pub fn required(&mut self, field: &Path, detail: impl Into<String>) {
        self.add(ErrorKind::Required, field, None, detail);
    }

    /// The string is malformed.
    pub fn invalid(&mut self, field: &Path, value: &str, detail: impl Into<String>) {
        self.add(ErrorKind::Invalid, field, Some(quoted(value)), detail);
    }

    /// The value, shown as [`shown`] does, is malformed or out of range.
    pub fn invalid_value(
        &mut self,
        field: &Path,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) {
        self.add(ErrorKind::Invalid, field, Some(shown(&value.into())), detail);
    }

    /// The value, already written as the text shows it, is malformed or out of range.
    pub fn invalid_text(
        &mut self,
        field: &Path,
        value: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.add(ErrorKind::Invalid, field, Some(value.into()), detail);
    }

    /// The string is not one of `supported`, which the text lists in alphabetical order.
    pub fn not_supported(&mut self, field: &Path, value: &str, supported: &[&str]) {
        let mut names: Vec<String> = supported.iter().map(|name| quoted(name)).collect();
        names.sort();
        let detail = format!("supported values: {}", names.join(", "));
        self.add(ErrorKind::NotSupported, field, Some(quoted(value)), detail);
    }

    /// The string occurs twice.
    pub fn duplicate(&mut self, field: &Path, value: &str) {
        self.add(ErrorKind::Duplicate, field, Some(quoted(value)), "");
    }

    /// The value, shown as [`shown`] does, occurs twice.
    pub fn duplicate_value(&mut self, field: &Path, value: impl Into<Value>) {
        self.add(ErrorKind::Duplicate, field, Some(shown(&value.into())), "");
    }

    /// The field may not be set or changed.
    pub fn forbidden(&mut self, field: &Path, detail: impl Into<String>) {
        self.add(ErrorKind::Forbidden, field, None, detail);
    }

    /// What the string refers to does not exist.
    pub fn not_found(&mut self, field: &Path, value: &str) {
        self.add(ErrorKind::NotFound, field, Some(quoted(value)), "");
    }

    /// The value has more than `maximum` bytes.
    pub fn too_long(&mut self, field: &Path, maximum: usize) {
        self.add(ErrorKind::TooLong, field, None, format!("may not be more than {maximum} bytes"));
    }

    /// The list has more than `maximum` items.
    pub fn too_many(&mut self, field: &Path, count: usize, maximum: usize) {
        let detail = format!("must have at most {maximum} items");
        self.add(ErrorKind::TooMany, field, Some(count.to_string()), detail);
    }

    /// Adds the messages of a check on a string, each as a finding of its own.
    pub fn invalid_all(
        &mut self,
        field: &Path,
        value: &str,
        messages: impl IntoIterator<Item: Into<String>>,
    ) {
        for message in messages {
            self.invalid(field, value, message);
        }
    }

    /// The string must be one of `supported`.
    pub fn one_of(&mut self, field: &Path, value: &str, supported: &[&str]) {
        if !supported.contains(&value) {
            self.not_supported(field, value, supported);
        }
    }

    fn add(
        &mut self,
        kind: ErrorKind,
        field: &Path,
        value: Option<String>,
        detail: impl Into<String>,
    ) {
        self.push(FieldError { kind, field: field.clone(), value, detail: detail.into() });
    }
}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a FieldError;
    type IntoIter = std::slice::Iter<'a, FieldError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Errors {
    type Item = FieldError;
    type IntoIter = std::vec::IntoIter<FieldError>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

impl fmt::Display for Errors {
    /// One error as it is; several, without repetitions, in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut seen = HashSet::with_capacity(self.found.len());
        let texts = self.found.iter().map(ToString::to_string);
        let texts: Vec<String> = texts.filter(|text| seen.insert(text.clone())).collect();
        match texts.as_slice() {
            [one] => f.write_str(one),
            many => write!(f, "[{}]", many.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_kubernetes() {
        let containers = Path::new("spec").child("containers");
        let mut errors = Errors::new();
        errors.required(&containers.index(0).child("name"), "");
        errors.not_supported(&Path::new("spec").child("restartPolicy"), "x", &["Never", "Always"]);
        errors.invalid_value(&containers.index(1).child("port"), 70_000, "must be small");
        errors.required(&containers.index(0).child("name"), "");
        assert_eq!(
            errors.to_string(),
            "[spec.containers[0].name: Required value, \
             spec.restartPolicy: Unsupported value: \"x\": supported values: \"Always\", \"Never\", \
             spec.containers[1].port: Invalid value: 70000: must be small]"
        );
    }

    #[test]
    fn a_single_error_has_no_brackets() {
        let mut errors = Errors::new();
        errors.invalid(&Path::new("a").key("b"), "tab\t\"", "bad");
        assert_eq!(errors.to_string(), r#"a[b]: Invalid value: "tab\t\"": bad"#);
    }
}
