//! The kubeconfig file: clusters, users and contexts, merged from several files, and the [`Endpoint`] that one context means.
//!
//! Reads     the files that the caller names, and the files those name (certificates, keys, tokens).
//! Holds     of several files the first that sets a value wins, as kubectl's `$KUBECONFIG` does; relative paths count from their file.
//!
//! Not here: which files to read (the command line decides), connections ([`crate::https`]).

mod endpoint;
mod exec;
mod file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use endpoint::{Overrides, in_cluster, in_cluster_namespace};
pub use file::KubeconfigError;

/// A kubeconfig file, or several merged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kubeconfig {
    /// Always `v1`.
    #[serde(default = "v1", rename = "apiVersion")]
    pub api_version: String,
    /// Always `Config`.
    #[serde(default = "config_kind")]
    pub kind: String,
    /// Servers.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub clusters: Vec<NamedCluster>,
    /// Pairs of server and user, with a namespace.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub contexts: Vec<NamedContext>,
    /// The context that is used when none is named.
    #[serde(default)]
    pub current_context: String,
    /// Settings that nothing reads any more; kept for those who wrote them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub preferences: Map<String, Value>,
    /// Credentials.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub users: Vec<NamedUser>,
    /// Whatever else the file says.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// An entry of `clusters`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamedCluster {
    /// What contexts call it.
    pub name: String,
    /// The server.
    #[serde(default)]
    pub cluster: Cluster,
}

/// An entry of `contexts`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamedContext {
    /// The name.
    pub name: String,
    /// The pair.
    #[serde(default)]
    pub context: Context,
}

/// An entry of `users`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamedUser {
    /// What contexts call it.
    pub name: String,
    /// The credentials.
    #[serde(default)]
    pub user: User,
}

/// How to reach and verify a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Cluster {
    /// A file of certificates in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
    /// Certificates in PEM, as base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority_data: Option<String>,
    /// Believe any certificate.
    #[serde(skip_serializing_if = "is_false")]
    pub insecure_skip_tls_verify: bool,
    /// The server's URL.
    pub server: String,
    /// The name to verify instead of the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
    /// Whatever else the entry says.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A server, a user and a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// The name of a cluster.
    pub cluster: String,
    /// The namespace that is used when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name of a user.
    pub user: String,
    /// Whatever else the entry says.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Credentials.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct User {
    /// A file with a certificate in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// A certificate in PEM, as base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_data: Option<String>,
    /// A file with a key in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// A key in PEM, as base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_data: Option<String>,
    /// A bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A file with a bearer token.
    #[serde(rename = "tokenFile", skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
    /// A user name for basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A user to act as.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub impersonate: Option<String>,
    /// The UID to act with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_uid: Option<String>,
    /// Groups to act in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub as_groups: Vec<String>,
    /// A command that prints credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    /// Whatever else the entry says.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("User([redacted])")
    }
}

/// A command that prints an `ExecCredential` of `client.authentication.k8s.io`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exec {
    /// The version of `ExecCredential` that is spoken.
    pub api_version: String,
    /// Arguments.
    #[serde(deserialize_with = "null_is_empty")]
    pub args: Vec<String>,
    /// The program; a relative path counts from the kubeconfig's folder, a bare name is looked up in `$PATH`.
    pub command: String,
    /// Variables to add to the environment.
    #[serde(deserialize_with = "null_is_empty")]
    pub env: Vec<ExecVariable>,
    /// Whatever else the entry says.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// An environment variable of an [`Exec`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecVariable {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl Default for Kubeconfig {
    fn default() -> Self {
        Self {
            api_version: v1(),
            kind: config_kind(),
            clusters: Vec::new(),
            contexts: Vec::new(),
            current_context: String::new(),
            preferences: Map::new(),
            users: Vec::new(),
            other: Map::new(),
        }
    }
}

impl Kubeconfig {
    /// Reads one file. Relative paths in it are made absolute.
    pub fn read(path: &Path) -> Result<Self, KubeconfigError> {
        let mut config = Self::read_raw(path)?;
        config.absolutize(path.parent().unwrap_or(Path::new("/")));
        Ok(config)
    }

    /// Reads files that exist and merges them: what an earlier one says wins.
    pub fn merged(paths: &[PathBuf]) -> Result<Self, KubeconfigError> {
        let mut whole = Self::default();
        for path in paths.iter().filter(|path| path.exists()) {
            whole.merge(Self::read(path)?);
        }
        Ok(whole)
    }

    fn merge(&mut self, later: Self) {
        for entry in later.clusters {
            if self.cluster(&entry.name).is_none() {
                self.clusters.push(entry);
            }
        }
        for entry in later.contexts {
            if self.context(&entry.name).is_none() {
                self.contexts.push(entry);
            }
        }
        for entry in later.users {
            if self.user(&entry.name).is_none() {
                self.users.push(entry);
            }
        }
        if self.current_context.is_empty() {
            self.current_context = later.current_context;
        }
        for (key, value) in later.preferences {
            self.preferences.entry(key).or_insert(value);
        }
    }

    /// The cluster of that name.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|entry| entry.name == name).map(|entry| &entry.cluster)
    }

    /// The context of that name.
    pub fn context(&self, name: &str) -> Option<&Context> {
        self.contexts.iter().find(|entry| entry.name == name).map(|entry| &entry.context)
    }

    /// The user of that name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|entry| entry.name == name).map(|entry| &entry.user)
    }

    fn absolutize(&mut self, folder: &Path) {
        for entry in &mut self.clusters {
            below(folder, &mut entry.cluster.certificate_authority);
        }
        for entry in &mut self.users {
            let user = &mut entry.user;
            below(folder, &mut user.client_certificate);
            below(folder, &mut user.client_key);
            below(folder, &mut user.token_file);
            if let Some(exec) = user.exec.as_mut().filter(|exec| exec.command.contains('/')) {
                exec.command = folder.join(&exec.command).to_string_lossy().into_owned();
            }
        }
    }
}

fn below(folder: &Path, path: &mut Option<String>) {
    if let Some(path) = path.as_mut().filter(|path| !path.is_empty()) {
        *path = folder.join(&*path).to_string_lossy().into_owned();
    }
}

fn v1() -> String {
    "v1".into()
}

fn config_kind() -> String {
    "Config".into()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
