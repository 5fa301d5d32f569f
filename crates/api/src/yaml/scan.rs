//! From text to tokens: the scanner of YAML 1.1 with the tolerance and the errors of goyaml.v2.
//!
//! The hard part are simple keys: whether `a` in `a: b` is a key shows only at the `:`. So the place where a key may have begun
//! is remembered, one for each level of flow collections, and the token for the key is put into the queue before it once the `:`
//! is found. A token leaves the queue only when no remembered key can still go before it.

mod cursor;
mod properties;
mod scalar;

use std::collections::VecDeque;

use cursor::Cursor;
pub(super) use cursor::Mark;

use super::{DEPTH_MAX, YamlError};

/// A simple key ends on its line and within so many letters (YAML 1.1, section 9.1.3).
const SIMPLE_KEY_LETTERS_MAX: usize = 1024;

/// What the text is made of.
#[derive(Debug)]
pub(super) enum Kind {
    StreamEnd,
    Version { is_supported: bool },
    TagDirective { handle: String, prefix: String },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { text: String, is_plain: bool },
}

/// A piece of the text.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: Mark,
    pub(super) end: Mark,
}

/// A place where a simple key may have begun.
struct SimpleKey {
    /// The number of the token that began there.
    token: usize,
    /// Whether nothing but a key may stand there.
    is_required: bool,
    mark: Mark,
}

