//! Reads JSON by the schema in one pass after the syntax check: types, unknown fields and duplicates are found on the way.
//!
//! Holds always
//! - Calls nest as deep as the schema, not as the text: what the schema does not know is skipped without a call per level.
//! - Strict findings stand in the order of the text, as upstream reports them.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use super::settle::{canonical, fill_null, settle_presence};
use crate::schema::{Field, Scalar, Shape, TypeRef};

/// At most so many strict findings are kept (Kubernetes v1.36, `sigs.k8s.io/json`).
const STRICT_MAX: usize = 100;

/// Nesting allowed in values that the schema leaves open. Their trees are dropped by recursion, so the bound protects the stack.
const OPEN_DEPTH_MAX: usize = 512;

/// The outcome of decoding.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The settled tree.
    pub value: Value,
    /// Unknown and duplicate fields, such as `unknown field "spec.foo"`.
    pub strict: Vec<String>,
}

/// Decodes `bytes` as an object of type `ty`.
///
/// The error is the text that Go's decoder would give for the first thing that is wrong.
pub fn decode(bytes: &[u8], ty: TypeRef<'_>) -> Result<Decoded, String> {
    super::syntax::check(bytes)?;
    let mut decoder = Decoder::new(bytes);
    let value = decoder.root(ty);
    match decoder.error {
        Some(error) => Err(error),
        None => Ok(Decoded { value, strict: decoder.strict }),
    }
}

/// Decodes `bytes` without a schema; duplicate keys are noted.
pub fn decode_any(bytes: &[u8]) -> Result<Decoded, String> {
    super::syntax::check(bytes)?;
    let mut decoder = Decoder::new(bytes);
    let value = decoder.any(0);
    match decoder.error {
        Some(error) => Err(error),
        None => Ok(Decoded { value, strict: decoder.strict }),
    }
}

/// A step of the path to the value at hand.
enum Step<'a> {
    Field(&'a str),
    Key(String),
    Index(usize),
}

