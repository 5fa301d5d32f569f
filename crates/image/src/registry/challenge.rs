//! `WWW-Authenticate` challenges (RFC 9110, section 11.6.1). Pure.

use std::collections::BTreeMap;

/// One offered way to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Lower case: `bearer`, `basic`.
    pub(super) scheme: String,
    /// Parameters by lower-case name.
    pub(super) parameters: BTreeMap<String, String>,
}

impl Challenge {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Reads one header value, which may hold several challenges. What is malformed is left out.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let (word, after) = take_token(rest);
        if word.is_empty() {
            break;
        }
        let after_blanks = after.trim_start();
        if let (Some(value), Some(challenge)) =
            (after_blanks.strip_prefix('='), challenges.last_mut())
        {
            let (value, after) = take_value(value.trim_start());
            challenge.parameters.insert(word.to_ascii_lowercase(), value);
            rest = after;
        } else {
            challenges
                .push(Challenge { scheme: word.to_ascii_lowercase(), parameters: BTreeMap::new() });
            rest = after_blanks;
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    challenges
}

fn take_token(text: &str) -> (&str, &str) {
    let end = text
        .find(|letter: char| {
            !(letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter))
        })
        .unwrap_or(text.len());
    text.split_at(end)
}

fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, quoted.split_at(at + 1).1),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests;
