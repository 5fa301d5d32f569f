//! Scalars: literal and folded blocks, quoted text, plain text.

use super::{Kind, Mark, Scanner, Token};
use crate::yaml::YamlError;

/// What becomes of the line breaks at the end of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}

/// White space that has been read and may turn out to be part of a scalar.
#[derive(Default)]
struct Gap {
    blanks: String,
    first_break: String,
    more_breaks: String,
    has_break: bool,
}

impl Gap {
    /// Adds the gap to the text: a single line break becomes a blank, of several the first is dropped.
    fn fold_into(&mut self, text: &mut String) {
        if !self.has_break {
            text.push_str(&self.blanks);
        } else if !self.first_break.starts_with('\n') {
            text.push_str(&self.first_break);
            text.push_str(&self.more_breaks);
        } else if self.more_breaks.is_empty() {
            text.push(' ');
        } else {
            text.push_str(&self.more_breaks);
        }
        *self = Self::default();
    }
}

impl Scanner<'_> {
    /// Reads a line break, or a blank before one, into a gap.
    fn read_gap(&mut self, gap: &mut Gap) {
        if self.cursor.is_at_blank() {
            if gap.has_break {
                self.cursor.skip();
            } else {
                self.cursor.read(&mut gap.blanks);
            }
        } else if gap.has_break {
            self.cursor.read_line(&mut gap.more_breaks);
        } else {
            gap.blanks.clear();
            self.cursor.read_line(&mut gap.first_break);
            gap.has_break = true;
        }
    }

    pub(super) fn scan_plain(&mut self) -> Result<Token, YamlError> {
        let start = self.cursor.mark;
        let indent = self.indent + 1;
        let mut end = start;
        let mut text = String::new();
        let mut gap = Gap::default();
        loop {
            let is_document_mark =
                self.cursor.mark.column == 0 && self.cursor.is_at_document_mark();
            if is_document_mark || self.cursor.byte(0) == b'#' {
                break;
            }
            while !self.cursor.is_at_blank_or_end() && !self.is_at_plain_end() {
                gap.fold_into(&mut text);
                self.cursor.read(&mut text);
                self.cursor.read_while(&mut text, is_plain_inner);
                end = self.cursor.mark;
            }
            if !self.cursor.is_at_blank() && !self.cursor.is_at_break() {
                break;
            }
            while self.cursor.is_at_blank() || self.cursor.is_at_break() {
                let is_left = self.cursor.mark.column_i64() < indent;
                if gap.has_break && is_left && self.cursor.byte(0) == b'\t' {
                    let text = "found a tab character that violates indentation";
                    return Err(self.cursor.error(text));
                }
                self.read_gap(&mut gap);
            }
            if !self.is_in_flow() && self.cursor.mark.column_i64() < indent {
                break;
            }
        }
        if gap.has_break {
            self.is_key_allowed = true;
        }
        Ok(Token { kind: Kind::Scalar { text, is_plain: true }, start, end })
    }

    /// A sign that ends a plain scalar.
    fn is_at_plain_end(&self) -> bool {
        match self.cursor.byte(0) {
            b':' => self.cursor.is_blank_or_end_at(1),
            b',' | b'?' | b'[' | b']' | b'{' | b'}' => self.is_in_flow(),
            _ => false,
        }
    }

    pub(super) fn scan_quoted(&mut self) -> Result<Token, YamlError> {
        let start = self.cursor.mark;
        let quote = self.cursor.byte(0);
        self.cursor.skip();
        let mut text = String::new();
        loop {
            if self.cursor.mark.column == 0 && self.cursor.is_at_document_mark() {
                return Err(self.cursor.error("found unexpected document indicator"));
            }
            if self.cursor.is_at_end() {
                return Err(self.cursor.error("found unexpected end of stream"));
            }
            let mut gap = Gap::default();
            while !self.cursor.is_at_blank_or_end() {
                let byte = self.cursor.byte(0);
                if byte == quote {
                    if quote == b'"' || self.cursor.byte(1) != b'\'' {
                        break;
                    }
                    self.cursor.skip();
                    self.cursor.read(&mut text);
                } else if byte == b'\\' && quote == b'"' {
                    if self.cursor.is_at_escaped_break() {
                        self.cursor.skip();
                        self.cursor.skip_line();
                        // What follows is indentation, and no break counts.
                        gap.has_break = true;
                        gap.first_break.push('\0');
                        break;
                    }
                    self.escape(&mut text)?;
                } else {
                    self.cursor.read(&mut text);
                    self.cursor.read_while(&mut text, is_quoted_inner);
                }
            }
            if self.cursor.byte(0) == quote && !gap.has_break {
                self.cursor.skip();
                let kind = Kind::Scalar { text, is_plain: false };
                return Ok(Token { kind, start, end: self.cursor.mark });
            }
            while self.cursor.is_at_blank() || self.cursor.is_at_break() {
                self.read_gap(&mut gap);
            }
            if gap.first_break.starts_with('\0') {
                text.push_str(&gap.more_breaks);
            } else {
                gap.fold_into(&mut text);
            }
        }
    }

    /// An escape sequence between double quotes.
    fn escape(&mut self, text: &mut String) -> Result<(), YamlError> {
        let digits = match self.cursor.byte(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            byte => {
                let Some(letter) = escaped(byte) else {
                    return Err(self.cursor.error("found unknown escape character"));
                };
                text.push(letter);
                0
            }
        };
        self.cursor.skip();
        self.cursor.skip();
        if digits == 0 {
            return Ok(());
        }
        let mut code: u32 = 0;
        for ahead in 0..digits {
            let Some(digit) = char::from(self.cursor.byte(ahead)).to_digit(16) else {
                return Err(self.cursor.error("did not find expected hexdecimal number"));
            };
            code = code.wrapping_shl(4) | digit;
        }
        let Some(letter) = char::from_u32(code) else {
            return Err(self.cursor.error("found invalid Unicode character escape code"));
        };
        text.push(letter);
        (0..digits).for_each(|_| self.cursor.skip());
        Ok(())
    }

    pub(super) fn scan_block_scalar(&mut self) -> Result<Token, YamlError> {
        let start = self.cursor.mark;
        let is_literal = self.cursor.byte(0) == b'|';
        self.cursor.skip();
        let (chomping, increment) = self.block_header()?;
        self.cursor.finish_line()?;
        let mut indent = increment.map(|increment| self.indent.max(0) + increment);
        let mut end = self.cursor.mark;
        let (mut text, mut first_break) = (String::new(), String::new());
        let mut breaks = self.block_breaks(&mut indent, &mut end)?;
        let mut was_blank = false;
        while Some(self.cursor.mark.column_i64()) == indent && !self.cursor.is_at_end() {
            let is_blank = self.cursor.is_at_blank();
            let folds = !is_literal && !was_blank && !is_blank && first_break.starts_with('\n');
            if !folds {
                text.push_str(&first_break);
            } else if breaks.is_empty() {
                text.push(' ');
            }
            first_break.clear();
            text.push_str(&breaks);
            was_blank = is_blank;
            while !self.cursor.is_at_line_end() {
                self.cursor.read(&mut text);
                self.cursor.read_while(&mut text, |byte| matches!(byte, b'\t' | b' '..=b'~'));
            }
            self.cursor.read_line(&mut first_break);
            breaks = self.block_breaks(&mut indent, &mut end)?;
        }
        if chomping != Chomping::Strip {
            text.push_str(&first_break);
        }
        if chomping == Chomping::Keep {
            text.push_str(&breaks);
        }
        Ok(Token { kind: Kind::Scalar { text, is_plain: false }, start, end })
    }

    /// The signs after `|` or `>`: what becomes of the end, and how far the text is indented.
    fn block_header(&mut self) -> Result<(Chomping, Option<i64>), YamlError> {
        let (mut chomping, mut increment) = (None, None);
        loop {
            match self.cursor.byte(0) {
                b'+' if chomping.is_none() => chomping = Some(Chomping::Keep),
                b'-' if chomping.is_none() => chomping = Some(Chomping::Strip),
                b'0' if increment.is_none() => {
                    let text = "found an indentation indicator equal to 0";
                    return Err(self.cursor.error(text));
                }
                digit @ b'1'..=b'9' if increment.is_none() => {
                    increment = Some(i64::from(digit - b'0'));
                }
                _ => return Ok((chomping.unwrap_or(Chomping::Clip), increment)),
            }
            self.cursor.skip();
        }
    }

    /// Indentation and empty lines; finds out the indentation if it is not known yet.
    fn block_breaks(
        &mut self,
        indent: &mut Option<i64>,
        end: &mut Mark,
    ) -> Result<String, YamlError> {
        let mut breaks = String::new();
        let mut widest = 0;
        *end = self.cursor.mark;
        loop {
            let is_left = |scanner: &Self| {
                indent.is_none_or(|indent| scanner.cursor.mark.column_i64() < indent)
            };
            while is_left(self) && self.cursor.byte(0) == b' ' {
                self.cursor.skip();
            }
            widest = widest.max(self.cursor.mark.column_i64());
            if is_left(self) && self.cursor.byte(0) == b'\t' {
                let text = "found a tab character where an indentation space is expected";
                return Err(self.cursor.error(text));
            }
            if !self.cursor.is_at_break() {
                break;
            }
            self.cursor.read_line(&mut breaks);
            *end = self.cursor.mark;
        }
        if indent.is_none() {
            *indent = Some(widest.max(self.indent + 1).max(1));
        }
        Ok(breaks)
    }
}

/// What goes on in a plain scalar wherever it stands.
fn is_plain_inner(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b':' | b',' | b'?' | b'[' | b']' | b'{' | b'}')
}

/// What goes on in a quoted scalar whatever the quote.
fn is_quoted_inner(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\'' | b'"' | b'\\')
}

/// The letter that a backslash and a letter stand for.
fn escaped(byte: u8) -> Option<char> {
    Some(match byte {
        b'0' => '\0',
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\u{b}',
        b'f' => '\u{c}',
        b'r' => '\r',
        b'e' => '\u{1b}',
        b' ' => ' ',
        b'"' => '"',
        b'\'' => '\'',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{a0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ => return None,
    })
}
