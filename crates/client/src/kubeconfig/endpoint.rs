//! From a kubeconfig, or from the files inside a Pod, to an [`Endpoint`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Cluster, Kubeconfig, KubeconfigError, User, exec};
use crate::https::{ConfigError, Credentials, Endpoint, Impersonation, Secret, TlsOptions};

/// Where a Pod finds its service account (Kubernetes v1.36, projected by the service account admission).
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What the command line says instead of the file. Empty means: as the file says.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The name of the context.
    pub context: Option<String>,
    /// The name of the cluster.
    pub cluster: Option<String>,
    /// The name of the user.
    pub user: Option<String>,
    /// The server's URL.
    pub server: Option<String>,
    /// A bearer token.
    pub token: Option<Secret>,
    /// A file of authorities.
    pub certificate_authority: Option<String>,
    /// A file with a certificate.
    pub client_certificate: Option<String>,
    /// A file with a key.
    pub client_key: Option<String>,
    /// Believe any certificate.
    pub insecure_skip_tls_verify: bool,
    /// The name to verify.
    pub tls_server_name: Option<String>,
    /// Whom to act as.
    pub impersonation: Impersonation,
    /// How long an answer's head may take.
    pub timeout: Option<Duration>,
    /// The `User-Agent`.
    pub user_agent: String,
}

impl Kubeconfig {
    /// The endpoint that the overrides and this file name together.
    pub fn endpoint(&self, overrides: &Overrides) -> Result<Endpoint, KubeconfigError> {
        let (context, is_named) = match &overrides.context {
            Some(name) => (name.as_str(), true),
            None => (self.current_context.as_str(), false),
        };
        let found = self.context(context);
        if found.is_none() && (is_named || !context.is_empty()) {
            return Err(KubeconfigError::NoContext { name: context.to_owned() });
        }
        let cluster_name =
            overrides.cluster.as_deref().or(found.map(|found| found.cluster.as_str()));
        let user_name = overrides.user.as_deref().or(found.map(|found| found.user.as_str()));
        let cluster = match cluster_name.filter(|name| !name.is_empty()) {
            Some(name) => self
                .cluster(name)
                .cloned()
                .ok_or_else(|| KubeconfigError::NoCluster { name: name.to_owned() })?,
            None => Cluster::default(),
        };
        let user = match user_name.filter(|name| !name.is_empty()) {
            Some(name) => self
                .user(name)
                .cloned()
                .ok_or_else(|| KubeconfigError::NoUser { name: name.to_owned() })?,
            None => User::default(),
        };
        assemble(cluster, user, overrides)
    }

    /// The namespace of the context in use.
    pub fn namespace(&self, context: Option<&str>) -> Option<&str> {
        self.context(context.unwrap_or(&self.current_context))?.namespace.as_deref()
    }
}

fn assemble(
    mut cluster: Cluster,
    mut user: User,
    overrides: &Overrides,
) -> Result<Endpoint, KubeconfigError> {
    if let Some(server) = &overrides.server {
        cluster.server.clone_from(server);
    }
    if let Some(path) = &overrides.certificate_authority {
        cluster.certificate_authority = Some(path.clone());
        cluster.certificate_authority_data = None;
    }
    if let Some(path) = &overrides.client_certificate {
        user.client_certificate = Some(path.clone());
        user.client_certificate_data = None;
    }
    if let Some(path) = &overrides.client_key {
        user.client_key = Some(path.clone());
        user.client_key_data = None;
    }
    if cluster.server.is_empty() {
        cluster.server = "http://localhost:8080".into();
    }
    let is_insecure = cluster.insecure_skip_tls_verify || overrides.insecure_skip_tls_verify;
    let mut tls = TlsOptions {
        authorities: material(
            "certificate-authority",
            cluster.certificate_authority.as_deref(),
            cluster.certificate_authority_data.as_deref(),
        )?,
        certificate: material(
            "client-certificate",
            user.client_certificate.as_deref(),
            user.client_certificate_data.as_deref(),
        )?,
        key: material("client-key", user.client_key.as_deref(), user.client_key_data.as_deref())?
            .map(|key| Secret::new(String::from_utf8_lossy(&key))),
        is_insecure,
        server_name: overrides.tls_server_name.clone().or(cluster.tls_server_name.clone()),
    };
    let mut credentials = credentials_of(&user, overrides);
    if let Some(plugin) = user.exec.as_ref().filter(|_| overrides.token.is_none()) {
        let made = exec::run(plugin, &cluster)?;
        if let Some(token) = made.token {
            credentials = Credentials::Token(Secret::new(token));
        }
        if let (Some(certificate), Some(key)) = (made.certificate, made.key) {
            tls.certificate = Some(certificate.into_bytes());
            tls.key = Some(Secret::new(key));
        }
    }
    Ok(Endpoint {
        server: cluster.server,
        tls,
        credentials,
        impersonation: impersonation_of(user, overrides),
        user_agent: overrides.user_agent.clone(),
        timeout: overrides.timeout,
    })
}

