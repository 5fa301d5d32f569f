//! A place in a text, and the letters there.

use crate::yaml::YamlError;

/// A place in a text, counted in letters from 0.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::yaml) struct Mark {
    pub(super) index: usize,
    pub(in crate::yaml) line: u64,
    pub(super) column: usize,
}

impl Mark {
    pub(super) fn column_i64(self) -> i64 {
        i64::try_from(self.column).unwrap_or(i64::MAX)
    }
}

pub(super) struct Cursor<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    pub(super) mark: Mark,
}

fn is_break(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, mark: Mark::default() }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The byte so far ahead; 0, which no text holds, behind the end.
    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The letter here; NUL at the end.
    pub(super) fn letter(&self) -> char {
        match self.byte(0) {
            ascii @ ..0x80 => char::from(ascii),
            _ => self.rest().chars().next().unwrap_or('\0'),
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn is_at_break(&self) -> bool {
        is_break(self.letter())
    }

    pub(super) fn is_at_line_end(&self) -> bool {
        self.is_at_end() || self.is_at_break()
    }

    /// A blank or a tab.
    pub(super) fn is_at_blank(&self) -> bool {
        matches!(self.byte(0), b' ' | b'\t')
    }

    /// A blank, a tab, a line break or the end.
    pub(super) fn is_at_blank_or_end(&self) -> bool {
        self.is_at_blank() || self.is_at_line_end()
    }

    /// The same so many bytes ahead, which must be ASCII.
    pub(super) fn is_blank_or_end_at(&self, ahead: usize) -> bool {
        let rest = self.rest().get(ahead..).unwrap_or("");
        rest.chars().next().is_none_or(|letter| matches!(letter, ' ' | '\t') || is_break(letter))
    }

    /// `---` or `...` as a word of its own.
    pub(super) fn is_at_document_mark(&self) -> bool {
        (self.rest().starts_with("---") || self.rest().starts_with("..."))
            && self.is_blank_or_end_at(3)
    }

    /// Whether the backslash here has a line break behind it.
    pub(super) fn is_at_escaped_break(&self) -> bool {
        self.rest()[1..].starts_with(is_break)
    }

    pub(super) fn skip(&mut self) {
        self.at += match self.byte(0) {
            ..0x80 => 1,
            _ => self.letter().len_utf8(),
        };
        self.mark.index += 1;
        self.mark.column += 1;
    }

    /// Takes the letter here.
    pub(super) fn read(&mut self, into: &mut String) {
        into.push(self.letter());
        self.skip();
    }

    /// Takes the ASCII letters up to the first that does not fit.
    pub(super) fn read_while(&mut self, into: &mut String, fits: impl Fn(u8) -> bool) {
        let rest = self.rest();
        let is_in = |byte: u8| byte.is_ascii() && fits(byte);
        let end = rest.bytes().position(|byte| !is_in(byte)).unwrap_or(rest.len());
        into.push_str(&rest[..end]);
        self.at += end;
        self.mark.index += end;
        self.mark.column += end;
    }

    /// Goes over a line break.
    pub(super) fn skip_line(&mut self) {
        self.read_line(&mut String::new());
    }

    /// Takes a line break; those of ASCII and NEL become `\n`. Nothing happens elsewhere.
    pub(super) fn read_line(&mut self, into: &mut String) {
        let letter = self.letter();
        if !is_break(letter) {
            return;
        }
        if letter == '\r' && self.byte(1) == b'\n' {
            self.skip();
        }
        self.skip();
        into.push(if matches!(letter, '\u{2028}' | '\u{2029}') { letter } else { '\n' });
        self.mark.line += 1;
        self.mark.column = 0;
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.is_at_blank() {
            self.skip();
        }
    }

    pub(super) fn skip_to_line_end(&mut self) {
        while !self.is_at_line_end() {
            self.skip();
        }
    }

    /// Blanks and a comment up to the end of the line.
    pub(super) fn finish_line(&mut self) -> Result<(), YamlError> {
        self.skip_blanks();
        if self.byte(0) == b'#' {
            self.skip_to_line_end();
        }
        if !self.is_at_line_end() {
            return Err(self.error("did not find expected comment or line break"));
        }
        self.skip_line();
        Ok(())
    }

    /// At the end of the text a line that has begun counts as ended.
    pub(super) fn end_line(&mut self) {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
    }

    /// An error here. goyaml does not tell the first line.
    pub(super) fn error(&self, problem: &'static str) -> YamlError {
        let line = if self.mark.line == 0 { 0 } else { self.mark.line + 1 };
        YamlError::Syntax { line, problem }
    }
}