/// What the value at hand is, for error texts.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The struct that the value belongs to.
    owner: &'a str,
    /// The Go type of the value; empty if it must be derived from the shape.
    go_type: &'a str,
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    path: Vec<Step<'a>>,
    strict: Vec<String>,
    error: Option<String>,
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, path: Vec::new(), strict: Vec::new(), error: None }
    }

    fn root(&mut self, ty: TypeRef<'a>) -> Value {
        let name = ty.get().short_name();
        let place = Place { owner: name, go_type: "" };
        match self.token() {
            b'{' => self.object(ty),
            b'n' => {
                self.skip();
                Value::Object(Map::new())
            }
            _ => {
                self.mismatch(place, &format!("v1.{name}"));
                Value::Null
            }
        }
    }

    /// The next byte that is not white space, not taken. The syntax was checked, so there is one wherever one is asked for.
    fn token(&mut self) -> u8 {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Takes a byte if it is the next token.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.token() == byte;
        self.at += usize::from(is_next);
        is_next
    }

    /// Walks the members of an object or the items of an array: true while there is another.
    fn another(&mut self, is_first: bool, close: u8) -> bool {
        if self.take(close) {
            return false;
        }
        if !is_first {
            self.take(b',');
        }
        true
    }

    fn object(&mut self, ty: TypeRef<'a>) -> Value {
        let mut map = Map::new();
        self.take(b'{');
        let mut is_first = true;
        while self.another(is_first, b'}') {
            is_first = false;
            let name = self.string();
            self.take(b':');
            let Some(field) = ty.field(&name) else {
                self.note("unknown", Some(&name));
                self.skip();
                continue;
            };
            self.path.push(Step::Field(&field.name));
            if map.contains_key(&*field.name) {
                self.note("duplicate", None);
            }
            let value = self.field(field, ty);
            map.insert(name, value);
            self.path.pop();
        }
        settle_presence(&mut map, ty);
        Value::Object(map)
    }

    fn field(&mut self, field: &'a Field, ty: TypeRef<'a>) -> Value {
        let place = Place { owner: ty.get().short_name(), go_type: &field.go_type };
        self.shape(&field.shape, ty, place)
    }

    fn shape(&mut self, shape: &'a Shape, ty: TypeRef<'a>, place: Place<'a>) -> Value {
        let token = self.token();
        if token == b'n' && *shape != Shape::Scalar(Scalar::Any) {
            self.skip();
            return Value::Null;
        }
        match (shape, token) {
            (Shape::Struct(id), b'{') => self.object(ty.schema().at(*id)),
            (Shape::List(item), b'[') => self.list(item, ty, place),
            (Shape::Map(item), b'{') => self.map(item, ty, place),
            (Shape::Scalar(scalar), _) => self.scalar(*scalar, place),
            _ => {
                let go_type = go_type(shape, ty, place.go_type);
                self.mismatch(place, &go_type);
                Value::Null
            }
        }
    }

    fn list(&mut self, item: &'a Shape, ty: TypeRef<'a>, place: Place<'a>) -> Value {
        let place = Place { go_type: place.go_type.strip_prefix("[]").unwrap_or(""), ..place };
        let mut items = Vec::new();
        self.take(b'[');
        while self.another(items.is_empty(), b']') {
            self.path.push(Step::Index(items.len()));
            let mut value = self.shape(item, ty, place);
            fill_null(&mut value, item, ty);
            items.push(value);
            self.path.pop();
        }
        Value::Array(items)
    }

    fn map(&mut self, item: &'a Shape, ty: TypeRef<'a>, place: Place<'a>) -> Value {
        let place =
            Place { go_type: place.go_type.strip_prefix("map[string]").unwrap_or(""), ..place };
        let mut map = Map::new();
        self.take(b'{');
        let mut is_first = true;
        while self.another(is_first, b'}') {
            is_first = false;
            let key = self.string();
            self.take(b':');
            self.path.push(Step::Key(key.clone()));
            if map.contains_key(&key) {
                self.note("duplicate", None);
            }
            let mut value = self.shape(item, ty, place);
            fill_null(&mut value, item, ty);
            map.insert(key, value);
            self.path.pop();
        }
        Value::Object(map)
    }

    fn scalar(&mut self, scalar: Scalar, place: Place<'a>) -> Value {
        let token = self.token();
        let is_number = matches!(token, b'-' | b'0'..=b'9');
        match scalar {
            Scalar::Any => self.any(0),
            Scalar::String | Scalar::IntOrString if token == b'"' => Value::String(self.string()),
            Scalar::Bool if matches!(token, b't' | b'f') => {
                self.skip();
                Value::Bool(token == b't')
            }
            Scalar::Int32 if is_number => {
                self.integer(i64::from(i32::MIN)..=i64::from(i32::MAX), place, "int32")
            }
            Scalar::Int64 if is_number => self.integer(i64::MIN..=i64::MAX, place, "int64"),
            Scalar::Double if is_number => self.number(),
            Scalar::IntOrString if is_number => self.integer(
                i64::from(i32::MIN)..=i64::from(i32::MAX),
                Place { go_type: "int32", ..place },
                "int32",
            ),
            Scalar::Quantity if is_number || token == b'"' => self.canonical(scalar, place),
            Scalar::Bytes | Scalar::Time | Scalar::MicroTime if token == b'"' => {
                self.canonical(scalar, place)
            }
            _ => {
                let go_type = scalar_type(scalar, place.go_type);
                self.mismatch(place, &go_type);
                Value::Null
            }
        }
    }

    fn canonical(&mut self, scalar: Scalar, _place: Place<'a>) -> Value {
        let value = if self.token() == b'"' {
            Value::String(self.string())
        } else {
            // A quantity may be a number; its digits are kept as they are written.
            let start = self.at;
            self.skip();
            Value::String(String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned())
        };
        match canonical(scalar, &value) {
            Ok(settled) => settled.unwrap_or(value),
            Err(error) => {
                self.fail(error.text);
                Value::Null
            }
        }
    }

    fn integer(
        &mut self,
        range: std::ops::RangeInclusive<i64>,
        place: Place<'a>,
        fallback: &'static str,
    ) -> Value {
        let start = self.at;
        self.skip();
        let text = String::from_utf8_lossy(&self.bytes[start..self.at]);
        match text.parse::<i64>() {
            Ok(number) if range.contains(&number) => Value::from(number),
            _ => {
                let go_type = if place.go_type.is_empty() { fallback } else { place.go_type };
                self.type_error(&format!("number {text}"), place.owner, go_type);
                Value::Null
            }
        }
    }

    fn number(&mut self) -> Value {
        let start = self.at;
        self.skip();
        let text = String::from_utf8_lossy(&self.bytes[start..self.at]);
        match text.parse::<i64>() {
            Ok(number) => Value::from(number),
            Err(_) => {
                text.parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
            }
        }
    }

    /// A value that no schema describes.
    fn any(&mut self, depth: usize) -> Value {
        if depth > OPEN_DEPTH_MAX {
            self.fail("exceeded max depth".to_owned());
            self.skip();
            return Value::Null;
        }
        match self.token() {
            b'{' => self.any_object(depth),
            b'[' => {
                let mut items = Vec::new();
                self.take(b'[');
                while self.another(items.is_empty(), b']') {
                    self.path.push(Step::Index(items.len()));
                    items.push(self.any(depth + 1));
                    self.path.pop();
                }
                Value::Array(items)
            }
            b'"' => Value::String(self.string()),
            b't' | b'f' => {
                let is_true = self.token() == b't';
                self.skip();
                Value::Bool(is_true)
            }
            b'n' => {
                self.skip();
                Value::Null
            }
            _ => self.number(),
        }
    }

    fn any_object(&mut self, depth: usize) -> Value {
        let mut map = Map::new();
        self.take(b'{');
        let mut is_first = true;
        while self.another(is_first, b'}') {
            is_first = false;
            let key = self.string();
            self.take(b':');
            self.path.push(Step::Key(key.clone()));
            if map.contains_key(&key) {
                self.note("duplicate", None);
            }
            let value = self.any(depth + 1);
            map.insert(key, value);
            self.path.pop();
        }
        Value::Object(map)
    }

    /// Passes over one value, however deep, without a call per level.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.token() {
                b'"' => self.skip_string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                0 => return,
                _ => self.skip_word(),
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_word(&mut self) {
        while matches!(
            self.bytes.get(self.at),
            Some(b'a'..=b'z' | b'E' | b'0'..=b'9' | b'-' | b'+' | b'.')
        ) {
            self.at += 1;
        }
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => return,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
    }

    /// Takes a string. Broken UTF-8 and lone surrogates become U+FFFD, as in Go.
    fn string(&mut self) -> String {
        self.token();
        let start = self.at + 1;
        self.skip_string();
        let raw = &self.bytes[start..self.at.saturating_sub(1).max(start)];
        if raw.contains(&b'\\') {
            return unescape(raw);
        }
        String::from_utf8_lossy(raw).into_owned()
    }

    fn mismatch(&mut self, place: Place<'a>, go_type: &str) {
        let found = match self.token() {
            b'"' => "string",
            b'{' => "object",
            b'[' => "array",
            b't' | b'f' => "bool",
            _ => "number",
        };
        self.skip();
        self.type_error(found, place.owner, go_type);
    }

    fn type_error(&mut self, found: &str, owner: &str, go_type: &str) {
        let fields: Vec<&str> = self
            .path
            .iter()
            .filter_map(|step| match step {
                Step::Field(name) => Some(*name),
                _ => None,
            })
            .collect();
        let target = if fields.is_empty() {
            format!("Go value of type {go_type}")
        } else {
            format!("Go struct field {owner}.{} of type {go_type}", fields.join("."))
        };
        self.fail(format!("json: cannot unmarshal {found} into {target}"));
    }

    /// Keeps the first error: what comes after it may only follow from it.
    fn fail(&mut self, text: String) {
        self.error.get_or_insert(text);
    }

    fn note(&mut self, what: &str, name: Option<&str>) {
        if self.strict.len() < STRICT_MAX {
            let path = self.path_text(name);
            self.strict.push(format!("{what} field {}", crate::field::quoted(&path)));
        }
    }

    fn path_text(&self, last: Option<&str>) -> String {
        let mut text = String::new();
        let dotted = |name: &str, text: &mut String| {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(name);
        };
        for step in &self.path {
            match step {
                Step::Field(name) => dotted(name, &mut text),
                Step::Key(name) => dotted(name, &mut text),
                Step::Index(index) => {
                    let _infallible = write!(text, "[{index}]");
                }
            }
        }
        if let Some(name) = last {
            dotted(name, &mut text);
        }
        text
    }
}

