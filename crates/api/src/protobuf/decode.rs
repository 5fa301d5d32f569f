//! Messages to trees.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podo_base::Timestamp;
use serde_json::{Map, Number, Value};

use super::envelope::{bytes_of, wrong_type};
use super::plan::{Codec, Entry, Kind, Message, Union, What};
use super::wire::{Datum, Reader};
use super::{JsonError, ProtobufError};
use crate::duration;
use crate::schema::{Presence, Scalar};

/// What a decoded object may cost. A message of two bytes can become a tree node of hundreds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Messages within messages.
    pub depth: usize,
    /// Messages, list items and map entries altogether.
    pub messages: usize,
}

impl Limits {
    /// For the body of a request: some 200 MiB at worst, of an object fifty times larger than any that is stored.
    pub const REQUEST: Self = Self { depth: 200, messages: 250_000 };
    /// For answers of a server that is trusted.
    pub const TRUSTED: Self = Self { depth: 200, messages: usize::MAX };
}

struct Decoder<'a> {
    codec: &'a Codec,
    limits: Limits,
    messages: usize,
    depth: usize,
}

pub(super) fn message(
    codec: &Codec,
    message: &Message,
    raw: &[u8],
    limits: Limits,
) -> Result<Value, ProtobufError> {
    let mut decoder = Decoder { codec, limits, messages: 0, depth: 0 };
    decoder.message(raw, message)
}

impl Decoder<'_> {
    fn count(&mut self) -> Result<(), ProtobufError> {
        self.messages += 1;
        if self.messages > self.limits.messages {
            return Err(ProtobufError::Limit { what: "values", limit: self.limits.messages });
        }
        Ok(())
    }

    fn message(&mut self, raw: &[u8], message: &Message) -> Result<Value, ProtobufError> {
        self.count()?;
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(ProtobufError::Limit { what: "levels", limit: self.limits.depth });
        }
        let mut map = Map::new();
        self.fields(raw, message.name, &message.entries, &mut map)?;
        for (name, value) in &message.unset {
            if !map.contains_key(*name) {
                map.insert((*name).to_owned(), value.clone());
            }
        }
        self.depth -= 1;
        Ok(Value::Object(map))
    }

    fn fields(
        &mut self,
        raw: &[u8],
        type_name: &'static str,
        entries: &[Entry],
        map: &mut Map<String, Value>,
    ) -> Result<(), ProtobufError> {
        let mut reader = Reader::new(raw);
        // Fields mostly come in the order of their tags.
        let mut next = 0;
        while !reader.is_done() {
            let (tag, datum) = reader.field(type_name)?;
            if entries.get(next).is_none_or(|entry| entry.tag != tag) {
                match entries.binary_search_by_key(&tag, |entry| entry.tag) {
                    Ok(at) => next = at,
                    Err(_) => continue,
                }
            }
            match &entries[next].what {
                What::Embedded(entries) => {
                    self.fields(bytes_of(datum, type_name)?, type_name, entries, map)?;
                }
                What::Field { name, kind: Kind::List(item), .. } => {
                    self.items(name, item, datum, map)?;
                    continue;
                }
                What::Field { name, kind: Kind::Map(item), .. } => {
                    let (key, value) = self.entry(name, item, bytes_of(datum, name)?)?;
                    if let Value::Object(entries) = slot(map, name, || Value::Object(Map::new())) {
                        entries.insert(key, value);
                    }
                    continue;
                }
                What::Field { name, presence, kind } => {
                    let value = self.value(name, kind, datum)?;
                    if is_written(*presence, kind, &value) {
                        map.insert((*name).to_owned(), value);
                    } else {
                        map.remove(*name);
                    }
                }
            }
            next += 1;
        }
        Ok(())
    }

    /// An item of a list, or several numbers packed into one field.
    fn items(
        &mut self,
        name: &'static str,
        item: &Kind,
        datum: Datum<'_>,
        map: &mut Map<String, Value>,
    ) -> Result<(), ProtobufError> {
        let mut values = Vec::new();
        let is_number = matches!(item, Kind::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Bool));
        if let (true, Datum::Bytes(packed)) = (is_number, datum) {
            let mut reader = Reader::new(packed);
            while !reader.is_done() {
                self.count()?;
                values.push(self.value(name, item, Datum::Varint(reader.varint()?))?);
            }
        } else {
            self.count()?;
            values.push(self.value(name, item, datum)?);
        }
        if let Value::Array(items) = slot(map, name, || Value::Array(Vec::new())) {
            items.append(&mut values);
        }
        Ok(())
    }

    /// An entry of a map.
    fn entry(
        &mut self,
        name: &'static str,
        item: &Kind,
        raw: &[u8],
    ) -> Result<(String, Value), ProtobufError> {
        self.count()?;
        let mut key = String::new();
        let mut value = None;
        let mut reader = Reader::new(raw);
        while !reader.is_done() {
            let (tag, datum) = reader.field(name)?;
            match tag {
                1 => key = text(bytes_of(datum, name)?),
                2 => value = Some(self.value(name, item, datum)?),
                _ => {}
            }
        }
        let value = match value {
            Some(value) => value,
            None => self.missing(name, item)?,
        };
        Ok((key, value))
    }

    /// The value of a map entry that has none.
    fn missing(&mut self, name: &'static str, kind: &Kind) -> Result<Value, ProtobufError> {
        match kind {
            Kind::Scalar(Scalar::Bytes) => Ok(Value::Null),
            Kind::Scalar(Scalar::Bool | Scalar::Int32 | Scalar::Int64) => {
                self.value(name, kind, Datum::Varint(0))
            }
            Kind::Scalar(Scalar::Double) => self.value(name, kind, Datum::Fixed64(0)),
            _ => self.value(name, kind, Datum::Bytes(&[])),
        }
    }

    fn value(
        &mut self,
        name: &'static str,
        kind: &Kind,
        datum: Datum<'_>,
    ) -> Result<Value, ProtobufError> {
        match kind {
            Kind::Scalar(scalar) => scalar_value(name, *scalar, datum),
            Kind::Message(index) => {
                let codec = self.codec;
                self.message(bytes_of(datum, name)?, codec.at(*index))
            }
            Kind::Strings => self.strings(name, bytes_of(datum, name)?),
            Kind::Union(union, schema) => self.union(name, *union, *schema, bytes_of(datum, name)?),
            // No type has lists of lists or of maps.
            Kind::List(_) | Kind::Map(_) => Ok(Value::Null),
        }
    }

    fn strings(&mut self, name: &'static str, raw: &[u8]) -> Result<Value, ProtobufError> {
        let mut items = Vec::new();
        let mut reader = Reader::new(raw);
        while !reader.is_done() {
            let (tag, datum) = reader.field(name)?;
            if tag == 1 {
                self.count()?;
                items.push(Value::from(text(bytes_of(datum, name)?)));
            }
        }
        Ok(Value::Array(items))
    }

    fn union(
        &mut self,
        name: &'static str,
        union: Union,
        schema: usize,
        raw: &[u8],
    ) -> Result<Value, ProtobufError> {
        let mut is_allowed = false;
        let mut single = Value::Null;
        let mut items = Vec::new();
        let mut reader = Reader::new(raw);
        while !reader.is_done() {
            let (tag, datum) = reader.field(name)?;
            match (union, tag) {
                (Union::Bool, 1) => is_allowed = number(datum, name)? != 0,
                (Union::Bool, 2) | (Union::Array | Union::Strings, 1) => {
                    single = self.value(name, &Kind::Message(schema), datum)?;
                }
                (Union::Array, 2) => {
                    items.push(self.value(name, &Kind::Message(schema), datum)?);
                }
                (Union::Strings, 2) => {
                    self.count()?;
                    items.push(Value::from(text(bytes_of(datum, name)?)));
                }
                _ => {}
            }
        }
        Ok(match union {
            Union::Bool if single.is_null() => Value::from(is_allowed),
            _ if items.is_empty() => single,
            _ => Value::Array(items),
        })
    }
}

