//! Image names: parsing and normalising as Docker, containerd and the kubelet do.
//!
//! Owns the grammar of distribution's reference package and its defaults: `nginx` means
//! `docker.io/library/nginx:latest`. Error texts are those that Kubernetes v1.36 shows behind
//! `InvalidImageName`. Pure.
//!
//! What always holds: a [`Reference`] has a well-formed registry and repository, and a tag or a digest.

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, DigestError};

/// The registry of names that name none.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of names that have neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
/// Longest repository path that registries accept.
const REPOSITORY_LENGTH_MAX: usize = 255;
/// Longest tag.
const TAG_LENGTH_MAX: usize = 128;
/// Shortest hexadecimal part that the grammar calls a digest.
const DIGEST_HEX_MIN: usize = 32;

/// Why an image name is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The text does not match the grammar.
    #[error("invalid reference format")]
    Invalid,
    /// The repository has upper-case letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// The text is a bare image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
    /// The repository is longer than 255 characters.
    #[error("repository name must not be more than {REPOSITORY_LENGTH_MAX} characters")]
    TooLong,
    /// The digest is not well formed.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// An image name that cannot be parsed, as the kubelet words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("couldn't parse image name {name:?}")]
pub struct ReferenceError {
    /// The name as it was given.
    pub name: String,
    /// What is wrong with it.
    #[source]
    pub source: FormatError,
}

impl ReferenceError {
    /// The message that Kubernetes v1.36 puts behind `InvalidImageName`.
    pub fn invalid_image_name(&self) -> String {
        let name = &self.name;
        format!("Failed to apply default image tag {name:?}: {self}: {}", self.source)
    }
}

/// A normalised image name. Text form: `registry/repository[:tag][@digest]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses any name a user may write and applies all defaults.
    pub fn parse(name: &str) -> Result<Self, ReferenceError> {
        parse_normalized(name).map_err(|source| ReferenceError { name: name.to_owned(), source })
    }

    /// The registry host as in the name, with its port: `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry: `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Registry and path: `docker.io/library/nginx`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The tag, if named or defaulted.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if named.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What to ask a registry for: the digest if there is one, else the tag.
    pub fn selector(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }

    /// `name:tag`, unless a digest pins the image: a tag beside a digest says nothing.
    pub fn repo_tag(&self) -> Option<String> {
        match (&self.digest, &self.tag) {
            (None, Some(tag)) => Some(format!("{}:{tag}", self.name())),
            _ => None,
        }
    }

    /// `name@digest` for the digest that this name was resolved to.
    pub fn repo_digest(&self, digest: &Digest) -> String {
        format!("{}@{digest}", self.name())
    }

    /// The form containerd keeps: with a digest, the tag is dropped.
    pub fn canonical(&self) -> String {
        match &self.digest {
            Some(digest) => self.repo_digest(digest),
            None => format!("{}:{}", self.name(), self.selector()),
        }
    }

    /// Whether the name says `latest` (by default or in words) and pins no digest, so that a missing
    /// pull policy means `Always`.
    pub fn is_latest(&self) -> bool {
        self.digest.is_none() && self.tag.as_deref() == Some(DEFAULT_TAG)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(name: &str) -> Result<Self, ReferenceError> {
        Self::parse(name)
    }
}

fn parse_normalized(name: &str) -> Result<Reference, FormatError> {
    if name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(FormatError::Identifier(name.to_owned()));
    }
    let (registry, remainder) = split_registry(name);
    let remote = remainder.split(':').next().unwrap_or_default();
    if remote.to_lowercase() != remote {
        return Err(FormatError::Uppercase(remote.to_owned()));
    }

    let (named, digest) = match remainder.split_once('@') {
        Some((named, digest)) => (named, Some(parse_digest(digest)?)),
        None => (remainder.as_str(), None),
    };
    let last_slash = named.rfind('/').map_or(0, |at| at + 1);
    let (repository, tag) = match named.get(last_slash..).and_then(|last| last.find(':')) {
        Some(colon) => {
            let (repository, tag) = named.split_at(last_slash + colon);
            (repository, Some(tag.trim_start_matches(':')).filter(|_| !tag.starts_with("::")))
        }
        None => (named, None),
    };
    let has_colon = repository.len() != named.len();
    let is_valid = is_registry(&registry)
        && repository.split('/').all(is_path_component)
        && tag.is_some_and(is_tag) == has_colon;
    if !is_valid {
        return Err(FormatError::Invalid);
    }
    if repository.len() > REPOSITORY_LENGTH_MAX {
        return Err(FormatError::TooLong);
    }
    let tag = match (tag, &digest) {
        (None, None) => Some(DEFAULT_TAG),
        (tag, _) => tag,
    };
    Ok(Reference {
        registry,
        repository: repository.to_owned(),
        tag: tag.map(str::to_owned),
        digest,
    })
}

/// Splits the registry off, as Docker does: the first component is one if it looks like a host.
fn split_registry(name: &str) -> (String, String) {
    let (registry, remainder) = match name.split_once('/') {
        Some((first, rest)) if is_host_like(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    let remainder = if registry == DEFAULT_REGISTRY && !remainder.contains('/') {
        format!("library/{remainder}")
    } else {
        remainder.to_owned()
    };
    (registry.to_owned(), remainder)
}

fn is_host_like(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first
}

/// The grammar's digest first (else the whole reference is malformed), then what we can verify.
fn parse_digest(text: &str) -> Result<Digest, FormatError> {
    let (algorithm, hex) = text.split_once(':').ok_or(FormatError::Invalid)?;
    let is_algorithm = algorithm.split(['-', '_', '+', '.']).all(|part| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    let is_hex = hex.len() >= DIGEST_HEX_MIN && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_algorithm || !is_hex {
        return Err(FormatError::Invalid);
    }
    Ok(text.parse::<Digest>()?)
}

/// `host[:port]`, where the host is DNS labels, an IPv4 address or `[IPv6]`.
fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            let is_address = !address.is_empty()
                && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
            if !is_address {
                return false;
            }
            return port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    port.is_none_or(is_port) && host.split('.').all(is_host_label)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Lower-case letters and digits, separated by `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !component.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'_' | b'-')) {
        return false;
    }
    let ends_are_words = component.bytes().next().is_some_and(is_word)
        && component.bytes().next_back().is_some_and(is_word);
    let is_separator = |separator: &str| {
        matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    };
    ends_are_words
        && component
            .split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit())
            .all(is_separator)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= TAG_LENGTH_MAX
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests;
