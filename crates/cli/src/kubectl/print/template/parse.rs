//! Reads a template.

use serde_json::Value;

use super::functions;
use super::{Node, Pipeline, Term};

/// The deepest nesting of blocks and parentheses.
const DEPTH_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    /// A field, and whether it follows another token without a space: then it is a field of that.
    Field(String, bool),
    Variable(String),
    Literal(Value),
    Symbol(&'static str),
}

#[derive(Debug)]
enum Part {
    Text(String),
    Action(Vec<Token>),
}

/// Parses a whole template.
pub(super) fn parse(source: &str) -> Result<Vec<Node>, String> {
    let parts = split(source)?;
    let mut parser = Parser { parts: parts.into_iter(), depth: 0 };
    let (nodes, end) = parser.block()?;
    match end {
        None => Ok(nodes),
        Some(word) => Err(format!("unexpected {{{{{}}}}}", word.0)),
    }
}

fn split(source: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = source;
    let mut trims = false;
    while let Some(start) = rest.find("{{") {
        let mut text = &rest[..start];
        rest = &rest[start + 2..];
        if trims {
            text = text.trim_start();
        }
        if let Some(after) = rest.strip_prefix("- ") {
            text = text.trim_end();
            rest = after;
        }
        parts.push(Part::Text(text.to_owned()));
        if let Some(comment) = rest.trim_start().strip_prefix("/*") {
            let end = comment.find("*/").ok_or("unclosed comment")?;
            let after = &comment[end + 2..];
            let close = after.find("}}").ok_or("unclosed action")?;
            trims = after[..close].ends_with(" -");
            rest = &after[close + 2..];
            continue;
        }
        let (tokens, after, trims_next) = tokens(rest)?;
        trims = trims_next;
        rest = after;
        parts.push(Part::Action(tokens));
    }
    parts.push(Part::Text(if trims { rest.trim_start() } else { rest }.to_owned()));
    Ok(parts)
}

fn tokens(source: &str) -> Result<(Vec<Token>, &str, bool), String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let is_attached = trimmed.len() == rest.len();
        rest = trimmed;
        if let Some(after) = rest.strip_prefix("}}") {
            return Ok((tokens, after, false));
        }
        if let Some(after) = rest.strip_prefix("-}}") {
            return Ok((tokens, after, true));
        }
        let symbol = [":=", "=", "|", "(", ")", ","].into_iter().find(|s| rest.starts_with(s));
        if let Some(symbol) = symbol {
            tokens.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
            continue;
        }
        let c = rest.chars().next().ok_or("unclosed action")?;
        match c {
            '"' => {
                let (text, after) = quoted(rest)?;
                tokens.push(Token::Literal(text.into()));
                rest = after;
            }
            '`' => {
                let end = rest[1..].find('`').ok_or("unterminated raw quoted string")?;
                tokens.push(Token::Literal(rest[1..=end].into()));
                rest = &rest[end + 2..];
            }
            '.' => {
                let end = word_end(&rest[1..]) + 1;
                tokens.push(Token::Field(rest[1..end].to_owned(), is_attached));
                rest = &rest[end..];
            }
            '$' => {
                let end = word_end(&rest[1..]) + 1;
                tokens.push(Token::Variable(rest[1..end].to_owned()));
                rest = &rest[end..];
            }
            '0'..='9' | '-' | '+' => {
                let end = rest[1..]
                    .find(|c: char| !c.is_ascii_digit() && c != '.' && c != 'e')
                    .map_or(rest.len(), |end| end + 1);
                let text = rest[..end].trim_start_matches('+');
                let number = serde_json::from_str(text)
                    .map_err(|_not_a_number| format!("bad number syntax: {text:?}"))?;
                tokens.push(Token::Literal(number));
                rest = &rest[end..];
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = word_end(rest);
                tokens.push(Token::Word(rest[..end].to_owned()));
                rest = &rest[end..];
            }
            c => return Err(format!("unexpected {c:?} in command")),
        }
    }
}

fn word_end(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

fn quoted(source: &str) -> Result<(String, &str), String> {
    let mut end = None;
    let mut is_escaped = false;
    for (at, c) in source.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => {
                end = Some(at);
                break;
            }
            _ => {}
        }
    }
    let end = end.ok_or("unterminated quoted string")?;
    let text: String = serde_json::from_str(&source[..=end])
        .map_err(|_bad_escape| format!("bad string syntax: {}", &source[..=end]))?;
    Ok((text, &source[end + 1..]))
}

struct Parser {
    parts: std::vec::IntoIter<Part>,
    depth: usize,
}

/// The word that ended a block, and what followed it.
type End = Option<(String, Vec<Token>)>;

