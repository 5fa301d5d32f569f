//! The grammar of label selectors: words, the signs `= == != ! < > ( ) ,` and the words `in` and `notin` where an operator stands.

use super::{Operator, Requirement, SelectorError};
use crate::names;

/// The binary operators, as the errors list them.
const BINARY: &str = "in, notin, =, ==, !=, gt, lt";

/// A word or sign of the text; the empty one is its end.
fn tokens(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(|&byte| !is_blank(byte)).map(|n| at + n) {
        if bytes[start] == 0 {
            break;
        }
        let length = match &bytes[start..] {
            [b'=' | b'!', b'=', ..] => 2,
            [sign, ..] if is_sign(*sign) => 1,
            rest => rest
                .iter()
                .position(|&byte| is_blank(byte) || is_sign(byte) || byte == 0)
                .unwrap_or(rest.len()),
        };
        at = start + length;
        found.push(&text[start..at]);
    }
    found
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_sign(byte: u8) -> bool {
    matches!(byte, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<')
}

/// Whether a token is a word; `in` and `notin` are words wherever no operator is expected.
fn is_word(token: &str) -> bool {
    token.bytes().next().is_some_and(|byte| !is_sign(byte))
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
}

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    let mut requirements = Vec::new();
    loop {
        let token = parser.peek();
        if token.is_empty() {
            return Ok(requirements);
        }
        if !is_word(token) && token != "!" {
            return Err(expected(token, ", expected: !, identifier, or 'end of string'"));
        }
        let requirement = parser.requirement().map_err(|error| {
            SelectorError::new(format!("unable to parse requirement: {}", error.text))
        })?;
        requirements.push(requirement);
        match parser.next() {
            "" => return Ok(requirements),
            "," => {
                let token = parser.peek();
                if !is_word(token) && token != "!" {
                    return Err(expected(token, ", expected: identifier after ','"));
                }
            }
            token => return Err(expected(token, ", expected: ',' or 'end of string'")),
        }
    }
}

fn expected(found: &str, what: &str) -> SelectorError {
    SelectorError::new(format!("found '{found}'{what}"))
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).copied().unwrap_or("")
    }

    fn next(&mut self) -> &'a str {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let mut key = self.next();
        let is_negated = key == "!";
        if is_negated {
            key = self.next();
        }
        if !is_word(key) {
            return Err(expected(key, ", expected: identifier"));
        }
        let problems = names::qualified_name(key);
        if !problems.is_empty() {
            // Upstream has no path to name here.
            return Err(SelectorError::new(super::invalid("<nil>", key, &problems.join("; "))));
        }
        if is_negated {
            return Requirement::new(key, Operator::DoesNotExist, &[]);
        }
        if matches!(self.peek(), "" | ",") {
            return Requirement::new(key, Operator::Exists, &[]);
        }
        let operator = self.operator()?;
        let mut values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        values.sort_unstable();
        values.dedup();
        Requirement::new(key, operator, &values)
    }

    fn operator(&mut self) -> Result<Operator, SelectorError> {
        Ok(match self.next() {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            "=" => Operator::Equals,
            "==" => Operator::DoubleEquals,
            "!=" => Operator::NotEquals,
            ">" => Operator::GreaterThan,
            "<" => Operator::LessThan,
            token => return Err(expected(token, &format!(", expected: {BINARY}"))),
        })
    }

    fn exact_value(&mut self) -> Result<&'a str, SelectorError> {
        if matches!(self.peek(), "" | ",") {
            return Ok("");
        }
        let token = self.next();
        if is_word(token) { Ok(token) } else { Err(expected(token, ", expected: identifier")) }
    }

    fn values(&mut self) -> Result<Vec<&'a str>, SelectorError> {
        let token = self.next();
        if token != "(" {
            return Err(expected(token, " expected: '('"));
        }
        let token = self.peek();
        if token == ")" {
            self.at += 1;
            return Ok(vec![""]);
        }
        if !is_word(token) && token != "," {
            return Err(expected(token, ", expected: ',', ')' or identifier"));
        }
        let values = self.list()?;
        // The list ends only where the bracket closes.
        self.at += 1;
        Ok(values)
    }

    /// Words between commas; where a word is missing stands an empty value.
    fn list(&mut self) -> Result<Vec<&'a str>, SelectorError> {
        let mut values = Vec::new();
        loop {
            let token = self.next();
            if is_word(token) {
                values.push(token);
                match self.peek() {
                    "," => {}
                    ")" => return Ok(values),
                    token => return Err(expected(token, ", expected: ',' or ')'")),
                }
            } else if token == "," {
                if values.is_empty() {
                    values.push("");
                }
                match self.peek() {
                    ")" => {
                        values.push("");
                        return Ok(values);
                    }
                    "," => values.push(""),
                    _ => {}
                }
            } else {
                return Err(expected(token, ", expected: ',', or identifier"));
            }
        }
    }
}
