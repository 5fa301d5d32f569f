//! Cuts a template into tokens, as Go's `text/template/parse` does: spaces inside actions are tokens too.

use super::super::super::fault::quoted;

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const COMMENT: (&str, &str) = ("/*", "*/");
/// A `-` and the space beside it.
const TRIM_LENGTH: usize = 2;
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];
const KEYWORDS: [&str; 11] = [
    "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with",
];

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What is between actions.
    Text,
    Left,
    Right,
    Space,
    /// A character that means something to the parser, such as a comma.
    Char,
    Declare,
    Assign,
    Pipe,
    Open,
    Close,
    Field,
    Variable,
    Identifier,
    Bool,
    Number,
    Complex,
    CharConstant,
    Quoted,
    Raw,
    Dot,
    Nil,
    Keyword,
    /// What cannot be read; its text says why, and nothing follows.
    Wrong,
    End,
}

/// A piece of a template.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Where it begins, in bytes.
    pub(super) at: usize,
    pub(super) line: usize,
    pub(super) text: String,
}

impl Token {
    /// As Go names it in a message.
    pub(super) fn named(&self) -> String {
        match self.kind {
            Kind::End => "EOF".to_owned(),
            Kind::Wrong => self.text.clone(),
            Kind::Keyword | Kind::Dot | Kind::Nil => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                format!("{}...", quoted(&self.text.chars().take(10).collect::<String>()))
            }
            _ => quoted(&self.text),
        }
    }
}

