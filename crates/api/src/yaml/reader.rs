//! From bytes to the letters that YAML allows.

use std::borrow::Cow;

use super::YamlError;

/// The text of a stream, without byte order mark.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    let text: Cow<'_, str> = match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes)?.into(),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes)?.into(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest)?.into(),
        _ => utf8(bytes)?.into(),
    };
    if text.chars().all(is_allowed) {
        Ok(text)
    } else {
        Err(error("control characters are not allowed"))
    }
}

fn error(problem: &'static str) -> YamlError {
    // goyaml tells no line here.
    YamlError::Syntax { line: 0, problem }
}

fn is_allowed(letter: char) -> bool {
    matches!(
        letter,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..
    )
}

fn utf8(bytes: &[u8]) -> Result<&str, YamlError> {
    std::str::from_utf8(bytes).map_err(|wrong| error(what_is_wrong(&bytes[wrong.valid_up_to()..])))
}

/// What libyaml says of a sequence that is no UTF-8.
fn what_is_wrong(bytes: &[u8]) -> &'static str {
    let length = match bytes[0] {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => return "invalid leading UTF-8 octet",
    };
    let Some(trailing) = bytes.get(1..length) else { return "incomplete UTF-8 octet sequence" };
    if trailing.iter().any(|byte| byte & 0xC0 != 0x80) {
        return "invalid trailing UTF-8 octet";
    }
    match bytes {
        [0xC0 | 0xC1, ..] | [0xE0, ..=0x9F, ..] | [0xF0, ..=0x8F, ..] => {
            "invalid length of a UTF-8 sequence"
        }
        _ => "invalid Unicode character",
    }
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, YamlError> {
    let pairs = bytes.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(error("incomplete UTF-16 character"));
    }
    let units = pairs.map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units)
        .collect::<Result<_, _>>()
        .map_err(|_| error("unexpected low surrogate area"))
}
