//! The normal form of an object in memory: the fields that Go would write, and no others.
//!
//! Go's zero values decide: a value with `omitempty` that is zero is left out, a struct never is, a pointer that is set stays even
//! when it points at zero (`schema::Presence`). Quantities, times and base64 are in canonical form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podo_base::Timestamp;
use serde_json::{Map, Value};

use crate::duration;
use crate::quantity::Quantity;
use crate::schema::{Field, Presence, Scalar, Shape, TypeRef};

/// A value that does not have the shape that the schema gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SettleError {
    /// What is wrong, as the decoder says it.
    pub text: String,
}

/// Brings a tree that was made or changed in memory into normal form. Fields that the type does not have are dropped.
///
/// The tree must already have the right shapes, as one that [`super::decode`] made has; a scalar that is malformed is an error.
pub fn settle(value: &mut Value, ty: TypeRef<'_>) -> Result<(), SettleError> {
    let Value::Object(map) = value else {
        *value = zero_struct(ty);
        return Ok(());
    };
    // An object has far fewer fields than its type: what is there is visited, not what could be.
    let mut settled = Ok(());
    map.retain(|name, value| {
        let Some(field) = ty.field(name) else { return false };
        if settled.is_ok() {
            settled = settle_shape(value, &field.shape, ty);
        }
        settle_field(field, value, ty)
    });
    settled?;
    add_unset(map, ty);
    Ok(())
}

/// Brings a tree into the form in which it is stored: the normal form, in which lists and maps that are always written and have
/// nothing in them are `null`. Upstream stores protobuf, which cannot tell them from what was never set.
pub fn settle_stored(value: &mut Value, ty: TypeRef<'_>) -> Result<(), SettleError> {
    empty_to_null(value, ty);
    settle(value, ty)
}

fn empty_to_null(value: &mut Value, ty: TypeRef<'_>) {
    let Value::Object(map) = value else { return };
    for (name, value) in map {
        if let Some(field) = ty.field(name) {
            empty_shape_to_null(value, &field.shape, ty);
        }
    }
}

fn empty_shape_to_null(value: &mut Value, shape: &Shape, ty: TypeRef<'_>) {
    match (shape, &mut *value) {
        (Shape::Struct(id), _) => empty_to_null(value, ty.schema().at(*id)),
        (Shape::List(_), Value::Array(items)) if items.is_empty() => *value = Value::Null,
        (Shape::Map(_), Value::Object(map)) if map.is_empty() => *value = Value::Null,
        (Shape::List(item), Value::Array(items)) => {
            items.iter_mut().for_each(|value| empty_shape_to_null(value, item, ty));
        }
        (Shape::Map(item), Value::Object(map)) => {
            map.values_mut().for_each(|value| empty_shape_to_null(value, item, ty));
        }
        _ => {}
    }
}

fn settle_shape(value: &mut Value, shape: &Shape, ty: TypeRef<'_>) -> Result<(), SettleError> {
    if value.is_null() {
        return Ok(());
    }
    match (shape, &mut *value) {
        (Shape::Struct(id), _) => settle(value, ty.schema().at(*id)),
        (Shape::List(item), Value::Array(items)) => items.iter_mut().try_for_each(|value| {
            fill_null(value, item, ty);
            settle_shape(value, item, ty)
        }),
        (Shape::Map(item), Value::Object(map)) => map.values_mut().try_for_each(|value| {
            fill_null(value, item, ty);
            settle_shape(value, item, ty)
        }),
        (Shape::Scalar(scalar), _) => {
            if let Some(canonical) = canonical(*scalar, value)? {
                *value = canonical;
            }
            Ok(())
        }
        (Shape::List(_) | Shape::Map(_), _) => {
            Err(SettleError { text: format!("cannot use {value} where a list or map is expected") })
        }
    }
}

/// A `null` item of a list or map is the zero value of its type.
pub(super) fn fill_null(value: &mut Value, shape: &Shape, ty: TypeRef<'_>) {
    if value.is_null()
        && let Some(zero) = zero(shape, ty)
    {
        *value = zero;
    }
}

/// Drops what Go would leave out and adds what it would write although nobody set it.
pub(super) fn settle_presence(map: &mut Map<String, Value>, ty: TypeRef<'_>) {
    map.retain(|name, value| ty.field(name).is_none_or(|field| settle_field(field, value, ty)));
    add_unset(map, ty);
}

/// Writes `null` as Go would; `false` if it would leave the field out.
fn settle_field(field: &Field, value: &mut Value, ty: TypeRef<'_>) -> bool {
    if is_dropped(field, value) {
        return false;
    }
    if value.is_null() {
        *value = unset(field, ty);
    }
    true
}

