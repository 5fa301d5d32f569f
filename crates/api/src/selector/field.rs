//! Field selectors: `status.phase=Running,spec.nodeName!=`.
//!
//! Here they are only parsed and matched; which fields a kind offers is the registry's.

use std::fmt;

use super::SelectorError;

/// One comparison with a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Term {
    /// The path of the field, such as `metadata.name`.
    pub field: Box<str>,
    /// The value, without escapes.
    pub value: Box<str>,
    /// Whether the field must equal the value, or must not.
    pub is_equal: bool,
}

impl Term {
    /// Whether a field of this value fits; a field that is not set is empty.
    pub fn matches(&self, value: &str) -> bool {
        (*self.value == *value) == self.is_equal
    }
}

/// Comparisons that must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    terms: Vec<Term>,
}

impl Selector {
    /// Parses the text form. Terms are sorted, as upstream sorts them.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let terms = parts.into_iter().filter(|part| !part.is_empty()).map(|part| term(text, part));
        Ok(Self { terms: terms.collect::<Result<_, _>>()? })
    }

    /// A selector for one value of one field.
    pub fn equals(field: &str, value: &str) -> Self {
        Self { terms: vec![Term { field: field.into(), value: value.into(), is_equal: true }] }
    }

    /// The comparisons.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether every object fits.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that a field must have, if the selector says so.
    pub fn required(&self, field: &str) -> Option<&str> {
        let term = self.terms.iter().find(|term| term.is_equal && *term.field == *field)?;
        Some(&term.value)
    }

    /// Whether an object fits whose fields `field` looks up; a field that is not set is empty.
    pub fn matches<'v>(&self, field: impl Fn(&str) -> &'v str) -> bool {
        self.terms.iter().all(|term| term.matches(field(&term.field)))
    }
}

/// Splits at commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let mut is_escaped = false;
    text.split(|letter| {
        let was_escaped = is_escaped;
        is_escaped = letter == '\\' && !was_escaped;
        letter == ',' && !was_escaped
    })
    .collect()
}

fn term(selector: &str, text: &str) -> Result<Term, SelectorError> {
    let operator_at = text
        .bytes()
        .enumerate()
        .find(|&(at, byte)| byte == b'=' || text.as_bytes()[at..].starts_with(b"!="));
    let Some((at, _)) = operator_at else {
        let text = format!("invalid selector: '{selector}'; can't understand '{text}'");
        return Err(SelectorError::new(text));
    };
    let (field, rest) = text.split_at(at);
    let (is_equal, value) = match rest.strip_prefix("!=") {
        Some(value) => (false, value),
        None => (true, rest.strip_prefix("==").unwrap_or(&rest[1..])),
    };
    Ok(Term { field: field.into(), value: unescape(value)?.into(), is_equal })
}

/// Takes the backslashes off a value.
pub fn unescape(value: &str) -> Result<String, SelectorError> {
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    let text =
                        format!("invalid field selector: invalid escape sequence: \\{other}");
                    return Err(SelectorError::new(text));
                }
            },
            // Go prints the letter's number here.
            ',' | '=' => {
                let code = u32::from(letter);
                let text = format!("invalid field selector: unescaped character in value: {code}");
                return Err(SelectorError::new(text));
            }
            _ => plain.push(letter),
        }
    }
    Ok(plain)
}

/// Puts a backslash before what a value may not contain plainly.
pub fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '\\' | ',' | '=') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.is_equal { "=" } else { "!=" };
        write!(f, "{}{operator}{}", self.field, escape(&self.value))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            term.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