fn credentials_of(user: &User, overrides: &Overrides) -> Credentials {
    if let Some(token) = &overrides.token {
        return Credentials::Token(token.clone());
    }
    match user {
        User { token_file: Some(path), .. } if !path.is_empty() => {
            Credentials::TokenFile(PathBuf::from(path))
        }
        User { token: Some(token), .. } => Credentials::Token(Secret::new(token)),
        User { username: Some(name), password, .. } => {
            let password = password.clone().unwrap_or_default();
            Credentials::Basic(name.clone(), Secret::new(password))
        }
        _ => Credentials::None,
    }
}

fn impersonation_of(user: User, overrides: &Overrides) -> Impersonation {
    let asked = &overrides.impersonation;
    if !asked.user.is_empty() || !asked.groups.is_empty() || !asked.uid.is_empty() {
        return asked.clone();
    }
    Impersonation {
        user: user.impersonate.unwrap_or_default(),
        uid: user.as_uid.unwrap_or_default(),
        groups: user.as_groups,
        extra: Vec::new(),
    }
}

/// Inline data before a file, as client-go does.
fn material(
    what: &'static str,
    path: Option<&str>,
    inline: Option<&str>,
) -> Result<Option<Vec<u8>>, ConfigError> {
    if let Some(inline) = inline.filter(|inline| !inline.is_empty()) {
        let compact: String = inline.split_whitespace().collect();
        return STANDARD
            .decode(compact)
            .map(Some)
            .map_err(|source| ConfigError::Base64 { what, source });
    }
    path.filter(|path| !path.is_empty())
        .map(|path| {
            std::fs::read(path).map_err(|source| ConfigError::File {
                what,
                path: path.into(),
                source,
            })
        })
        .transpose()
}

/// The endpoint of the cluster that this process runs in as a Pod; `None` outside of one.
pub fn in_cluster(overrides: &Overrides) -> Option<Endpoint> {
    let host = std::env::var("KUBERNETES_SERVICE_HOST").ok().filter(|host| !host.is_empty())?;
    let port = std::env::var("KUBERNETES_SERVICE_PORT").ok().filter(|port| !port.is_empty())?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let token = Path::new(ACCOUNT).join("token");
    if !token.exists() {
        return None;
    }
    Some(Endpoint {
        server: overrides.server.clone().unwrap_or_else(|| format!("https://{host}:{port}")),
        tls: TlsOptions {
            authorities: std::fs::read(Path::new(ACCOUNT).join("ca.crt")).ok(),
            is_insecure: overrides.insecure_skip_tls_verify,
            server_name: overrides.tls_server_name.clone(),
            ..TlsOptions::default()
        },
        credentials: overrides
            .token
            .clone()
            .map_or(Credentials::TokenFile(token), Credentials::Token),
        impersonation: overrides.impersonation.clone(),
        user_agent: overrides.user_agent.clone(),
        timeout: overrides.timeout,
    })
}

/// The namespace of the Pod that this process runs in; `None` outside of one.
pub fn in_cluster_namespace() -> Option<String> {
    let text = std::fs::read_to_string(Path::new(ACCOUNT).join("namespace")).ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}