/// The value of a field that has been begun, or a new one.
fn slot<'a>(
    map: &'a mut Map<String, Value>,
    name: &'static str,
    new: impl FnOnce() -> Value,
) -> &'a mut Value {
    // Looked up first: the name of a new entry has to be allocated.
    if !map.contains_key(name) {
        map.insert(name.to_owned(), new());
    }
    &mut map[name]
}

/// Whether Go writes a value that came with the wire.
fn is_written(presence: Presence, kind: &Kind, value: &Value) -> bool {
    if value.is_null() {
        return false;
    }
    let is_scalar = matches!(
        kind,
        Kind::Scalar(
            Scalar::String
                | Scalar::Bytes
                | Scalar::Bool
                | Scalar::Int32
                | Scalar::Int64
                | Scalar::Double
        )
    );
    let is_zero = match value {
        Value::String(text) => text.is_empty(),
        Value::Bool(is_true) => !is_true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    };
    !(presence == Presence::OmitEmpty && is_scalar && is_zero)
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        // Go takes any bytes for a string, and replaces what is no text when it writes JSON.
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn number(datum: Datum<'_>, name: &str) -> Result<u64, ProtobufError> {
    match datum {
        Datum::Varint(number) => Ok(number),
        _ => Err(wrong_type(&datum, name)),
    }
}

fn scalar_value(
    name: &'static str,
    scalar: Scalar,
    datum: Datum<'_>,
) -> Result<Value, ProtobufError> {
    Ok(match scalar {
        Scalar::Bool => Value::from(number(datum, name)? != 0),
        #[expect(clippy::cast_possible_truncation, reason = "protobuf cuts numbers to 32 bits")]
        Scalar::Int32 => Value::from(number(datum, name)? as i32),
        Scalar::Int64 => Value::from(number(datum, name)?.cast_signed()),
        Scalar::Double => match datum {
            Datum::Fixed64(bits) => double(f64::from_bits(bits)),
            _ => return Err(wrong_type(&datum, name)),
        },
        Scalar::String => Value::from(text(bytes_of(datum, name)?)),
        Scalar::Bytes => Value::from(STANDARD.encode(bytes_of(datum, name)?)),
        Scalar::Quantity => quantity(bytes_of(datum, name)?)?,
        Scalar::Time => match time(bytes_of(datum, name)?)? {
            Some((seconds, _)) => Value::from(duration::format_time(moment(seconds, 0))),
            None => Value::Null,
        },
        Scalar::MicroTime => match time(bytes_of(datum, name)?)? {
            Some((seconds, nanos)) => {
                Value::from(duration::format_micro_time(moment(seconds, nanos)))
            }
            None => Value::Null,
        },
        Scalar::IntOrString => int_or_string(bytes_of(datum, name)?)?,
        Scalar::Any => any(name, bytes_of(datum, name)?)?,
    })
}

/// Whole numbers are integers in JSON.
fn double(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "only used where it is exact")]
    let whole = number as i64;
    if number.fract() == 0.0 && whole.unsigned_abs() < 1 << 53 {
        return Value::from(whole);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// The field of this tag in a message of scalars; the last one counts.
fn last<'a>(
    raw: &'a [u8],
    type_name: &'static str,
    mut visit: impl FnMut(u32, Datum<'a>) -> Result<(), ProtobufError>,
) -> Result<(), ProtobufError> {
    let mut reader = Reader::new(raw);
    while !reader.is_done() {
        let (tag, datum) = reader.field(type_name)?;
        visit(tag, datum)?;
    }
    Ok(())
}

fn quantity(raw: &[u8]) -> Result<Value, ProtobufError> {
    let mut found = String::new();
    last(raw, "Quantity", |tag, datum| {
        if tag == 1 {
            found = text(bytes_of(datum, "String_")?);
        }
        Ok(())
    })?;
    // Upstream takes what it cannot read for nothing.
    let canonical = found.parse::<crate::quantity::Quantity>().map(|quantity| quantity.to_string());
    Ok(Value::from(canonical.unwrap_or_else(|_| "0".to_owned())))
}

/// Seconds and nanoseconds; `None` for the zero time.
fn time(raw: &[u8]) -> Result<Option<(i64, i64)>, ProtobufError> {
    let (mut seconds, mut nanos) = (0, 0);
    last(raw, "Timestamp", |tag, datum| {
        match tag {
            1 => seconds = number(datum, "Seconds")?.cast_signed(),
            #[expect(clippy::cast_possible_truncation, reason = "the field has 32 bits")]
            2 => nanos = i64::from(number(datum, "Nanos")? as i32),
            _ => {}
        }
        Ok(())
    })?;
    let is_zero = raw.is_empty() || (seconds, nanos) == (duration::ZERO_TIME_SECONDS, 0);
    Ok((!is_zero).then_some((seconds, nanos)))
}

/// The moment, at most as far away as a four-digit year can say.
fn moment(seconds: i64, nanos: i64) -> Timestamp {
    let seconds = seconds.clamp(-62_167_219_200, 253_402_300_799);
    Timestamp::from_micros(seconds * 1_000_000 + nanos.div_euclid(1_000).clamp(0, 999_999))
}

fn int_or_string(raw: &[u8]) -> Result<Value, ProtobufError> {
    let (mut is_string, mut int, mut string) = (false, 0, String::new());
    last(raw, "IntOrString", |tag, datum| {
        match tag {
            1 => is_string = number(datum, "Type")? == 1,
            #[expect(clippy::cast_possible_truncation, reason = "the field has 32 bits")]
            2 => int = number(datum, "IntVal")? as i32,
            3 => string = text(bytes_of(datum, "StrVal")?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(if is_string { Value::from(string) } else { Value::from(int) })
}

fn any(name: &'static str, raw: &[u8]) -> Result<Value, ProtobufError> {
    let mut found: &[u8] = &[];
    last(raw, "RawExtension", |tag, datum| {
        if tag == 1 {
            found = bytes_of(datum, "Raw")?;
        }
        Ok(())
    })?;
    if found.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(found).map_err(|error| ProtobufError::NotJson {
        field: name,
        source: JsonError { text: error.to_string() },
    })
}