fn scalar_type(scalar: Scalar, known: &str) -> String {
    if !known.is_empty() {
        return known.to_owned();
    }
    match scalar {
        Scalar::String | Scalar::Time | Scalar::MicroTime => "string",
        Scalar::Bool => "bool",
        Scalar::Int32 => "int32",
        Scalar::Int64 => "int64",
        Scalar::Double => "float64",
        Scalar::Bytes => "[]uint8",
        Scalar::Quantity => "resource.Quantity",
        Scalar::IntOrString => "intstr.IntOrString",
        Scalar::Any => "interface {}",
    }
    .to_owned()
}

fn go_type(shape: &Shape, ty: TypeRef<'_>, known: &str) -> String {
    if !known.is_empty() {
        return known.to_owned();
    }
    match shape {
        Shape::Scalar(scalar) => scalar_type(*scalar, ""),
        Shape::Struct(id) => format!("v1.{}", ty.schema().at(*id).get().short_name()),
        Shape::List(item) => format!("[]{}", go_type(item, ty, "")),
        Shape::Map(item) => format!("map[string]{}", go_type(item, ty, "")),
    }
}

fn unescape(raw: &[u8]) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escape = raw.get(at).copied().unwrap_or(b'\\');
        at += 1;
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (letter, used) = unicode(&raw[at.min(raw.len())..]);
                at += used;
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads the digits of a `\u` escape, and of the second half of a surrogate pair; returns how many bytes that took.
fn unicode(raw: &[u8]) -> (char, usize) {
    let Some(first) = hex4(raw) else { return (char::REPLACEMENT_CHARACTER, 4) };
    if let Some(letter) = char::from_u32(first) {
        return (letter, 4);
    }
    if (0xd800..0xdc00).contains(&first)
        && raw.get(4..6) == Some(b"\\u")
        && let Some(second) = raw.get(6..).and_then(hex4)
        && (0xdc00..0xe000).contains(&second)
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
    }
    (char::REPLACEMENT_CHARACTER, 4)
}

fn hex4(raw: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(raw.get(..4)?).ok()?;
    u32::from_str_radix(text, 16).ok()
}
