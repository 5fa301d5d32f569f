//! Who a request says it comes from.

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::error::RequestError;

/// A value that must not be printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for those who must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"[redacted]\"")
    }
}

/// What goes into the `Authorization` header. Client certificates are part of [`super::TlsOptions`].
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// A bearer token.
    Token(Secret),
    /// A file with a bearer token, read for each request: its owner renews it.
    TokenFile(PathBuf),
    /// User and password.
    Basic(String, Secret),
}

impl Credentials {
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, RequestError> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Token(token) => format!("Bearer {}", token.reveal()),
            Self::TokenFile(path) => {
                let token = std::fs::read_to_string(path)
                    .map_err(|source| RequestError::TokenFile { path: path.clone(), source })?;
                format!("Bearer {}", token.trim())
            }
            Self::Basic(user, password) => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal())))
            }
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|source| RequestError::Header { name: "Authorization", source })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// Whom a request asks to be (`--as`, `--as-group`, `--as-uid`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Impersonation {
    /// The user; empty for none.
    pub user: String,
    /// Its UID; empty for none.
    pub uid: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Further attributes.
    pub extra: Vec<(String, Vec<String>)>,
}

impl Impersonation {
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        let single = [("impersonate-user", &self.user), ("impersonate-uid", &self.uid)];
        for (name, value) in single.into_iter().filter(|(_, value)| !value.is_empty()) {
            headers.push((name.to_owned(), value.clone()));
        }
        headers.extend(self.groups.iter().map(|g| ("impersonate-group".to_owned(), g.clone())));
        for (key, values) in &self.extra {
            let name = format!("impersonate-extra-{}", key.to_ascii_lowercase());
            headers.extend(values.iter().map(|value| (name.clone(), value.clone())));
        }
        headers
    }
}
