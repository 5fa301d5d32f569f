//! Reading and writing a kubeconfig file.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Kubeconfig;

/// What can be wrong with a kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// The file cannot be read or written.
    #[error("file {path:?}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no YAML.
    #[error("error loading config file {path:?}: yaml: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// The file is YAML, but not a kubeconfig.
    #[error("error loading config file {path:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// There is no such context.
    #[error("context {name:?} does not exist")]
    NoContext {
        /// The name.
        name: String,
    },
    /// There is no such cluster.
    #[error("cluster {name:?} does not exist")]
    NoCluster {
        /// The name.
        name: String,
    },
    /// There is no such user.
    #[error("auth info {name:?} does not exist")]
    NoUser {
        /// The name.
        name: String,
    },
    /// The endpoint cannot be made.
    #[error(transparent)]
    Endpoint(#[from] crate::https::ConfigError),
    /// The command for credentials could not run or failed.
    #[error("getting credentials: exec: executable {command} failed with {how}")]
    Exec {
        /// The program.
        command: String,
        /// The exit status or the reason why it did not start.
        how: String,
    },
    /// The command for credentials printed something else.
    #[error("getting credentials: decoding stdout of {command}")]
    ExecOutput {
        /// The program.
        command: String,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
}

impl Kubeconfig {
    /// Reads one file as it is; relative paths stay.
    pub fn read_raw(path: &Path) -> Result<Self, KubeconfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| KubeconfigError::File { path: path.to_owned(), source })?;
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let value = podo_api::yaml::to_json(text.as_bytes()).map_err(|error| {
            let message = error.to_string();
            let message = message.strip_prefix("yaml: ").unwrap_or(&message).to_owned();
            KubeconfigError::Syntax { path: path.to_owned(), message }
        })?;
        serde_json::from_value(value)
            .map_err(|source| KubeconfigError::Shape { path: path.to_owned(), source })
    }

    /// Writes the file so that only its owner can read it; it is replaced whole.
    pub fn write(&self, path: &Path) -> Result<(), KubeconfigError> {
        let text = self.to_yaml();
        let write = || -> io::Result<()> {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let fresh = path.with_extension("tmp");
            let mut options = std::fs::OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&fresh, path)
        };
        write().map_err(|source| KubeconfigError::File { path: path.to_owned(), source })
    }

    /// The file as YAML, keys sorted.
    pub fn to_yaml(&self) -> String {
        podo_api::yaml::from_json(&self.to_value())
    }

    /// The document as client-go writes it: entries sorted by name, lists without entries as `null`.
    pub fn to_value(&self) -> Value {
        let mut document = serde_json::to_value(self).unwrap_or_default();
        for field in ["clusters", "contexts", "users"] {
            if let Some(entries) = document[field].as_array_mut() {
                entries.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
            }
            empty_is_null(&mut document[field]);
        }
        for user in document["users"].as_array_mut().into_iter().flatten() {
            let Some(Value::Object(exec)) = user["user"].get_mut("exec") else {
                continue;
            };
            exec.values_mut().for_each(empty_is_null);
            exec.retain(|field, value| field != "apiVersion" || value != "");
            exec.entry("provideClusterInfo").or_insert(Value::Bool(false));
        }
        document
    }
}

fn empty_is_null(value: &mut Value) {
    if value.as_array().is_some_and(Vec::is_empty) {
        *value = Value::Null;
    }
}
