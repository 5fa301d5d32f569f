//! The value that these tests keep.

use std::sync::Arc;

use podo_store::{Clock, Config, DecodeError, Key, Revision, Value};

/// A number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) u64);

impl Value for Number {
    type EventCache = ();

    fn stamped(self, _revision: Revision) -> Self {
        self
    }

    fn to_log(&self, out: &mut Vec<u8>) {
        // Padded, so that records cross sectors and pages.
        let width = 20 + usize::try_from(self.0 * 37 % 900).unwrap_or(0);
        out.extend(format!("{:0>width$}", self.0).bytes());
    }

    fn from_log(_key: &Key, _revision: Revision, bytes: &[u8]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(bytes).map_err(|error| DecodeError(Box::new(error)))?;
        let digits = text.trim_start_matches('0');
        let digits = if digits.is_empty() { "0" } else { digits };
        digits.parse().map(Self).map_err(|error| DecodeError(Box::new(error)))
    }

    fn weight(&self) -> usize {
        8
    }
}

/// Real time is no matter here.
pub(crate) fn config() -> Config {
    let clock: Clock = Arc::new(|| 1);
    Config::new(clock)
}
