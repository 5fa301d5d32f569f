//! Reads a JSONPath template as client-go does, with its mistakes in its words.

use serde_json::Value;

use super::super::go::unquoted;
use super::super::template::code_point;
use super::{Node, Slice};

/// The deepest nesting of filters and unions.
const DEPTH_MAX: usize = 64;

/// Parses text with `{…}` in it.
pub(super) fn template(source: &str) -> Result<Vec<Node>, String> {
    nodes(source, 0)
}

fn nodes(source: &str, depth: usize) -> Result<Vec<Node>, String> {
    if depth > DEPTH_MAX {
        return Err("nesting is too deep".to_owned());
    }
    let mut nodes = Vec::new();
    let mut reader = Reader { rest: source, depth };
    while let Some(start) = reader.rest.find('{') {
        if start > 0 {
            nodes.push(Node::Text(reader.rest[..start].to_owned()));
        }
        reader.skip(start + 1);
        nodes.push(Node::List(reader.inside()?));
    }
    if !reader.rest.is_empty() {
        nodes.push(Node::Text(reader.rest.to_owned()));
    }
    Ok(nodes)
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// What is before a place, and goes on there.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    /// The first node of text that stands for what is between braces.
    fn action(&self, text: &str) -> Result<Vec<Node>, String> {
        let mut nodes = nodes(&format!("{{{text}}}"), self.depth + 1)?;
        match nodes.swap_remove(0) {
            Node::List(nodes) => Ok(nodes),
            other => Ok(vec![other]),
        }
    }

    /// What is between braces, up to and with the closing one.
    fn inside(&mut self) -> Result<Vec<Node>, String> {
        let mut list = Vec::new();
        loop {
            if self.rest.starts_with("[?(") {
                list.push(self.filter()?);
                continue;
            }
            if self.rest.starts_with("..") {
                self.recursive(&mut list)?;
                continue;
            }
            match self.peek() {
                None | Some('\r' | '\n') => return Err("unclosed action".to_owned()),
                Some('}') => {
                    self.skip(1);
                    return Ok(list);
                }
                Some(' ' | '@' | '$') => self.skip(1),
                Some('[') => self.brackets(&mut list)?,
                Some(quote @ ('"' | '\'')) => list.push(Node::Text(self.quoted(quote)?)),
                Some('.') => {
                    self.skip(1);
                    list.push(self.field());
                }
                Some(c) if matches!(c, '+' | '-') || c.is_numeric() => list.push(self.number()?),
                Some(c) if c == '_' || c.is_alphanumeric() => list.push(self.word()),
                Some(c) => {
                    return Err(format!(
                        "unrecognized character in action: {}",
                        code_point(Some(c))
                    ));
                }
            }
        }
    }

    fn recursive(&mut self, list: &mut Vec<Node>) -> Result<(), String> {
        if list.last() == Some(&Node::Recursive) {
            return Err("invalid multiple recursive descent".to_owned());
        }
        self.skip(2);
        list.push(Node::Recursive);
        if self.peek().is_some_and(|c| c == '_' || c.is_alphanumeric()) {
            list.push(self.field());
        }
        Ok(())
    }

    /// Up to what ends a name; a backslash takes the next character as it is.
    fn name(&mut self) -> &'a str {
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                chars.next();
            } else if is_terminator(c) {
                return self.take(at);
            }
        }
        self.take(self.rest.len())
    }

    fn field(&mut self) -> Node {
        match self.name() {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn word(&mut self) -> Node {
        let end = self.rest.find(is_terminator).unwrap_or(self.rest.len());
        match self.take(end) {
            "true" => Node::Literal(true.into()),
            "false" => Node::Literal(false.into()),
            word => Node::Word(word.to_owned()),
        }
    }

    fn number(&mut self) -> Result<Node, String> {
        let sign = usize::from(self.rest.starts_with(['+', '-']));
        let digits = self.rest[sign..].find(|c: char| c != '.' && !c.is_numeric());
        let text = self.take(digits.map_or(self.rest.len(), |end| sign + end));
        let value = match text.parse::<i64>() {
            Ok(whole) => Some(Value::from(whole)),
            Err(_) => text.parse::<f64>().ok().map(Value::from),
        };
        value.map(Node::Literal).ok_or_else(|| format!("cannot parse number {text}"))
    }

    /// A text in quotes; a quote behind a backslash does not end it.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut before = quote;
        for (at, c) in self.rest.char_indices().skip(1) {
            if c == '\n' {
                break;
            }
            if c == quote && before != '\\' {
                let literal = self.take(at + 1);
                return unquoted(literal)
                    .ok_or_else(|| format!("unquote string {literal} error invalid syntax"));
            }
            before = c;
        }
        Err("unterminated quoted string".to_owned())
    }

    fn brackets(&mut self, list: &mut Vec<Node>) -> Result<(), String> {
        let end = self.rest.find([']', '\n']).filter(|end| self.rest[*end..].starts_with(']'));
        let end = end.ok_or("unterminated array")?;
        let text = &self.take(end + 1)[1..end];
        let text = if text == "*" { ":" } else { text };
        if text.contains(',') {
            let parts =
                text.split(',').map(|part| self.action(&format!("[{}]", part.trim_matches(' '))));
            list.push(Node::Union(parts.collect::<Result<_, _>>()?));
            return Ok(());
        }
        let key = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        match key.filter(|key| !key.contains('\'')) {
            Some(key) => list.extend(self.action(&format!(".{key}"))?),
            None => list.push(Node::Slice(slice(text)?)),
        }
        Ok(())
    }

    fn filter(&mut self) -> Result<Node, String> {
        self.skip("[?(".len());
        let end = filter_end(self.rest).ok_or("unterminated filter")?;
        let text = self.take(end);
        self.skip(1);
        if !self.rest.starts_with(']') {
            return Err("unclosed array expect ]".to_owned());
        }
        self.skip(1);
        let Some((left, operator, right)) = comparison(text) else {
            let left = self.action(text)?;
            return Ok(Node::Filter { left, operator: "exists".to_owned(), right: Vec::new() });
        };
        let (left, right) = (self.action(left)?, self.action(right)?);
        Ok(Node::Filter { left, operator: operator.to_owned(), right })
    }
}

