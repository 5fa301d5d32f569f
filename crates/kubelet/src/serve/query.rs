//! The query of a URL.

use podo_api::Status;

/// The pairs of a query, in order, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query; what is not encoded well is taken as it stands.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (decode(key), decode(value)))
                .collect(),
        )
    }

    /// All values of a key.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |pair| pair.0 == key).map(|pair| pair.1.as_str())
    }

    /// The first value of a key; an empty one is none.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|pair| pair.0 == key)
            .map(|pair| pair.1.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether a key is set to `1`, as the streams' flags are (Kubernetes v1.36 `remotecommand.NewOptions`).
    pub(crate) fn is_one(&self, key: &str) -> bool {
        self.get(key) == Some("1")
    }

    /// Whether a key is set to something that is not false (Kubernetes v1.36 `Convert_Slice_string_To_bool`).
    pub(crate) fn flag(&self, key: &str) -> bool {
        let Some(value) = self.0.iter().find(|pair| pair.0 == key).map(|pair| pair.1.as_str())
        else {
            return false;
        };
        value != "0" && !value.eq_ignore_ascii_case("false")
    }

    /// A number; an error of the caller's words if it is none.
    pub(crate) fn integer(
        &self,
        key: &str,
        refused: impl FnOnce() -> Status,
    ) -> Result<Option<i64>, Status> {
        self.get(key).map(|value| value.parse().map_err(|_not_a_number| refused())).transpose()
    }
}

/// Decodes one part of a query or path.
pub(super) fn decode(text: &str) -> String {
    decode_bytes(text, true)
}

/// Decodes one segment of a path, in which `+` is itself.
pub(super) fn decode_segment(text: &str) -> String {
    decode_bytes(text, false)
}

fn decode_bytes(text: &str, is_form: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = tail;
                }
                _ => out.push(byte),
            },
            (b'+', _) if is_form => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
