//! Trees to messages.
//!
//! A field that a tree lacks is written like Go's zero value unless it is a pointer. What does not fit its type is written as
//! zero, too: settled trees do not have such values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::plan::{Codec, Entry, Kind, Message, Union, What};
use super::wire::Writer;
use crate::duration;
use crate::schema::{Presence, Scalar};

struct Encoder<'a> {
    codec: &'a Codec,
    out: Writer,
}

pub(super) fn message(codec: &Codec, message: &Message, value: &Value) -> Vec<u8> {
    let mut encoder = Encoder { codec, out: Writer::new() };
    encoder.entries(&message.entries, value.as_object());
    encoder.out.finish()
}

impl Encoder<'_> {
    /// Writes the fields of a message, the last one first.
    fn entries(&mut self, entries: &[Entry], map: Option<&Map<String, Value>>) {
        for entry in entries.iter().rev() {
            match &entry.what {
                What::Embedded(entries) => {
                    let mark = self.out.len();
                    self.entries(entries, map);
                    self.out.close(entry.tag, mark);
                }
                What::Field { name, presence, kind } => {
                    let value = map.and_then(|map| map.get(*name)).filter(|value| !value.is_null());
                    self.field(entry.tag, *presence, kind, value);
                }
            }
        }
    }

    fn field(&mut self, tag: u32, presence: Presence, kind: &Kind, value: Option<&Value>) {
        match kind {
            Kind::List(item) => {
                for value in value.and_then(Value::as_array).into_iter().flatten().rev() {
                    self.value(tag, item, Some(value));
                }
            }
            Kind::Map(item) => {
                let Some(map) = value.and_then(Value::as_object) else { return };
                let mut entries: Vec<(&String, &Value)> = map.iter().collect();
                entries.sort_unstable_by_key(|&(key, _)| key);
                for (key, value) in entries.into_iter().rev() {
                    let mark = self.out.len();
                    self.value(2, item, Some(value).filter(|value| !value.is_null()));
                    self.out.message(1, key.as_bytes());
                    self.out.close(tag, mark);
                }
            }
            _ => {
                let is_pointer = matches!(presence, Presence::Pointer | Presence::NullablePointer);
                if value.is_some() || !is_pointer {
                    self.value(tag, kind, value);
                }
            }
        }
    }

    /// Writes one value as a field.
    fn value(&mut self, tag: u32, kind: &Kind, value: Option<&Value>) {
        match kind {
            Kind::Scalar(scalar) => self.scalar(tag, *scalar, value),
            Kind::Message(index) => {
                let mark = self.out.len();
                let codec = self.codec;
                self.entries(&codec.at(*index).entries, value.and_then(Value::as_object));
                self.out.close(tag, mark);
            }
            Kind::Strings => {
                let mark = self.out.len();
                self.strings(1, value);
                self.out.close(tag, mark);
            }
            Kind::Union(union, schema) => {
                let mark = self.out.len();
                self.union(*union, *schema, value);
                self.out.close(tag, mark);
            }
            // No type has lists of lists or of maps.
            Kind::List(_) | Kind::Map(_) => {}
        }
    }

    fn strings(&mut self, tag: u32, value: Option<&Value>) {
        for text in value.and_then(Value::as_array).into_iter().flatten().rev() {
            self.out.message(tag, text.as_str().unwrap_or("").as_bytes());
        }
    }

    fn scalar(&mut self, tag: u32, scalar: Scalar, value: Option<&Value>) {
        let text = value.and_then(Value::as_str);
        match scalar {
            Scalar::String => self.out.message(tag, text.unwrap_or("").as_bytes()),
            Scalar::Bool => {
                let is_true = value.and_then(Value::as_bool).unwrap_or(false);
                self.out.number(tag, u64::from(is_true));
            }
            Scalar::Int32 | Scalar::Int64 => self.out.number(tag, integer(value)),
            Scalar::Double => {
                let number = value.and_then(Value::as_f64).unwrap_or(0.0);
                self.out.fixed64(tag, number.to_bits());
            }
            Scalar::Bytes => {
                // Bytes that are not set are the one value that Go leaves out.
                if let Some(bytes) = text.and_then(|text| STANDARD.decode(text).ok()) {
                    self.out.message(tag, &bytes);
                }
            }
            Scalar::Quantity => {
                let mark = self.out.len();
                self.out.message(1, text.unwrap_or("0").as_bytes());
                self.out.close(tag, mark);
            }
            Scalar::Time => self.time(tag, text.and_then(|text| duration::parse_time(text).ok())),
            Scalar::MicroTime => {
                self.time(tag, text.and_then(|text| duration::parse_micro_time(text).ok()));
            }
            Scalar::IntOrString => {
                let mark = self.out.len();
                self.out.message(3, text.unwrap_or("").as_bytes());
                self.out.number(2, if text.is_some() { 0 } else { integer(value) });
                self.out.number(1, u64::from(text.is_some()));
                self.out.close(tag, mark);
            }
            Scalar::Any => {
                let mark = self.out.len();
                if let Some(value) = value.filter(|value| !value.is_null()) {
                    self.out.message(1, value.to_string().as_bytes());
                }
                self.out.close(tag, mark);
            }
        }
    }

    fn time(&mut self, tag: u32, time: Option<podo_base::Timestamp>) {
        let mark = self.out.len();
        let zero = podo_base::Timestamp::from_seconds(duration::ZERO_TIME_SECONDS);
        if let Some(time) = time.filter(|&time| time != zero) {
            let nanos = time.as_micros().rem_euclid(1_000_000) * 1_000;
            self.out.number(2, nanos.cast_unsigned());
            self.out.number(1, time.as_seconds().cast_unsigned());
        }
        self.out.close(tag, mark);
    }

    fn union(&mut self, union: Union, schema: usize, value: Option<&Value>) {
        let schema = Kind::Message(schema);
        match (union, value) {
            (Union::Bool, Some(value)) => {
                if value.is_object() {
                    self.value(2, &schema, Some(value));
                }
                self.out.number(1, u64::from(value.as_bool().unwrap_or(value.is_object())));
            }
            (Union::Bool, None) => self.out.number(1, 0),
            (Union::Array, Some(Value::Array(items))) => {
                items.iter().rev().for_each(|item| self.value(2, &schema, Some(item)));
            }
            (Union::Strings, Some(Value::Array(_))) => self.strings(2, value),
            (Union::Array | Union::Strings, Some(Value::Object(_))) => {
                self.value(1, &schema, value);
            }
            (Union::Array | Union::Strings, _) => {}
        }
    }
}

/// An integer as the wire has it: negative ones in two's complement.
fn integer(value: Option<&Value>) -> u64 {
    value.and_then(Value::as_i64).unwrap_or(0).cast_unsigned()
}
