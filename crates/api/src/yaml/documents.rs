//! Splitting a stream into documents at lines that start with `---`, as kubectl does.

use super::YamlError;

const SEPARATOR: &str = "---";

/// The documents of a stream, each with the number of its first line, counted from 1.
///
/// A document may be blank or hold comments only; it then reads as `null`. After a separator that is not followed by a blank or
/// a comment the stream ends with an error.
pub fn documents(text: &str) -> impl Iterator<Item = Result<(usize, &str), YamlError>> {
    Documents { text, at: 0, line: 1 }
}

struct Documents<'a> {
    text: &'a str,
    at: usize,
    /// The number of the line at `at`.
    line: usize,
}

impl<'a> Iterator for Documents<'a> {
    type Item = Result<(usize, &'a str), YamlError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (start, first_line) = (self.at, self.line);
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            let line = rest.split_inclusive('\n').next().unwrap_or(rest);
            let end = self.at;
            self.at += line.len();
            self.line += 1;
            let Some(tail) = line.strip_prefix(SEPARATOR) else { continue };
            let tail = tail.trim();
            if !tail.is_empty() && !tail.starts_with('#') {
                self.at = self.text.len();
                return Some(Err(YamlError::Separator { text: tail.to_owned() }));
            }
            // A separator before anything else belongs to the document that follows.
            if end > start {
                return Some(Ok((first_line, &self.text[start..end])));
            }
        }
        (start < self.text.len()).then(|| Ok((first_line, &self.text[start..])))
    }
}
