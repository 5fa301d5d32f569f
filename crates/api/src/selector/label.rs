//! Label selectors: `app=web,tier in (a,b),!old`, and the `matchLabels`/`matchExpressions` objects.
//!
//! Requirements are kept sorted by key, as upstream keeps them, so that equal selectors print alike.

mod parse;

use std::fmt;

use serde_json::Value;

use super::SelectorError;
use crate::names;

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `key=value`.
    Equals,
    /// `key==value`.
    DoubleEquals,
    /// `key!=value`: also without the label.
    NotEquals,
    /// `key in (a,b)`.
    In,
    /// `key notin (a,b)`: also without the label.
    NotIn,
    /// `key`.
    Exists,
    /// `!key`.
    DoesNotExist,
    /// `key>1`: both are integers.
    GreaterThan,
    /// `key<1`: both are integers.
    LessThan,
}

/// What one label must be like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requirement {
    key: Box<str>,
    operator: Operator,
    /// Sorted when parsed from text.
    values: Vec<Box<str>>,
    /// The bound of [`Operator::GreaterThan`] and [`Operator::LessThan`].
    bound: i64,
}

/// A set of requirements that must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    requirements: Vec<Requirement>,
    is_nothing: bool,
}

impl Requirement {
    /// A requirement, checked as upstream checks it.
    ///
    /// # Errors
    /// The text names `key` or `values[0]`, several findings stand in brackets.
    pub fn new(key: &str, operator: Operator, values: &[&str]) -> Result<Self, SelectorError> {
        let mut findings = Vec::new();
        let key_problems = names::qualified_name(key);
        if !key_problems.is_empty() {
            findings.push(invalid("key", key, &key_problems.join("; ")));
        }
        let mut bound = 0;
        check_count(operator, values, &mut findings);
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) {
            for (index, value) in values.iter().enumerate() {
                match value.parse() {
                    Ok(number) => bound = number,
                    Err(_) => findings.push(invalid(
                        &format!("values[{index}]"),
                        value,
                        "for 'Gt', 'Lt' operators, the value must be an integer",
                    )),
                }
            }
        }
        for (index, value) in values.iter().enumerate() {
            let problems = names::label_value(value);
            if !problems.is_empty() {
                let path = format!("values[{index}][{key}]");
                findings.push(invalid(&path, value, &problems.join("; ")));
            }
        }
        match &findings[..] {
            [] => Ok(Self::unchecked(key, operator, values, bound)),
            [one] => Err(SelectorError::new(one.as_str())),
            all => Err(SelectorError::new(format!("[{}]", all.join(", ")))),
        }
    }

    fn unchecked(key: &str, operator: Operator, values: &[&str], bound: i64) -> Self {
        let values = values.iter().map(|&value| value.into()).collect();
        Self { key: key.into(), operator, values, bound }
    }

    /// The label's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How the label is compared.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What the label is compared with.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(AsRef::as_ref)
    }

    /// Whether a label of this value, or its absence, fits.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let is_listed = |value: &str| self.values.iter().any(|listed| **listed == *value);
        match self.operator {
            Operator::Equals | Operator::DoubleEquals | Operator::In => {
                value.is_some_and(is_listed)
            }
            Operator::NotEquals | Operator::NotIn => !value.is_some_and(is_listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => number(value).is_some_and(|number| number > self.bound),
            Operator::LessThan => number(value).is_some_and(|number| number < self.bound),
        }
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value?.parse().ok()
}

fn invalid(path: &str, value: &str, detail: &str) -> String {
    format!("{path}: Invalid value: {}: {detail}", crate::field::quoted(value))
}

