//! Whether a text is JSON, and if not why, in the words of Go's `encoding/json`, which clients see.
//!
//! One pass with a stack of its own: nesting costs a byte, not a call.

/// Go's limit on nesting.
const DEPTH_MAX: usize = 10_000;

/// The text of the error for a body that ends too early.
const UNEXPECTED_END: &str = "unexpected end of JSON input";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Object,
    Array,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Inside>,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A value.
    Value,
    /// The end of a value: what surrounds it goes on.
    AfterValue,
}

/// Checks that `bytes` hold exactly one JSON value.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let mut scanner = Scanner { bytes, at: 0, stack: Vec::new() };
    let mut next = Next::Value;
    loop {
        next = match (next, scanner.stack.last()) {
            (Next::Value, _) => scanner.value()?,
            (Next::AfterValue, Some(&inside)) => scanner.next_item(inside)?,
            (Next::AfterValue, None) => break,
        };
    }
    match scanner.peek_token() {
        None => Ok(()),
        Some(byte) => Err(unexpected(byte, "after top-level value")),
    }
}

fn unexpected(byte: u8, context: &str) -> String {
    format!("invalid character {} {context}", quoted(byte))
}

fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        _ => {
            let text = crate::field::quoted(&char::from(byte).to_string());
            format!("'{}'", &text[1..text.len() - 1])
        }
    }
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is not white space, not taken.
    fn peek_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.peek()
    }

    fn token(&mut self) -> Result<u8, String> {
        let byte = self.peek_token().ok_or(UNEXPECTED_END)?;
        self.at += 1;
        Ok(byte)
    }

    fn byte(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or(UNEXPECTED_END)?;
        self.at += 1;
        Ok(byte)
    }

    /// Reads a value up to its end or, for an object or array, up to its first item.
    fn value(&mut self) -> Result<Next, String> {
        match self.token()? {
            b'{' => return self.open(Inside::Object, b'}'),
            b'[' => return self.open(Inside::Array, b']'),
            b'"' => self.string()?,
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            byte @ (b'-' | b'0'..=b'9') => self.number(byte)?,
            byte => return Err(unexpected(byte, "looking for beginning of value")),
        }
        Ok(Next::AfterValue)
    }

    fn open(&mut self, inside: Inside, close: u8) -> Result<Next, String> {
        if self.stack.len() >= DEPTH_MAX {
            return Err("exceeded max depth".to_owned());
        }
        if self.peek_token() == Some(close) {
            self.at += 1;
            return Ok(Next::AfterValue);
        }
        self.stack.push(inside);
        match inside {
            Inside::Object => self.member(),
            Inside::Array => Ok(Next::Value),
        }
    }

    /// Reads the key of a member.
    fn member(&mut self) -> Result<Next, String> {
        match self.token()? {
            b'"' => self.string()?,
            byte => return Err(unexpected(byte, "looking for beginning of object key string")),
        }
        match self.token()? {
            b':' => Ok(Next::Value),
            byte => Err(unexpected(byte, "after object key")),
        }
    }

    fn next_item(&mut self, inside: Inside) -> Result<Next, String> {
        match (self.token()?, inside) {
            (b',', Inside::Object) => self.member(),
            (b',', Inside::Array) => Ok(Next::Value),
            (b'}', Inside::Object) | (b']', Inside::Array) => {
                self.stack.pop();
                Ok(Next::AfterValue)
            }
            (byte, Inside::Object) => Err(unexpected(byte, "after object key:value pair")),
            (byte, Inside::Array) => Err(unexpected(byte, "after array element")),
        }
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.byte()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                byte if byte < 0x20 => return Err(unexpected(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.byte()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    let byte = self.byte()?;
                    if !byte.is_ascii_hexdigit() {
                        return Err(unexpected(byte, "in \\u hexadecimal character escape"));
                    }
                }
                Ok(())
            }
            byte => Err(unexpected(byte, "in string escape code")),
        }
    }

    fn literal(&mut self, word: &'static str) -> Result<(), String> {
        for &expected in &word.as_bytes()[1..] {
            let byte = self.byte()?;
            if byte != expected {
                let context = format!("in literal {word} (expecting {})", quoted(expected));
                return Err(unexpected(byte, &context));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        let mut lead = first;
        if first == b'-' {
            lead = self.byte()?;
            if !lead.is_ascii_digit() {
                return Err(unexpected(lead, "in numeric literal"));
            }
        }
        if lead != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn some_digits(&mut self, context: &str) -> Result<(), String> {
        let byte = self.byte()?;
        if !byte.is_ascii_digit() {
            return Err(unexpected(byte, context));
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }
}
