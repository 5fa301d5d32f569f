//! The comparisons of Go's templates: only values of one type have an order.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Typed, plain};

const BAD_TYPE: &str = "invalid type for comparison";
const BAD_PAIR: &str = "incompatible types for comparison";

/// Whether two values are equal; none is equal to none.
pub(in super::super) fn equal(
    left: Option<Typed<'_>>,
    right: Option<Typed<'_>>,
) -> Result<bool, String> {
    let (Some(left), Some(right)) = (left, right) else {
        return Ok(left.is_none() && right.is_none());
    };
    if is_basic(left.value) || is_basic(right.value) {
        return ordered(left, right).map(|order| order == Ordering::Equal);
    }
    let (left_type, right_type) = (left.name, right.name);
    let (left, right) = (plain(left.value), plain(right.value));
    Err(if left_type == right_type {
        format!("non-comparable type {right}: {right_type}")
    } else {
        format!("non-comparable types {left}: {left_type}, {right_type}: {right}")
    })
}

/// The same as filters of JSONPath see it: an older form of it, which knows nothing but values that have an order or are booleans.
pub(in super::super) fn equal_basic(left: &Value, right: &Value) -> Result<bool, String> {
    if !is_basic(left) || !is_basic(right) {
        return Err(BAD_TYPE.to_owned());
    }
    let order = order(left, right).ok_or(BAD_PAIR)?;
    Ok(order == Ordering::Equal)
}

/// Whether one value comes before another.
pub(in super::super) fn less(
    left: Option<Typed<'_>>,
    right: Option<Typed<'_>>,
) -> Result<bool, String> {
    let left = left.filter(|typed| is_basic(typed.value)).ok_or(BAD_TYPE)?;
    let right = right.filter(|typed| is_basic(typed.value)).ok_or(BAD_TYPE)?;
    let order = ordered(left, right)?;
    if left.value.is_boolean() {
        return Err(BAD_TYPE.to_owned());
    }
    Ok(order == Ordering::Less)
}

pub(in super::super) fn less_or_equal(
    left: Option<Typed<'_>>,
    right: Option<Typed<'_>>,
) -> Result<bool, String> {
    Ok(less(left, right)? || equal(left, right)?)
}

/// The order of two values that have to have one.
fn ordered(left: Typed<'_>, right: Typed<'_>) -> Result<Ordering, String> {
    let types = || format!("{BAD_PAIR}: {} and {}", left.name, right.name);
    order(left.value, right.value).ok_or_else(types)
}

fn is_basic(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_))
}

/// How values of one type are ordered; nothing if their types differ.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) if left.is_f64() == right.is_f64() => {
            match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
            }
        }
        _ => None,
    }
}
