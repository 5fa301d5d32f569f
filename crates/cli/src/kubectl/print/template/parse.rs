//! Reads a template as Go's `text/template/parse` does, with its mistakes in its words.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::go::unquoted;
use super::functions;
use super::lex::{Kind, Token, tokens};
use super::node::{Branch, Command, Invocation, Node, Pipeline, Term, TermKind};
use super::{MAIN, quoted};

/// The deepest nesting of blocks and parentheses.
const DEPTH_MAX: usize = 64;

/// The templates of a text by name: what `define` and `block` name, and the text itself.
pub(super) type Templates = BTreeMap<String, Vec<Node>>;

/// Parses a whole template; a mistake comes with its line.
pub(super) fn parse(source: &str) -> Result<Templates, (usize, String)> {
    let mut parser = Parser {
        tokens: tokens(source),
        next: 0,
        seen: 0,
        action_line: None,
        variables: vec![String::new()],
        ranges: 0,
        depth: 0,
        templates: Templates::new(),
    };
    let nodes = parser.whole().and_then(|nodes| parser.add(MAIN.to_owned(), nodes));
    match nodes {
        Ok(()) => Ok(parser.templates),
        Err(why) => Err((parser.tokens[parser.seen].line, why)),
    }
}

/// How a block ends.
enum End {
    End,
    Else,
}

