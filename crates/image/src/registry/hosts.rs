//! Which hosts are asked for an image: mirrors first, then the registry in its name.
//!
//! As containerd's `hosts.toml` does: a mirror that does not have the image, refuses or is silent is
//! passed over, unless the operator said that the origin is not to be asked.

use std::str::FromStr;

use http::Uri;

use super::RegistryConfig;
use super::url::is_loopback;
use crate::reference::DEFAULT_REGISTRY;

/// Where docker.io really is.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// Whether the registry itself is asked when no mirror has the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It is, as containerd does.
    Origin,
    /// It is not: what the mirrors lack does not exist.
    Never,
}

/// A host to ask instead of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Registry as in image names, or `*` for all.
    pub registry: String,
    /// `http://host:port[/path]` of the mirror; `/v2/` is added.
    pub url: String,
    /// What to do if the mirror lacks the image.
    pub fallback: Fallback,
    /// Whether credentials for the registry are presented to the mirror.
    pub has_credentials: bool,
}

/// Why a mirror cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// Not an HTTP URL with a host.
    #[error("mirror {url:?} is not an http or https URL")]
    Url {
        /// As given.
        url: String,
    },
}

impl Mirror {
    /// A mirror with fallback to the origin. It is given credentials if nobody can listen on the way.
    pub fn new(registry: &str, url: &str) -> Result<Self, MirrorError> {
        let bad = || MirrorError::Url { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?.as_str();
        if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.contains('@') {
            return Err(bad());
        }
        let has_credentials = uri.scheme_str() == Some("https") || is_loopback(authority);
        Ok(Self {
            registry: registry.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            fallback: Fallback::Origin,
            has_credentials,
        })
    }
}

impl FromStr for Mirror {
    type Err = MirrorError;

    /// `URL` for all registries, or `REGISTRY=URL`.
    fn from_str(text: &str) -> Result<Self, MirrorError> {
        match text.split_once('=') {
            Some((registry, url)) if !registry.contains("://") => Self::new(registry, url),
            _ => Self::new("*", text),
        }
    }
}

/// One host to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Everything in front of `/v2/`.
    pub(super) base: String,
    /// The registry that a mirror is to stand for, sent along as containerd does.
    pub(super) namespace: Option<String>,
    /// Whether credentials may be presented.
    pub(super) has_credentials: bool,
}

/// The hosts to ask for images of `registry`, in order.
pub(super) fn endpoints(config: &RegistryConfig, registry: &str) -> Vec<Endpoint> {
    let exact: Vec<&Mirror> =
        config.mirrors.iter().filter(|mirror| mirror.registry == registry).collect();
    let mirrors = if exact.is_empty() {
        config.mirrors.iter().filter(|mirror| mirror.registry == "*").collect()
    } else {
        exact
    };
    let mut endpoints: Vec<Endpoint> = mirrors
        .iter()
        .map(|mirror| Endpoint {
            base: mirror.url.clone(),
            namespace: Some(registry.to_owned()),
            has_credentials: mirror.has_credentials,
        })
        .collect();
    if mirrors.iter().all(|mirror| mirror.fallback == Fallback::Origin) {
        endpoints.push(origin(config, registry));
    }
    endpoints
}

fn origin(config: &RegistryConfig, registry: &str) -> Endpoint {
    let host = if registry == DEFAULT_REGISTRY { DOCKER_HUB_HOST } else { registry };
    let has_own_ca = config.registry_ca_files.contains_key(registry);
    let is_insecure = config.insecure.iter().any(|listed| listed == registry);
    let is_plain = is_insecure || (is_loopback(host) && !has_own_ca && !host.ends_with(":443"));
    let scheme = if is_plain { "http" } else { "https" };
    Endpoint { base: format!("{scheme}://{host}"), namespace: None, has_credentials: true }
}

#[cfg(test)]
mod tests;
