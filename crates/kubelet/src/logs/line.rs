//! One entry of a log in CRI's form: `2026-10-06T00:17:09.669794202Z stdout F text`.

use podo_base::Timestamp;

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// When, as it is written.
    pub(crate) time: &'a [u8],
    /// Whether it came on standard error.
    pub(crate) is_stderr: bool,
    /// Whether the line goes on in the next entry of the stream.
    pub(crate) is_partial: bool,
    /// The text, without the end of the line.
    pub(crate) text: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads an entry without its end of line; `None` if it is none.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let (time, stream, tags) = (parts.next()?, parts.next()?, parts.next()?);
        let text = parts.next().unwrap_or_default();
        let is_stderr = match stream {
            b"stdout" => false,
            b"stderr" => true,
            _ => return None,
        };
        // The first of the tags, which colons part, says whether the line is whole.
        let is_partial = match tags.split(|byte| *byte == b':').next()? {
            b"F" => false,
            b"P" => true,
            _ => return None,
        };
        Some(Self { time, is_stderr, is_partial, text })
    }

    /// Whether it was written before a time; entries whose time makes no sense were not.
    pub(crate) fn is_before(&self, since: Timestamp) -> bool {
        let text = std::str::from_utf8(self.time).ok();
        text.and_then(Timestamp::parse).is_some_and(|at| at < since)
    }
}
