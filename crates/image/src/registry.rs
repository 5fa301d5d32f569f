//! The registry client: OCI distribution and Docker's v2 protocol, reading side.
//!
//! Owns finding an image at its mirrors and origin, and fetching manifests and blobs within bounds
//! of size and time. What it returns as a manifest has been verified; blobs are verified by whoever
//! writes them down ([`crate::content`]).
//!
//! What always holds
//! - Credentials go to the registry that was asked (or a mirror the operator trusts with them) and
//!   to the token service it names, never along a redirect to another host.
//! - Every call can be dropped at any await: connections close with their owner, nothing is left running.
//!
//! Not here: what to do with the parts of an image ([`crate::service`]).

mod auth;
pub(crate) mod challenge;
mod connect;
pub mod dns;
mod download;
mod error;
mod hosts;
mod http_client;
#[cfg(feature = "testkit")]
pub mod push;
mod session;
mod tls;
pub(crate) mod url;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use self::connect::ConnectError;
pub use self::dns::DnsError;
pub(crate) use self::error::chain;
pub use self::error::{RegistryError, RequestError};
pub use self::hosts::{Fallback, Mirror, MirrorError};
pub use self::session::{Resolved, Session};
pub use self::tls::TlsConfigError;

use self::hosts::Endpoint;
use self::http_client::HttpClient;
use crate::credentials::Credential;
use crate::limits::Limits;
use crate::reference::Reference;

/// Bounds on waiting for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Finding, dialling and greeting a host.
    pub connect: Duration,
    /// Silence after which a request or transfer counts as dead.
    pub idle: Duration,
    /// A manifest, a configuration or a token, from request to last byte.
    pub document: Duration,
    /// First pause before a retry; each further one doubles.
    pub retry: Duration,
    /// Tries of one request or transfer that makes no progress.
    pub attempts: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            document: Duration::from_mins(1),
            retry: Duration::from_millis(250),
            attempts: 5,
        }
    }
}

/// Which registries there are and how they are reached.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// Hosts to ask before the one in the name.
    pub mirrors: Vec<Mirror>,
    /// Hosts (`host` or `host:port`) that speak plain HTTP. Loopback always may.
    pub insecure: Vec<String>,
    /// PEM files with the certificate authorities of all registries. Missing files are skipped as
    /// long as one is there.
    pub ca_files: Vec<PathBuf>,
    /// PEM files with further authorities for one registry host (`host` or `host:port`); a loopback
    /// host listed here speaks TLS.
    pub registry_ca_files: BTreeMap<String, Vec<PathBuf>>,
    /// Names with fixed addresses.
    pub hosts_file: PathBuf,
    /// Name servers.
    pub resolv_conf: PathBuf,
    /// Bounds on waiting.
    pub timeouts: Timeouts,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            insecure: Vec::new(),
            // Debian, Fedora, openSUSE, Alpine.
            ca_files: vec![
                "/etc/ssl/certs/ca-certificates.crt".into(),
                "/etc/pki/tls/certs/ca-bundle.crt".into(),
                "/etc/ssl/ca-bundle.pem".into(),
                "/etc/ssl/cert.pem".into(),
            ],
            registry_ca_files: BTreeMap::new(),
            hosts_file: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            timeouts: Timeouts::default(),
        }
    }
}

/// Speaks with registries. Cheap to clone; connections are shared and closed with the last clone.
#[derive(Clone)]
pub struct RegistryClient {
    http: Arc<HttpClient>,
    config: Arc<RegistryConfig>,
    limits: Arc<Limits>,
}

impl RegistryClient {
    /// Reads the certificate authorities. Opens no connection.
    pub fn new(config: RegistryConfig, limits: Limits) -> Result<Self, TlsConfigError> {
        let http = HttpClient::new(&config)?;
        Ok(Self { http: Arc::new(http), config: Arc::new(config), limits: Arc::new(limits) })
    }

    /// Finds what a name means right now, at the first endpoint that knows it.
    ///
    /// Credentials are tried in order until one is not refused; with none the call is anonymous.
    pub async fn resolve(
        &self,
        reference: &Reference,
        credentials: &[Credential],
    ) -> Result<Resolved, RegistryError> {
        let endpoints = hosts::endpoints(&self.config, reference.registry());
        let anonymous = [None];
        let given: Vec<Option<&Credential>> = credentials.iter().map(Some).collect();
        let tries = if given.is_empty() { anonymous.as_slice() } else { given.as_slice() };
        let mut refused = None;
        for credential in tries {
            match self.resolve_as(reference, &endpoints, *credential).await {
                Err(error) if error.is_unauthorized() => refused = Some(error),
                other => return other,
            }
        }
        Err(refused.unwrap_or(RegistryError::NoEndpoint))
    }

    async fn resolve_as(
        &self,
        reference: &Reference,
        endpoints: &[Endpoint],
        credential: Option<&Credential>,
    ) -> Result<Resolved, RegistryError> {
        let mut worst: Option<RegistryError> = None;
        for position in 0..endpoints.len() {
            let from_here = endpoints.get(position..).unwrap_or_default();
            let session = Session::new(self.clone(), reference, from_here, credential);
            match session.resolve(reference).await {
                Ok((descriptor, body)) => return Ok(Resolved { descriptor, body, session }),
                Err(error) => {
                    tracing::debug!(image = %reference, error = %error.chain(), "endpoint cannot resolve");
                    // The most telling answer is kept: a refusal over "not found" over silence.
                    if worst.as_ref().is_none_or(|worst| error.rank() > worst.rank()) {
                        worst = Some(error);
                    }
                }
            }
        }
        Err(worst.unwrap_or(RegistryError::NoEndpoint))
    }
}
