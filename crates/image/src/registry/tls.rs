//! TLS settings: which certificate authorities vouch for which registry.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::RegistryConfig;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// A file with certificates cannot be read.
    #[error("certificates in {path:?} cannot be read")]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The crypto provider lacks the protocol versions asked for.
    #[error("TLS cannot be configured")]
    Protocol(#[source] rustls::Error),
}

/// Settings for all registries.
pub(super) struct TlsConfigs {
    common: Arc<ClientConfig>,
    by_registry: HashMap<String, Arc<ClientConfig>>,
}

impl TlsConfigs {
    pub(super) fn new(config: &RegistryConfig) -> Result<Self, TlsConfigError> {
        let mut roots = RootCertStore::empty();
        for path in &config.ca_files {
            if !add_certificates(&mut roots, path)? {
                tracing::debug!(path = %path.display(), "no certificate authorities here");
            }
        }
        let mut by_registry = HashMap::new();
        for (registry, files) in &config.registry_ca_files {
            let mut own = roots.clone();
            for path in files {
                if !add_certificates(&mut own, path)? {
                    let source = rustls_pki_types::pem::Error::Io(io::ErrorKind::NotFound.into());
                    return Err(TlsConfigError::Certificates { path: path.clone(), source });
                }
            }
            by_registry.insert(registry.clone(), client_config(own)?);
        }
        Ok(Self { common: client_config(roots)?, by_registry })
    }

    /// The settings for `host:port`, listed with or without its port.
    pub(super) fn of(&self, authority: &str) -> Arc<ClientConfig> {
        let host = super::url::host_of(authority);
        let own = self.by_registry.get(authority).or_else(|| self.by_registry.get(host));
        Arc::clone(own.unwrap_or(&self.common))
    }
}

/// Adds what a PEM file holds; `false` if there is no such file. Certificates that rustls cannot
/// parse are skipped, as the systems' bundles contain some.
fn add_certificates(roots: &mut RootCertStore, path: &Path) -> Result<bool, TlsConfigError> {
    let failed = |source| TlsConfigError::Certificates { path: path.to_path_buf(), source };
    if !path.exists() {
        return Ok(false);
    }
    let certificates = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let (added, skipped) = roots.add_parsable_certificates(certificates);
    tracing::debug!(path = %path.display(), added, skipped, "read certificate authorities");
    Ok(true)
}

fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsConfigError::Protocol)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
