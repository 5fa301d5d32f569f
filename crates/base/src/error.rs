//! Printing an error with its causes, once each.

use std::error::Error;
use std::fmt;

/// Displays an error and all its sources as `outer: inner: innermost`.
///
/// Errors here never repeat their source in their own text, so the chain reads without echoes.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read {0:?}")]
    struct Outer(&'static str, #[source] std::io::Error);

    #[test]
    fn every_cause_is_printed_once() {
        let error = Outer("key", std::io::Error::other("disk gone"));
        assert_eq!(Chain(&error).to_string(), "cannot read \"key\": disk gone");
    }
}
