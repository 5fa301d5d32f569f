//! Directives, anchors, aliases and tags.

use super::{Kind, Scanner, Token};
use crate::yaml::YamlError;

/// The digits that a version may have (goyaml.v2).
const VERSION_DIGITS_MAX: usize = 2;

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_uri_byte(byte: u8) -> bool {
    is_word_byte(byte) || b";/?:@&=+$,.!~*'()[]%".contains(&byte)
}

impl Scanner<'_> {
    /// Letters, digits, `_` and `-`.
    fn word(&mut self) -> String {
        let mut word = String::new();
        self.cursor.read_while(&mut word, is_word_byte);
        word
    }

    pub(super) fn scan_directive(&mut self) -> Result<Token, YamlError> {
        let start = self.cursor.mark;
        self.cursor.skip();
        let name = self.word();
        if name.is_empty() {
            return Err(self.cursor.error("could not find expected directive name"));
        }
        if !self.cursor.is_at_blank_or_end() {
            return Err(self.cursor.error("found unexpected non-alphabetical character"));
        }
        let kind = match name.as_str() {
            "YAML" => self.version()?,
            "TAG" => self.tag_directive()?,
            _ => return Err(self.cursor.error("found unknown directive name")),
        };
        let end = self.cursor.mark;
        self.cursor.finish_line()?;
        Ok(Token { kind, start, end })
    }

    fn version(&mut self) -> Result<Kind, YamlError> {
        self.cursor.skip_blanks();
        let major = self.version_number()?;
        if self.cursor.byte(0) != b'.' {
            return Err(self.cursor.error("did not find expected digit or '.' character"));
        }
        self.cursor.skip();
        let minor = self.version_number()?;
        Ok(Kind::Version { is_supported: (major, minor) == (1, 1) })
    }

    fn version_number(&mut self) -> Result<u32, YamlError> {
        let (mut number, mut length) = (0, 0);
        while let digit @ b'0'..=b'9' = self.cursor.byte(0) {
            length += 1;
            if length > VERSION_DIGITS_MAX {
                return Err(self.cursor.error("found extremely long version number"));
            }
            number = number * 10 + u32::from(digit - b'0');
            self.cursor.skip();
        }
        if length == 0 {
            return Err(self.cursor.error("did not find expected version number"));
        }
        Ok(number)
    }

    fn tag_directive(&mut self) -> Result<Kind, YamlError> {
        self.cursor.skip_blanks();
        let handle = self.tag_handle(true)?;
        if !self.cursor.is_at_blank() {
            return Err(self.cursor.error("did not find expected whitespace"));
        }
        self.cursor.skip_blanks();
        let prefix = self.tag_uri("")?;
        if !self.cursor.is_at_blank_or_end() {
            return Err(self.cursor.error("did not find expected whitespace or line break"));
        }
        Ok(Kind::TagDirective { handle, prefix })
    }

    pub(super) fn scan_anchor(&mut self) -> Result<Token, YamlError> {
        let start = self.cursor.mark;
        let is_alias = self.cursor.byte(0) == b'*';
        self.cursor.skip();
        let name = self.word();
        let is_ended = self.cursor.is_at_blank_or_end()
            || matches!(self.cursor.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !is_ended {
            let text = "did not find expected alphabetic or numeric character";
            return Err(self.cursor.error(text));
        }
        let kind = if is_alias { Kind::Alias(name) } else { Kind::Anchor(name) };
        Ok(Token { kind, start, end: self.cursor.mark })
    }

    pub(super) fn scan_tag(&mut self) -> Result<Token, YamlError> {
        let start = self.cursor.mark;
        let (handle, suffix) = if self.cursor.byte(1) == b'<' {
            self.cursor.skip();
            self.cursor.skip();
            let suffix = self.tag_uri("")?;
            if self.cursor.byte(0) != b'>' {
                return Err(self.cursor.error("did not find the expected '>'"));
            }
            self.cursor.skip();
            (String::new(), suffix)
        } else {
            let handle = self.tag_handle(false)?;
            if handle.len() >= 2 && handle.ends_with('!') {
                let suffix = self.tag_uri("")?;
                (handle, suffix)
            } else {
                // It was the start of a tag with the handle `!`, or that tag alone.
                match self.tag_uri(&handle)? {
                    suffix if suffix.is_empty() => (String::new(), "!".to_owned()),
                    suffix => ("!".to_owned(), suffix),
                }
            }
        };
        if !self.cursor.is_at_blank_or_end() {
            return Err(self.cursor.error("did not find expected whitespace or line break"));
        }
        Ok(Token { kind: Kind::Tag { handle, suffix }, start, end: self.cursor.mark })
    }

    /// `!`, `!!` or `!word!`; what looks like one and does not end may be more, but not in a directive.
    fn tag_handle(&mut self, is_directive: bool) -> Result<String, YamlError> {
        if self.cursor.byte(0) != b'!' {
            return Err(self.cursor.error("did not find expected '!'"));
        }
        let mut handle = String::new();
        self.cursor.read(&mut handle);
        handle.push_str(&self.word());
        if self.cursor.byte(0) == b'!' {
            self.cursor.read(&mut handle);
        } else if is_directive && handle != "!" {
            return Err(self.cursor.error("did not find expected '!'"));
        }
        Ok(handle)
    }

    /// A tag's URI, of which `head` has been read already.
    fn tag_uri(&mut self, head: &str) -> Result<String, YamlError> {
        let mut uri = head.get(1..).unwrap_or("").to_owned();
        let mut is_found = !head.is_empty();
        while is_uri_byte(self.cursor.byte(0)) {
            is_found = true;
            if self.cursor.byte(0) == b'%' {
                let letter = self.uri_escape()?;
                uri.push(letter);
            } else {
                self.cursor.read(&mut uri);
            }
        }
        if is_found { Ok(uri) } else { Err(self.cursor.error("did not find expected tag URI")) }
    }

    /// A letter whose bytes are written as `%XX`.
    fn uri_escape(&mut self) -> Result<char, YamlError> {
        let mut bytes = Vec::new();
        let mut length = 1;
        while bytes.len() < length {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let digits = (digit(self.cursor.byte(1)), digit(self.cursor.byte(2)));
            let (b'%', (Some(high), Some(low))) = (self.cursor.byte(0), digits) else {
                return Err(self.cursor.error("did not find URI escaped octet"));
            };
            let byte = u8::try_from(high * 16 + low).unwrap_or(0);
            if bytes.is_empty() {
                length = match byte {
                    ..0x80 => 1,
                    0xC0..=0xDF => 2,
                    0xE0..=0xEF => 3,
                    0xF0..=0xF7 => 4,
                    _ => return Err(self.cursor.error("found an incorrect leading UTF-8 octet")),
                };
            } else if byte & 0xC0 != 0x80 {
                return Err(self.cursor.error("found an incorrect trailing UTF-8 octet"));
            }
            bytes.push(byte);
            (0..3).for_each(|_| self.cursor.skip());
        }
        // Overlong forms pass the checks above, and mean nothing.
        Ok(String::from_utf8_lossy(&bytes).chars().next().unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}