/// Each operator takes its own count of values.
fn check_count(operator: Operator, values: &[&str], findings: &mut Vec<String>) {
    let (is_wrong, detail) = match operator {
        Operator::In | Operator::NotIn => {
            (values.is_empty(), "for 'in', 'notin' operators, values set can't be empty")
        }
        Operator::Equals | Operator::DoubleEquals | Operator::NotEquals => {
            (values.len() != 1, "exact-match compatibility requires one single value")
        }
        Operator::Exists | Operator::DoesNotExist => {
            (!values.is_empty(), "values set must be empty for exists and does not exist")
        }
        Operator::GreaterThan | Operator::LessThan => {
            (values.len() != 1, "for 'Gt', 'Lt' operators, exactly one value is required")
        }
    };
    if is_wrong {
        // A list is shown as JSON; one without items is not set.
        let shown =
            if values.is_empty() { "null".to_owned() } else { Value::from(values).to_string() };
        findings.push(format!("values: Invalid value: {shown}: {detail}"));
    }
}

impl Selector {
    /// A selector that every object fits.
    pub const fn everything() -> Self {
        Self { requirements: Vec::new(), is_nothing: false }
    }

    /// A selector that no object fits.
    pub const fn nothing() -> Self {
        Self { requirements: Vec::new(), is_nothing: true }
    }

    /// Parses the text form.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::parse(text).map(Self::of)
    }

    /// The requirements, all of which must hold.
    pub fn of(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, is_nothing: false }
    }

    /// A selector for exactly these labels; the labels are not checked.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let equals = |(key, value)| Requirement::unchecked(key, Operator::Equals, &[value], 0);
        Self::of(labels.into_iter().map(equals).collect())
    }

    /// The selector that a `LabelSelector` object means: nothing if there is none, everything if it is empty.
    pub fn from_value(selector: Option<&Value>) -> Result<Self, SelectorError> {
        let Some(selector) = selector.filter(|selector| !selector.is_null()) else {
            return Ok(Self::nothing());
        };
        let mut requirements = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or("");
            requirements.push(Requirement::new(key, Operator::Equals, &[value])?);
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let text = |name: &str| expression[name].as_str().unwrap_or("");
            let operator = match text("operator") {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    let quoted = crate::field::quoted(other);
                    let text = format!("{quoted} is not a valid label selector operator");
                    return Err(SelectorError::new(text));
                }
            };
            let values = expression["values"].as_array().into_iter().flatten();
            let values: Vec<&str> = values.map(|value| value.as_str().unwrap_or("")).collect();
            requirements.push(Requirement::new(text("key"), operator, &values)?);
        }
        Ok(Self::of(requirements))
    }

    /// Whether every object fits.
    pub fn is_everything(&self) -> bool {
        !self.is_nothing && self.requirements.is_empty()
    }

    /// Whether no object fits for certain.
    pub fn is_nothing(&self) -> bool {
        self.is_nothing
    }

    /// The requirements, sorted by key.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether an object fits whose labels `label` looks up.
    pub fn matches<'v>(&self, label: impl Fn(&str) -> Option<&'v str>) -> bool {
        !self.is_nothing
            && self
                .requirements
                .iter()
                .all(|requirement| requirement.matches(label(&requirement.key)))
    }

    /// Whether an object fits that has these labels, a JSON map of strings; `null` has none.
    pub fn matches_value(&self, labels: &Value) -> bool {
        self.matches(|key| labels.get(key).and_then(Value::as_str))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match self.operator {
            Operator::DoesNotExist => return write!(f, "!{key}"),
            Operator::Exists => return f.write_str(key),
            Operator::Equals => write!(f, "{key}=")?,
            Operator::DoubleEquals => write!(f, "{key}==")?,
            Operator::NotEquals => write!(f, "{key}!=")?,
            Operator::GreaterThan => write!(f, "{key}>")?,
            Operator::LessThan => write!(f, "{key}<")?,
            Operator::In => write!(f, "{key} in (")?,
            Operator::NotIn => write!(f, "{key} notin (")?,
        }
        let mut values: Vec<&str> = self.values().collect();
        values.sort_unstable();
        f.write_str(&values.join(","))?;
        match self.operator {
            Operator::In | Operator::NotIn => f.write_str(")"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