/// All tokens; the last is the end, or what is wrong.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { source, at: 0, start: 0, line: 1, open: 0, tokens: Vec::new() };
    if let Err(why) = lexer.all() {
        lexer.push(Kind::Wrong, why);
    }
    lexer.tokens
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    /// Where the next token begins.
    start: usize,
    /// The line of the next token.
    line: usize,
    /// Parentheses that are open.
    open: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn push(&mut self, kind: Kind, text: String) {
        self.tokens.push(Token { kind, at: self.start, line: self.line, text });
    }

    fn emit(&mut self, kind: Kind) {
        self.push(kind, self.source[self.start..self.at].to_owned());
        self.ignore();
    }

    /// Passes over what was read.
    fn ignore(&mut self) {
        self.line += self.source[self.start..self.at].matches('\n').count();
        self.start = self.at;
    }

    fn all(&mut self) -> Result<(), String> {
        while let Some(before) = self.rest().find(LEFT) {
            let delimiter = self.at + before;
            let trims = self.source[delimiter + LEFT.len()..].starts_with('-')
                && self.source[delimiter + LEFT.len() + 1..].starts_with(SPACES);
            self.text(delimiter, trims);
            self.at = delimiter + LEFT.len();
            let after = self.at + if trims { TRIM_LENGTH } else { 0 };
            if self.source[after..].starts_with(COMMENT.0) {
                self.at = after;
                self.ignore();
                self.comment()?;
                continue;
            }
            self.emit(Kind::Left);
            self.at = after;
            self.ignore();
            self.open = 0;
            while !self.inside()? {}
        }
        self.text(self.source.len(), false);
        self.push(Kind::End, String::new());
        Ok(())
    }

    /// The text up to a place, without the spaces at its end if they are trimmed.
    fn text(&mut self, end: usize, trims: bool) {
        let text = &self.source[self.at..end];
        let kept = if trims { text.trim_end_matches(SPACES) } else { text };
        self.at += kept.len();
        if kept.is_empty() {
            self.ignore();
        } else {
            self.emit(Kind::Text);
        }
        self.at = end;
        self.ignore();
    }

    fn comment(&mut self) -> Result<(), String> {
        let inside = self.at + COMMENT.0.len();
        let end = self.source[inside..].find(COMMENT.1).ok_or("unclosed comment")?;
        self.at = inside + end + COMMENT.1.len();
        let trims = self.right().ok_or("comment ends before closing delimiter")?;
        self.close(trims);
        self.ignore();
        Ok(())
    }

    /// Whether an action ends here, and if so whether the spaces behind it are trimmed.
    fn right(&self) -> Option<bool> {
        let rest = self.rest();
        let trims = rest.starts_with(SPACES)
            && rest[1..].strip_prefix('-').is_some_and(|rest| rest.starts_with(RIGHT));
        if trims {
            return Some(true);
        }
        rest.starts_with(RIGHT).then_some(false)
    }

    fn close(&mut self, trims: bool) {
        if trims {
            self.at += TRIM_LENGTH;
            self.ignore();
        }
        self.at += RIGHT.len();
        self.trimmed_after(trims);
    }

    fn trimmed_after(&mut self, trims: bool) {
        if trims {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(SPACES).len();
        }
    }

    /// One token inside an action; whether it ends the action.
    fn inside(&mut self) -> Result<bool, String> {
        if let Some(trims) = self.right() {
            if self.open > 0 {
                return Err("unclosed left paren".to_owned());
            }
            if trims {
                self.at += TRIM_LENGTH;
                self.ignore();
            }
            self.at += RIGHT.len();
            self.emit(Kind::Right);
            self.trimmed_after(trims);
            self.ignore();
            return Ok(true);
        }
        let Some(c) = self.bump() else {
            return Err("unclosed action".to_owned());
        };
        match c {
            c if SPACES.contains(&c) => self.spaces(),
            '=' => self.emit(Kind::Assign),
            ':' if self.bump() == Some('=') => self.emit(Kind::Declare),
            ':' => return Err("expected :=".to_owned()),
            '|' => self.emit(Kind::Pipe),
            '"' => self.quote('"', "unterminated quoted string", Kind::Quoted)?,
            '\'' => self.quote('\'', "unterminated character constant", Kind::CharConstant)?,
            '`' => self.raw()?,
            '$' => self.named(Kind::Variable)?,
            '.' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => {
                self.named(Kind::Field)?;
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.at = self.start;
                self.number()?;
            }
            c if is_of_word(c) => self.word()?,
            '(' => {
                self.open += 1;
                self.emit(Kind::Open);
            }
            ')' => {
                self.open = self.open.checked_sub(1).ok_or("unexpected right paren")?;
                self.emit(Kind::Close);
            }
            c if c.is_ascii_graphic() => self.emit(Kind::Char),
            c => return Err(format!("unrecognized character in action: {}", code_point(Some(c)))),
        }
        Ok(false)
    }

    /// Spaces; the last belongs to the end of the action if that trims.
    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(SPACES).len();
        let before = self.at - 1;
        if self.source[before + 1..].strip_prefix('-').is_some_and(|rest| rest.starts_with(RIGHT)) {
            self.at = before;
            if self.at == self.start {
                return;
            }
        }
        self.emit(Kind::Space);
    }

    fn quote(&mut self, end: char, unended: &str, kind: Kind) -> Result<(), String> {
        loop {
            match self.bump() {
                Some('\\') => {
                    if matches!(self.bump(), None | Some('\n')) {
                        return Err(unended.to_owned());
                    }
                }
                None | Some('\n') => return Err(unended.to_owned()),
                Some(c) if c == end => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn raw(&mut self) -> Result<(), String> {
        let end = self.rest().find('`').ok_or("unterminated raw quoted string")?;
        self.at += end + 1;
        self.emit(Kind::Raw);
        Ok(())
    }

    fn run(&mut self, is_meant: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&is_meant) {
            self.bump();
        }
    }

    /// Whether what is next ends a word.
    fn is_at_end(&self) -> bool {
        let ends = |c| SPACES.contains(&c) || ['.', ',', '|', ':', ')', '('].contains(&c);
        self.peek().is_none_or(ends) || self.rest().starts_with(RIGHT)
    }

    fn require_end(&self) -> Result<(), String> {
        if self.is_at_end() {
            return Ok(());
        }
        Err(format!("bad character {}", code_point(self.peek())))
    }

    /// A field or a variable, whose sign was read.
    fn named(&mut self, kind: Kind) -> Result<(), String> {
        if self.is_at_end() {
            self.emit(if kind == Kind::Field { Kind::Dot } else { kind });
            return Ok(());
        }
        self.run(is_of_word);
        self.require_end()?;
        self.emit(kind);
        Ok(())
    }

    fn word(&mut self) -> Result<(), String> {
        self.run(is_of_word);
        self.require_end()?;
        let kind = match &self.source[self.start..self.at] {
            "nil" => Kind::Nil,
            "true" | "false" => Kind::Bool,
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        let mut is_read = self.digits();
        let mut kind = Kind::Number;
        if is_read && matches!(self.peek(), Some('+' | '-')) {
            is_read = self.digits() && self.source[..self.at].ends_with('i');
            kind = Kind::Complex;
        }
        if !is_read {
            return Err(format!(
                "bad number syntax: {}",
                quoted(&self.source[self.start..self.at])
            ));
        }
        self.emit(kind);
        Ok(())
    }

    fn accept(&mut self, any: &[char]) -> bool {
        let is_next = self.rest().starts_with(any);
        if is_next {
            self.bump();
        }
        is_next
    }

    /// One number; whether it ends where a number may.
    fn digits(&mut self) -> bool {
        let is_digit = |base: u32| move |c: char| c == '_' || c.is_digit(base);
        self.accept(&['+', '-']);
        let mut base = 10;
        if self.accept(&['0']) {
            for (letters, other) in [(['x', 'X'], 16), (['o', 'O'], 8), (['b', 'B'], 2)] {
                if self.accept(&letters) {
                    base = other;
                    break;
                }
            }
        }
        self.run(is_digit(base));
        if self.accept(&['.']) {
            self.run(is_digit(base));
        }
        let has_exponent = match base {
            10 => self.accept(&['e', 'E']),
            16 => self.accept(&['p', 'P']),
            _ => false,
        };
        if has_exponent {
            self.accept(&['+', '-']);
            self.run(is_digit(10));
        }
        self.accept(&['i']);
        if self.peek().is_some_and(is_of_word) {
            self.bump();
            return false;
        }
        true
    }
}

fn is_of_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// A character as Go's `%#U` writes it; the end of the text is −1 to Go.
pub(in super::super) fn code_point(c: Option<char>) -> String {
    match c {
        Some(c) if c.is_control() => format!("U+{:04X}", c as u32),
        Some(c) => format!("U+{:04X} '{c}'", c as u32),
        None => "U+FFFFFFFFFFFFFFFF".to_owned(),
    }
}