fn add_unset(map: &mut Map<String, Value>, ty: TypeRef<'_>) {
    for field in ty.fields_written_unset() {
        if !map.contains_key(&*field.name) {
            map.insert(field.name.clone().into_owned(), unset(field, ty));
        }
    }
}

fn is_dropped(field: &Field, value: &Value) -> bool {
    match field.presence {
        Presence::Pointer | Presence::OmitZero => value.is_null(),
        Presence::NullablePointer | Presence::Always => false,
        Presence::OmitEmpty => is_empty(value, &field.shape),
    }
}

/// What `omitempty` leaves out. Structs and the types that write themselves are never empty.
fn is_empty(value: &Value, shape: &Shape) -> bool {
    match shape {
        Shape::List(_) => value.is_null() || value.as_array().is_some_and(Vec::is_empty),
        Shape::Map(_) => value.is_null() || value.as_object().is_some_and(Map::is_empty),
        Shape::Scalar(Scalar::String | Scalar::Bytes) => {
            value.is_null() || value.as_str() == Some("")
        }
        Shape::Scalar(Scalar::Bool) => value.is_null() || value.as_bool() == Some(false),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Double) => {
            value.is_null() || value.as_f64() == Some(0.0)
        }
        Shape::Struct(_) | Shape::Scalar(_) => false,
    }
}

/// What is written for a field that nobody set.
fn unset(field: &Field, ty: TypeRef<'_>) -> Value {
    match field.presence {
        Presence::NullablePointer => Value::Null,
        _ => zero(&field.shape, ty).unwrap_or(Value::Null),
    }
}

/// What Go writes for a value that nobody set; lists and maps that are not set have none but `null`.
fn zero(shape: &Shape, ty: TypeRef<'_>) -> Option<Value> {
    Some(match shape {
        Shape::Struct(id) => zero_struct(ty.schema().at(*id)),
        Shape::List(_) | Shape::Map(_) => return None,
        Shape::Scalar(scalar) => match scalar {
            Scalar::String => Value::from(""),
            Scalar::Bool => Value::from(false),
            Scalar::Int32 | Scalar::Int64 | Scalar::Double | Scalar::IntOrString => Value::from(0),
            Scalar::Quantity => Value::from("0"),
            Scalar::Bytes | Scalar::Time | Scalar::MicroTime | Scalar::Any => Value::Null,
        },
    })
}

fn zero_struct(ty: TypeRef<'_>) -> Value {
    let mut map = Map::new();
    settle_presence(&mut map, ty);
    Value::Object(map)
}

/// The canonical form of a scalar where it differs from `value`.
pub(super) fn canonical(scalar: Scalar, value: &Value) -> Result<Option<Value>, SettleError> {
    let text = match (scalar, value) {
        (Scalar::Quantity, Value::Number(number)) => quantity(&number.to_string())?,
        (Scalar::Quantity, Value::String(text)) => quantity(text)?,
        (Scalar::Time, Value::String(text)) => {
            return time(duration::parse_time(text), duration::format_time);
        }
        (Scalar::MicroTime, Value::String(text)) => {
            return time(duration::parse_micro_time(text), duration::format_micro_time);
        }
        (Scalar::Bytes, Value::String(text)) => base64_text(text)?,
        _ => return Ok(None),
    };
    Ok(Some(Value::from(text)))
}

/// A time in normal form; Go writes its zero time as `null`.
fn time(
    parsed: Result<Timestamp, String>,
    format: impl Fn(Timestamp) -> String,
) -> Result<Option<Value>, SettleError> {
    let time = parsed.map_err(|text| SettleError { text })?;
    let is_zero = time.as_seconds() == duration::ZERO_TIME_SECONDS;
    Ok(Some(if is_zero { Value::Null } else { Value::from(format(time)) }))
}

fn quantity(text: &str) -> Result<String, SettleError> {
    match text.trim().parse::<Quantity>() {
        Ok(quantity) => Ok(quantity.to_string()),
        Err(error) => Err(SettleError { text: error.to_string() }),
    }
}

/// Go's decoder passes over line ends in base64.
fn base64_text(text: &str) -> Result<String, SettleError> {
    let clean: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    match STANDARD.decode(&clean) {
        Ok(_) => Ok(clean),
        Err(error) => {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _)
                | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => {
                    clean.len() - clean.len() % 4
                }
            };
            Err(SettleError { text: format!("illegal base64 data at input byte {at}") })
        }
    }
}
