//! Registry credentials: Docker's configuration forms, and which of them fit an image.
//!
//! Matches as the kubelet's keyring of Kubernetes v1.36: hosts by dot-separated glob parts, ports
//! exactly, paths by prefix; most specific first. Pure: the texts come from whoever read them.
//!
//! Not here: how a credential is presented ([`crate::registry`]).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

/// The key under which `docker login` keeps the default registry.
const DEFAULT_REGISTRY_KEY: &str = "index.docker.io";

/// One way to say who is asking. Never printed.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Credential {
    /// User name; with an identity token it may be empty or `<token>`.
    pub username: String,
    /// Password or access token.
    pub password: String,
    /// An OAuth2 refresh token, exchanged for access tokens at the registry's realm.
    pub identity_token: Option<String>,
    /// A bearer token that is sent to the registry as it is.
    pub registry_token: Option<String>,
}

impl Credential {
    /// A user with a password.
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into(), ..Self::default() }
    }

    /// The value of a Basic `Authorization` header.
    pub(crate) fn basic_header(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.username, self.password)))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why a Docker configuration cannot be used. Never carries the secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Not JSON of the expected form.
    #[error("docker configuration is not valid JSON")]
    Json(#[source] serde_json::Error),
    /// The `auth` field is not base64.
    #[error("auth field of {registry:?} is not valid base64")]
    AuthEncoding {
        /// The registry key with the bad field.
        registry: String,
    },
    /// The `auth` field lacks the colon.
    #[error(
        "unable to parse auth field of {registry:?}, must be formatted as base64(username:password)"
    )]
    AuthForm {
        /// The registry key with the bad field.
        registry: String,
    },
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    auth: Option<String>,
    #[serde(default, rename = "identitytoken")]
    identity_token: Option<String>,
    #[serde(default, rename = "registrytoken")]
    registry_token: Option<String>,
}

/// Credentials by registry pattern.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    by_pattern: BTreeMap<String, Vec<Credential>>,
}

impl Keyring {
    /// A keyring that fits nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `.dockerconfigjson`: `{"auths": {...}}`.
    pub fn add_config_json(&mut self, text: &[u8]) -> Result<(), CredentialsError> {
        let file: ConfigFile = serde_json::from_slice(text).map_err(CredentialsError::Json)?;
        self.add_entries(file.auths.unwrap_or_default())
    }

    /// Adds the legacy `.dockercfg`: the map without `auths` around it.
    pub fn add_dockercfg(&mut self, text: &[u8]) -> Result<(), CredentialsError> {
        self.add_entries(serde_json::from_slice(text).map_err(CredentialsError::Json)?)
    }

    /// Adds one credential for a registry pattern, e.g. `*.example.com:5000/team`.
    pub fn add(&mut self, pattern: &str, credential: Credential) {
        let of_pattern = self.by_pattern.entry(normalize_pattern(pattern)).or_default();
        if !of_pattern.contains(&credential) {
            of_pattern.push(credential);
        }
    }

    fn add_entries(&mut self, entries: BTreeMap<String, Entry>) -> Result<(), CredentialsError> {
        let parsed = entries
            .into_iter()
            .map(|(registry, entry)| {
                let credential = entry.into_credential(&registry)?;
                Ok((registry, credential))
            })
            .collect::<Result<Vec<_>, CredentialsError>>()?;
        for (registry, credential) in parsed {
            self.add(&registry, credential);
        }
        Ok(())
    }

    /// All credentials that fit `repository` (`registry/path` as [`crate::Reference::name`] gives it),
    /// the most specific first.
    pub fn lookup(&self, repository: &str) -> Vec<Credential> {
        let mut found: Vec<Credential> = Vec::new();
        // Reverse order of text puts longer patterns before their prefixes and stars last.
        for (pattern, credentials) in self.by_pattern.iter().rev() {
            if pattern_matches(pattern, repository) {
                found.extend(credentials.iter().cloned());
            }
        }
        if found.is_empty() && is_default_registry(repository) {
            found.extend(self.by_pattern.get(DEFAULT_REGISTRY_KEY).into_iter().flatten().cloned());
        }
        found
    }
}

impl Entry {
    fn into_credential(self, registry: &str) -> Result<Credential, CredentialsError> {
        let mut credential = Credential {
            username: self.username.unwrap_or_default(),
            password: self.password.unwrap_or_default(),
            identity_token: self.identity_token.filter(|token| !token.is_empty()),
            registry_token: self.registry_token.filter(|token| !token.is_empty()),
        };
        if let Some(auth) = self.auth.filter(|auth| !auth.is_empty()) {
            let text = auth.trim();
            let engine = if text.ends_with('=') { &STANDARD } else { &STANDARD_NO_PAD };
            let decoded = engine
                .decode(text)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| CredentialsError::AuthEncoding { registry: registry.to_owned() })?;
            let (username, password) = decoded
                .split_once(':')
                .ok_or_else(|| CredentialsError::AuthForm { registry: registry.to_owned() })?;
            username.clone_into(&mut credential.username);
            password.trim_end_matches('\0').clone_into(&mut credential.password);
        }
        Ok(credential)
    }
}

/// `https://index.docker.io/v1/` → `index.docker.io`; `host/v2/path` → `host/path`.
fn normalize_pattern(pattern: &str) -> String {
    let bare = pattern.trim_start_matches("https://").trim_start_matches("http://");
    let (host, path) = bare.find('/').map_or((bare, ""), |at| bare.split_at(at));
    let path = match path.strip_prefix("/v1/").or_else(|| path.strip_prefix("/v2/")) {
        Some(rest) => format!("/{rest}"),
        None => path.to_owned(),
    };
    if path.is_empty() || path == "/" { host.to_owned() } else { format!("{host}{path}") }
}

fn pattern_matches(pattern: &str, repository: &str) -> bool {
    let split = |text: &str| -> (String, String, String) {
        let (host, path) = text.find('/').map_or((text, ""), |at| text.split_at(at));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !host.ends_with(']') => (name, port),
            _ => (host, ""),
        };
        (name.to_owned(), port.to_owned(), path.to_owned())
    };
    let (glob_host, glob_port, glob_path) = split(pattern);
    let (host, port, path) = split(repository);
    let globs: Vec<&str> = glob_host.split('.').collect();
    let parts: Vec<&str> = host.split('.').collect();
    glob_port == port
        && globs.len() == parts.len()
        && path.starts_with(&glob_path)
        && globs
            .iter()
            .zip(&parts)
            .all(|(glob, part)| glob_matches(glob.as_bytes(), part.as_bytes()))
}

/// `*` is any run of characters, `?` one character.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    match (glob.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            (0..=text.len()).any(|at| glob_matches(rest, text.split_at(at).1))
        }
        (Some((b'?', rest)), Some((_, text))) => glob_matches(rest, text),
        (Some((letter, rest)), Some((first, text))) => letter == first && glob_matches(rest, text),
        _ => false,
    }
}

fn is_default_registry(repository: &str) -> bool {
    match repository.split_once('/') {
        None => !repository.is_empty(),
        Some(("docker.io" | "index.docker.io", _)) => true,
        Some((first, _)) => !first.is_empty() && !first.contains(['.', ':']),
    }
}

#[cfg(test)]
mod tests;