impl End {
    fn name(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// A node, or the end of a block.
enum Read {
    Node(Node),
    End(End),
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    /// The furthest token that was looked at: mistakes are on its line.
    seen: usize,
    action_line: Option<usize>,
    variables: Vec<String>,
    ranges: usize,
    depth: usize,
    templates: Templates,
}

impl Parser {
    fn peek(&mut self) -> &Token {
        let at = self.next.min(self.tokens.len() - 1);
        self.seen = self.seen.max(at);
        &self.tokens[at]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn peek_solid(&mut self) -> &Token {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn next_solid(&mut self) -> Token {
        self.peek_solid();
        self.next()
    }

    fn is_next(&mut self, keyword: &str) -> bool {
        let token = self.peek_solid();
        token.kind == Kind::Keyword && token.text == keyword
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Result<T, String> {
        if token.kind != Kind::Wrong {
            return Err(format!("unexpected {} in {context}", token.named()));
        }
        let started = self.action_line.filter(|line| *line != token.line);
        let extra = started.map_or_else(String::new, |line| {
            let action = if token.text.ends_with(" action") { "" } else { " in action" };
            format!("{action} started at {MAIN}:{line}")
        });
        Err(format!("{}{extra}", token.text))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token, String> {
        let token = self.next_solid();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        if self.depth == DEPTH_MAX {
            return Err("nesting is too deep".to_owned());
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn add(&mut self, name: String, nodes: Vec<Node>) -> Result<(), String> {
        let is_empty = |nodes: &[Node]| {
            nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
        };
        if self.templates.get(&name).is_some_and(|known| !is_empty(known)) {
            if is_empty(&nodes) {
                return Ok(());
            }
            return Err(format!("template: multiple definition of template {}", quoted(&name)));
        }
        self.templates.insert(name, nodes);
        Ok(())
    }

    /// The text outside of definitions.
    fn whole(&mut self) -> Result<Vec<Node>, String> {
        let mut nodes = Vec::new();
        while self.peek().kind != Kind::End {
            if self.peek().kind == Kind::Left {
                let start = self.next;
                self.next += 1;
                if self.is_next("define") {
                    self.next += 1;
                    self.definition()?;
                    continue;
                }
                self.next = start;
            }
            match self.text_or_action()? {
                Read::Node(node) => nodes.push(node),
                Read::End(end) => return Err(format!("unexpected {}", end.name())),
            }
        }
        Ok(nodes)
    }

    /// What is parsed apart from what is around it: its variables are its own.
    fn apart(&mut self, context: &str) -> Result<Vec<Node>, String> {
        let variables = std::mem::replace(&mut self.variables, vec![String::new()]);
        let ranges = std::mem::take(&mut self.ranges);
        let line = self.action_line.take();
        let (nodes, end) = self.deeper(Self::list)?;
        if let End::Else = end {
            return Err(format!("unexpected {} in {context}", end.name()));
        }
        (self.variables, self.ranges, self.action_line) = (variables, ranges, line);
        Ok(nodes)
    }

    fn definition(&mut self) -> Result<(), String> {
        const CONTEXT: &str = "define clause";
        let token = self.next_solid();
        let name = self.name(&token, CONTEXT)?;
        self.expect(Kind::Right, CONTEXT)?;
        let nodes = self.apart(CONTEXT)?;
        self.add(name, nodes)
    }

    fn name(&self, token: &Token, context: &str) -> Result<String, String> {
        match token.kind {
            Kind::Quoted | Kind::Raw => unquoted(&token.text).ok_or("invalid syntax".to_owned()),
            _ => self.unexpected(token, context),
        }
    }

    /// Nodes up to the end of a block.
    fn list(&mut self) -> Result<(Vec<Node>, End), String> {
        let mut nodes = Vec::new();
        while self.peek_solid().kind != Kind::End {
            match self.text_or_action()? {
                Read::Node(node) => nodes.push(node),
                Read::End(end) => return Ok((nodes, end)),
            }
        }
        Err("unexpected EOF".to_owned())
    }

    fn text_or_action(&mut self) -> Result<Read, String> {
        let token = self.next_solid();
        match token.kind {
            Kind::Text => Ok(Read::Node(Node::Text(token.text))),
            Kind::Left => {
                self.action_line = Some(token.line);
                let read = self.deeper(Self::action)?;
                self.action_line = None;
                Ok(read)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Result<Read, String> {
        let token = self.next_solid();
        if token.kind != Kind::Keyword {
            self.next -= 1;
            return Ok(Read::Node(Node::Print(self.pipeline("command", Kind::Right)?)));
        }
        let node = match token.text.as_str() {
            "block" => self.block()?,
            "break" => self.jump("break", Node::Break)?,
            "continue" => self.jump("continue", Node::Continue)?,
            "else" => {
                if !self.is_next("if") && !self.is_next("with") {
                    self.expect(Kind::Right, "else")?;
                }
                return Ok(Read::End(End::Else));
            }
            "end" => {
                self.expect(Kind::Right, "end")?;
                return Ok(Read::End(End::End));
            }
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "template" => self.invocation()?,
            _ => {
                self.next -= 1;
                Node::Print(self.pipeline("command", Kind::Right)?)
            }
        };
        Ok(Read::Node(node))
    }

    fn jump(&mut self, word: &str, node: Node) -> Result<Node, String> {
        self.expect(Kind::Right, &format!("{{{{{word}}}}}"))?;
        if self.ranges == 0 {
            return Err(format!("{{{{{word}}}}} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn branch(&mut self, word: &str) -> Result<Branch, String> {
        let variables = self.variables.len();
        let pipeline = self.pipeline(word, Kind::Right)?;
        let is_range = usize::from(word == "range");
        self.ranges += is_range;
        let (nodes, end) = self.deeper(Self::list)?;
        self.ranges -= is_range;
        let otherwise = match end {
            End::End => None,
            End::Else if matches!(word, "if" | "with") && self.is_next(word) => {
                self.next += 1;
                let branch = self.deeper(|parser| parser.branch(word))?;
                Some(vec![if word == "if" { Node::If(branch) } else { Node::With(branch) }])
            }
            End::Else => {
                let (nodes, end) = self.deeper(Self::list)?;
                if let End::Else = end {
                    return Err(format!("expected end; found {}", end.name()));
                }
                Some(nodes)
            }
        };
        self.variables.truncate(variables);
        Ok(Branch { pipeline, nodes, otherwise })
    }

    fn block(&mut self) -> Result<Node, String> {
        const CONTEXT: &str = "block clause";
        let token = self.next_solid();
        let name = self.name(&token, CONTEXT)?;
        let pipeline = Some(self.pipeline(CONTEXT, Kind::Right)?);
        let nodes = self.apart(CONTEXT)?;
        self.add(name.clone(), nodes)?;
        Ok(Node::Call(Invocation { at: token.at, name, pipeline }))
    }

    fn invocation(&mut self) -> Result<Node, String> {
        const CONTEXT: &str = "template clause";
        let token = self.next_solid();
        let name = self.name(&token, CONTEXT)?;
        let mut pipeline = None;
        if self.peek_solid().kind == Kind::Right {
            self.next += 1;
        } else {
            pipeline = Some(self.pipeline(CONTEXT, Kind::Right)?);
        }
        Ok(Node::Call(Invocation { at: token.at, name, pipeline }))
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipeline, String> {
        let at = self.peek_solid().at;
        let (declares, is_assignment) = self.declarations(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.next_solid();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::Raw
                | Kind::Quoted
                | Kind::Variable
                | Kind::Open => {
                    self.next -= 1;
                    commands.push(self.command()?);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        if commands.is_empty() {
            return Err(format!("missing value for {context}"));
        }
        let is_constant = |command: &Command| {
            matches!(
                command.terms.first().map(|term| &term.kind),
                Some(
                    TermKind::Bool(_)
                        | TermKind::Dot
                        | TermKind::Nil
                        | TermKind::Number(..)
                        | TermKind::Text(..)
                )
            )
        };
        if let Some(stage) = commands.iter().skip(1).position(is_constant) {
            return Err(format!("non executable command in pipeline stage {}", stage + 2));
        }
        Ok(Pipeline { at, declares, is_assignment, commands })
    }

    /// The variables that a pipeline sets, and whether they are there already.
    fn declarations(&mut self, context: &str) -> Result<(Vec<String>, bool), String> {
        let mut declares = Vec::new();
        while self.peek_solid().kind == Kind::Variable {
            let start = self.next;
            let name = self.next().text[1..].to_owned();
            let next = self.peek_solid().clone();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    self.next += 1;
                    declares.push(name.clone());
                    self.variables.push(name);
                    return Ok((declares, next.kind == Kind::Assign));
                }
                Kind::Char if next.text == "," => {
                    self.next += 1;
                    declares.push(name.clone());
                    self.variables.push(name);
                    if context != "range" || declares.len() > 1 {
                        return Err(format!("too many declarations in {context}"));
                    }
                    let follows = self.peek_solid().kind;
                    if !matches!(follows, Kind::Variable | Kind::Right | Kind::Close) {
                        return Err("range can only initialize variables".to_owned());
                    }
                }
                _ => {
                    self.next = start;
                    break;
                }
            }
        }
        Ok((declares, false))
    }

    fn command(&mut self) -> Result<Command, String> {
        let at = self.peek_solid().at;
        let mut terms = Vec::new();
        loop {
            self.peek_solid();
            terms.extend(self.operand()?);
            let token = self.next();
            match token.kind {
                Kind::Space => {}
                Kind::Right | Kind::Close => {
                    self.next -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return self.unexpected(&token, "operand"),
            }
        }
        if terms.is_empty() {
            return Err("empty command".to_owned());
        }
        Ok(Command { at, terms })
    }

    fn operand(&mut self) -> Result<Option<Term>, String> {
        let Some(mut term) = self.term()? else {
            return Ok(None);
        };
        if self.peek().kind != Kind::Field {
            return Ok(Some(term));
        }
        let at = self.peek().at;
        let mut more = Vec::new();
        while self.peek().kind == Kind::Field {
            more.push(self.next().text[1..].to_owned());
        }
        match &mut term.kind {
            TermKind::Fields(names) | TermKind::Variable(_, names) => {
                names.extend(more);
                term.at = at;
            }
            TermKind::Function(_) | TermKind::Nested(_) | TermKind::Chain(..) => {
                term = Term { at, kind: TermKind::Chain(Box::new(term), more) };
            }
            _ => {
                return Err(format!("unexpected . after term {}", quoted(&term.to_string())));
            }
        }
        Ok(Some(term))
    }

    fn term(&mut self) -> Result<Option<Term>, String> {
        let token = self.next_solid();
        let kind = match token.kind {
            Kind::Identifier if !functions::is_known(&token.text) => {
                return Err(format!("function {} not defined", quoted(&token.text)));
            }
            Kind::Identifier => TermKind::Function(token.text),
            Kind::Dot => TermKind::Dot,
            Kind::Nil => TermKind::Nil,
            Kind::Variable => {
                let name = token.text[1..].to_owned();
                if !self.variables.contains(&name) {
                    return Err(format!("undefined variable {}", quoted(&token.text)));
                }
                TermKind::Variable(name, Vec::new())
            }
            Kind::Field => TermKind::Fields(vec![token.text[1..].to_owned()]),
            Kind::Bool => TermKind::Bool(token.text == "true"),
            Kind::CharConstant => {
                let read = unquoted(&token.text).filter(|text| text.chars().count() == 1);
                let c = read.and_then(|text| text.chars().next());
                let c = c.ok_or_else(|| format!("malformed character constant: {}", token.text))?;
                TermKind::Number(token.text, Some(u32::from(c).into()))
            }
            Kind::Complex | Kind::Number => {
                let number = number(&token.text)?;
                TermKind::Number(token.text, number)
            }
            Kind::Open => TermKind::Nested(
                self.deeper(|parser| parser.pipeline("parenthesized pipeline", Kind::Close))?,
            ),
            Kind::Quoted | Kind::Raw => {
                let text = unquoted(&token.text).ok_or("invalid syntax")?;
                TermKind::Text(text, token.text)
            }
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Term { at: token.at, kind }))
    }
}

/// The value of a number as Go writes it; none if it does not fit into a signed integer.
fn number(text: &str) -> Result<Option<Value>, String> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) if text.starts_with('-') => (-1, digits),
        Some(digits) => (1, digits),
        None => (1, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some(_)
            if lower.starts_with('0') && lower.bytes().all(|b| b.is_ascii_digit() || b == b'_') =>
        {
            (8, &lower[1..])
        }
        _ => (10, lower.as_str()),
    };
    let digits = digits.replace('_', "");
    if let Ok(whole) = i128::from_str_radix(&digits, base) {
        let whole = whole * sign;
        if let Ok(whole) = i64::try_from(whole) {
            return Ok(Some(whole.into()));
        }
        return if u64::try_from(whole).is_ok() {
            Ok(None)
        } else {
            Err(format!("integer overflow: {}", quoted(text)))
        };
    }
    let float = Some(digits).filter(|_| base == 10).and_then(|digits| digits.parse::<f64>().ok());
    match float.filter(|float| float.is_finite()) {
        Some(float) if sign < 0 => Ok(Some((-float).into())),
        Some(float) => Ok(Some(float.into())),
        None => Err(format!("illegal number syntax: {}", quoted(text))),
    }
}
