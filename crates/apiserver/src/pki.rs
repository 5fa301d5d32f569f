//! The cluster's own authority and what it signs: who the server is, who its administrators and nodes are.
//!
//! Everything is ECDSA P-256 and made in a few milliseconds at the first start. A certificate and its key are one file, so that
//! a crash leaves no pair that does not fit.
//!
//! Writes    `DIR/{ca,apiserver,apiserver-kubelet-client,admin,node-NAME-*}.pem` (0600 in 0700) and `DIR/ca.crt`.
//! Holds always
//! - A file is replaced as a whole or not at all.
//! - What is found is used only if this authority signed it, it says what is wanted, and most of its time is left;
//!   otherwise it is made anew.
//!
//! Not here: the key of service account tokens ([`crate::token`]), requests for certificates (a controller signs them).

mod authority;
pub(crate) mod files;
mod identity;
mod kubeconfig;

#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podo_base::Timestamp;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use authority::Authority;

pub use identity::{Identity, Purpose, Subject};

/// Why there is no authority or certificate.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("file {path:?} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The authority's file holds something else.
    #[error("file {path:?} holds no authority with its key")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The authority's time is over. Everything that trusts it must learn a new one.
    #[error("the authority in {path:?} has expired")]
    AuthorityExpired {
        /// The file.
        path: PathBuf,
    },
    /// A certificate cannot be made.
    #[error("no certificate can be made for {subject:?}")]
    Certificate {
        /// For whom.
        subject: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// TLS does not take what was made.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// TLS does not take the authority.
    #[error("TLS cannot verify clients")]
    Verifier(#[source] VerifierBuilderError),
}

impl PkiError {
    /// What the operator can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::AuthorityExpired { .. } => {
                Some("remove the directory of certificates and join all nodes and users again")
            }
            Self::Malformed { .. } => {
                Some("restore the file from a backup, or remove the directory")
            }
            Self::File { .. } | Self::Certificate { .. } | Self::Tls(_) | Self::Verifier(_) => None,
        }
    }
}

/// What the certificates say.
#[derive(Debug, Clone)]
pub struct PkiConfig {
    /// Names by which clients call the server beside those of the `kubernetes` Service.
    pub names: Vec<String>,
    /// Addresses by which clients call the server, the Service's among them.
    pub addresses: Vec<IpAddr>,
    /// The domain of the cluster, such as `cluster.local`.
    pub domain: String,
    /// The time.
    pub now: Timestamp,
}

/// The authority and the server's own certificates.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
    now: Timestamp,
    authority: Authority,
    serving: Identity,
    admin: Identity,
    kubelet_client: Identity,
}

impl Pki {
    /// Takes what a directory holds and makes what it lacks or what is about to expire.
    pub fn load_or_create(dir: &Path, config: &PkiConfig) -> Result<Self, PkiError> {
        files::make_dir(dir).map_err(|source| PkiError::File { path: dir.to_owned(), source })?;
        let authority = Authority::load_or_create(dir, config.now)?;
        let identity = |file: &str, subject: &Subject| {
            identity::load_or_create(&dir.join(file), subject, &authority, config.now)
        };
        let serving = Subject {
            name: "kube-apiserver".to_owned(),
            groups: Vec::new(),
            dns_names: service_names(config),
            addresses: config.addresses.clone(),
            purpose: Purpose::Server,
        };
        let admin = Subject::client("kubernetes-admin", &["system:masters"]);
        let kubelet_client = Subject::client("kube-apiserver-kubelet-client", &["system:masters"]);
        Ok(Self {
            serving: identity("apiserver.pem", &serving)?,
            admin: identity("admin.pem", &admin)?,
            kubelet_client: identity("apiserver-kubelet-client.pem", &kubelet_client)?,
            dir: dir.to_owned(),
            now: config.now,
            authority,
        })
    }

    /// The authority's certificate in PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// A member of `system:masters`.
    pub fn admin(&self) -> &Identity {
        &self.admin
    }

    /// Whom the API server is to kubelets.
    pub fn kubelet_client(&self) -> &Identity {
        &self.kubelet_client
    }

    /// Whom a node is as a client and as a server; kept in the directory.
    pub fn node(&self, name: &str, addresses: &[IpAddr]) -> Result<(Identity, Identity), PkiError> {
        let user = format!("system:node:{name}");
        let client = Subject::client(&user, &["system:nodes"]);
        let serving = Subject {
            dns_names: vec![name.to_owned()],
            addresses: addresses.to_vec(),
            purpose: Purpose::Server,
            ..client.clone()
        };
        Ok((
            self.kept(&format!("node-{name}-client.pem"), &client)?,
            self.kept(&format!("node-{name}-serving.pem"), &serving)?,
        ))
    }

    fn kept(&self, file: &str, subject: &Subject) -> Result<Identity, PkiError> {
        identity::load_or_create(&self.dir.join(file), subject, &self.authority, self.now)
    }

    /// A certificate that is kept by who asks for it.
    pub fn issue(&self, subject: &Subject) -> Result<Identity, PkiError> {
        identity::issue(subject, &self.authority, self.now)
    }

    /// TLS of the front: HTTP/2 and HTTP/1.1, with certificates of clients verified if they have one.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, PkiError> {
        self.server_config_of(&self.serving)
    }

    /// TLS of another server, such as a kubelet.
    pub fn server_config_of(&self, identity: &Identity) -> Result<Arc<ServerConfig>, PkiError> {
        let roots = Arc::new(self.roots()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .allow_unauthenticated()
            .build()
            .map_err(PkiError::Verifier)?;
        let (chain, key) = identity.parts()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(PkiError::Tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(PkiError::Tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// TLS of a client of this cluster, who shows a certificate if it has one. It offers no protocol by ALPN.
    pub fn client_config(&self, identity: Option<&Identity>) -> Result<ClientConfig, PkiError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(PkiError::Tls)?
            .with_root_certificates(self.roots()?);
        match identity {
            Some(identity) => {
                let (chain, key) = identity.parts()?;
                builder.with_client_auth_cert(chain, key).map_err(PkiError::Tls)
            }
            None => Ok(builder.with_no_client_auth()),
        }
    }

    /// A kubeconfig for a server's URL and whom its user is.
    pub fn kubeconfig(&self, server: &str, identity: &Identity) -> String {
        kubeconfig::text(server, self.ca_pem(), identity)
    }

    fn roots(&self) -> Result<RootCertStore, PkiError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate().clone()).map_err(PkiError::Tls)?;
        Ok(roots)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// By what names the server is called: those of the Service `kubernetes`, and the configured ones.
fn service_names(config: &PkiConfig) -> Vec<String> {
    let mut names = vec![
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
    ];
    names.push(format!("kubernetes.default.svc.{}", config.domain));
    names.push("localhost".to_owned());
    for name in &config.names {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}
