//! UIDs in little room: those that the server gives are 16 bytes, any other is kept as it is.

use std::fmt;

/// A UID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Uid {
    /// The bytes of a UUID in its usual form, lower case with four dashes.
    Uuid([u8; 16]),
    /// Any other text: a reference may say what it likes.
    Text(Box<str>),
}

/// Where the dashes of a UUID are.
const DASHES: [usize; 4] = [8, 13, 18, 23];

impl Uid {
    /// The UID that a text says.
    pub(super) fn of(text: &str) -> Self {
        parse(text.as_bytes()).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }
}

fn parse(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 || DASHES.iter().any(|&at| text[at] != b'-') {
        return None;
    }
    let mut digits = text.iter().enumerate().filter(|(at, _)| !DASHES.contains(at)).map(
        |(_, &byte)| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        },
    );
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    Some(bytes)
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match self {
            Self::Text(text) => return f.write_str(text),
            Self::Uuid(bytes) => bytes,
        };
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_written_as_it_was_read() {
        for text in [
            "6e36b2f0-8d0c-4e57-9f4e-0123456789ab",
            "6E36B2F0-8D0C-4E57-9F4E-0123456789AB",
            "6e36b2f0-8d0c-4e57-9f4e-0123456789a",
            "6e36b2f008d0c-4e57-9f4e-0123456789ab",
            "6e36b2f0-8d0c-4e57-9f4e-0123456789aé",
            "",
            "none",
        ] {
            assert_eq!(Uid::of(text).to_string(), text);
        }
        assert!(matches!(Uid::of("6e36b2f0-8d0c-4e57-9f4e-0123456789ab"), Uid::Uuid(_)));
        assert_eq!(size_of::<Uid>(), 24);
    }
}
