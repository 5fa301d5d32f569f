//! `--sort-by`: orders objects or rows by a field.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::fault::Fault;
use super::super::print::jsonpath::JsonPath;
use super::super::value::Look;

/// Orders objects; those without the field come first.
pub(super) fn objects(objects: &mut [Value], path: &str) -> Result<(), Fault> {
    let path = JsonPath::parse_relaxed(path)?;
    let mut keyed = Vec::with_capacity(objects.len());
    for object in objects.iter_mut() {
        keyed.push((key(&path, object)?, object.take()));
    }
    require(&keyed, &path)?;
    sort(&mut keyed);
    for (slot, (_, object)) in objects.iter_mut().zip(keyed) {
        *slot = object;
    }
    Ok(())
}

/// Orders what is shown as tables, as kubectl does it: the rows of one table; of several tables the tables themselves.
///
/// A single table that cannot be ordered loses its rows: kubectl v1.36 passes the mistake over and prints nothing.
pub(super) fn tables(shown: &mut Vec<(usize, Value)>, path: &str) -> Result<(), Fault> {
    if let [(_, table)] = shown.as_mut_slice() {
        if table.list("/rows").len() > 1 && rows(table, path).is_err() {
            table["rows"] = Value::Array(Vec::new());
        }
        return Ok(());
    }
    let path = JsonPath::parse_relaxed(path)?;
    let keyed = shown.drain(..).map(|(index, table)| Ok((key(&path, &table)?, (index, table))));
    let mut keyed = keyed.collect::<Result<Vec<_>, Fault>>()?;
    require(&keyed, &path)?;
    sort(&mut keyed);
    shown.extend(keyed.into_iter().map(|(_, one)| one));
    Ok(())
}

/// Orders a table's rows by a field of their objects.
fn rows(table: &mut Value, path: &str) -> Result<(), Fault> {
    let path = JsonPath::parse_relaxed(path)?;
    let Some(Value::Array(rows)) = table.get_mut("rows") else {
        return Ok(());
    };
    let mut keyed = Vec::with_capacity(rows.len());
    for mut row in rows.drain(..) {
        let object = row.get_mut("object").cloned().unwrap_or(Value::Null);
        keyed.push((key(&path, &object)?, row));
    }
    require(&keyed, &path)?;
    sort(&mut keyed);
    rows.extend(keyed.into_iter().map(|(_, row)| row));
    Ok(())
}

fn key(path: &JsonPath, object: &Value) -> Result<Option<Value>, Fault> {
    Ok(path.find(object, true).map_err(Fault::refused)?.into_iter().next())
}

/// A field that no object has is a mistake.
fn require<T>(keyed: &[(Option<Value>, T)], path: &JsonPath) -> Result<(), Fault> {
    if !keyed.is_empty() && keyed.iter().all(|(key, _)| key.is_none()) {
        let path = path.source().trim_matches(['{', '}']);
        return Err(Fault::refused(format!(
            "couldn't find any field with path {} in the list of objects",
            super::super::fault::quoted(&format!("{{{path}}}"))
        )));
    }
    Ok(())
}

/// The most that Go sorts by insertion.
const INSERTION_MAX: usize = 12;

/// Sorts as Go's `sort.Sort` does. To kubectl what lacks the field is less than everything, also than what lacks it too: of few,
/// which Go sorts by insertion, these come in the reverse order.
fn sort<T>(keyed: &mut [(Option<Value>, T)]) {
    if keyed.len() > INSERTION_MAX {
        keyed.sort_by(|(left, _), (right, _)| compare(left.as_ref(), right.as_ref()));
        return;
    }
    for end in 1..keyed.len() {
        let mut at = end;
        while at > 0 && is_less(keyed[at].0.as_ref(), keyed[at - 1].0.as_ref()) {
            keyed.swap(at, at - 1);
            at -= 1;
        }
    }
}

fn is_less(left: Option<&Value>, right: Option<&Value>) -> bool {
    left.is_none() || compare(left, right) == Ordering::Less
}

fn compare(left: Option<&Value>, right: Option<&Value>) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Some(Value::String(left)), Some(Value::String(right))) => {
            match (left.parse::<podo_api::quantity::Quantity>(), right.parse()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                _ => left.cmp(right),
            }
        }
        (Some(left), Some(right)) => left.s("").cmp(right.s("")),
    }
}
