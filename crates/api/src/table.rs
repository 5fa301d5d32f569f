//! Rows of tables (`meta.k8s.io/v1` `Table`): what a kind shows of an object.
//!
//! Of a row only ages change while its object does not, so a [`Row`] is kept with its object as text with gaps where ages stand.

use podo_base::Timestamp;
use serde_json::Value;

use crate::duration;

/// What a column shows of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// The same at any time.
    Fixed(Value),
    /// A text with the time since a moment in it.
    Age {
        /// What stands before the age.
        before: String,
        /// The moment.
        since: Timestamp,
        /// What stands after the age.
        after: &'static str,
    },
}

impl Cell {
    /// The time since a moment, as people read it; `<unknown>` if there is no moment.
    pub fn age(moment: &str) -> Self {
        Self::age_within("", moment, "")
    }

    /// As [`Cell::age`], between two texts.
    pub fn age_within(before: impl Into<String>, moment: &str, after: &'static str) -> Self {
        let before = before.into();
        match Timestamp::parse(moment) {
            Some(since) => Self::Age { before, since, after },
            None => Self::Fixed(Value::from(format!("{before}<unknown>{after}"))),
        }
    }

    /// The value at a moment.
    pub fn at(self, now: Timestamp) -> Value {
        match self {
            Self::Fixed(value) => value,
            Self::Age { before, since, after } => {
                Value::from(format!("{before}{}{after}", duration::human(since, now)))
            }
        }
    }
}

impl<T: Into<Value>> From<T> for Cell {
    fn from(value: T) -> Self {
        Self::Fixed(value.into())
    }
}

/// The JSON of a row without its object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// All but the ages: from `{` to `"object":`.
    text: Box<str>,
    /// Where in the text ages stand, and since when they count.
    ages: Box<[(usize, Timestamp)]>,
}

impl Row {
    /// The row of these cells and conditions.
    pub fn new(cells: impl IntoIterator<Item = Cell>, conditions: &[Value]) -> Self {
        let (mut text, mut ages) = ("{\"cells\":[".to_owned(), Vec::new());
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            match cell {
                Cell::Fixed(value) => text += &value.to_string(),
                Cell::Age { before, since, after } => {
                    let (before, after) = (quoted(&before), quoted(after));
                    text += &before[..before.len() - 1];
                    ages.push((text.len(), since));
                    text += &after[1..];
                }
            }
        }
        text.push(']');
        if !conditions.is_empty() {
            text += ",\"conditions\":";
            text += &Value::from(conditions).to_string();
        }
        text += ",\"object\":";
        Self { text: text.into(), ages: ages.into() }
    }

    /// Writes the row as it is at a moment, up to and without its object.
    pub fn write(&self, now: Timestamp, out: &mut Vec<u8>) {
        let mut done = 0;
        for &(at, since) in &self.ages {
            out.extend_from_slice(&self.text.as_bytes()[done..at]);
            // An age has no letter that JSON escapes.
            out.extend_from_slice(duration::human(since, now).as_bytes());
            done = at;
        }
        out.extend_from_slice(&self.text.as_bytes()[done..]);
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_its_cells_at_the_moment_at_which_it_is_written() {
        let moment = "2026-01-01T00:00:00Z";
        let cells = || {
            let restarts = Cell::age_within("\"3\" (", moment, " ago)");
            [Cell::from("a\"b"), Cell::age(moment), 7.into(), restarts, Cell::age("")]
        };
        let start = Timestamp::parse(moment).expect("a moment");
        for seconds in [0, 5, 200, 100_000] {
            let now = Timestamp::from_micros(start.as_micros() + seconds * 1_000_000);
            let shown: Vec<Value> = cells().into_iter().map(|cell| cell.at(now)).collect();
            for conditions in [vec![], vec![json!({"type": "Completed"})]] {
                let mut out = Vec::new();
                Row::new(cells(), &conditions).write(now, &mut out);
                out.extend_from_slice(b"null}");
                let mut expected = json!({"cells": shown, "object": null});
                if !conditions.is_empty() {
                    expected["conditions"] = conditions.into();
                }
                assert_eq!(serde_json::from_slice::<Value>(&out).ok(), Some(expected));
            }
        }
        assert_eq!(Cell::age("").at(start), json!("<unknown>"));
        assert_eq!(cells()[3].clone().at(start), json!("\"3\" (0s ago)"));
    }
}
