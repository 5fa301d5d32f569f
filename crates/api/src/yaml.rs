//! YAML in and out as Kubernetes v1.36 reads and writes it (sigs.k8s.io/yaml over goyaml.v2, which is YAML 1.1).
//!
//! Reading gives the JSON tree that upstream would convert the text to: `yes` is true, `0o17` and `017` are 15, a date stays text,
//! keys become strings, `<<` merges. Errors have upstream's texts. Writing gives the text of `kubectl -o yaml`.
//!
//! Bounds: nesting ([`DEPTH_MAX`]), what aliases may expand to (goyaml's ratio rule, and bytes); the caller bounds the text.
//!
//! Not here: the schema; a tree read here still has to be decoded by it.

mod compose;
mod construct;
mod documents;
mod number;
mod print;
mod reader;
mod resolve;
mod scan;

use serde_json::Value;

pub use documents::documents;
pub use print::from_json;

/// The levels of nesting that are read. Upstream reads ten thousand; the trees here are walked recursively, and a thread's
/// stack of 2 MiB must do.
pub const DEPTH_MAX: usize = 512;

/// What goyaml says of its own limit.
const DEPTH_TEXT: &str = "exceeded max depth of 10000";

/// Why a text is no usable YAML. The text of each is goyaml's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// The text is malformed. Line 0 stands for "not told", which is what goyaml does for the first line.
    #[error("yaml: {}{problem}", line_text(*line))]
    Syntax {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// An alias refers to nothing.
    #[error("yaml: unknown anchor '{name}' referenced")]
    UnknownAnchor {
        /// The anchor's name.
        name: String,
    },
    /// An alias refers to what it stands in.
    #[error("yaml: anchor '{name}' value contains itself")]
    Recursion {
        /// The anchor's name.
        name: String,
    },
    /// Aliases expand to too much.
    #[error("yaml: document contains excessive aliasing")]
    Aliasing,
    /// `<<` has a value that is neither a map nor a list of maps.
    #[error("yaml: map merge requires map or sequence of maps as the value")]
    Merge,
    /// A map or list stands where a key is needed.
    #[error("yaml: invalid map key: {key}")]
    KeyNotScalar {
        /// The key in Go's notation.
        key: String,
    },
    /// A key is of a type that has no form in JSON.
    #[error("unsupported map key of type: {type_name}, key: {key}, value: {value}")]
    KeyType {
        /// The key's type in Go.
        type_name: &'static str,
        /// The key in Go's notation.
        key: String,
        /// The value in Go's notation.
        value: String,
    },
    /// A scalar does not have the type that its tag claims.
    #[error("yaml: cannot decode {found} `{text}` as a {wanted}")]
    Tag {
        /// The tag that fits the text.
        found: &'static str,
        /// The text.
        text: String,
        /// The tag that was given.
        wanted: &'static str,
    },
    /// A `!!binary` scalar is no base64.
    #[error("yaml: !!binary value contains invalid base64 data")]
    Binary,
    /// A number has no form in JSON.
    #[error("json: unsupported value: {value}")]
    NotJson {
        /// The number as Go writes it.
        value: &'static str,
    },
    /// A key occurs twice in a map.
    #[error("yaml: unmarshal errors:\n  {}", .found.join("\n  "))]
    Duplicates {
        /// Each finding, such as `line 6: key "paused" already set in map`.
        found: Vec<String>,
    },
    /// More than a comment follows `---` on its line.
    #[error("invalid Yaml document separator: {text}")]
    Separator {
        /// What follows.
        text: String,
    },
}

fn line_text(line: u64) -> String {
    if line == 0 { String::new() } else { format!("line {line}: ") }
}

/// A tree that was read, and the keys that occur more than once in a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The tree; of equal keys the last one counts. `null` if the text holds nothing.
    pub value: Value,
    /// What a strict reader says about keys that occur twice, in goyaml's words.
    pub duplicates: Vec<String>,
}

impl Decoded {
    /// The error of a strict reader, if a key occurs twice.
    pub fn strict_error(&self) -> Option<YamlError> {
        let found = self.duplicates.clone();
        (!found.is_empty()).then_some(YamlError::Duplicates { found })
    }
}

/// Reads the first document of a text.
pub fn decode(text: &[u8]) -> Result<Decoded, YamlError> {
    match compose::compose(text)? {
        Some(tree) => construct::construct(&tree),
        None => Ok(Decoded { value: Value::Null, duplicates: Vec::new() }),
    }
}

/// The tree of the first document of a text; of equal keys the last one counts.
pub fn to_json(text: &[u8]) -> Result<Value, YamlError> {
    decode(text).map(|decoded| decoded.value)
}

/// The tree of the first document of a text; equal keys are an error.
pub fn to_json_strict(text: &[u8]) -> Result<Value, YamlError> {
    let decoded = decode(text)?;
    decoded.strict_error().map_or(Ok(decoded.value), Err)
}

#[cfg(test)]
mod tests;
