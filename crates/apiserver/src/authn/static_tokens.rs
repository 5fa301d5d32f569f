//! Tokens that the operator gave (Kubernetes v1.36 `--token-auth-file`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::user::User;

/// Tokens and their users. Only digests are kept: a lookup tells nothing about a token by the time that it takes.
#[derive(Clone, Default)]
pub struct StaticTokens(HashMap<[u8; 32], Arc<User>>);

impl StaticTokens {
    /// No tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same tokens with one more; an empty one is nobody's.
    #[must_use]
    pub fn with(mut self, token: &str, user: &str, groups: &[&str]) -> Self {
        if !token.is_empty() {
            self.0.insert(digest(token), Arc::new(User::authenticated(user, groups)));
        }
        self
    }

    /// The user of a token.
    pub(crate) fn user(&self, token: &str) -> Option<Arc<User>> {
        if self.0.is_empty() { None } else { self.0.get(&digest(token)).cloned() }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl fmt::Debug for StaticTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticTokens({})", self.0.len())
    }
}
