//! Reads a JSONPath template.

use serde_json::Value;

use super::{Operand, Operator, Path, Piece, Step};

/// The deepest nesting of ranges and filters.
const DEPTH_MAX: usize = 64;

/// Parses text with `{…}` in it.
pub(super) fn template(source: &str) -> Result<Vec<Piece>, String> {
    let mut open: Vec<(Option<Path>, Vec<Piece>)> = vec![(None, Vec::new())];
    let mut rest = source;
    while let Some(start) = rest.find('{') {
        push(&mut open, Piece::Text(rest[..start].to_owned()));
        let mut reader = Reader { rest: &rest[start + 1..], depth: 0 };
        reader.actions(&mut open)?;
        rest = reader.rest;
    }
    push(&mut open, Piece::Text(rest.to_owned()));
    if open.len() > 1 {
        return Err("unterminated range, expected end".into());
    }
    Ok(open.remove(0).1)
}

fn push(open: &mut [(Option<Path>, Vec<Piece>)], piece: Piece) {
    if piece == Piece::Text(String::new()) {
        return;
    }
    if let Some((_, pieces)) = open.last_mut() {
        pieces.push(piece);
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    /// What is between braces, up to and with the closing one.
    fn actions(&mut self, open: &mut Vec<(Option<Path>, Vec<Piece>)>) -> Result<(), String> {
        loop {
            self.spaces();
            match self.rest.chars().next() {
                None => return Err("unclosed action".into()),
                Some('}') => {
                    self.bump(1);
                    return Ok(());
                }
                Some(quote @ ('"' | '\'')) => {
                    let text = self.quoted(quote)?;
                    push(open, Piece::Text(text));
                }
                Some(_) if self.keyword("range") => {
                    self.spaces();
                    let path = self.path()?;
                    if open.len() > DEPTH_MAX {
                        return Err("too many nested ranges".into());
                    }
                    open.push((Some(path), Vec::new()));
                }
                Some(_) if self.keyword("end") => match open.pop() {
                    Some((Some(path), pieces)) => push(open, Piece::Range(path, pieces)),
                    _ => return Err("not in range, nothing to end".into()),
                },
                Some(_) => {
                    let path = self.path()?;
                    push(open, Piece::Path(path));
                }
            }
        }
    }

    fn keyword(&mut self, word: &str) -> bool {
        let Some(after) = self.rest.strip_prefix(word) else {
            return false;
        };
        let ends = !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if ends {
            self.rest = after;
        }
        ends
    }

    fn bump(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.bump(at + 1);
                return Ok(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, other)) => text.push(other),
                None => break,
            }
        }
        Err("unterminated quoted string".into())
    }

    fn path(&mut self) -> Result<Path, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("too deeply nested".into());
        }
        let mut path = Path { from_root: false, steps: Vec::new() };
        match self.rest.chars().next() {
            Some('$') => {
                path.from_root = true;
                self.bump(1);
            }
            Some('@') => self.bump(1),
            Some('.' | '[') => {}
            Some(c) if c.is_alphabetic() => {
                let name = self.name();
                return Err(format!("unrecognized identifier {name}"));
            }
            other => return Err(format!("unrecognized character in action: {other:?}")),
        }
        loop {
            if self.rest.starts_with("..") {
                self.bump(2);
                path.steps.push(Step::Recursive);
                if self.rest.starts_with('*') {
                    self.bump(1);
                    path.steps.push(Step::Wildcard);
                } else if !self.rest.starts_with('[') {
                    path.steps.push(Step::Field(self.name()));
                }
            } else if self.rest.starts_with('.') {
                self.bump(1);
                if self.rest.starts_with('*') {
                    self.bump(1);
                    path.steps.push(Step::Wildcard);
                } else if !self.rest.starts_with('[') {
                    let name = self.name();
                    if !name.is_empty() {
                        path.steps.push(Step::Field(name));
                    }
                }
            } else if self.rest.starts_with('[') {
                self.bump(1);
                path.steps.push(self.brackets()?);
            } else {
                self.depth -= 1;
                return Ok(path);
            }
        }
    }

    /// A field's name; a backslash takes the next character as it is.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => name.extend(chars.next().map(|(_, c)| c)),
                '.' | '[' | ']' | '}' | ' ' | '\t' | '\r' | '\n' | ',' | '(' | ')' | '<' | '>'
                | '=' | '!' | '$' | '@' | '{' | '"' | '\'' => {
                    end = at;
                    break;
                }
                c => name.push(c),
            }
        }
        self.bump(end);
        name
    }

    fn brackets(&mut self) -> Result<Step, String> {
        self.spaces();
        if self.rest.starts_with("?(") {
            self.bump(2);
            let filter = self.filter()?;
            self.spaces();
            self.expect(']')?;
            return Ok(filter);
        }
        let mut steps = Vec::new();
        loop {
            self.spaces();
            steps.push(match self.rest.chars().next() {
                Some('*') => {
                    self.bump(1);
                    Step::Wildcard
                }
                // Only single quotes: Go's parser takes a text in double ones for a wrong index.
                Some('\'') => Step::Field(self.quoted('\'')?),
                _ => self.slice()?,
            });
            self.spaces();
            if self.rest.starts_with(',') {
                self.bump(1);
                continue;
            }
            self.expect(']')?;
            return Ok(if steps.len() == 1 { steps.remove(0) } else { Step::Union(steps) });
        }
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.rest.starts_with(c) {
            self.bump(c.len_utf8());
            return Ok(());
        }
        Err("unterminated array".into())
    }

    fn slice(&mut self) -> Result<Step, String> {
        let end = self.rest.find([']', ',']).ok_or("unterminated array")?;
        let text = self.rest[..end].trim();
        let number = |part: &str| -> Result<Option<i64>, String> {
            let part = part.trim();
            if part.is_empty() {
                return Ok(None);
            }
            part.parse().map(Some).map_err(|_not_a_number| format!("invalid array index {text}"))
        };
        let parts: Vec<&str> = text.split(':').collect();
        let step = match parts.as_slice() {
            [one] => {
                let index = number(one)?.ok_or_else(|| format!("invalid array index {text}"))?;
                Step::Slice { start: Some(index), end: None, step: 1, is_index: true }
            }
            [start, end, step @ ..] if step.len() < 2 => Step::Slice {
                start: number(start)?,
                end: number(end)?,
                step: step.first().map_or(Ok(None), |step| number(step))?.unwrap_or(1),
                is_index: false,
            },
            _ => return Err(format!("invalid array index {text}")),
        };
        self.bump(end);
        Ok(step)
    }

    fn filter(&mut self) -> Result<Step, String> {
        self.spaces();
        let left = self.operand()?;
        self.spaces();
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        if self.rest.starts_with(')') {
            self.bump(1);
            return Ok(Step::Filter { left, operator: Operator::Exists, right: None });
        }
        let found = operators.iter().find(|(text, _)| self.rest.starts_with(text));
        let Some((text, operator)) = found else {
            return Err("unrecognized filter operator".into());
        };
        self.bump(text.len());
        self.spaces();
        let right = Some(self.operand()?);
        self.spaces();
        if !self.rest.starts_with(')') {
            return Err("unterminated filter".into());
        }
        self.bump(1);
        Ok(Step::Filter { left, operator: *operator, right })
    }

    fn operand(&mut self) -> Result<Operand, String> {
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => Ok(Operand::Value(self.quoted(quote)?.into())),
            Some('@' | '$' | '.' | '[') => Ok(Operand::Path(self.path()?)),
            _ => {
                let end =
                    self.rest.find(|c: char| " )=<>!".contains(c)).ok_or("unterminated filter")?;
                let word = &self.rest[..end];
                let value: Value = serde_json::from_str(word)
                    .map_err(|_other| format!("unrecognized identifier {word}"))?;
                self.bump(end);
                Ok(Operand::Value(value))
            }
        }
    }
}