/// Where the parenthesis is that ends a filter: not inside of the one text in quotes that it may have.
fn filter_end(text: &str) -> Option<usize> {
    let (mut quote, mut is_closed, mut before) = (None, false, '(');
    for (at, c) in text.char_indices() {
        match (c, quote) {
            ('\n', _) => return None,
            ('"' | '\'', None) => quote = Some(c),
            ('"' | '\'', Some(open)) => is_closed |= before != '\\' && c == open,
            (')', _) if quote.is_some() == is_closed => return Some(at),
            _ => {}
        }
        before = c;
    }
    None
}

/// The sides of a comparison and its sign.
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    const SIGNS: [char; 4] = ['!', '<', '>', '='];
    let start = text.find(SIGNS).filter(|start| *start > 0)?;
    let length = text[start..].find(|c| !SIGNS.contains(&c));
    let end = match length {
        Some(length) => start + length,
        // Something has to be left for the right side.
        None => text.len() - 1,
    };
    let (left, right) = (&text[..start], &text[end..]);
    (end > start && !right.contains('\n')).then_some((left, &text[start..end], right))
}

fn slice(text: &str) -> Result<Slice, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_number = |part: &&str| {
        part.strip_prefix('-').unwrap_or(part).bytes().all(|byte| byte.is_ascii_digit())
    };
    if parts.len() > 3 || !parts.iter().all(is_number) {
        return Err(format!("invalid array index {text}"));
    }
    let number = |at: usize| match parts.get(at) {
        None | Some(&"") => Ok(None),
        Some(part) => {
            part.parse().map(Some).map_err(|_| format!("array index {part} is not a number"))
        }
    };
    let is_index = parts.len() == 1;
    Ok(Slice { start: number(0)?, end: number(1)?, step: number(2)?, is_index })
}

fn is_terminator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}