impl Parser {
    /// Nodes up to `end`, `else` or the end of the template.
    fn block(&mut self) -> Result<(Vec<Node>, End), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("too deeply nested".into());
        }
        let mut nodes = Vec::new();
        while let Some(part) = self.parts.next() {
            let tokens = match part {
                Part::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Part::Action(tokens) => tokens,
            };
            let Some(Token::Word(word)) = tokens.first() else {
                nodes.push(Node::Print(pipeline(&tokens)?));
                continue;
            };
            let rest = &tokens[1..];
            match word.as_str() {
                "end" | "else" => {
                    self.depth -= 1;
                    return Ok((nodes, Some((word.clone(), rest.to_vec()))));
                }
                "if" => nodes.push(self.conditional(rest)?),
                "with" => {
                    let condition = pipeline(rest)?;
                    let (body, other) = self.body()?;
                    nodes.push(Node::With(condition, body, other));
                }
                "range" => {
                    let over = pipeline(rest)?;
                    let (body, other) = self.body()?;
                    nodes.push(Node::Range(over, body, other));
                }
                "break" => nodes.push(Node::Break),
                "continue" => nodes.push(Node::Continue),
                "define" | "template" | "block" => {
                    return Err(format!("{word:?} is not supported"));
                }
                _ => nodes.push(Node::Print(pipeline(&tokens)?)),
            }
        }
        self.depth -= 1;
        Ok((nodes, None))
    }

    fn body(&mut self) -> Result<(Vec<Node>, Vec<Node>), String> {
        let (body, end) = self.block()?;
        match end {
            None => Err("unexpected EOF".into()),
            Some((word, _)) if word == "end" => Ok((body, Vec::new())),
            Some((_, rest)) if rest.is_empty() => match self.block()? {
                (other, Some((word, _))) if word == "end" => Ok((body, other)),
                _ => Err("expected end".into()),
            },
            Some(_) => Err("unexpected condition after {{else}}".into()),
        }
    }

    fn conditional(&mut self, first: &[Token]) -> Result<Node, String> {
        let mut condition = pipeline(first)?;
        let mut branches = Vec::new();
        loop {
            let (body, end) = self.block()?;
            branches.push((condition, body));
            let Some((word, rest)) = end else {
                return Err("unexpected EOF".into());
            };
            if word == "end" {
                return Ok(Node::If(branches, Vec::new()));
            }
            match rest.split_first() {
                Some((Token::Word(word), rest)) if word == "if" => condition = pipeline(rest)?,
                Some(_) => return Err("expected if after {{else}}".into()),
                None => {
                    return match self.block()? {
                        (other, Some((word, _))) if word == "end" => Ok(Node::If(branches, other)),
                        _ => Err("expected end; found {{else}}".into()),
                    };
                }
            }
        }
    }
}

fn pipeline(tokens: &[Token]) -> Result<Pipeline, String> {
    let mut tokens = tokens;
    let mut declares = Vec::new();
    let mut is_assignment = false;
    let sign = tokens.iter().position(|token| matches!(token, Token::Symbol(":=" | "=")));
    if let Some(sign) = sign {
        is_assignment = tokens[sign] == Token::Symbol("=");
        for token in &tokens[..sign] {
            match token {
                Token::Variable(name) if !name.is_empty() => declares.push(name.clone()),
                Token::Symbol(",") => {}
                other => return Err(format!("unexpected {other:?} in declaration")),
            }
        }
        tokens = &tokens[sign + 1..];
    }
    let mut at = 0;
    let commands = commands(tokens, &mut at, 0)?;
    if at < tokens.len() {
        return Err("unexpected right paren".into());
    }
    Ok(Pipeline { declares, is_assignment, commands })
}

fn commands(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Vec<Vec<Term>>, String> {
    if depth > DEPTH_MAX {
        return Err("too deeply nested".into());
    }
    let mut commands = vec![Vec::new()];
    while let Some(token) = tokens.get(*at) {
        *at += 1;
        let term = match token {
            Token::Symbol(")") => {
                *at -= 1;
                break;
            }
            Token::Symbol("|") => {
                commands.push(Vec::new());
                continue;
            }
            Token::Symbol("(") => {
                let inner = self::commands(tokens, at, depth + 1)?;
                if tokens.get(*at) != Some(&Token::Symbol(")")) {
                    return Err("unclosed left paren".into());
                }
                *at += 1;
                let pipeline =
                    Pipeline { declares: Vec::new(), is_assignment: false, commands: inner };
                Term::Nested(pipeline)
            }
            Token::Symbol(other) => return Err(format!("unexpected {other:?}")),
            Token::Literal(value) => Term::Literal(value.clone()),
            Token::Variable(name) => Term::Variable(name.clone()),
            Token::Field(name, _) if name.is_empty() => Term::Dot,
            Token::Field(name, _) => Term::Fields(Box::new(Term::Dot), vec![name.clone()]),
            Token::Word(word) => match word.as_str() {
                "true" => Term::Literal(true.into()),
                "false" => Term::Literal(false.into()),
                "nil" => Term::Literal(Value::Null),
                name if functions::is_known(name) => Term::Function(name.to_owned()),
                name => return Err(format!("function {name:?} not defined")),
            },
        };
        let mut fields = Vec::new();
        while let Some(Token::Field(name, true)) = tokens
            .get(*at)
            .filter(|_| !matches!(term, Term::Dot | Term::Literal(_) | Term::Function(_)))
        {
            if name.is_empty() {
                break;
            }
            fields.push(name.clone());
            *at += 1;
        }
        let term = if fields.is_empty() { term } else { Term::Fields(Box::new(term), fields) };
        if let Some(command) = commands.last_mut() {
            command.push(term);
        }
    }
    if commands.iter().any(Vec::is_empty) {
        return Err("missing value for command".into());
    }
    Ok(commands)
}