pub(super) struct Scanner<'a> {
    cursor: Cursor<'a>,
    queue: VecDeque<Token>,
    /// Tokens that left the queue.
    taken: usize,
    /// The column of the innermost block collection; -1 outside of all.
    indent: i64,
    /// The columns of the collections around it.
    indents: Vec<i64>,
    is_key_allowed: bool,
    /// For the block level and each open flow collection.
    keys: Vec<Option<SimpleKey>>,
    /// For the same levels the number of the last token that began a key, at first of the one that opened the collection.
    key_tokens: Vec<usize>,
    /// The levels whose key holds up the queue, outermost first: its token comes first, too.
    key_levels: Vec<usize>,
    is_done: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            cursor: Cursor::new(text),
            queue: VecDeque::new(),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            is_key_allowed: true,
            keys: vec![None],
            key_tokens: vec![0],
            key_levels: Vec::new(),
            is_done: false,
        }
    }

    /// The next token, which stays.
    pub(super) fn peek(&mut self) -> Result<&Token, YamlError> {
        self.fill()?;
        Ok(&self.queue[0])
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Result<Token, YamlError> {
        self.fill()?;
        self.taken += 1;
        Ok(self.queue.pop_front().unwrap_or_else(|| self.stream_end()))
    }

    fn stream_end(&self) -> Token {
        Token { kind: Kind::StreamEnd, start: self.cursor.mark, end: self.cursor.mark }
    }

    /// Scans until the first token of the queue is certain.
    fn fill(&mut self) -> Result<(), YamlError> {
        loop {
            if !self.queue.is_empty() && !self.is_head_a_possible_key()? {
                return Ok(());
            }
            if self.is_done {
                // After the end only ends follow.
                let end = self.stream_end();
                self.queue.push_back(end);
                return Ok(());
            }
            self.scan()?;
        }
    }

    fn is_head_a_possible_key(&mut self) -> Result<bool, YamlError> {
        let Some(&level) = self.key_levels.first() else { return Ok(false) };
        let is_head = self.keys[level].as_ref().is_some_and(|key| key.token == self.taken);
        Ok(is_head && self.is_key_possible(level)?)
    }

    /// Whether the key that may have begun on this level may still end; forgets it if not.
    fn is_key_possible(&mut self, level: usize) -> Result<bool, YamlError> {
        let now = self.cursor.mark;
        let Some(key) = &self.keys[level] else { return Ok(false) };
        if key.mark.line == now.line && key.mark.index + SIMPLE_KEY_LETTERS_MAX >= now.index {
            return Ok(true);
        }
        self.forget_key(level)?;
        Ok(false)
    }

    fn forget_key(&mut self, level: usize) -> Result<(), YamlError> {
        if self.keys[level].as_ref().is_some_and(|key| key.is_required) {
            return Err(self.cursor.error("could not find expected ':'"));
        }
        self.drop_key(level);
        Ok(())
    }

    fn drop_key(&mut self, level: usize) {
        if self.keys[level].take().is_some() {
            self.key_levels.retain(|&other| other != level);
        }
    }

    fn level(&self) -> usize {
        self.keys.len() - 1
    }

    fn is_in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    /// Remembers that a key may begin here.
    fn save_key(&mut self) -> Result<(), YamlError> {
        if !self.is_key_allowed {
            return Ok(());
        }
        let level = self.level();
        self.forget_key(level)?;
        let mark = self.cursor.mark;
        let is_required = !self.is_in_flow() && self.indent == mark.column_i64();
        let token = self.taken + self.queue.len();
        self.keys[level] = Some(SimpleKey { token, is_required, mark });
        self.key_tokens[level] = token;
        self.key_levels.push(level);
        Ok(())
    }

    /// Opens a block collection if the column is new. Its token goes before the token of number `before`, or to the end.
    fn roll_indent(
        &mut self,
        mark: Mark,
        before: Option<usize>,
        kind: Kind,
    ) -> Result<(), YamlError> {
        let column = mark.column_i64();
        if self.is_in_flow() || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > DEPTH_MAX {
            return Err(self.cursor.error(super::DEPTH_TEXT));
        }
        let at = before.map_or(self.queue.len(), |number| self.place_of(number));
        self.queue.insert(at, Token { kind, start: mark, end: mark });
        Ok(())
    }

    /// Closes the block collections that stand further right than a column.
    fn unroll_indent(&mut self, column: i64) {
        if self.is_in_flow() {
            return;
        }
        while self.indent > column {
            let mark = self.cursor.mark;
            self.queue.push_back(Token { kind: Kind::BlockEnd, start: mark, end: mark });
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Scans the next token, and those that its column closes.
    fn scan(&mut self) -> Result<(), YamlError> {
        self.skip_to_token();
        self.unroll_indent(self.cursor.mark.column_i64());
        let (first, second) = (self.cursor.byte(0), self.cursor.byte(1));
        let ends_word = |scanner: &Self| scanner.cursor.is_blank_or_end_at(1);
        let is_line_start = self.cursor.mark.column == 0;
        if self.cursor.is_at_end() {
            return self.finish();
        }
        if is_line_start && first == b'%' {
            return self.directive();
        }
        if is_line_start && self.cursor.is_at_document_mark() {
            let kind = if first == b'-' { Kind::DocumentStart } else { Kind::DocumentEnd };
            return self.document_mark(kind);
        }
        match first {
            b'[' => self.flow_start(Kind::FlowSequenceStart),
            b'{' => self.flow_start(Kind::FlowMappingStart),
            b']' => self.flow_end(Kind::FlowSequenceEnd),
            b'}' => self.flow_end(Kind::FlowMappingEnd),
            b',' => self.flow_entry(),
            b'-' if ends_word(self) => self.block_entry(),
            b'?' if self.is_in_flow() || ends_word(self) => self.key(),
            b':' if self.is_in_flow() || ends_word(self) => self.value(),
            b'*' | b'&' => self.property(Self::scan_anchor),
            b'!' => self.property(Self::scan_tag),
            b'|' | b'>' if !self.is_in_flow() => self.block_scalar(),
            b'\'' | b'"' => self.property(Self::scan_quoted),
            _ if self.is_plain_start(first, second) => self.property(Self::scan_plain),
            _ => Err(self.cursor.error("found character that cannot start any token")),
        }
    }

    /// Whether a plain scalar may start with a letter: not with a sign, but for `-?:` before a letter.
    fn is_plain_start(&self, first: u8, second: u8) -> bool {
        let is_sign = matches!(
            first,
            b'-' | b'?'
                | b':'
                | b','
                | b'['
                | b']'
                | b'{'
                | b'}'
                | b'#'
                | b'&'
                | b'*'
                | b'!'
                | b'|'
                | b'>'
                | b'\''
                | b'"'
                | b'%'
                | b'@'
                | b'`'
                | b'\t'
        );
        !is_sign
            || (first == b'-' && !matches!(second, b' ' | b'\t'))
            || (!self.is_in_flow()
                && matches!(first, b'?' | b':')
                && !self.cursor.is_blank_or_end_at(1))
    }

    /// Goes over blanks, comments and line ends.
    fn skip_to_token(&mut self) {
        loop {
            if self.cursor.mark.index == 0 && self.cursor.letter() == '\u{feff}' {
                self.cursor.skip();
            }
            // Tabs may not indent: where a key may stand they are left to be refused.
            let are_tabs_blank = self.is_in_flow() || !self.is_key_allowed;
            while self.cursor.byte(0) == b' ' || (are_tabs_blank && self.cursor.byte(0) == b'\t') {
                self.cursor.skip();
            }
            if self.cursor.byte(0) == b'#' {
                self.cursor.skip_to_line_end();
            }
            if !self.cursor.is_at_break() {
                return;
            }
            self.cursor.skip_line();
            if !self.is_in_flow() {
                self.is_key_allowed = true;
            }
        }
    }

    /// Takes signs as a token.
    fn sign(&mut self, letters: usize, kind: Kind) {
        let start = self.cursor.mark;
        (0..letters).for_each(|_| self.cursor.skip());
        self.queue.push_back(Token { kind, start, end: self.cursor.mark });
    }

    fn finish(&mut self) -> Result<(), YamlError> {
        self.cursor.end_line();
        self.unroll_indent(-1);
        self.forget_key(self.level())?;
        self.is_key_allowed = false;
        self.is_done = true;
        let end = self.stream_end();
        self.queue.push_back(end);
        Ok(())
    }

    fn directive(&mut self) -> Result<(), YamlError> {
        self.unroll_indent(-1);
        self.forget_key(self.level())?;
        self.is_key_allowed = false;
        let token = self.scan_directive()?;
        self.queue.push_back(token);
        Ok(())
    }

    fn document_mark(&mut self, kind: Kind) -> Result<(), YamlError> {
        self.unroll_indent(-1);
        self.forget_key(self.level())?;
        self.is_key_allowed = false;
        self.sign(3, kind);
        Ok(())
    }

    fn flow_start(&mut self, kind: Kind) -> Result<(), YamlError> {
        self.save_key()?;
        self.keys.push(None);
        self.key_tokens.push(self.taken + self.queue.len());
        if self.level() > DEPTH_MAX {
            return Err(self.cursor.error(super::DEPTH_TEXT));
        }
        self.is_key_allowed = true;
        self.sign(1, kind);
        Ok(())
    }

    fn flow_end(&mut self, kind: Kind) -> Result<(), YamlError> {
        let level = self.level();
        self.forget_key(level)?;
        if let Some(token) = self.key_tokens.pop_if(|_| level > 0) {
            self.keys.pop();
            // goyaml.v2 forgets that the collection itself may be a key if none began in it. Its errors tell.
            let keys = &self.keys;
            let is_other =
                |level: &usize| keys[*level].as_ref().is_none_or(|key| key.token != token);
            self.key_levels.retain(is_other);
        }
        self.is_key_allowed = false;
        self.sign(1, kind);
        Ok(())
    }

    fn flow_entry(&mut self) -> Result<(), YamlError> {
        self.forget_key(self.level())?;
        self.is_key_allowed = true;
        self.sign(1, Kind::FlowEntry);
        Ok(())
    }

    fn block_entry(&mut self) -> Result<(), YamlError> {
        if !self.is_in_flow() {
            if !self.is_key_allowed {
                let text = "block sequence entries are not allowed in this context";
                return Err(self.cursor.error(text));
            }
            self.roll_indent(self.cursor.mark, None, Kind::BlockSequenceStart)?;
        }
        self.forget_key(self.level())?;
        self.is_key_allowed = true;
        self.sign(1, Kind::BlockEntry);
        Ok(())
    }

    fn key(&mut self) -> Result<(), YamlError> {
        if !self.is_in_flow() {
            if !self.is_key_allowed {
                return Err(self.cursor.error("mapping keys are not allowed in this context"));
            }
            self.roll_indent(self.cursor.mark, None, Kind::BlockMappingStart)?;
        }
        self.forget_key(self.level())?;
        self.is_key_allowed = !self.is_in_flow();
        self.sign(1, Kind::Key);
        Ok(())
    }

    fn value(&mut self) -> Result<(), YamlError> {
        let level = self.level();
        let is_possible = self.is_key_possible(level)?;
        if let Some(key) = self.keys[level].take().filter(|_| is_possible) {
            self.key_levels.retain(|&other| other != level);
            let token = Token { kind: Kind::Key, start: key.mark, end: key.mark };
            let at = self.place_of(key.token);
            self.queue.insert(at, token);
            self.roll_indent(key.mark, Some(key.token), Kind::BlockMappingStart)?;
            self.is_key_allowed = false;
        } else {
            if !self.is_in_flow() {
                if !self.is_key_allowed {
                    let text = "mapping values are not allowed in this context";
                    return Err(self.cursor.error(text));
                }
                self.roll_indent(self.cursor.mark, None, Kind::BlockMappingStart)?;
            }
            self.is_key_allowed = !self.is_in_flow();
        }
        self.sign(1, Kind::Value);
        Ok(())
    }

    /// Where the token of this number is in the queue; the end if it has left.
    fn place_of(&self, token: usize) -> usize {
        let end = self.queue.len();
        token.checked_sub(self.taken).map_or(end, |at| at.min(end))
    }

    /// A token that may be a key or stand before one.
    fn property(
        &mut self,
        scan: fn(&mut Self) -> Result<Token, YamlError>,
    ) -> Result<(), YamlError> {
        self.save_key()?;
        self.is_key_allowed = false;
        let token = scan(self)?;
        self.queue.push_back(token);
        Ok(())
    }

    fn block_scalar(&mut self) -> Result<(), YamlError> {
        self.forget_key(self.level())?;
        self.is_key_allowed = true;
        let token = self.scan_block_scalar()?;
        self.queue.push_back(token);
        Ok(())
    }
}
